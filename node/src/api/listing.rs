//! Lists of migrations: filters, order, pages.
//!
//! In: the state, a filter. Out: a page. The order is the dataset's name, then generation, then id. Where a filter wants it, each
//! migration is looked at once, and only a page of them is sorted; plain lists are `merging`.

use std::collections::BTreeSet;

use skein_protocol::access::Rights;
use skein_protocol::api::{Filter, Page, QuarantineFilter};
use skein_protocol::ids::{Generation, MigrationId, NodeId, PolicyName, TableName};
use skein_protocol::ledger::{Migration, Phase, State};
use skein_protocol::problem::Code;

use super::error::ApiError;
use super::merging::{self, key};
use super::paging;
use super::sight::sees;

/// A place in the order.
type Place = (TableName, Generation, MigrationId);

/// A filter that was understood.
#[derive(Debug)]
pub(super) struct Wanted {
    phases: Option<BTreeSet<Phase>>,
    codes: Option<BTreeSet<Code>>,
    policy: Option<PolicyName>,
    labels: Vec<(String, String)>,
    text: Option<String>,
    owner: Option<NodeId>,
    superseded: bool,
    /// Whose migrations the caller sees.
    rights: Rights,
    limit: usize,
    after: Option<Place>,
}

impl Wanted {
    pub(super) fn new(filter: Filter, rights: &Rights) -> Result<Self, ApiError> {
        Ok(Self {
            phases: several(filter.phase.as_deref(), phase)?,
            codes: None,
            policy: filter.policy,
            labels: paging::labels(filter.label.as_deref())?,
            text: paging::text(filter.text),
            owner: filter.owner,
            superseded: filter.superseded.unwrap_or(false),
            rights: rights.clone(),
            limit: paging::limit(filter.limit)?,
            after: paging::place(filter.cursor.as_deref(), place)?,
        })
    }

    /// What is in quarantine.
    pub(super) fn quarantined(filter: QuarantineFilter, rights: &Rights) -> Result<Self, ApiError> {
        let QuarantineFilter { policy, code: codes, label, text, limit, cursor } = filter;
        let plain = Filter { policy, label, text, limit, cursor, ..Filter::default() };
        let (phases, codes) = (Some(BTreeSet::from([Phase::Quarantined])), several(codes.as_deref(), code)?);
        Ok(Self { phases, codes, ..Self::new(plain, rights)? })
    }

    /// The page of `state` that is wanted, each item in the form that `row` gives it.
    pub(super) fn page<R>(&self, state: &State, row: impl Fn(&Migration) -> R) -> Page<R> {
        if self.is_plain() {
            return self.plain_page(state, row);
        }
        let mut total = 0_u64;
        let mut rest: Vec<&Migration> = Vec::new();
        for migration in self.matching(state) {
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
        Page { items: rest.into_iter().map(row).collect(), total, next }
    }

    /// Whether nothing but a policy is asked for: then no migration need be looked at that is not shown.
    fn is_plain(&self) -> bool {
        let Self { phases, codes, policy: _, labels, text, owner, superseded, rights, limit: _, after: _ } = self;
        rights.teams.is_none()
            && phases.is_none()
            && codes.is_none()
            && labels.is_empty()
            && text.is_none()
            && owner.is_none()
            && !superseded
    }

    fn plain_page<R>(&self, state: &State, row: impl Fn(&Migration) -> R) -> Page<R> {
        let policy = self.policy.as_ref();
        let after = self.after.as_ref().map(|after| (&after.0, after.1, after.2));
        let mut page = merging::after(state, policy, after, self.limit.saturating_add(1));
        let more = page.len() > self.limit;
        page.truncate(self.limit);
        let next = page.last().filter(|_| more).map(|last| cursor(last));
        Page { items: page.into_iter().map(row).collect(), total: merging::count(state, policy), next }
    }

    /// Everything that is wanted, on all pages, in order.
    pub(super) fn all(&self, state: &State) -> Vec<MigrationId> {
        let mut all: Vec<&Migration> = self.matching(state).collect();
        all.sort_unstable_by(|one, other| key(one).cmp(&key(other)));
        all.into_iter().map(|migration| migration.id).collect()
    }

    fn matching<'a>(&'a self, state: &'a State) -> Box<dyn Iterator<Item = &'a Migration> + 'a> {
        let matching = |migration: &&Migration| self.matches(state, migration);
        match &self.phases {
            Some(phases) => Box::new(phases.iter().flat_map(|phase| state.in_phase(*phase)).filter(matching)),
            None => Box::new(state.migrations().values().filter(matching)),
        }
    }

    fn matches(&self, state: &State, migration: &Migration) -> bool {
        self.policy.as_ref().is_none_or(|policy| *policy == migration.policy)
            && self.owner.is_none_or(|owner| owner == migration.owner)
            && self
                .codes
                .as_ref()
                .is_none_or(|codes| migration.problem.as_ref().is_some_and(|problem| codes.contains(&problem.code)))
            && (self.superseded || !state.is_superseded(migration))
            && sees(state, &self.rights, migration)
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

/// Comma-separated words of a filter, if there are any.
fn several<T: Ord>(
    text: Option<&str>,
    read: impl Fn(&str) -> Result<T, ApiError>,
) -> Result<Option<BTreeSet<T>>, ApiError> {
    let given = text.filter(|text| !text.is_empty());
    given.map(|text| text.split(',').map(|word| read(word.trim())).collect()).transpose()
}

fn phase(text: &str) -> Result<Phase, ApiError> {
    Phase::ALL.into_iter().find(|phase| phase.as_str() == text).ok_or_else(|| {
        let known = Phase::ALL.map(Phase::as_str).join(", ");
        paging::wrong("phase", format!("{text:?} is no phase"), &format!("write one of {known}"))
    })
}

fn code(text: &str) -> Result<Code, ApiError> {
    Code::ALL
        .iter()
        .copied()
        .find(|code| code.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| paging::wrong("code", format!("{text:?} is no code"), "docs/errors/README.md lists the codes"))
}

fn contains(migration: &Migration, text: &str) -> bool {
    let has = |part: &str| part.to_lowercase().contains(text);
    has(&migration.dataset.to_string())
        || has(&migration.target.to_string())
        || has(&migration.policy.0)
        || migration.problem.as_ref().is_some_and(|problem| has(problem.code.as_str()))
}

fn cursor(migration: &Migration) -> String {
    paging::cursor(&format!("{}\n{}\n{}", migration.generation, migration.id, migration.dataset))
}

fn place(plain: &str) -> Option<Place> {
    let mut parts = plain.splitn(3, '\n');
    let (generation, id, dataset) = (parts.next()?, parts.next()?, parts.next()?);
    Some((dataset.parse().ok()?, Generation(generation.parse().ok()?), id.parse().ok()?))
}
