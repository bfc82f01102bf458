//! The data plane over a [`World`].
//!
//! In: calls of a node. Out: answers; time passes before, between and after the steps of a call. Holds: from which machine
//! calls come. Not here: what stands in the world (`inner`), batches (`batch`), tables (`tables`).

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use skein_protocol::data_plane::{
    BatchRequest, BatchResult, CollectRequest, Collected, DataPlane, Failure, InspectRequest, LoadedTable, ReadRequest,
    RegisterRequest, Registered, ReplaceRequest, Replaced, SelectRequest, StageRequest, StagedTable, TableReading,
    TombstoneRequest,
};
use skein_protocol::ids::{ConnectionName, TableName};
use skein_protocol::inspection::{Inspection, SourceFile};
use skein_protocol::plan::Plan;
use tokio::time::sleep;

use super::batch;
use super::fault::{Call, Effect};
use super::faults::Strike;
use super::inner::{Inner, NameChange};
use super::source::{Change, Source};
use super::tables;
use super::world::World;

/// A call in an ambush waits for so long, so that whoever laid it can stop the machine right there.
const AMBUSHED: Duration = Duration::from_millis(10);
/// What a source that grows under a call gets.
const GROWN: u64 = 4711;

/// Moves rows in a scripted world.
#[derive(Debug, Clone)]
pub struct ScriptedPlane {
    world: World,
    machine: Option<usize>,
}

impl ScriptedPlane {
    /// A data plane in this world.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self { world, machine: None }
    }

    /// The data plane of a machine in this world.
    #[must_use]
    pub fn at(world: World, machine: usize) -> Self {
        Self { world, machine: Some(machine) }
    }

    /// Waits to be stopped.
    async fn wait_in_ambush(&self) {
        self.world.lock().kill(self.machine.unwrap_or_default());
        sleep(AMBUSHED).await;
    }

    /// Begins a call: lets time pass; what goes wrong with it, and whether its machine is to be stopped after it.
    async fn enter(&self, call: Call, table: Option<&TableName>) -> (Option<Strike>, bool) {
        sleep(self.world.duration()).await;
        let (before, after) = self.world.lock().ambushed(call, self.machine);
        if before {
            self.wait_in_ambush().await;
        }
        (self.strike(call, table).await, after)
    }

    async fn strike(&self, call: Call, table: Option<&TableName>) -> Option<Strike> {
        let strike = self.world.lock().enter(call, table)?;
        match &strike.effect {
            Effect::Hold(gate) => gate.clone().pass().await,
            Effect::Slow(longer) => {
                self.world.lock().faults.count(strike.name);
                sleep(*longer).await;
            }
            Effect::Kill => {
                self.kill(call, table, strike.name);
                // The machine goes down with this call under way.
                return pending().await;
            }
            _ => {}
        }
        Some(strike)
    }

    fn kill(&self, call: Call, table: Option<&TableName>, name: &'static str) {
        let mut inner = self.world.lock();
        inner.faults.count(name);
        inner.note(self.machine, &format!("{call:?} {}: takes its machine down", shown(table)));
        inner.kill(self.machine.unwrap_or_default());
    }

    /// Makes one call in one step, with whatever goes wrong.
    async fn call<T>(
        &self,
        call: Call,
        table: Option<&TableName>,
        act: impl FnOnce(&mut Inner, Option<&Strike>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (strike, stops) = self.enter(call, table).await;
        let outcome = {
            let mut inner = self.world.lock();
            let outcome = match self.begin(&mut inner, call, table, strike.as_ref()) {
                Ok(()) => act(&mut inner, strike.as_ref()),
                Err(failure) => Err(failure),
            };
            self.end(&mut inner, call, table, strike.as_ref(), outcome)
        };
        if stops {
            self.wait_in_ambush().await;
        }
        sleep(self.world.duration()).await;
        outcome
    }

    /// What a fault does before anything else.
    fn begin(
        &self,
        inner: &mut Inner,
        call: Call,
        table: Option<&TableName>,
        strike: Option<&Strike>,
    ) -> Result<(), Failure> {
        match strike {
            Some(Strike { effect: Effect::Fail(failure), name }) => {
                inner.faults.count(name);
                Err(failure.clone())
            }
            Some(Strike { effect: Effect::Panic, name }) => {
                inner.faults.count(name);
                inner.note(self.machine, &format!("{call:?} {}: panic", shown(table)));
                panic!("a scripted panic");
            }
            _ => Ok(()),
        }
    }

    /// What a fault does afterwards, and the call's line in the trace.
    fn end<T>(
        &self,
        inner: &mut Inner,
        call: Call,
        table: Option<&TableName>,
        strike: Option<&Strike>,
        outcome: Result<T, Failure>,
    ) -> Result<T, Failure> {
        let outcome = match (strike, outcome) {
            (Some(Strike { effect: Effect::FailAfter(failure), name }), Ok(_)) => {
                inner.faults.count(name);
                if call == Call::Register {
                    inner.record.mark("answer to a registration lost");
                }
                Err(failure.clone())
            }
            (_, outcome) => outcome,
        };
        let said = match &outcome {
            Ok(_) => "done".to_owned(),
            Err(failure) => format!("{} {:?}", failure.code(), failure.outcome),
        };
        inner.note(self.machine, &format!("{call:?} {}: {said}", shown(table)));
        if let (Some(Strike { effect: Effect::GrowSource, .. }), Some(table)) = (strike, table)
            && let Some(source) = inner.sources.get_mut(table)
        {
            source.change(&Change::Append(vec![GROWN]));
        }
        outcome
    }

    /// Asks the catalog to change what a name points at; `None` when the answer is lost and the change comes later.
    fn change_name(&self, inner: &mut Inner, change: NameChange, strike: Option<&Strike>) -> Result<bool, Failure> {
        let change = NameChange { machine: self.machine, ..change };
        match strike {
            Some(Strike { effect: Effect::Late(failure), name }) => {
                inner.later(change, None, name);
                Err(failure.clone())
            }
            Some(Strike { effect: Effect::LateBy(failure, after), name }) => {
                inner.later(change, Some(*after), name);
                Err(failure.clone())
            }
            Some(Strike { effect: Effect::Conflict, name }) => {
                inner.faults.count(name);
                Ok(false)
            }
            _ => Ok(inner.change_name(&change)),
        }
    }
}

