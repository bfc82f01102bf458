//! Names and numbers that identify things: newtypes, so that one is never passed for another.
//!
//! Not here: content hashes (`hash`).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Namespace of all ids that Skein derives (UUID version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x7b1c_6f0e_53a4_5d4e_9f0a_5e1d_736b_656e);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl $name {
            /// The number that follows.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
    };
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

number!(/** A node of the fleet; never used again once its ledger was lost. */ NodeId(u64));
number!(/** One session of a node: grows with each start, and with each time that it was expired and comes back. */ SessionNo(u64));
number!(/** Grows at each change of a migration's owner and at each start of its node; older ones may do nothing. */ Epoch(u64));
number!(/** One try at a migration; rollback, replay and re-plan open the next. */ Run(u32));
number!(/** A policy's version: grows when its document changes. */ Generation(u32));
number!(/** A stage's position in its plan, from 0. */ StageNo(u32));
number!(/** A batch's position in its stage, from 0. */ BatchNo(u32));
number!(/** One hand-out of work; unique within a migration's run. */ Attempt(u32));
name!(/** A policy's name, unique in a fleet. */ PolicyName);
name!(/** A connection's name in the nodes' configuration. */ ConnectionName);

/// One batch of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct BatchId {
    /// The stage.
    pub stage: StageNo,
    /// The batch within the stage.
    pub batch: BatchNo,
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stage, self.batch)
    }
}

/// A source or target table: `database.table`, both lower case on the source side as Hive has them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// Hive database, or Iceberg namespace.
    pub database: String,
    /// Table within it.
    pub table: String,
}

impl TableName {
    /// Puts the two parts together.
    pub fn new(database: impl Into<String>, table: impl Into<String>) -> Self {
        Self { database: database.into(), table: table.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// A text that is not `database.table`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a table is named database.table, not {0:?}")]
pub struct NotATableName(String);

impl FromStr for TableName {
    type Err = NotATableName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            Some((database, table)) if !database.is_empty() && !table.is_empty() => Ok(Self::new(database, table)),
            _ => Err(NotATableName(text.to_owned())),
        }
    }
}

impl Serialize for TableName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TableName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for TableName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TableName".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[^.]+\\..+$", "description": "database.table"})
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub Uuid);

        // The order of the bytes, compared as one number: every map of migrations is searched by it.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.0.as_u128().cmp(&other.0.as_u128())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Uuid::deserialize(deserializer).map(Self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "format": "uuid"})
            }
        }
    };
}

uuid_id!(/** One dataset under one policy generation. */ MigrationId);
uuid_id!(/** The `table-uuid` of a published Iceberg table. */ TableUuid);

impl MigrationId {
    /// The id of `dataset` under `generation` of `policy`: the same wherever and whenever it is computed.
    #[must_use]
    pub fn derive(policy: &PolicyName, generation: Generation, dataset: &TableName) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("migration\n{policy}\n{generation}\n{dataset}").as_bytes()))
    }
}

impl TableUuid {
    /// The uuid of the table that `run` of `migration` publishes under the plan with `plan_hash`.
    #[must_use]
    pub fn derive(migration: MigrationId, run: Run, plan_hash: &crate::hash::Hash256) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("table\n{migration}\n{run}\n{plan_hash}").as_bytes()))
    }

    /// The uuid of the tombstone that keeps the name of `run` of `migration` from late registrations.
    #[must_use]
    pub fn tombstone(migration: MigrationId, run: Run) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("tombstone\n{migration}\n{run}").as_bytes()))
    }
}
