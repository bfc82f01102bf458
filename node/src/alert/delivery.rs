//! One delivery: a message, signed, in one call.

use std::sync::Arc;
use std::time::Duration;

use ring::hmac;
use skein_protocol::alert::{Event, Incident, message, signed_text};
use skein_protocol::hash::Hash256;

use crate::config::AlertConfig;
use crate::env::{Outbound, OutboundCall};

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 with the shared secret over `SECONDS.BODY`.
pub const SIGNATURE_HEADER: &str = "Skein-Signature";
/// The message's id: the same when it is sent again.
pub const DELIVERY_HEADER: &str = "Skein-Delivery";
/// A webhook that has not answered after this time did not get it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Characters of a complaint that are logged.
const SHOWN_COMPLAINT: usize = 200;

/// A delivery that failed; the other side may have got it all the same.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failed(pub(super) String);

/// Sends messages to one webhook.
#[derive(Debug)]
pub(super) struct Delivery {
    outbound: Arc<dyn Outbound>,
    config: AlertConfig,
    fleet: String,
}

impl Delivery {
    pub(super) fn new(outbound: Arc<dyn Outbound>, config: AlertConfig, fleet: String) -> Self {
        Self { outbound, config, fleet }
    }

    pub(super) fn host(&self) -> &str {
        &self.config.host
    }

    /// Tells the first of these incidents, as many as fit into a message; those that were told.
    pub(super) async fn send<'a>(
        &self,
        event: Event,
        incidents: &'a [Incident],
        now: u64,
    ) -> Result<&'a [Incident], Failed> {
        let Some(message) = message(event, &self.fleet, incidents, now) else { return Ok(&[]) };
        let body = serde_json::to_vec(&message).map_err(|error| Failed(error.to_string()))?;
        let call = OutboundCall {
            url: self.config.url.expose().to_owned(),
            headers: vec![
                ("content-type".to_owned(), "application/json".to_owned()),
                (SIGNATURE_HEADER.to_owned(), signature(self.config.secret.expose(), now / 1000, &body)),
                (DELIVERY_HEADER.to_owned(), message.id.to_string()),
            ],
            body,
            timeout: TIMEOUT,
        };
        let answer = self.outbound.post(call).await.map_err(|error| Failed(error.to_string()))?;
        if !(200..300).contains(&answer.status) {
            let said = String::from_utf8_lossy(&answer.body);
            let said: String = said.chars().filter(|c| !c.is_control()).take(SHOWN_COMPLAINT).collect();
            return Err(Failed(format!("it answered {}: {said}", answer.status)));
        }
        let told = message.incidents.len();
        tracing::info!(host = self.host(), event = ?event, incidents = told, delivery = %message.id, "alert delivered");
        Ok(&incidents[..told])
    }
}

/// The signature of a body that is sent at this second since 1970.
fn signature(secret: &str, seconds: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, &signed_text(seconds, body));
    let bytes: [u8; 32] = tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes");
    format!("t={seconds},v1={}", Hash256(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute() {
        // printf '17.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let expected = "47fbe0b0fc46f5c1c83c07456c70992bb9ad376f5f8bd7e3c695a76445ac2cbc";
        assert_eq!(signature("0123456789abcdef", 17, b"{}"), format!("t=17,v1={expected}"));
    }
}