fn shown(table: Option<&TableName>) -> String {
    table.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// The files of a dataset; none while it is gone.
pub(super) fn list(inner: &Inner, dataset: &TableName) -> Vec<SourceFile> {
    let files = inner.sources.get(dataset).and_then(Source::files).unwrap_or_default();
    files.iter().map(|table| table.file.clone()).collect()
}

#[async_trait]
impl DataPlane for ScriptedPlane {
    async fn select(&self, _: SelectRequest) -> Result<Vec<TableName>, Failure> {
        let there = |(name, source): (&TableName, &Source)| source.files().map(|_| name.clone());
        self.call(Call::Select, None, |inner, _| Ok(inner.sources.iter().filter_map(there).collect())).await
    }

    async fn inspect(&self, request: InspectRequest) -> Result<Inspection, Failure> {
        let dataset = request.dataset.clone();
        self.call(Call::Inspect, Some(&dataset), |inner, _| tables::inspect(inner, request)).await
    }

    async fn list_source(&self, plan: Arc<Plan>) -> Result<Vec<SourceFile>, Failure> {
        let dataset = &plan.source.dataset;
        self.call(Call::ListSource, Some(dataset), |inner, _| tables::list_source(inner, &plan)).await
    }

    async fn run_batch(&self, request: BatchRequest) -> Result<BatchResult, Failure> {
        let (call, plan) = (Call::RunBatch, request.plan.clone());
        let table = Some(&plan.source.dataset);
        let (strike, stops) = self.enter(call, table).await;
        let strike = strike.as_ref();
        let begun = {
            let mut inner = self.world.lock();
            let begun = self.begin(&mut inner, call, table, strike);
            begun.and_then(|()| batch::read(&mut inner, &request, strike))
        };
        let outcome = match begun {
            Err(failure) => Err(failure),
            Ok(mut running) => loop {
                sleep(self.world.duration()).await;
                let mut inner = self.world.lock();
                match batch::write_one(&mut inner, self.machine, &request, &mut running, strike) {
                    Ok(true) => {}
                    Ok(false) => break batch::finish(&mut inner, &request, running, strike),
                    Err(failure) => break Err(failure),
                }
            },
        };
        let outcome = self.end(&mut self.world.lock(), call, table, strike, outcome);
        if stops {
            self.wait_in_ambush().await;
        }
        sleep(self.world.duration()).await;
        outcome
    }

    async fn stage(&self, request: StageRequest) -> Result<StagedTable, Failure> {
        let plan = request.plan.clone();
        let stage = |inner: &mut Inner, strike: Option<&Strike>| {
            let staged = tables::stage(inner, self.machine, &request);
            if let Some(Strike { effect: Effect::DamageFile, name }) = strike
                && !inner.record.vouched_for(&inner.store, &request.files)
                && inner.store.damage(&request.files)
            {
                inner.faults.count(name);
            }
            Ok(staged)
        };
        self.call(Call::Stage, Some(&plan.source.dataset), stage).await
    }

    async fn read_staged(&self, request: ReadRequest) -> Result<TableReading, Failure> {
        let plan = request.plan.clone();
        let read = |inner: &mut Inner, strike: Option<&Strike>| tables::read_staged(inner, &request, strike);
        self.call(Call::ReadStaged, Some(&plan.source.dataset), read).await
    }

    async fn register(&self, request: RegisterRequest) -> Result<Registered, Failure> {
        let target = request.name.clone();
        let register = |inner: &mut Inner, strike: Option<&Strike>| {
            let change = NameChange {
                name: (request.connection.clone(), request.name.clone()),
                expected: request.replacing.clone(),
                free: true,
                location: Some(request.metadata_location.clone()),
                machine: None,
            };
            let done = self.change_name(inner, change, strike)?;
            tables::mark_registration(inner, &request, done, strike);
            Ok(if done { Registered::Now } else { Registered::NameTaken })
        };
        self.call(Call::Register, Some(&target), register).await
    }

    async fn load(&self, connection: ConnectionName, name: TableName) -> Result<Option<LoadedTable>, Failure> {
        let target = name.clone();
        self.call(Call::Load, Some(&target), |inner, _| tables::load(inner, &(connection, name))).await
    }

    async fn stage_tombstone(&self, request: TombstoneRequest) -> Result<String, Failure> {
        let plan = request.plan.clone();
        let stage = |inner: &mut Inner, _: Option<&Strike>| Ok(tables::stage_tombstone(inner, self.machine, &request));
        self.call(Call::StageTombstone, Some(&plan.source.dataset), stage).await
    }

    async fn replace(&self, request: ReplaceRequest) -> Result<Replaced, Failure> {
        let target = request.name.clone();
        let replace = |inner: &mut Inner, strike: Option<&Strike>| {
            let name = (request.connection.clone(), request.name.clone());
            let change = NameChange {
                name: name.clone(),
                expected: Some(request.expected.clone()),
                free: false,
                location: request.replacement.clone(),
                machine: None,
            };
            let done = self.change_name(inner, change, strike)?;
            Ok(if done { Replaced::Now } else { Replaced::Differs { found: inner.catalog.get(&name).cloned() } })
        };
        self.call(Call::Replace, Some(&target), replace).await
    }

    async fn collect(&self, request: CollectRequest) -> Result<Collected, Failure> {
        self.call(Call::Collect, None, |inner, _| Ok(tables::collect(inner, self.machine, &request))).await
    }
}
