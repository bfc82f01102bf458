//! The story of one target, as a reader saw it.
//!
//! In: what is seen, all that was asked. Out: complaints. Holds: which request explains which change: each explains one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use skein_protocol::hash::Hash256;
use skein_protocol::ids::{MigrationId, Run, TableUuid};

use super::request::{Action, Asked, Listed, Request, Seen, names};
use super::{ASKED, ENDS, KEPT, ROWS};

/// A migration has no more runs than this in any story that is told here.
const MOST_RUNS: u32 = 100;

/// What happened to one target.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// Rows of the transformed source, since when each.
    versions: Vec<(Duration, Vec<String>)>,
    /// Its source did not exist for a while: a policy that is submitted then does not select it.
    pub(super) absent: bool,
    visible: Option<Seen>,
    /// Metadata files that were seen and are gone.
    gone: BTreeSet<String>,
    /// Requests that explain an appearance, each one; for a submission: its key.
    opened: BTreeSet<String>,
    /// Requests that explain a disappearance.
    closed: BTreeSet<u64>,
    /// All that explained something.
    used: BTreeSet<u64>,
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort_unstable();
    rows
}

impl Story {
    pub(super) fn source(&mut self, at: Duration, rows: Vec<String>) {
        self.versions.push((at, sorted(rows)));
    }

    /// A reader looks.
    pub(super) fn saw(
        &mut self,
        target: &str,
        at: Duration,
        seen: Option<Seen>,
        asked: &BTreeMap<u64, Asked>,
    ) -> Vec<String> {
        let seen = seen.map(|seen| Seen { rows: sorted(seen.rows), ..seen });
        if seen == self.visible {
            return Vec::new();
        }
        let before = std::mem::replace(&mut self.visible, seen.clone());
        match (before, seen) {
            (Some(before), Some(seen)) if before.location == seen.location => {
                vec![format!("{ROWS}: {at:?}: what {target} shows changed, and its table is the same")]
            }
            (Some(before), Some(seen)) => {
                self.gone.insert(before.location);
                vec![format!("{KEPT}: {at:?}: {target} went over to {} without being taken back", seen.location)]
            }
            (Some(before), None) => {
                self.gone.insert(before.location);
                self.disappears(target, at, asked)
            }
            (None, Some(seen)) => self.appears(target, at, &seen, asked),
            (None, None) => Vec::new(),
        }
    }

    fn disappears(&mut self, target: &str, at: Duration, asked: &BTreeMap<u64, Asked>) -> Vec<String> {
        let reason = asked.iter().find(|(id, asked)| {
            asked.at <= at && asked.may_take_back(target) && asked.may_be_done() && !self.closed.contains(*id)
        });
        match reason {
            Some((id, _)) => {
                self.closed.insert(*id);
                self.used.insert(*id);
                Vec::new()
            }
            None => vec![format!("{KEPT}: {at:?}: {target} disappeared, and nobody asked for that")],
        }
    }

