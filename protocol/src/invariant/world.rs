//! The world outside of the nodes: sources, what readers see, files.
//!
//! In: plain structs that a caller fills from a world that it can look at (a simulated one, or real files). Out: verdicts. Not
//! here: how rows are compared beyond equality; the worlds themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::list::worlds;
use super::{Verdict, Violation, ensure};
use crate::ids::{MigrationId, Run};
use crate::ledger::migration::{Migration, Phase};
use crate::ledger::state::State;

/// Everything outside of the nodes.
#[derive(Debug, Clone, Default)]
pub struct WorldView {
    /// Targets.
    pub targets: Vec<TargetView>,
    /// Changes of what names point at, in the order in which they happened.
    pub changes: Vec<NameChange>,
    /// Sources.
    pub sources: Vec<SourceView>,
    /// Locations of everything in the object store.
    pub objects: BTreeSet<String>,
}

/// One target.
#[derive(Debug, Clone, Default)]
pub struct TargetView {
    /// Its name.
    pub name: String,
    /// What a reader sees; none: no table, or a tombstone.
    pub visible: Option<Visible>,
    /// The rows of the transformed source as it was planned, in any order; none: not known.
    pub expected: Option<Vec<String>>,
    /// The migrations that have this target.
    pub holders: Vec<Holder>,
}

/// What a reader sees.
#[derive(Debug, Clone, Default)]
pub struct Visible {
    /// The table's uuid.
    pub uuid: String,
    /// Its metadata file.
    pub location: String,
    /// Its rows, in any order.
    pub rows: Vec<String>,
    /// The files that it refers to, itself included.
    pub reachable: BTreeSet<String>,
}

/// A migration of a target.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The migration.
    pub migration: MigrationId,
    /// Its run.
    pub run: Run,
    /// Where it is.
    pub phase: Phase,
    /// Where it was before it was paused.
    pub from: Option<Phase>,
    /// The metadata file and uuid of its intent.
    pub intent: Option<(String, String)>,
}

/// A name points at something else from now on.
#[derive(Debug, Clone)]
pub struct NameChange {
    /// The name.
    pub target: String,
    /// At what; none: the name is free.
    pub to: Option<String>,
    /// Whether that is a tombstone.
    pub tombstone: bool,
}

/// One source.
#[derive(Debug, Clone)]
pub struct SourceView {
    /// Its name.
    pub dataset: String,
    /// What it should hold: as it was made, and as its owners changed it.
    pub wanted: Vec<String>,
    /// What it holds.
    pub found: Vec<String>,
}

impl Holder {
    /// A migration as the ledger has it.
    #[must_use]
    pub fn of(migration: &Migration) -> Self {
        Self {
            migration: migration.id,
            run: migration.run,
            phase: migration.phase,
            from: migration.from,
            intent: migration
                .intent
                .as_ref()
                .map(|intent| (intent.table.metadata_location.clone(), intent.table.uuid.to_string())),
        }
    }

    /// The migrations of each target, by its name.
    #[must_use]
    pub fn by_target(state: &State) -> BTreeMap<String, Vec<Self>> {
        let mut by_target: BTreeMap<String, Vec<Self>> = BTreeMap::new();
        for migration in state.migrations().values() {
            by_target.entry(migration.target.to_string()).or_default().push(Self::of(migration));
        }
        by_target
    }

    /// Whether its table may be visible now.
    fn may_show(&self) -> bool {
        let at = if self.phase == Phase::Paused { self.from } else { Some(self.phase) };
        matches!(at, Some(Phase::Commit | Phase::Committed | Phase::RollingBack))
    }
}

/// Checks all that is to be checked of a world.
#[must_use]
pub fn check(view: &WorldView) -> Vec<Violation> {
    let found = worlds().filter_map(|(invariant, check)| {
        let why = check(view).err()?;
        Some(Violation { invariant, index: None, migration: None, why })
    });
    found.collect()
}

fn seen(view: &WorldView) -> impl Iterator<Item = (&TargetView, &Visible)> {
    view.targets.iter().filter_map(|target| Some((target, target.visible.as_ref()?)))
}

