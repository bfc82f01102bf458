//! The worker's side: reads orders, does them with an engine of its own, reports.
//!
//! In: orders on standard input. Out: reports on standard output. Holds: the plan that was told last.
//!
//! Standard input is read by a thread that does nothing else: its end is the end of the node, and ends the worker in the middle
//! of whatever it does.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use skein_protocol::data_plane::{BatchRequest, DataPlane, Failure, StagedFile};
use skein_protocol::plan::Plan;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::frame;
use super::limits;
use super::message::{Answer, Done, Order, Report};
use super::telling::Telling;
use crate::engine::Engine;
use crate::failure::{internal, of_io};

/// Orders that were read and not yet begun: a plan, what came before, a batch.
const WAITING_ORDERS: usize = 4;
/// The exit code after something that only a defect explains.
const DEFECT: i32 = 70;

/// Serves the engine that started this process, until it goes away.
#[must_use]
pub fn serve() -> ExitCode {
    match try_serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn try_serve() -> io::Result<()> {
    limits::begin()?;
    // Blocking decoders run on threads of the runtime, exactly as they would in the node.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (send, mut orders) = mpsc::channel(WAITING_ORDERS);
    std::thread::Builder::new().name("orders".to_owned()).spawn(move || read_orders(&send))?;
    let reports = Arc::new(Reports(Mutex::new(File::from(io::stdout().as_fd().try_clone_to_owned()?))));
    let mut worker = Worker { engine: None, plan: None, prior: Arc::default(), reports };
    runtime.block_on(async {
        // Service managers ask every process of a service to end. The node lets its work come to an end or stops it; the end of
        // the node is the end of the worker. Signals that are listened to do nothing else.
        let _asked_to_end = signal(SignalKind::terminate())?;
        let _interrupted = signal(SignalKind::interrupt())?;
        while let Some(order) = orders.recv().await {
            worker.follow(order).await?;
        }
        Ok(())
    })
}

/// Passes orders on; ends the process when there can be no more.
fn read_orders(send: &mpsc::Sender<Order<'static>>) {
    let mut stream = io::stdin().lock();
    let code = loop {
        match frame::read(&mut stream).and_then(|message| message.map(|message| frame::decode(&message)).transpose()) {
            Ok(Some(order)) => {
                if send.blocking_send(order).is_err() {
                    // The worker's own end is under way.
                    break DEFECT;
                }
            }
            // The engine is gone.
            Ok(None) => break 0,
            Err(error) => {
                eprintln!("worker: an order cannot be read: {error}");
                break DEFECT;
            }
        }
    };
    std::process::exit(code);
}

/// Where reports go.
struct Reports(Mutex<File>);

impl Reports {
    fn say(&self, report: &Report) -> io::Result<()> {
        let frame = frame::encode(report)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&frame)
    }
}

/// What the worker has been told.
struct Worker {
    engine: Option<Engine>,
    plan: Option<Arc<Plan>>,
    prior: Arc<Vec<StagedFile>>,
    reports: Arc<Reports>,
}

impl Worker {
    async fn follow(&mut self, order: Order<'static>) -> io::Result<()> {
        match order {
            Order::Begin { connections, settings } => {
                let reports = Arc::clone(&self.reports);
                let telling = Telling::to(move |reader, path| {
                    // Who does not listen is gone; the thread that reads orders notices, too.
                    let _ = reports.say(&Report::Reading { reader, path: path.to_owned() });
                });
                self.engine = Some(Engine::new(connections.into_owned(), settings).telling(telling));
                Ok(())
            }
            Order::Plan(plan) => {
                self.plan = Some(Arc::new(plan.into_owned()));
                Ok(())
            }
            Order::Prior(files) => {
                self.prior = Arc::new(files.into_owned());
                Ok(())
            }
            Order::Inspect { limit_bytes, .. } | Order::RunBatch(super::message::BatchOrder { limit_bytes, .. }) => {
                let before = self.engine.as_ref().map(Engine::metrics).unwrap_or_default();
                let outcome = match limits::set_memory(limit_bytes) {
                    Ok(()) => self.answer(order).await,
                    Err(error) => Err(of_io("limiting a worker's memory", "its own process", &error)),
                };
                let after = self.engine.as_ref().map(Engine::metrics).unwrap_or_default();
                let done = Done { outcome, moved: after.since(before), held_bytes: limits::held_bytes() };
                self.reports.say(&Report::Done(Box::new(done)))
            }
        }
    }

    async fn answer(&self, order: Order<'static>) -> Result<Answer, Failure> {
        let untold = |what: &str| internal("working for another process", format!("{what} was never told"));
        let engine = self.engine.as_ref().ok_or_else(|| untold("what connections there are"))?;
        match order {
            Order::Inspect { connection, dataset, target, .. } => {
                let inspection = engine.inspect_source(&connection, dataset, target).await?;
                Ok(Answer::Inspection(Box::new(inspection)))
            }
            Order::RunBatch(order) => {
                let plan = self.plan.as_ref().ok_or_else(|| untold("the batch's plan"))?;
                let request = BatchRequest {
                    plan: Arc::clone(plan),
                    run: order.run,
                    epoch: order.epoch,
                    batch: order.batch,
                    attempt: order.attempt,
                    prior: Arc::clone(&self.prior),
                    memory_bytes: order.memory_bytes,
                };
                engine.run_batch(request).await.map(|result| Answer::Batch(Box::new(result)))
            }
            Order::Begin { .. } | Order::Plan(_) | Order::Prior(_) => Err(untold("what to do")),
        }
    }
}
