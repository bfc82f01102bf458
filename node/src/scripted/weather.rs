//! Weather: kinds of things that go wrong now and then, at a rate, for a while.
//!
//! In: a seed, the time, calls. Out: effects. Holds: [`Weather`] with the calls that each kind strikes, and [`Storm`]s.
//! Not here: what an effect does (`plane`), faults at a certain call (`fault`).

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableName;
use skein_protocol::problem::{Code, Problem};

use super::fault::{Call, Effect};

/// A slow call takes up to so much longer: longer than a session of a simulated fleet.
const SLOWEST: Duration = Duration::from_secs(4);
/// A late change of the catalog comes up to so much later: long after its caller gave up, well within the life of a tombstone.
const LATEST: Duration = Duration::from_secs(60);
/// Of so many calls a storm's rate says how many go wrong.
const MILLE: u64 = 1000;

/// A kind of things that go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weather {
    /// The object store takes long.
    StoreSlow,
    /// The object store says "slow down", and is fine again.
    StoreThrottles,
    /// The object store fails after some of a batch's files.
    StoreHalfWay,
    /// What was asked for was done, and no answer says so.
    StoreAnswerLost,
    /// What is read back is not what was written.
    ReadBackDiffers,
    /// A batch writes a row too few.
    BatchLosesRow,
    /// A batch writes a null as something else.
    BatchLosesNull,
    /// A staged file changes after it was recorded, and before a table with it was read back.
    StagedFileDamaged,
    /// The source takes long.
    SourceSlow,
    /// The source cannot be read for the moment.
    SourceUnreadable,
    /// The catalog takes long.
    CatalogSlow,
    /// The catalog says 409 though nobody else was there.
    CatalogConflict,
    /// The catalog says 5xx, and has done nothing.
    Catalog5xx,
    /// The catalog does not answer, and does what was asked later.
    CatalogLate,
    /// The catalog did what was asked, and does not answer.
    CatalogAppliedAnswerLost,
    /// The catalog does not answer, and did nothing.
    CatalogLostBeforeApplied,
    /// The data plane panics.
    DataPlanePanic,
}

impl Weather {
    /// All kinds.
    pub const ALL: [Self; 17] = [
        Self::StoreSlow,
        Self::StoreThrottles,
        Self::StoreHalfWay,
        Self::StoreAnswerLost,
        Self::ReadBackDiffers,
        Self::BatchLosesRow,
        Self::BatchLosesNull,
        Self::StagedFileDamaged,
        Self::SourceSlow,
        Self::SourceUnreadable,
        Self::CatalogSlow,
        Self::CatalogConflict,
        Self::Catalog5xx,
        Self::CatalogLate,
        Self::CatalogAppliedAnswerLost,
        Self::CatalogLostBeforeApplied,
        Self::DataPlanePanic,
    ];