fn counted(rows: &[String]) -> BTreeMap<&str, i64> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row.as_str()).or_default() += 1;
    }
    counts
}

/// No node changes a source.
pub fn source_untouched(view: &WorldView) -> Verdict {
    for source in &view.sources {
        ensure(source.wanted == source.found, || {
            format!("source {} holds {:?}, and should hold {:?}", source.dataset, source.found, source.wanted)
        })?;
    }
    Ok(())
}

/// What a reader sees is the transformed source, row for row.
pub fn target_equals_transform(view: &WorldView) -> Verdict {
    for (target, visible) in seen(view) {
        let Some(expected) = &target.expected else { continue };
        let (wanted, found) = (counted(expected), counted(&visible.rows));
        let missing = wanted.iter().find(|(row, _)| !found.contains_key(*row));
        let strange = found.iter().find(|(row, _)| !wanted.contains_key(*row));
        let (all, shown, name) = (expected.len(), visible.rows.len(), &target.name);
        ensure(missing.is_none(), || format!("{name} shows {shown} of {all} rows, and not {missing:?}"))?;
        ensure(strange.is_none(), || format!("{name} shows {strange:?}, which is not in its source"))?;
        ensure(all <= shown, || format!("{name} shows {shown} of {all} rows"))?;
    }
    Ok(())
}

/// No row is seen more often than it should be.
pub fn no_row_twice(view: &WorldView) -> Verdict {
    for (target, visible) in seen(view) {
        let Some(expected) = &target.expected else { continue };
        let wanted = counted(expected);
        let more = |(row, times): &(&str, i64)| wanted.get(row).is_some_and(|wanted| times > wanted);
        if let Some((row, times)) = counted(&visible.rows).into_iter().find(more) {
            return Err(format!("{} shows {times} times: {row}", target.name));
        }
    }
    Ok(())
}

/// What is visible is what an intent named.
pub fn visible_implies_validated(view: &WorldView) -> Verdict {
    for (target, visible) in seen(view) {
        let mut intents = target.holders.iter().filter_map(|holder| holder.intent.as_ref());
        let named = intents.any(|(location, uuid)| (location, uuid) == (&visible.location, &visible.uuid));
        ensure(named, || format!("{} shows {}, which no intent names", target.name, visible.location))?;
    }
    Ok(())
}

/// What is visible belongs to a migration that publishes, has published or takes back.
pub fn no_visible_orphan(view: &WorldView) -> Verdict {
    for (target, visible) in seen(view) {
        ensure(target.holders.iter().any(Holder::may_show), || {
            let phases: Vec<Phase> = target.holders.iter().map(|holder| holder.phase).collect();
            format!("{} shows {}, and its migrations are in {phases:?}", target.name, visible.location)
        })?;
    }
    Ok(())
}

/// Every file that a visible table refers to is there.
pub fn reachable_files_stay(view: &WorldView) -> Verdict {
    for (target, visible) in seen(view) {
        if let Some(gone) = visible.reachable.iter().find(|file| !view.objects.contains(*file)) {
            return Err(format!("{} refers to {gone}, which is gone", target.name));
        }
    }
    Ok(())
}

/// A table comes under its name once.
pub fn published_once(view: &WorldView) -> Verdict {
    let mut seen = BTreeSet::new();
    for change in view.changes.iter().filter(|change| !change.tombstone) {
        let Some(location) = &change.to else { continue };
        ensure(seen.insert((&change.target, location)), || format!("{location} came under {} twice", change.target))?;
    }
    Ok(())
}

/// What was taken back is not visible.
pub fn rollback_restores(view: &WorldView) -> Verdict {
    for (target, visible) in seen(view) {
        let back = target.holders.iter().filter(|holder| matches!(holder.phase, Phase::RolledBack | Phase::Cancelled));
        for holder in back {
            let shows = holder.intent.as_ref().is_some_and(|(location, _)| *location == visible.location);
            ensure(!shows, || {
                let Holder { migration, run, phase, .. } = holder;
                format!("{} shows run {run} of migration {migration}, which is {phase}", target.name)
            })?;
        }
    }
    Ok(())
}
