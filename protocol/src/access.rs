//! Who may do what: roles, teams, and what a caller's rights allow.
//!
//! In: a caller's rights, what is wanted, whose it is. Out: yes, or a problem that says why not. Holds: [`Role`],
//! [`Permission`], [`Rights`]. Not here: tokens (the ledger keeps their hashes), HTTP (the node).
//!
//! A team is what a policy's `metadata.owner` names. Rights are all or nothing for what belongs to no team: the fleet, tokens.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::Approver;
use crate::problem::{Code, Problem};

/// Most teams that one token names: more are a group that should have a name of its own.
pub const MAX_TEAMS: usize = 100;

/// What somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees.
    Viewer,
    /// Sees; applies policies and acts on migrations.
    Operator,
    /// Sees; approves and rejects plans.
    Approver,
    /// Everything, the fleet and tokens too.
    Admin,
}

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// To look.
    Read,
    /// To apply policies and act on migrations.
    Operate,
    /// To approve and reject plans.
    Decide,
    /// To change the fleet, to see and give out tokens.
    Administer,
}

impl Role {
    /// All of them, from least to most.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// The role as people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// Whether it has a permission.
    #[must_use]
    pub fn has(self, permission: Permission) -> bool {
        match permission {
            Permission::Read => true,
            Permission::Operate => matches!(self, Self::Operator | Self::Admin),
            Permission::Decide => matches!(self, Self::Approver | Self::Admin),
            Permission::Administer => self == Self::Admin,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role: write viewer, operator, approver or admin")]
pub struct NotARole(pub String);

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Self, NotARole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| NotARole(text.to_owned()))
    }
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Operate, Self::Decide, Self::Administer];

    /// The permission as the API's document writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Decide => "decide",
            Self::Administer => "administer",
        }
    }

    /// The roles that have it.
    pub fn roles(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| role.has(self))
    }
}

/// What a caller may do, and on whose things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rights {
    /// Roles; none allow nothing.
    pub roles: BTreeSet<Role>,
    /// The teams whose policies and migrations they hold for; absent: all teams, and what belongs to none.
    pub teams: Option<BTreeSet<String>>,
}

