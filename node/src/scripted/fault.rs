//! Faults: what goes wrong, at which call.

use std::time::Duration;

use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableName;
use tokio::sync::watch;
use tokio::time::timeout;

/// A hold that nobody enters for so long is a mistake of the script.
const LONG: Duration = Duration::from_secs(4 * 3600);

/// What was not said to be counted under another name.
const SCRIPTED: &str = "scripted-fault";

/// The calls of a data plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// `select`
    Select,
    /// `inspect`
    Inspect,
    /// `list_source`
    ListSource,
    /// `run_batch`
    RunBatch,
    /// `stage`
    Stage,
    /// `read_staged`
    ReadStaged,
    /// `register`
    Register,
    /// `load`
    Load,
    /// `stage_tombstone`
    StageTombstone,
    /// `replace`
    Replace,
    /// `collect`
    Collect,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Effect {
    /// It fails before it does anything.
    Fail(Failure),
    /// It does what it should, and then fails.
    FailAfter(Failure),
    /// It fails now; what it should have done happens when [`World::deliver`](super::World::deliver) is called.
    Late(Failure),
    /// It fails now; what it should have done happens later, after this time.
    LateBy(Failure, Duration),
    /// It takes so much longer.
    Slow(Duration),
    /// The batch writes some of its files, and then fails.
    HalfWay(Failure),
    /// The catalog says that somebody else was faster, although nobody was.
    Conflict,
    /// It panics.
    Panic,
    /// It takes its node's machine down: see [`World::take_kills`](super::World::take_kills).
    Kill,
    /// It waits until it is let go (see [`World::hold`](super::World::hold)).
    Hold(Gate),
    /// The batch writes one row too few, and its evidence says so.
    LoseRow,
    /// The batch writes an empty text where a null should be, and its evidence says so.
    LoseNull,
    /// What is read back is not what was written; what was written is as it should be.
    Misread,
    /// A staged file is changed behind the back of everybody, after the call.
    DamageFile,
    /// A file is added to the source, after the call.
    GrowSource,
}

/// Something that goes wrong at some calls.
#[derive(Debug, Clone)]
pub struct Fault {
    /// At which call.
    pub call: Call,
    /// Of which dataset or target; of any, if it is not said.
    pub table: Option<TableName>,
    /// So many of these calls go well first.
    pub after: u32,
    /// So many go wrong.
    pub times: u32,
    /// How.
    pub effect: Effect,
    /// Under which name it is counted.
    pub name: &'static str,
}

impl Fault {
    /// The next call of this kind goes wrong, once.
    #[must_use]
    pub fn once(call: Call, effect: Effect) -> Self {
        Self { call, table: None, after: 0, times: 1, effect, name: SCRIPTED }
    }

    /// Every call of this kind goes wrong.
    #[must_use]
    pub fn always(call: Call, effect: Effect) -> Self {
        Self { times: u32::MAX, ..Self::once(call, effect) }
    }

    /// The same, for one dataset or target alone.
    #[must_use]
    pub fn of(self, table: &TableName) -> Self {
        Self { table: Some(table.clone()), ..self }
    }

    /// The same, after so many calls that go well.
    #[must_use]
    pub fn after(self, calls: u32) -> Self {
        Self { after: calls, ..self }
    }

    /// Whether it strikes now; counts the call.
    pub(super) fn strikes(&mut self, call: Call, table: Option<&TableName>) -> bool {
        let meant = self.call == call && (self.table.is_none() || self.table.as_ref() == table);
        if !meant || self.times == 0 {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        self.times -= 1;
        true
    }
}

/// The calls' end of a hold.
#[derive(Debug, Clone)]
pub struct Gate {
    entered: watch::Sender<u32>,
    open: watch::Receiver<bool>,
}

/// Holds calls until it lets them go, or is dropped.
#[derive(Debug)]
pub struct Hold {
    entered: watch::Receiver<u32>,
    open: watch::Sender<bool>,
}

impl Hold {
    /// A hold, and the fault that leads calls of one table (of any, if none is named) into it.
    pub(super) fn of(call: Call, table: Option<&TableName>) -> (Self, Fault) {
        let (entered, enters) = watch::channel(0);
        let (open, opens) = watch::channel(false);
        let fault = Fault::always(call, Effect::Hold(Gate { entered, open: opens }));
        (Self { entered: enters, open }, Fault { table: table.cloned(), ..fault })
    }

    /// Waits until so many calls wait (or have waited) here.
    ///
    /// # Panics
    /// When nobody comes for hours of tokio's time, or the world is gone.
    pub async fn entered(&mut self, calls: u32) {
        let enough = timeout(LONG, self.entered.wait_for(|entered| *entered >= calls)).await;
        enough.expect("as many calls as the script says").expect("the world holds the other end");
    }

    /// Lets all go.
    pub fn release(self) {
        self.open.send_replace(true);
    }
}

impl Gate {
    pub(super) async fn pass(mut self) {
        self.entered.send_modify(|entered| *entered += 1);
        // A hold that was dropped holds nobody.
        let _ = self.open.wait_for(|open| *open).await;
    }
}
