//! Faults round any data plane: what catalogs, stores and sources do wrong, done to a plane that is honest.
//!
//! In: calls, scripted faults, weather. Out: the plane's own answers, or what goes wrong instead. Holds: [`Faulty`]. Faults that
//! change bytes behind a plane's back are for those who know where its bytes are: they never strike here. Not here: the
//! scripted world, which has a plane of its own (`plane`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use tokio::time::{Instant, sleep};

use super::fault::{Call, Effect, Fault, Hold};
use super::faults::{Faults, Strike};
use super::weather::Storm;

/// A data plane with faults round it. Clones share plane and faults.
pub struct Faulty<P> {
    inner: Arc<P>,
    shared: Arc<Shared>,
}

struct Shared {
    began: Instant,
    faults: Mutex<Faults>,
}

impl<P> Clone for Faulty<P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: self.shared.clone() }
    }
}

impl<P> fmt::Debug for Faulty<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("faults", &self.shared.lock()).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: DataPlane> Faulty<P> {
    /// An honest plane with nothing wrong yet; when it storms follows from `seed`.
    #[must_use]
    pub fn new(inner: P, seed: u64) -> Self {
        let shared = Shared { began: Instant::now(), faults: Mutex::new(Faults::new(seed)) };
        Self { inner: Arc::new(inner), shared: Arc::new(shared) }
    }

    /// Lets something go wrong.
    pub fn fault(&self, fault: Fault) {
        self.shared.lock().add(fault);
    }

    /// Holds the calls of this kind for one table, before they do anything, until it is released.
    #[must_use]
    pub fn hold(&self, call: Call, table: Option<&TableName>) -> Hold {
        let (hold, fault) = Hold::of(call, table);
        self.fault(fault);
        hold
    }

    /// Lets the weather turn bad for a while; times are since this was made.
    pub fn storm(&self, storm: Storm) {
        self.shared.lock().storm(storm);
    }

    /// Lets everything go well from now on. What is late still comes.
    pub fn heal(&self) {
        self.shared.lock().heal();
    }

