//! Whom the node tells when something needs a person: the section `alerts`.
//!
//! Holds: the checks, and [`Secret`], which no log can show.

use std::fmt;

use axum::http::Uri;
use serde::Deserialize;
use serde_yaml_ng::Value;

use super::ConfigError;
use super::decode::section;

/// Shorter secrets can be found by trying.
const MIN_SECRET_BYTES: usize = 16;
/// The longest address of a webhook.
const MAX_URL_BYTES: usize = 2_000;

/// Where alerts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertConfig {
    /// The webhook. Chat programs put a secret into its path, so it is one.
    pub url: Secret,
    /// Its host, for logs.
    pub host: String,
    /// The key that messages are signed with.
    pub secret: Secret,
}

/// A text that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being shown.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AlertSection {
    url: String,
    secret: String,
    #[serde(default)]
    allow_hosts: Vec<String>,
}

/// Decodes the section. Errors never show the address or the secret.
pub(super) fn alerts(value: Option<Value>, errors: &mut Vec<ConfigError>) -> Option<AlertConfig> {
    let AlertSection { url, secret, allow_hosts } = section(value, "alerts", errors)?;
    let before = errors.len();
    if secret.len() < MIN_SECRET_BYTES {
        let why = format!("it has less than {MIN_SECRET_BYTES} bytes");
        errors.push(ConfigError::new("alerts.secret", why, "make one with `openssl rand -hex 32`"));
    }
    let host = match host(&url) {
        Ok(host) => host,
        Err(why) => {
            errors.push(ConfigError::new("alerts.url", why, "write https://HOST/PATH"));
            return None;
        }
    };
    if !allow_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&host)) {
        let why = format!("{host}, the host of alerts.url, is not in it");
        let next = "list the hosts that this node may call; a port belongs to it: [hooks.example.com, 10.0.0.7:8443]";
        errors.push(ConfigError::new("alerts.allowHosts", why, next));
    }
    (errors.len() == before).then_some(AlertConfig { url: Secret(url), host, secret: Secret(secret) })
}

/// The host of a webhook, with its port if it names one.
fn host(url: &str) -> Result<String, String> {
    if url.len() > MAX_URL_BYTES {
        return Err(format!("it has more than {MAX_URL_BYTES} bytes"));
    }
    let uri: Uri = url.parse().map_err(|_| "it is no address".to_owned())?;
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("it has a user name in it".to_owned());
    }
    match uri.scheme_str() {
        Some("https") => {}
        // A relay on this very machine; everywhere else the message could be read on its way.
        Some("http") if matches!(authority.host(), "127.0.0.1" | "localhost" | "[::1]") => {}
        _ => return Err("it is not encrypted (http is for this machine alone)".to_owned()),
    }
    Ok(authority.as_str().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<AlertConfig, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let config = alerts(Some(serde_yaml_ng::from_str(yaml).unwrap()), &mut errors);
        config.ok_or(errors)
    }

    #[test]
    fn a_webhook_on_an_allowed_host_is_taken() {
        let config =
            read("{url: 'https://Hooks.example.com/T1', secret: 0123456789abcdef, allowHosts: [hooks.example.com]}");
        let config = config.unwrap();
        assert_eq!((config.host.as_str(), config.url.expose()), ("hooks.example.com", "https://Hooks.example.com/T1"));
        assert!(read("{url: 'http://127.0.0.1:9/x', secret: 0123456789abcdef, allowHosts: ['127.0.0.1:9']}").is_ok());
    }

    #[test]
    fn every_other_address_is_refused_and_not_shown() {
        let hidden = "0123456789abcdef-hidden";
        for (url, allowed, why) in [
            ("https://hooks.example.com/path-hidden", "other.example.com", "is not in it"),
            ("https://hooks.example.com:8443/path-hidden", "hooks.example.com", "is not in it"),
            ("http://hooks.example.com/path-hidden", "hooks.example.com", "not encrypted"),
            ("https://user:path-hidden@hooks.example.com/", "hooks.example.com", "user name"),
            ("ftp://hooks.example.com/path-hidden", "hooks.example.com", "not encrypted"),
            ("/path-hidden", "hooks.example.com", "no host"),
        ] {
            let errors = read(&format!("{{url: '{url}', secret: {hidden}, allowHosts: [{allowed}]}}")).unwrap_err();
            let text = format!("{errors:?}");
            assert!(text.contains(why) && !text.contains("hidden"), "{url}: {text}");
        }
        let short = read("{url: 'https://a.example/', secret: short, allowHosts: [a.example]}").unwrap_err();
        assert_eq!(short[0].at, "alerts.secret");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let config =
            read("{url: 'https://a.example/hidden', secret: 0123456789hidden, allowHosts: [a.example]}").unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
