//! One worker process, from the engine's side.
//!
//! In: orders. Out: what is done, or its [`Death`]. Holds: the process and its three streams. A worker that is dropped is
//! killed: so is one whose caller went away in the middle of an order.

use std::io::{self, Write};
use std::process::Stdio;
use std::sync::{Arc, Weak};
use std::time::Duration;

use skein_protocol::data_plane::StagedFile;
use skein_protocol::plan::Plan;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::death::Death;
use super::frame;
use super::message::{Done, Order, Report};
use super::program::WorkerProgram;

/// Bytes of a worker's last words that are kept: a panic's message and what the runtime says of it.
const LAST_WORDS_BYTES: usize = 4 << 10;
/// Bytes of its words that are passed on at once.
const WORDS_BYTES: usize = 4 << 10;
/// How often a worker that was killed is looked for, and how long between two looks: it is gone within milliseconds, unless
/// a disk holds it.
const LOOKS: u32 = 200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
/// Most readers that a worker may have beside each other; what a damaged worker says beyond that is not kept.
const MAX_READERS: usize = 64;

/// A running worker.
#[derive(Debug)]
pub(super) struct WorkerProcess {
    child: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
    words: JoinHandle<String>,
    /// What it was told last. Weak: a plan is not kept in memory for workers that sit idle.
    plan: Weak<Plan>,
    prior: Weak<Vec<StagedFile>>,
    reading: Vec<Option<String>>,
}

impl WorkerProcess {
    /// Starts a worker; `begin` is its first order.
    pub(super) async fn start(program: &WorkerProgram, begin: &[u8]) -> io::Result<Self> {
        let mut command = Command::new(&program.path);
        if let Some(name) = &program.name {
            command.arg0(name);
        }
        // A group of its own: a terminal's interrupt is for the node, which lets its work come to an end.
        command.args(&program.arguments).process_group(0).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (Some(orders), Some(reports), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("the worker has no streams"));
        };
        let words = tokio::spawn(pass_on(errors));
        let (reports, plan, prior) = (BufReader::new(reports), Weak::new(), Weak::new());
        let mut worker = Self { child, orders, reports, words, plan, prior, reading: Vec::new() };
        // One that dies at once is found dead by its first order.
        let _ = worker.orders.write_all(begin).await;
        Ok(worker)
    }

    /// Whether it runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether `plan` is what it was told last.
    pub(super) fn knows(&self, plan: &Arc<Plan>) -> bool {
        std::ptr::eq(self.plan.as_ptr(), Arc::as_ptr(plan))
    }

    /// Tells it what a batch refers to, unless it knows.
    pub(super) async fn learn(&mut self, plan: &Arc<Plan>, prior: &Arc<Vec<StagedFile>>) -> io::Result<()> {
        use std::borrow::Cow;
        if !self.knows(plan) {
            self.send(&Order::Plan(Cow::Borrowed(plan))).await?;
            self.plan = Arc::downgrade(plan);
        }
        let nothing_new = std::ptr::eq(self.prior.as_ptr(), Arc::as_ptr(prior));
        if !nothing_new {
            self.send(&Order::Prior(Cow::Borrowed(prior))).await?;
            self.prior = Arc::downgrade(prior);
        }
        Ok(())
    }

    /// Gives it an order, and waits until it is done.
    pub(super) async fn follow(&mut self, order: &Order<'_>) -> io::Result<Done> {
        self.reading.clear();
        self.send(order).await?;
        loop {
            let message = frame::receive(&mut self.reports).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            match frame::decode(&message)? {
                Report::Done(done) => return Ok(*done),
                Report::Reading { reader, path } if reader < MAX_READERS => {
                    if self.reading.len() <= reader {
                        self.reading.resize(reader + 1, None);
                    }
                    self.reading[reader] = Some(path);
                }
                Report::Reading { .. } => {}
            }
        }
    }

    async fn send(&mut self, order: &Order<'_>) -> io::Result<()> {
        let frame = frame::encode(order)?;
        self.orders.write_all(&frame).await
    }

    /// Kills it, and waits a moment for its end: then the system counts what it has cost with what this process has.
    pub(super) fn stop(mut self) {
        let _ = self.child.start_kill();
        for _ in 0..LOOKS {
            if !self.is_alive() {
                return;
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// Sees to its end after an order that was not answered; `error` says how that was noticed.
    pub(super) async fn end(mut self, error: &io::Error, limit_bytes: u64) -> Death {
        // What is closed or cut off was closed by its end; everything else is its fault while it runs.
        let closed = matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof);
        let wrong = (!closed).then(|| format!("what it reported cannot be read: {error}"));
        if !closed {
            // It may have ended meanwhile, which is as good.
            let _ = self.child.start_kill();
        }
        let status = self.child.wait().await.ok();
        let said = self.words.await.unwrap_or_default();
        Death { status, wrong, said, reading: self.reading.into_iter().flatten().collect(), limit_bytes }
    }
}

/// Passes what a worker writes to standard error on to the node's own, until its end; the last of it.
async fn pass_on(mut errors: ChildStderr) -> String {
    let mut last = Vec::new();
    let mut words = [0; WORDS_BYTES];
    while let Ok(read @ 1..) = errors.read(&mut words).await {
        // A log that cannot be written is nothing that a worker's end depends on.
        let _ = io::stderr().write_all(&words[..read]);
        last.extend_from_slice(&words[..read]);
        let beyond = last.len().saturating_sub(LAST_WORDS_BYTES);
        last.drain(..beyond);
    }
    String::from_utf8_lossy(&last).into_owned()
}