    fn appears(&mut self, target: &str, at: Duration, seen: &Seen, asked: &BTreeMap<u64, Asked>) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.gone.contains(&seen.location) {
            complaints.push(format!("{KEPT}: {at:?}: {target} shows {} again, which was taken back", seen.location));
        }
        let label = |id: u64, asked: &Asked| match &asked.request {
            Request::Submit { key, .. } => format!("key {key}"),
            _ => format!("question {id}"),
        };
        let opens = |asked: &Asked| asked.at <= at && asked.opens(target) && asked.may_be_done();
        let reason = asked.iter().find(|(id, asked)| opens(asked) && !self.opened.contains(&label(**id, asked)));
        match reason {
            Some((id, asked)) => {
                self.opened.insert(label(*id, asked));
                self.used.insert(*id);
            }
            None => complaints.push(format!("{ASKED}: {at:?}: {target} became visible, and nobody asked for that")),
        }
        if !is_approved(target, at, seen, asked) {
            complaints.push(format!("{ASKED}: {at:?}: {target} became visible, and nobody approved its plan"));
        }
        let versions = self.versions.iter().filter(|(since, _)| *since <= at);
        if !self.versions.is_empty() && !versions.into_iter().any(|(_, rows)| *rows == seen.rows) {
            complaints.push(format!("{ROWS}: {at:?}: {target} shows {}", self.compared(&seen.rows)));
        }
        complaints
    }

    /// How rows differ from those of the source as it was last.
    fn compared(&self, rows: &[String]) -> String {
        let wanted = self.versions.last().map(|(_, rows)| rows.as_slice()).unwrap_or_default();
        let missing = wanted.iter().find(|row| !rows.contains(row));
        let strange = rows.iter().find(|row| !wanted.contains(row));
        format!(
            "{} rows where {} should be; missing: {missing:?}, strange: {strange:?}, versions of the source: {}",
            rows.len(),
            wanted.len(),
            self.versions.len()
        )
    }

    /// Whether what explained a change was refused in the end.
    pub(super) fn honest(&self, target: &str, asked: &BTreeMap<u64, Asked>) -> Vec<String> {
        let refused = self.used.iter().filter(|id| asked.get(id).is_some_and(|asked| !asked.may_be_done()));
        // Another request may explain the same change.
        let spare = |id: &u64| {
            let back = asked[id].may_take_back(target);
            asked.iter().any(|(other, one)| {
                one.may_be_done()
                    && !self.used.contains(other)
                    && (if back { one.may_take_back(target) } else { one.opens(target) })
            })
        };
        let lies = refused.filter(|id| !spare(id));
        lies.map(|id| {
            format!("{KEPT}: {target} changed, and the only request for that, {:?}, was refused", asked[id].request)
        })
        .collect()
    }

    /// Everything has ended: what is seen fits what was asked, and what the API lists.
    pub(super) fn ended(
        &self,
        target: &str,
        at: Duration,
        listed: Option<Vec<&Listed>>,
        asked: &BTreeMap<u64, Asked>,
    ) -> Vec<String> {
        let mut complaints = Vec::new();
        let modified = listed.iter().flatten().any(|row| row.problem.as_deref() == Some("TARGET_MODIFIED"));
        if self.visible.is_some() && !modified {
            for back in asked.values().filter(|asked| asked.takes_back(target) && asked.is_done()) {
                let reopened = asked.values().any(|other| other.opens(target) && other.may_follow(back));
                if !reopened {
                    complaints.push(format!(
                        "{KEPT}: {at:?}: {target} is visible, and {:?} was done at {:?}",
                        back.request,
                        back.done_by()
                    ));
                }
            }
        }
        let promised = asked.values().any(|asked| asked.promises(target));
        if let Some(rows) = listed.filter(|_| promised) {
            complaints.extend(self.fits(target, at, &rows, asked));
        }
        complaints
    }

    /// Whether what the API lists of a target that was acknowledged fits what was asked and is seen.
    fn fits(&self, target: &str, at: Duration, rows: &[&Listed], asked: &BTreeMap<u64, Asked>) -> Vec<String> {
        if rows.is_empty() && self.absent {
            return Vec::new();
        }
        if rows.is_empty() {
            return vec![format!("{ENDS}: {at:?}: {target} was acknowledged, and the fleet does not list it")];
        }
        let mut complaints = Vec::new();
        let shows = rows.iter().any(|row| row.phase == "committed");
        if shows != self.visible.is_some() {
            let phases: Vec<&str> = rows.iter().map(|row| row.phase.as_str()).collect();
            let seen = if self.visible.is_some() { "is visible" } else { "is not visible" };
            complaints.push(format!("{ENDS}: {at:?}: {target} {seen}, and is listed as {phases:?}"));
        }
        let was_asked = |wanted: &dyn Fn(&Request) -> bool| {
            asked.values().any(|asked| asked.may_be_done() && wanted(&asked.request))
        };
        for row in rows {
            let fits = match row.phase.as_str() {
                "committed" => true,
                "rolled_back" => {
                    was_asked(&|request| matches!(request, Request::Act(Action::Rollback, one) if one == target))
                }
                "cancelled" => was_asked(&|request| ends(request, target)) || generations(target, asked) > 1,
                "quarantined" => row.problem.is_some(),
                "paused" => row.problem.is_some(),
                "approval" => was_asked(
                    &|request| matches!(request, Request::Submit { approval: true, targets, .. } if names(targets, target)),
                ),
                // It waits for another policy, which does not get through by itself.
                "ready" => true,
                _ => false,
            };
            if !fits {
                let (phase, problem) = (&row.phase, &row.problem);
                complaints.push(format!(
                    "{ENDS}: {at:?}: {target} is {phase} in the end ({problem:?}), and nothing says why"
                ));
            }
        }
        complaints
    }
}

/// Different documents that were submitted for a target.
fn generations(target: &str, asked: &BTreeMap<u64, Asked>) -> usize {
    let documents = asked.values().filter(|asked| asked.may_be_done()).filter_map(|asked| match &asked.request {
        Request::Submit { document, targets, .. } if names(targets, target) => Some(document),
        _ => None,
    });
    documents.collect::<BTreeSet<_>>().len()
}

/// Whether a request ends a target's migration without publishing it.
fn ends(request: &Request, target: &str) -> bool {
    match request {
        Request::Act(Action::Cancel, one) => one == target,
        Request::Reject(targets) | Request::Discard(targets) => names(targets, target),
        _ => false,
    }
}

/// Whether a table that becomes visible was approved, where all that asked for it want an approval: its uuid tells of which
/// migration, run and plan it is.
fn is_approved(target: &str, at: Duration, seen: &Seen, asked: &BTreeMap<u64, Asked>) -> bool {
    let mut submits = asked.values().filter_map(|asked| match &asked.request {
        Request::Submit { targets, approval, .. } if names(targets, target) => Some(*approval),
        _ => None,
    });
    if submits.any(|approval| !approval) {
        return true;
    }
    let given = asked.values().filter(|asked| asked.at <= at && asked.may_be_done());
    let plans = given.filter_map(|asked| match &asked.request {
        Request::Approve(items) => Some(items),
        _ => None,
    });
    plans.flatten().any(|(migration, plan, _)| {
        let (Ok(migration), Ok(plan)) = (migration.parse::<MigrationId>(), plan.parse::<Hash256>()) else {
            return false;
        };
        (1..=MOST_RUNS).any(|run| TableUuid::derive(migration, Run(run), &plan).to_string() == seen.uuid)
    })
}
