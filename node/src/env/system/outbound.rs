//! Calls to the outside over the machine's sockets, in the blocking pool: they are few and wait for others.

use async_trait::async_trait;
use ureq::Agent;

use super::SystemBlocking;
use crate::env::{Blocking, MAX_OUTBOUND_ANSWER_BYTES, Outbound, OutboundAnswer, OutboundCall, OutboundError};

/// Calls over HTTP and HTTPS, with the certificates that browsers trust. No redirects, no proxy, no cookies.
#[derive(Debug)]
pub(super) struct SystemOutbound {
    agent: Agent,
}

impl SystemOutbound {
    pub(super) fn new() -> Self {
        let config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            // An idle connection to somebody who is called once a day is of no use.
            .max_idle_connections(0)
            .user_agent(concat!("skein/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into() }
    }
}

#[async_trait]
impl Outbound for SystemOutbound {
    async fn post(&self, call: OutboundCall) -> Result<OutboundAnswer, OutboundError> {
        let agent = self.agent.clone();
        let blocking: &dyn Blocking = &SystemBlocking;
        match blocking.call(move || post(&agent, &call)).await {
            Ok(answer) => answer,
            Err(error) => Err(OutboundError(error.to_string())),
        }
    }
}

fn post(agent: &Agent, call: &OutboundCall) -> Result<OutboundAnswer, OutboundError> {
    let mut request = agent.post(&call.url).config().timeout_global(Some(call.timeout)).build();
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let mut answer = request.send(call.body.as_slice()).map_err(|error| OutboundError(error.to_string()))?;
    let status = answer.status().as_u16();
    // What it says is of interest only when it complains, and then its beginning is enough.
    let body = answer.body_mut().with_config().limit(MAX_OUTBOUND_ANSWER_BYTES).read_to_vec().unwrap_or_default();
    Ok(OutboundAnswer { status, body })
}
