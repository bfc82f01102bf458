//! Whole documents: what they mean, what is wrong with them, what survives.

mod broken;
mod meaning;
mod mutations;
mod shipped;

/// A document that says what must be said, with `spec` lines (indented by two) behind it.
fn minimal(spec: &str) -> String {
    format!(
        "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: p, owner: team }}\nspec:\n  source: {{ connection: legacy, include: [\"a.*\"] }}\n  target: {{ connection: lake }}\n{spec}"
    )
}

/// The blocks of YAML in the reference for users: the least policy, and one that uses everything.
fn documented() -> Vec<&'static str> {
    let reference = include_str!("../../../../docs/policy.md");
    let blocks = reference.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.starts_with("apiVersion")).collect()
}
