//! From a policy to its datasets and their targets.
//!
//! In: a policy. Out: the selected datasets with their targets' names, or why the policy cannot be applied here.

use std::collections::BTreeMap;

use skein_protocol::connection::Connection;
use skein_protocol::data_plane::SelectRequest;
use skein_protocol::ids::{ConnectionName, TableName};
use skein_protocol::ledger::entry::AppliedPolicy;
use skein_protocol::planner;
use skein_protocol::policy::Policy;
use skein_protocol::problem::{Code, Problem};

use crate::config::Config;
use crate::core::Core;

/// The selected datasets and their targets, sorted by dataset.
pub(super) async fn targets(core: &Core, policy: &Policy) -> Result<Vec<(TableName, TableName)>, Problem> {
    let (source, target) = (&policy.spec.source.connection, &policy.spec.target.connection);
    check_connection(&core.config, source, "source", &["hive-files", "hive-metastore", "iceberg"])?;
    check_connection(&core.config, target, "target", &["iceberg"])?;
    let request = SelectRequest { connection: source.clone() };
    let all = core.act(|plane| plane.select(request)).await.map_err(|failure| failure.problem)?;
    let selected = planner::selected(policy, &all);
    if selected.is_empty() {
        return Err(Problem::new(
            Code::NothingSelected,
            format!("the selection of policy {}", policy.metadata.name),
            format!("none of the {} tables of connection {source} is included", all.len()),
            "look at include and exclude; patterns are over database.table",
        ));
    }
    let mut owners: BTreeMap<TableName, TableName> = BTreeMap::new();
    let mut targets = Vec::with_capacity(selected.len());
    for dataset in selected {
        let name = planner::target_name(policy, &dataset)?;
        if let Some(other) = owners.insert(name.clone(), dataset.clone()) {
            return Err(Problem::new(
                Code::TargetCollision,
                format!("target {name}"),
                format!("{other} and {dataset} would both be published under it"),
                "let the naming template tell them apart, or exclude one of them",
            )
            .of(&dataset));
        }
        targets.push((dataset, name));
    }
    Ok(targets)
}

fn check_connection(config: &Config, name: &ConnectionName, place: &str, kinds: &[&str]) -> Result<(), Problem> {
    let Some(connection) = config.connections.get(name) else {
        let known: Vec<&str> = config.connections.keys().map(|name| name.0.as_str()).collect();
        let why = format!("the node's configuration has no connection of this name, only: {}", known.join(", "));
        let next = "correct the name in the policy, or add the connection and start the node again";
        return Err(Problem::new(Code::ConnectionUnknown, format!("{place} connection {name}"), why, next));
    };
    if kinds.contains(&connection.kind()) {
        return Ok(());
    }
    let why = format!("it is of kind {}; a {place} is of kind {}", connection.kind(), kinds.join(" or "));
    Err(Problem::new(Code::ConnectionKind, format!("{place} connection {name}"), why, "name another connection"))
}

/// The iceberg connection of this name, if there is one.
pub(crate) fn iceberg<'a>(
    config: &'a Config,
    name: &ConnectionName,
) -> Option<&'a skein_protocol::connection::IcebergTarget> {
    match config.connections.get(name) {
        Some(Connection::Iceberg(target)) => Some(target),
        _ => None,
    }
}

/// The policy as the ledger keeps it.
pub(super) fn applied(
    core: &Core,
    policy: &Policy,
    datasets: Vec<(TableName, TableName)>,
) -> Result<AppliedPolicy, Problem> {
    AppliedPolicy::of(policy, core.config.batch_memory_bytes, datasets).map_err(|error| {
        Problem::new(Code::Internal, "the policy", error.to_string(), "report this defect with the policy")
    })
}