    /// Its name where things are counted.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StoreSlow => "store-slow",
            Self::StoreThrottles => "store-throttles",
            Self::StoreHalfWay => "store-half-way",
            Self::StoreAnswerLost => "store-answer-lost",
            Self::ReadBackDiffers => "read-back-differs",
            Self::BatchLosesRow => "batch-loses-row",
            Self::BatchLosesNull => "batch-loses-null",
            Self::StagedFileDamaged => "staged-file-damaged",
            Self::SourceSlow => "source-slow",
            Self::SourceUnreadable => "source-unreadable",
            Self::CatalogSlow => "catalog-slow",
            Self::CatalogConflict => "catalog-conflict",
            Self::Catalog5xx => "catalog-5xx",
            Self::CatalogLate => "catalog-late",
            Self::CatalogAppliedAnswerLost => "catalog-applied-answer-lost",
            Self::CatalogLostBeforeApplied => "catalog-lost-before-applied",
            Self::DataPlanePanic => "data-plane-panic",
        }
    }

    /// The calls that it strikes.
    #[must_use]
    pub fn calls(self) -> &'static [Call] {
        use Call::{
            Collect, Inspect, ListSource, Load, ReadStaged, Register, Replace, RunBatch, Stage, StageTombstone,
        };
        match self {
            Self::StoreSlow | Self::StoreThrottles => &[RunBatch, Stage, ReadStaged, StageTombstone, Collect],
            Self::StoreAnswerLost => &[RunBatch, Stage, StageTombstone, Collect],
            Self::StoreHalfWay | Self::BatchLosesRow | Self::BatchLosesNull => &[RunBatch],
            Self::ReadBackDiffers => &[RunBatch, ReadStaged],
            Self::StagedFileDamaged => &[Stage],
            Self::SourceSlow | Self::SourceUnreadable => &[Inspect, ListSource],
            Self::CatalogSlow | Self::Catalog5xx => &[Register, Load, Replace],
            Self::CatalogConflict | Self::CatalogLate => &[Register, Replace],
            Self::CatalogAppliedAnswerLost | Self::CatalogLostBeforeApplied => &[Register, Replace],
            Self::DataPlanePanic => {
                &[Inspect, RunBatch, Stage, ReadStaged, ListSource, Register, Load, StageTombstone, Replace, Collect]
            }
        }
    }

    fn effect(self, random: &mut ChaCha8Rng) -> Effect {
        let busy = |code| Failure::transient(problem(code, self));
        let unknown = |code| Failure::unknown(problem(code, self));
        match self {
            Self::StoreSlow | Self::SourceSlow | Self::CatalogSlow => Effect::Slow(up_to(SLOWEST, random)),
            Self::StoreThrottles | Self::SourceUnreadable => Effect::Fail(busy(Code::Io)),
            Self::StoreHalfWay => Effect::HalfWay(busy(Code::Io)),
            Self::StoreAnswerLost => Effect::FailAfter(unknown(Code::Io)),
            Self::ReadBackDiffers => Effect::Misread,
            Self::BatchLosesRow => Effect::LoseRow,
            Self::BatchLosesNull => Effect::LoseNull,
            Self::StagedFileDamaged => Effect::DamageFile,
            Self::CatalogConflict => Effect::Conflict,
            Self::Catalog5xx => Effect::Fail(busy(Code::CatalogUnavailable)),
            Self::CatalogLate => Effect::LateBy(unknown(Code::CatalogUnavailable), up_to(LATEST, random)),
            Self::CatalogAppliedAnswerLost => Effect::FailAfter(unknown(Code::CatalogUnavailable)),
            Self::CatalogLostBeforeApplied => Effect::Fail(unknown(Code::CatalogUnavailable)),
            Self::DataPlanePanic => Effect::Panic,
        }
    }
}

fn problem(code: Code, weather: Weather) -> Problem {
    Problem::new(code, "a call of the scripted data plane", weather.name(), "wait: the weather changes")
}

fn up_to(most: Duration, random: &mut ChaCha8Rng) -> Duration {
    let micros = u64::try_from(most.as_micros()).expect("a minute");
    Duration::from_micros(1 + random.next_u64() % micros)
}

/// One kind of weather for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storm {
    /// What goes wrong.
    pub weather: Weather,
    /// Of a thousand calls so many.
    pub per_mille: u32,
    /// From this time of the world on.
    pub from: Duration,
    /// Before this time of the world.
    pub until: Duration,
    /// At calls about this dataset or target; about any, if it is not said.
    pub table: Option<TableName>,
}

/// A storm with its own dice, so that leaving out another storm changes nothing about it.
#[derive(Debug)]
pub(super) struct Raging {
    storm: Storm,
    random: ChaCha8Rng,
}

impl Raging {
    /// The `number`-th storm of this weather.
    pub(super) fn new(storm: Storm, seed: u64, number: u64) -> Self {
        let own = seed ^ 0x7765_6174_6865_7200 ^ (storm.weather as u64) ^ (number << 32);
        Self { storm, random: ChaCha8Rng::seed_from_u64(own) }
    }

    pub(super) fn weather(&self) -> Weather {
        self.storm.weather
    }

    /// What goes wrong with this call, if anything does.
    pub(super) fn strikes(&mut self, call: Call, table: Option<&TableName>, now: Duration) -> Option<Effect> {
        let Storm { weather, per_mille, from, until, table: wanted } = &self.storm;
        let meant = weather.calls().contains(&call) && (wanted.is_none() || wanted.as_ref() == table);
        if !meant || !(*from..*until).contains(&now) {
            return None;
        }
        let strikes = self.random.next_u64() % MILLE < u64::from(*per_mille);
        strikes.then(|| weather.effect(&mut self.random))
    }
}
