//! Makes namespaces of a REST catalog.

use skein_protocol::data_plane::Failure;

use super::client::{Answer, Client, Effect};

/// Makes `namespace`; one that is there is as good.
pub(super) fn make_namespace(client: &Client, namespace: &str) -> Result<(), Failure> {
    let body = serde_json::json!({"namespace": [namespace], "properties": {}});
    match client.post(&["namespaces"], &body, Effect::Repeatable)? {
        Answer::Ok(_) | Answer::Conflict => Ok(()),
        Answer::NotFound(why) => Err(client.refused(&why)),
    }
}