impl Rights {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self { roles: BTreeSet::from([Role::Admin]), teams: None }
    }

    /// One role, for all teams.
    #[must_use]
    pub fn of(role: Role) -> Self {
        Self { roles: BTreeSet::from([role]), teams: None }
    }

    /// The same for one team alone.
    #[must_use]
    pub fn within(self, team: &str) -> Self {
        Self { teams: Some(BTreeSet::from([team.to_owned()])), ..self }
    }

    /// Whether any role has the permission, for some team at least. What belongs to no team needs [`Rights::has_for_all`].
    #[must_use]
    pub fn has(&self, permission: Permission) -> bool {
        self.roles.iter().any(|role| role.has(permission))
    }

    /// Whether any role has the permission, for everything.
    #[must_use]
    pub fn has_for_all(&self, permission: Permission) -> bool {
        self.teams.is_none() && self.has(permission)
    }

    /// Whether they hold for what belongs to `team`.
    #[must_use]
    pub fn cover(&self, team: &str) -> bool {
        self.teams.as_ref().is_none_or(|teams| teams.contains(team))
    }

    /// Whether plans of `team` may be approved and rejected, of a policy that wants `by` to do so. Whoever may decide for a
    /// team in particular may; who may for all teams alike does not speak for an owner, unless as an administrator.
    #[must_use]
    pub fn may_decide(&self, team: &str, by: Approver) -> bool {
        let owner = match by {
            Approver::Any => true,
            Approver::Owner => self.teams.is_some() || self.roles.contains(&Role::Admin),
        };
        self.has(Permission::Decide) && self.cover(team) && owner
    }

    /// Refuses what no role has the permission for.
    ///
    /// # Errors
    /// `FORBIDDEN`.
    pub fn check(&self, permission: Permission, what: &str) -> Result<(), Problem> {
        if self.has(permission) && (permission != Permission::Administer || self.teams.is_none()) {
            return Ok(());
        }
        let why = match self.has(permission) {
            true => "its token holds for some teams only, and this concerns everybody".to_owned(),
            false => format!("its roles ({self}) do not allow to {}", permission.as_str()),
        };
        let roles: Vec<&str> = permission.roles().map(Role::as_str).collect();
        Err(forbidden(what, why, &format!("use a token with the role {}", roles.join(" or "))))
    }

    /// Refuses what belongs to another team.
    ///
    /// # Errors
    /// `FORBIDDEN`.
    pub fn check_team(&self, team: &str, what: &str) -> Result<(), Problem> {
        if self.cover(team) {
            return Ok(());
        }
        let why = format!("it belongs to {team}, and the token holds for {self}");
        Err(forbidden(what, why, &format!("use a token that holds for {team}")))
    }

    /// Refuses a decision about plans of `team`.
    ///
    /// # Errors
    /// `FORBIDDEN`.
    pub fn check_decision(&self, team: &str, by: Approver, what: &str) -> Result<(), Problem> {
        self.check_team(team, what)?;
        if self.may_decide(team, by) {
            return Ok(());
        }
        let why = format!("the policy wants its owner to decide, and the token holds for all teams alike ({self})");
        Err(forbidden(what, why, &format!("use an approver's token of {team} (`skein token create --team {team}`)")))
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles: Vec<&str> = self.roles.iter().map(|role| role.as_str()).collect();
        f.write_str(if roles.is_empty() { "none" } else { "" })?;
        f.write_str(&roles.join(", "))?;
        match &self.teams {
            Some(teams) => write!(f, " for {}", teams.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
            None => Ok(()),
        }
    }
}

/// A refusal for lack of rights.
#[must_use]
pub fn forbidden(what: &str, why: impl Into<String>, next: &str) -> Problem {
    Problem::new(Code::Forbidden, what, why, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_what_it_is_for_and_no_more() {
        let table: Vec<String> = Role::ALL
            .map(|role| {
                let has = Permission::ALL.into_iter().filter(|permission| role.has(*permission));
                format!("{role}: {}", has.map(Permission::as_str).collect::<Vec<_>>().join(" "))
            })
            .into();
        assert_eq!(
            table,
            [
                "viewer: read",
                "operator: read operate",
                "approver: read decide",
                "admin: read operate decide administer"
            ]
        );
    }

    #[test]
    fn who_has_no_role_may_nothing() {
        let nobody = Rights { roles: BTreeSet::new(), teams: None };
        for permission in Permission::ALL {
            assert_eq!(nobody.check(permission, "x").unwrap_err().code, Code::Forbidden);
        }
    }

    #[test]
    fn a_teams_administrator_does_not_administer_what_belongs_to_all() {
        let rights = Rights::all().within("a");
        assert!(rights.check(Permission::Operate, "x").is_ok());
        assert!(rights.check(Permission::Administer, "x").unwrap_err().why.contains("some teams only"));
        assert!(rights.check_team("a", "x").is_ok());
        assert!(rights.check_team("b", "x").unwrap_err().why.contains("belongs to b"));
    }

    #[test]
    fn an_owners_decision_is_taken_by_the_owners_team_or_an_administrator() {
        let approver = Rights::of(Role::Approver);
        assert!(approver.may_decide("a", Approver::Any));
        assert!(!approver.may_decide("a", Approver::Owner));
        assert!(approver.clone().within("a").may_decide("a", Approver::Owner));
        assert!(!approver.within("b").may_decide("a", Approver::Any));
        assert!(Rights::all().may_decide("a", Approver::Owner));
        assert!(!Rights::of(Role::Operator).within("a").may_decide("a", Approver::Any));
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!("root".parse::<Role>(), Err(NotARole("root".to_owned())));
    }
}
