//! The section `fleet`: how a node takes part in one.

use std::net::SocketAddr;

use serde::Deserialize;
use serde_yaml_ng::Value;

use super::ConfigError;
use super::decode::section;

/// Where the node-to-node endpoint listens, unless configured: this machine alone.
pub const DEFAULT_FLEET_LISTEN: &str = "127.0.0.1:7401";
/// A node that is silent for so long loses its work to others, unless configured.
const DEFAULT_SESSION_SECONDS: u64 = 5;
/// Longer sessions than this leave work of dead nodes undone for too long.
const MAX_SESSION_SECONDS: u64 = 300;
/// A node must have been alive for so long before it votes, unless configured.
const DEFAULT_STABLE_SECONDS: u64 = 10;
/// A day is more patience than any fleet needs.
const MAX_STABLE_SECONDS: u64 = 24 * 60 * 60;
/// Most voters, unless configured: two of five may die at once.
const DEFAULT_VOTERS: usize = 5;
/// Longest name of a zone.
const MAX_ZONE_CHARS: usize = 63;

/// How a node takes part in a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetConfig {
    /// Where the node-to-node endpoint listens (UDP); port 0: any free port.
    pub listen: SocketAddr,
    /// Where others reach it, if that is another address.
    pub advertise: Option<SocketAddr>,
    /// What it shares with the nodes that fail together with it: a rack, a data centre.
    pub zone: String,
    /// Most voters of the ledger: 1, 3 or 5.
    pub voters: usize,
    /// A node that is silent for so long loses its work to others.
    pub session_millis: u64,
    /// A node must have been alive for so long before it votes, and a voter be dead for so long before it is replaced.
    pub stable_millis: u64,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            zone: String::new(),
            voters: DEFAULT_VOTERS,
            session_millis: DEFAULT_SESSION_SECONDS * 1000,
            stable_millis: DEFAULT_STABLE_SECONDS * 1000,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FleetSection {
    #[serde(default)]
    listen: Option<String>,
    #[serde(default)]
    advertise: Option<String>,
    #[serde(default)]
    zone: Option<String>,
    #[serde(default)]
    voters: Option<usize>,
    #[serde(default)]
    session_seconds: Option<u64>,
    #[serde(default)]
    stable_seconds: Option<u64>,
}

/// Reads the section; without one the node is alone.
pub(super) fn fleet(value: Option<Value>, errors: &mut Vec<ConfigError>) -> Option<FleetConfig> {
    let value = value?;
    // An empty section is a fleet with what is usual.
    let given = if value.is_null() { Some(FleetSection::default()) } else { section(Some(value), "fleet", errors) };
    let FleetSection { listen, advertise, zone, voters, session_seconds, stable_seconds } = given?;
    let voters = voters.unwrap_or(DEFAULT_VOTERS);
    if ![1, 3, 5].contains(&voters) {
        let next = "write 1, 3 or 5: an even number survives no more deaths than the odd one below it";
        errors.push(ConfigError::new("fleet.voters", format!("{voters} voters are not possible"), next));
    }
    let zone = zone.unwrap_or_default();
    if zone.chars().count() > MAX_ZONE_CHARS || zone.chars().any(char::is_control) {
        errors.push(ConfigError::new(
            "fleet.zone",
            "it is no name",
            format!("write at most {MAX_ZONE_CHARS} characters"),
        ));
    }
    let advertise = advertise.map(|text| address("fleet.advertise", &text, errors));
    if advertise.is_some_and(|address| address.port() == 0 || address.ip().is_unspecified()) {
        let next = "write the address and port that other nodes reach";
        errors.push(ConfigError::new("fleet.advertise", "nobody can reach it", next));
    }
    let listen = address("fleet.listen", listen.as_deref().unwrap_or(DEFAULT_FLEET_LISTEN), errors);
    if listen.ip().is_unspecified() && advertise.is_none() {
        let next = "write fleet.advertise: the address and port that other nodes reach";
        errors.push(ConfigError::new("fleet.listen", format!("{listen} says not where others reach this node"), next));
    }
    Some(FleetConfig {
        listen,
        advertise,
        zone,
        voters,
        session_millis: seconds("fleet.sessionSeconds", session_seconds, (1, MAX_SESSION_SECONDS), errors)
            .unwrap_or(DEFAULT_SESSION_SECONDS)
            * 1000,
        stable_millis: seconds("fleet.stableSeconds", stable_seconds, (0, MAX_STABLE_SECONDS), errors)
            .unwrap_or(DEFAULT_STABLE_SECONDS)
            * 1000,
    })
}

fn address(at: &str, text: &str, errors: &mut Vec<ConfigError>) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        let next = format!("write an IP address and a port: {DEFAULT_FLEET_LISTEN}");
        errors.push(ConfigError::new(at, format!("{text:?} is no address with a port"), next));
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

fn seconds(at: &str, given: Option<u64>, (from, to): (u64, u64), errors: &mut Vec<ConfigError>) -> Option<u64> {
    let given = given?;
    if (from..=to).contains(&given) {
        return Some(given);
    }
    errors.push(ConfigError::new(at, format!("{given} seconds are not possible"), format!("write {from} to {to}")));
    None
}
