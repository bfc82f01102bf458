//! `token` and `whoami`: access tokens, and who one is.

use std::collections::BTreeSet;

use anyhow::Result;
use skein_protocol::access::{Rights, Role};
use skein_protocol::api::{AccessTokenRequest, AccessTokenRow, AccessTokenState, IssuedAccessToken, WhoAmI};

use crate::args::{Format, RoleArg, TokenCommand, TokenCreate};
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{self, Table};

pub(super) fn run(client: &Client, command: &TokenCommand, format: Format) -> Result<Exit> {
    match command {
        TokenCommand::Create(create) => self::create(client, create, format),
        TokenCommand::List { all } => list(client, *all, format),
        TokenCommand::Revoke { named, reason } => revoke(client, named, reason, format),
    }
}

fn create(client: &Client, create: &TokenCreate, format: Format) -> Result<Exit> {
    let roles = create.roles.iter().map(|role| match role {
        RoleArg::Viewer => Role::Viewer,
        RoleArg::Operator => Role::Operator,
        RoleArg::Approver => Role::Approver,
        RoleArg::Admin => Role::Admin,
    });
    let request = AccessTokenRequest {
        name: create.name.clone(),
        roles: roles.collect(),
        teams: (!create.teams.is_empty()).then(|| create.teams.iter().cloned().collect()),
        valid_seconds: create.valid,
    };
    let issued: IssuedAccessToken = client.post("/v1/tokens", &request)?;
    if output::document(format, &issued)? {
        return Ok(Exit::Success);
    }
    let until = issued
        .expires_at
        .map_or_else(|| "until it is revoked".to_owned(), |end| format!("until {}", output::time(end)));
    eprintln!("a token for {}: {}; valid {until}", issued.name, rights(issued.roles, issued.teams));
    eprintln!("it is shown this once; use it with --token-file or SKEIN_TOKEN_FILE");
    output::print(&format!("{}\n", issued.token))?;
    Ok(Exit::Success)
}

fn rights(roles: BTreeSet<Role>, teams: Option<BTreeSet<String>>) -> String {
    Rights { roles, teams }.to_string()
}

fn list(client: &Client, all: bool, format: Format) -> Result<Exit> {
    let mut rows: Vec<AccessTokenRow> = client.get("/v1/tokens", &[])?;
    if !all {
        rows.retain(|row| matches!(row.state, AccessTokenState::Valid | AccessTokenState::Configured));
    }
    if output::document(format, &rows)? {
        return Ok(Exit::Success);
    }
    let mut table = Table::new(&["NAME", "ROLES", "TEAMS", "STATE", "VALID UNTIL", "LAST USED", "MADE BY"]);
    for row in rows {
        let time = |time: Option<u64>, none: &str| time.map_or_else(|| none.to_owned(), output::time);
        let state = match (row.state, &row.revoked_by) {
            (AccessTokenState::Valid, _) => "valid".to_owned(),
            (AccessTokenState::Configured, _) => "in the node's configuration".to_owned(),
            (AccessTokenState::Expired, _) => "expired".to_owned(),
            (AccessTokenState::Revoked, by) => format!("revoked by {}", by.as_deref().unwrap_or("?")),
        };
        let joined = |texts: Vec<String>| texts.join(", ");
        table.row(vec![
            row.name.into(),
            joined(row.roles.iter().map(Role::to_string).collect()).into(),
            row.teams.map_or_else(|| "all".to_owned(), |teams| joined(teams.into_iter().collect())).into(),
            state.into(),
            time(row.expires_at, "-").into(),
            time(row.last_used, "never").into(),
            row.issued_by.unwrap_or_default().into(),
        ]);
    }
    output::print(&table.render())?;
    Ok(Exit::Success)
}

fn revoke(client: &Client, named: &str, reason: &str, format: Format) -> Result<Exit> {
    let row: AccessTokenRow = client.delete(&format!("/v1/tokens/{named}"), &[("reason", reason.to_owned())])?;
    if !output::document(format, &row)? {
        eprintln!("the token of {} is worthless now", row.name);
    }
    Ok(Exit::Success)
}

/// Who the caller is.
pub(super) fn who_am_i(client: &Client, format: Format) -> Result<Exit> {
    let who: WhoAmI = client.get("/v1/whoami", &[])?;
    if output::document(format, &who)? {
        return Ok(Exit::Success);
    }
    let until = who.expires_at.map(|end| format!(", until {}", output::time(end))).unwrap_or_default();
    output::print(&format!("{}: {}{until}\n", who.name, rights(who.roles, who.teams)))?;
    Ok(Exit::Success)
}
