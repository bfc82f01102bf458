//! A real Hive Metastore as the source: what Spark wrote and the metastore knows, migrated by real nodes, against what Spark
//! counts.

mod compatibility;
mod migrating;
mod moving;
mod site;
