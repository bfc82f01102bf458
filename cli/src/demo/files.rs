//! The files of a demonstration: its folder, the nodes' configurations, the policy.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Marks a folder as one of ours, so that nothing else is ever written into.
const MARKER: &str = ".skein-demo";

const POLICY: &str = "\
apiVersion: skein/v1
kind: MigrationPolicy
metadata:
  name: playlists-to-iceberg
  owner: team-playlists
  labels: { wave: demo }
spec:
  source: { connection: legacy, include: [\"playlists.*\"] }
  target: { connection: lake, name: \"{database}.{table}\", partitioning: keep }
  schema:
    add: [{ name: description, type: string, default: \"\" }]
  clean:
    - dropDuplicates: exact
  validate:
    eachBatch: [count, checksum]
    final: [count, checksum, nulls, spark64]
    checks:
      - { name: every playlist has an id, sql: count_if(playlist_id is null) = 0 }
  approval: { required: true, by: owner }
";

/// Where everything of a demonstration lies.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes the folder, or takes one that an earlier demonstration made.
    pub(super) fn prepare(folder: &Path) -> Result<Self> {
        let root = super::absolute(folder)?;
        let marker = root.join(MARKER);
        let occupied = root.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if occupied && !marker.exists() {
            bail!(
                "{} is not empty and was not made by a demonstration\nnext: name another folder with --dir",
                root.display()
            );
        }
        std::fs::create_dir_all(&root).with_context(|| format!("{} cannot be made", root.display()))?;
        std::fs::write(&marker, "This folder belongs to `skein demo`; it may be deleted.\n")
            .with_context(|| format!("{} cannot be written", marker.display()))?;
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn warehouse(&self) -> PathBuf {
        self.root.join("legacy")
    }

    /// Where the files of a node lie; nodes count from 1.
    pub(super) fn node(&self, number: u32) -> PathBuf {
        self.root.join("nodes").join(number.to_string())
    }

    /// A node's data folder.
    pub(super) fn data(&self, number: u32) -> PathBuf {
        self.node(number).join("data")
    }

    /// A node's configuration.
    pub(super) fn config(&self, number: u32) -> PathBuf {
        self.node(number).join("skein-node.yaml")
    }

    pub(super) fn log(&self, number: u32) -> PathBuf {
        self.node(number).join("node.log")
    }

    /// Writes the policy; its text.
    pub(super) fn write_policy(&self) -> Result<String> {
        self.write(&self.root.join("policy.yaml"), POLICY)?;
        Ok(POLICY.to_owned())
    }

    /// Writes a node's configuration.
    pub(super) fn write_config(&self, number: u32, listen: &str, fleet_listen: &str, slots: usize) -> Result<()> {
        let quoted = |path: PathBuf| serde_json::to_string(&path.display().to_string());
        let text = format!(
            "# Node {number} of the demonstration. Paths are absolute; connections are what policies name, and all nodes of a
# fleet have the same.
node:
  listen: {listen}
  dataDir: {data}
  slots: {slots}
fleet:
  listen: {fleet_listen}
  zone: zone-{number}
  stableSeconds: 1      # usual is 10: so that the nodes of a demonstration vote at once
connections:
  legacy:
    kind: hive-files
    warehouse: {warehouse}
    description: {description}
  lake:
    kind: iceberg
    catalogFile: {catalog}
    catalogName: skein
    warehouse: {lake}
",
            data = quoted(self.data(number))?,
            warehouse = quoted(self.warehouse().join("warehouse"))?,
            description = quoted(self.warehouse().join("metastore.json"))?,
            catalog = quoted(self.root.join("lake").join("catalog.db"))?,
            lake = quoted(self.root.join("lake"))?,
        );
        let folder = self.node(number);
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        self.write(&self.config(number), &text)
    }

    fn write(&self, path: &Path, text: &str) -> Result<()> {
        std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_the_demonstration_is_in_order() {
        assert_eq!(
            skein_protocol::policy::parse(POLICY).map(|policy| policy.metadata.name.0),
            Ok("playlists-to-iceberg".to_owned())
        );
    }
}
