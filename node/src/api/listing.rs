//! Lists of migrations: filters, order, pages.
//!
//! In: the state, a filter. Out: a page. The order is the dataset's name, then generation, then id; a cursor is the place
//! in that order, so a page stays right while migrations come and go. Each migration is looked at once, and only a
//! page of them is sorted.

use std::collections::BTreeSet;

use skein_protocol::api::{DEFAULT_PAGE, Filter, MAX_PAGE, MigrationRow, Page};
use skein_protocol::ids::{Generation, MigrationId, PolicyName, TableName};
use skein_protocol::ledger::{Migration, Phase, State};

use super::error::ApiError;
use super::rows::migration_row;

/// A place in the order.
type Place = (TableName, Generation, MigrationId);

/// A filter that was understood.
#[derive(Debug)]
pub(super) struct Wanted {
    phases: Option<BTreeSet<Phase>>,
    policy: Option<PolicyName>,
    labels: Vec<(String, String)>,
    text: Option<String>,
    superseded: bool,
    limit: usize,
    after: Option<Place>,
}

impl Wanted {
    pub(super) fn new(filter: Filter) -> Result<Self, ApiError> {
        let wrong = |what: &str, why: String, next: &str| ApiError::invalid(format!("the filter {what}"), why, next);
        let phases = match filter.phase.as_deref().filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(text.split(',').map(phase).collect::<Result<_, _>>()?),
        };
        let mut labels = Vec::new();
        for label in
            filter.label.as_deref().into_iter().flat_map(|text| text.split(',')).filter(|text| !text.is_empty())
        {
            let pair = label.split_once('=').filter(|(key, _)| !key.trim().is_empty());
            let (key, value) = pair.ok_or_else(|| {
                wrong("label", format!("{label:?} is no key=value"), "write label=wave=3, several with commas")
            })?;
            labels.push((key.trim().to_owned(), value.trim().to_owned()));
        }
        let limit = filter.limit.unwrap_or(DEFAULT_PAGE);
        if limit == 0 || limit > MAX_PAGE {
            return Err(wrong("limit", format!("{limit} is not from 1 to {MAX_PAGE}"), "ask for smaller pages"));
        }
        let after = filter.cursor.as_deref().map(|text| {
            place(text).ok_or_else(|| wrong("cursor", "it is none of ours".to_owned(), "take `next` of the last page"))
        });
        Ok(Self {
            phases,
            policy: filter.policy,
            labels,
            text: filter.text.map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty()),
            superseded: filter.superseded.unwrap_or(false),
            limit: limit as usize,
            after: after.transpose()?,
        })
    }

    /// The page of `state` that is wanted.
    pub(super) fn page(&self, state: &State) -> Page<MigrationRow> {
        let mut total = 0_u64;
        let mut rest: Vec<&Migration> = Vec::new();
        for migration in state.migrations().values().filter(|migration| self.matches(state, migration)) {
            total += 1;
            if self.after.as_ref().is_none_or(|after| key(migration) > (&after.0, after.1, after.2)) {
                rest.push(migration);
            }
        }
        let more = rest.len() > self.limit;
        if more {
            rest.select_nth_unstable_by(self.limit, |one, other| key(one).cmp(&key(other)));
            rest.truncate(self.limit);
        }
        rest.sort_unstable_by(|one, other| key(one).cmp(&key(other)));
        let next = rest.last().filter(|_| more).map(|last| cursor(last));
        Page { items: rest.into_iter().map(migration_row).collect(), total, next }
    }

    fn matches(&self, state: &State, migration: &Migration) -> bool {
        self.phases.as_ref().is_none_or(|phases| phases.contains(&migration.phase))
            && self.policy.as_ref().is_none_or(|policy| *policy == migration.policy)
            && (self.superseded || !state.is_superseded(migration))
            && self.labels_match(state, migration)
            && self.text.as_ref().is_none_or(|text| contains(migration, text))
    }

    fn labels_match(&self, state: &State, migration: &Migration) -> bool {
        self.labels.is_empty()
            || state
                .policies()
                .get(&migration.policy)
                .is_some_and(|record| self.labels.iter().all(|wanted| record.policy.labels.contains(wanted)))
    }
}

fn phase(text: &str) -> Result<Phase, ApiError> {
    Phase::ALL.into_iter().find(|phase| phase.as_str() == text.trim()).ok_or_else(|| {
        let known = Phase::ALL.map(Phase::as_str).join(", ");
        ApiError::invalid("the filter phase", format!("{text:?} is no phase"), format!("write one of {known}"))
    })
}

fn contains(migration: &Migration, text: &str) -> bool {
    let has = |part: &str| part.to_lowercase().contains(text);
    has(&migration.dataset.to_string())
        || has(&migration.target.to_string())
        || has(&migration.policy.0)
        || migration.problem.as_ref().is_some_and(|problem| has(problem.code.as_str()))
}

fn key(migration: &Migration) -> (&TableName, Generation, MigrationId) {
    (&migration.dataset, migration.generation, migration.id)
}

/// A place as text that people need not read.
fn cursor(migration: &Migration) -> String {
    let plain = format!("{}\n{}\n{}", migration.generation, migration.id, migration.dataset);
    plain.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn place(cursor: &str) -> Option<Place> {
    if !cursor.is_ascii() || !cursor.len().is_multiple_of(2) {
        return None;
    }
    let bytes = cursor.as_bytes().chunks_exact(2);
    let bytes = bytes.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let plain = String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()?;
    let mut parts = plain.splitn(3, '\n');
    let (generation, id, dataset) = (parts.next()?, parts.next()?, parts.next()?);
    Some((dataset.parse().ok()?, Generation(generation.parse().ok()?), id.parse().ok()?))
}
