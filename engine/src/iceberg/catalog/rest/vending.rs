//! Asks a REST catalog for credentials of a table's folder (`X-Iceberg-Access-Delegation: vended-credentials`).
//!
//! In: a table's name, where its files lie. Out: credentials for S3. Holds: [`Vending`]. Not here: how long they are kept
//! (`files::vended`).
//!
//! Files of a table are written before it is registered, so at first there is no table to ask for. The protocol has a step for
//! that: a table that is created for staging (`stage-create`) gets a location and credentials, and exists nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;
use skein_protocol::connection::{RestCatalog as Config, StorageOptions, in_store};
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableName;
use skein_protocol::secret::Secret;

use super::client::{Answer, Client};
use super::namespace::make_namespace;
use crate::files::{Vended, Vendor};
use crate::io_runtime::IoRuntime;

/// What the catalog calls the parts of credentials.
const KEY_ID: &str = "s3.access-key-id";
const SECRET_KEY: &str = "s3.secret-access-key";
const SESSION_TOKEN: &str = "s3.session-token";
const EXPIRES_AT_MILLIS: &str = "s3.session-token-expires-at-ms";
/// Where the store is: the catalog's names and `object_store`'s.
const PLACES: [(&str, &str); 3] =
    [("s3.endpoint", "aws_endpoint"), ("s3.region", "aws_region"), ("client.region", "aws_region")];

/// Gives out a REST catalog's credentials.
#[derive(Debug)]
pub(crate) struct Vending {
    client: Client,
}

/// What is read of an answer that has a table in it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Delegated {
    metadata: Located,
    #[serde(default)]
    config: BTreeMap<String, String>,
    #[serde(default)]
    storage_credentials: Vec<ForPrefix>,
}

#[derive(Deserialize)]
struct Located {
    location: String,
}

#[derive(Deserialize)]
struct ForPrefix {
    prefix: String,
    config: BTreeMap<String, String>,
}

impl Vending {
    pub(crate) fn new(config: Config, runtime: Arc<IoRuntime>) -> Self {
        Self { client: Client::new(config, runtime) }
    }

    /// The catalog's answer for a table that exists, else for one that is to be.
    fn ask(&self, table: &TableName, location: &str) -> Result<Delegated, Failure> {
        let path = ["namespaces", &table.database, "tables", &table.table];
        if let Answer::Ok(body) = self.client.get_delegated(&path)? {
            return self.client.parsed(&body);
        }
        let stage = || {
            let schema = serde_json::json!({"type": "struct", "schema-id": 0, "fields": []});
            let body = serde_json::json!({
                "name": table.table, "location": location, "schema": schema, "stage-create": true,
            });
            self.client.post_delegated(&path[..3], &body)
        };
        let answer = match stage()? {
            Answer::NotFound(_) => {
                make_namespace(&self.client, &table.database)?;
                stage()?
            }
            answer => answer,
        };
        match answer {
            Answer::Ok(body) => self.client.parsed(&body),
            // Somebody created it between the two requests; the next try sees it.
            Answer::Conflict => Err(self.client.passing("the table came into being while it was asked for")),
            Answer::NotFound(why) => Err(self.client.refused(&why)),
        }
    }
}

impl Vendor for Vending {
    fn vend(&self, table: &TableName, location: &str) -> Result<Vended, Failure> {
        let answer = self.ask(table, location)?;
        if in_store(&answer.metadata.location) != in_store(location) {
            let why = format!("{table} lies in {} there, and not in {location}", answer.metadata.location);
            return Err(self.client.refused(&format!("it gives no credentials for {location}: {why}")));
        }
        answer.credentials(location).ok_or_else(|| {
            let why = "it was asked with X-Iceberg-Access-Delegation, and answers without keys for S3";
            self.client.refused(&format!("it gives no credentials for {location}: {why}"))
        })
    }
}

impl Delegated {
    /// The credentials of the longest prefix that `location` lies below; catalogs of before that had them beside the table.
    fn credentials(mut self, location: &str) -> Option<Vended> {
        let of_place = self.storage_credentials.into_iter().filter(|one| is_below(location, &one.prefix));
        if let Some(best) = of_place.max_by_key(|one| one.prefix.len()) {
            self.config.extend(best.config);
        }
        let mut config = self.config;
        let expires = config.get(EXPIRES_AT_MILLIS).and_then(|millis| millis.parse().ok());
        let mut options = StorageOptions::new();
        for (theirs, ours) in PLACES {
            if let Some(text) = config.remove(theirs) {
                options.insert(ours.to_owned(), Secret::new(text));
            }
        }
        if let Some(path_style) = config.get("s3.path-style-access") {
            let hosted = if path_style == "true" { "false" } else { "true" };
            options.insert("aws_virtual_hosted_style_request".to_owned(), Secret::new(hosted));
        }
        Some(Vended {
            key_id: config.remove(KEY_ID)?,
            secret_key: Secret::new(config.remove(SECRET_KEY)?),
            session_token: config.remove(SESSION_TOKEN).map(Secret::new),
            expires_at: expires.map(|millis| UNIX_EPOCH + Duration::from_millis(millis)),
            options,
        })
    }
}

/// Whether `location` is the folder or object `prefix`, or lies in it.
fn is_below(location: &str, prefix: &str) -> bool {
    let (Some((root, key)), Some((of, prefix))) = (in_store(location), in_store(prefix)) else { return false };
    root == of
        && key.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || prefix.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(answer: &str, location: &str) -> Option<String> {
        serde_json::from_str::<Delegated>(answer).unwrap().credentials(location).map(|vended| vended.key_id)
    }

    #[test]
    fn the_credentials_of_the_nearest_folder_are_taken() {
        let answer = r#"{"metadata": {"location": "s3://w/db/t"}, "config": {"s3.access-key-id": "old", "s3.secret-access-key": "x"},
            "storage-credentials": [
                {"prefix": "s3://w/", "config": {"s3.access-key-id": "far", "s3.secret-access-key": "x"}},
                {"prefix": "s3a://w/db/t", "config": {"s3.access-key-id": "near", "s3.secret-access-key": "x"}},
                {"prefix": "s3://w/db/t2", "config": {"s3.access-key-id": "other", "s3.secret-access-key": "x"}}]}"#;
        assert_eq!(key(answer, "s3://w/db/t").as_deref(), Some("near"));
        assert_eq!(key(answer, "s3://w/db/u").as_deref(), Some("far"));
        assert_eq!(key(answer, "s3://v/db/t").as_deref(), Some("old"));
    }

    #[test]
    fn an_answer_without_a_secret_gives_no_credentials() {
        let answer =
            r#"{"metadata": {"location": "s3://w/db/t"}, "config": {"s3.access-key-id": "a", "s3.region": "r"}}"#;
        assert_eq!(key(answer, "s3://w/db/t"), None);
    }

    #[test]
    fn the_place_and_the_end_are_taken_over() {
        let answer = r#"{"metadata": {"location": "s3://w/db/t"}, "config": {"s3.access-key-id": "a", "s3.secret-access-key": "x",
            "s3.endpoint": "http://e", "client.region": "r", "s3.path-style-access": "true", "s3.session-token-expires-at-ms": "1000"}}"#;
        let vended = serde_json::from_str::<Delegated>(answer).unwrap().credentials("s3://w/db/t").unwrap();
        let options: Vec<(&str, &str)> =
            vended.options.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(
            options,
            [("aws_endpoint", "http://e"), ("aws_region", "r"), ("aws_virtual_hosted_style_request", "false")]
        );
        assert_eq!(vended.expires_at, Some(UNIX_EPOCH + Duration::from_secs(1)));
    }
}
