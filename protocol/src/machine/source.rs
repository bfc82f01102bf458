//! Compares a source's files with the plan's fingerprint.

use std::collections::BTreeMap;

use crate::defects::{self, Defect};
use crate::inspection::SourceFile;
use crate::plan::Plan;
use crate::problem::{Code, Problem};

/// Files that a problem names one by one; the rest are counted.
const NAMED_FILES: usize = 10;

/// What happened to a source since it was planned; `None` when nothing did.
#[must_use]
pub fn changes(plan: &Plan, listed: &[SourceFile]) -> Option<Problem> {
    let planned: BTreeMap<&str, &SourceFile> = by_path(&plan.source.files);
    let present: BTreeMap<&str, &SourceFile> = by_path(listed);
    let mut said = Vec::new();
    for (path, before) in &planned {
        match present.get(path) {
            None => said.push(format!("removed: {path}")),
            Some(now) if now.bytes != before.bytes => {
                said.push(format!("replaced: {path} ({} bytes, now {})", before.bytes, now.bytes));
            }
            Some(_) if defects::is(Defect::WeakFingerprint) => {}
            Some(now) if now.modified_nanos != before.modified_nanos => {
                said.push(format!("replaced: {path} (another time of modification)"));
            }
            Some(now) if now.version != before.version => {
                said.push(format!("replaced: {path} (same size and time, but another file)"));
            }
            Some(_) => {}
        }
    }
    said.extend(present.keys().filter(|path| !planned.contains_key(*path)).map(|path| format!("added: {path}")));
    if said.is_empty() {
        return None;
    }
    let more = said.len().saturating_sub(NAMED_FILES);
    said.truncate(NAMED_FILES);
    let mut why = said.join("; ");
    if more > 0 {
        why.push_str(&format!("; and {more} more"));
    }
    let next = "retry the migration: it plans anew and asks for approval of the new plan";
    Some(Problem::new(Code::SourceChanged, "the source changed since the plan", why, next).of(&plan.source.dataset))
}

fn by_path(files: &[SourceFile]) -> BTreeMap<&str, &SourceFile> {
    files.iter().map(|file| (file.path.as_str(), file)).collect()
}