    /// How often each kind of thing went wrong, counted when it took effect.
    #[must_use]
    pub fn inflicted(&self) -> BTreeMap<&'static str, u64> {
        self.shared.lock().inflicted().clone()
    }

    fn count(&self, name: &'static str) {
        self.shared.lock().count(name);
    }

    /// Begins a call: what goes wrong with it, beyond what was done already.
    async fn enter(&self, call: Call, table: Option<&TableName>) -> Result<Option<Strike>, Failure> {
        let strike = self.shared.lock().strike(call, table, self.shared.began.elapsed());
        let Some(Strike { effect, name }) = &strike else { return Ok(None) };
        match effect {
            Effect::Fail(failure) => {
                self.count(name);
                return Err(failure.clone());
            }
            Effect::Panic => {
                self.count(name);
                panic!("a scripted panic");
            }
            Effect::Slow(longer) => {
                self.count(name);
                sleep(*longer).await;
            }
            Effect::Hold(gate) => gate.clone().pass().await,
            _ => {}
        }
        Ok(strike)
    }

    /// Makes a call with whatever goes wrong with any.
    async fn call<T>(
        &self,
        call: Call,
        table: Option<&TableName>,
        act: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<(T, Option<Strike>), Failure> {
        let strike = self.enter(call, table).await?;
        let answer = act.await?;
        match strike {
            Some(Strike { effect: Effect::FailAfter(failure) | Effect::HalfWay(failure), name }) => {
                self.count(name);
                Err(failure)
            }
            strike => Ok((answer, strike)),
        }
    }

    /// What a change of a name meets that other calls do not: an answer without a change, or a change without an answer.
    fn changed<T>(
        &self,
        strike: Option<&Strike>,
        refused: impl FnOnce() -> T,
        late: impl FnOnce(Duration, &'static str),
    ) -> Option<Result<T, Failure>> {
        match strike {
            Some(Strike { effect: Effect::Conflict, name }) => {
                self.count(name);
                Some(Ok(refused()))
            }
            Some(Strike { effect: Effect::LateBy(failure, after), name }) => {
                late(*after, name);
                Some(Err(failure.clone()))
            }
            _ => None,
        }
    }

    fn after<T>(&self, strike: Option<Strike>, answer: T) -> Result<T, Failure> {
        match strike {
            Some(Strike { effect: Effect::FailAfter(failure), name }) => {
                self.count(name);
                Err(failure)
            }
            _ => Ok(answer),
        }
    }
}

#[async_trait]
impl<P: DataPlane> DataPlane for Faulty<P> {
    async fn select(&self, request: SelectRequest) -> Result<Vec<TableName>, Failure> {
        Ok(self.call(Call::Select, None, self.inner.select(request)).await?.0)
    }

    async fn inspect(&self, request: InspectRequest) -> Result<Inspection, Failure> {
        let dataset = request.dataset.clone();
        Ok(self.call(Call::Inspect, Some(&dataset), self.inner.inspect(request)).await?.0)
    }

    async fn list_source(&self, plan: Arc<Plan>) -> Result<Vec<SourceFile>, Failure> {
        let dataset = plan.source.dataset.clone();
        Ok(self.call(Call::ListSource, Some(&dataset), self.inner.list_source(plan)).await?.0)
    }

    async fn run_batch(&self, request: BatchRequest) -> Result<BatchResult, Failure> {
        let dataset = request.plan.source.dataset.clone();
        let (mut result, strike) = self.call(Call::RunBatch, Some(&dataset), self.inner.run_batch(request)).await?;
        if let Some(Strike { effect: Effect::Misread, name }) = strike
            && let Some(fewer) = result.evidence.found.rows.checked_sub(1)
        {
            self.count(name);
            result.evidence.found.rows = fewer;
        }
        Ok(result)
    }

    async fn stage(&self, request: StageRequest) -> Result<StagedTable, Failure> {
        let dataset = request.plan.source.dataset.clone();
        Ok(self.call(Call::Stage, Some(&dataset), self.inner.stage(request)).await?.0)
    }

    async fn read_staged(&self, request: ReadRequest) -> Result<TableReading, Failure> {
        let (dataset, location) = (request.plan.source.dataset.clone(), request.table.metadata_location.clone());
        let (mut reading, strike) =
            self.call(Call::ReadStaged, Some(&dataset), self.inner.read_staged(request)).await?;
        if let Some(Strike { effect: Effect::Misread, name }) = strike {
            self.count(name);
            reading.file_differences.push(format!("a file of {location} reads with other content than was recorded"));
        }
        Ok(reading)
    }

    async fn register(&self, request: RegisterRequest) -> Result<Registered, Failure> {
        let target = request.name.clone();
        let strike = self.enter(Call::Register, Some(&target)).await?;
        let late = |after: Duration, name| {
            let (faulty, request) = (self.clone(), request.clone());
            tokio::spawn(async move {
                sleep(after).await;
                faulty.count(name);
                if let Err(failure) = faulty.inner.register(request).await {
                    tracing::debug!(%failure, "a late registration came to nothing");
                }
            });
        };
        if let Some(answer) = self.changed(strike.as_ref(), || Registered::NameTaken, late) {
            return answer;
        }
        let answer = self.inner.register(request).await?;
        self.after(strike, answer)
    }

    async fn load(&self, connection: ConnectionName, name: TableName) -> Result<Option<LoadedTable>, Failure> {
        let target = name.clone();
        Ok(self.call(Call::Load, Some(&target), self.inner.load(connection, name)).await?.0)
    }

    async fn stage_tombstone(&self, request: TombstoneRequest) -> Result<String, Failure> {
        let dataset = request.plan.source.dataset.clone();
        Ok(self.call(Call::StageTombstone, Some(&dataset), self.inner.stage_tombstone(request)).await?.0)
    }

    async fn replace(&self, request: ReplaceRequest) -> Result<Replaced, Failure> {
        let target = request.name.clone();
        let strike = self.enter(Call::Replace, Some(&target)).await?;
        let late = |after: Duration, name| {
            let (faulty, request) = (self.clone(), request.clone());
            tokio::spawn(async move {
                sleep(after).await;
                faulty.count(name);
                if let Err(failure) = faulty.inner.replace(request).await {
                    tracing::debug!(%failure, "a late replacement came to nothing");
                }
            });
        };
        // Nobody was there: what is found is what was expected.
        let refused = || Replaced::Differs { found: Some(request.expected.clone()) };
        if let Some(answer) = self.changed(strike.as_ref(), refused, late) {
            return answer;
        }
        let answer = self.inner.replace(request).await?;
        self.after(strike, answer)
    }

    async fn collect(&self, request: CollectRequest) -> Result<Collected, Failure> {
        Ok(self.call(Call::Collect, None, self.inner.collect(request)).await?.0)
    }
}
