//! The engine's side with workers that are shell scripts: they say what they are told to, and die as they are told to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_protocol::connection::Connections;
use skein_protocol::data_plane::{BatchRequest, BatchResult, Class, Failure};
use skein_protocol::evidence::BatchEvidence;
use skein_protocol::problem::Code;

use super::message::{Answer, BatchOrder, Done, Order, Report};
use super::pool::Workers;
use super::process::WorkerProcess;
use super::{WorkerProgram, frame};
use crate::batch::fixture::{self, FIRST, Warehouse};
use crate::engine::{EngineMetrics, EngineSettings};

/// A folder with frames for scripts, and a request to be done.
struct Scripts {
    warehouse: Warehouse,
    request: BatchRequest,
}

impl Scripts {
    fn new() -> Self {
        let warehouse = Warehouse::new();
        let n: arrow::array::ArrayRef = Arc::new(arrow::array::Int64Array::from_iter_values(0..3));
        warehouse.add("part-0", &fixture::table(vec![("n", n)]));
        let plan = Arc::new(warehouse.plan(""));
        let scripts = Self { request: fixture::request(&plan, FIRST, &Arc::default()), warehouse };
        let result = BatchResult { files: Vec::new(), evidence: BatchEvidence::default() };
        let moved = EngineMetrics { rows_read: 7, ..EngineMetrics::default() };
        let done = Done { outcome: Ok(Answer::Batch(Box::new(result))), moved, held_bytes: 1 };
        scripts.put("done", &Report::Done(Box::new(done)));
        scripts.put("reading", &Report::Reading { reader: 0, path: "dt=1/part-0".to_owned() });
        scripts
    }

    fn folder(&self) -> &Path {
        self.warehouse.folder.path()
    }

    fn put(&self, name: &str, report: &Report) {
        std::fs::write(self.folder().join(name), frame::encode(report).unwrap()).unwrap();
    }

    /// A worker that does what `script` says, in the folder with the frames.
    fn program(&self, script: &str) -> WorkerProgram {
        let script = format!("cd '{}'; {script}", self.folder().display());
        WorkerProgram::new("/bin/sh", ["-c".to_owned(), script])
    }

    fn workers(&self, script: &str) -> Arc<Workers> {
        Arc::new(Workers::new(self.program(script), &Connections::new(), EngineSettings::default()).unwrap())
    }

    /// The number in a file that a script writes, once it is there.
    async fn pid(&self, name: &str) -> u32 {
        let file = self.folder().join(name);
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some(pid) = text.strip_suffix('\n').and_then(|text| text.parse().ok()) {
                return pid;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Waits until the process has ended, whether or not somebody has asked how.
async fn ended(pid: u32) {
    let about = PathBuf::from(format!("/proc/{pid}/stat"));
    while let Ok(about) = std::fs::read_to_string(&about)
        && !about.contains(") Z ")
    {
        tokio::task::yield_now().await;
    }
}

async fn failure(workers: &Arc<Workers>, request: &BatchRequest) -> Failure {
    workers.run_batch(request).await.0.unwrap_err()
}

#[test]
fn frames_come_back_as_they_went_and_cut_or_boundless_ones_do_not() {
    let frame = frame::encode(&"goose").unwrap();
    let twice = [frame.as_slice(), &frame].concat();
    let mut stream = twice.as_slice();
    for _ in 0..2 {
        let message = frame::read(&mut stream).unwrap().unwrap();
        assert_eq!(frame::decode::<String>(&message).unwrap(), "goose");
    }
    assert!(frame::read(&mut stream).unwrap().is_none());
    for cut in 1..frame.len() {
        assert!(frame::read(&mut &frame[..cut]).is_err(), "{cut}");
    }
    assert!(frame::read(&mut [0xff, 0xff, 0xff, 0xff, b'1'].as_slice()).is_err());
    assert!(frame::decode::<u64>(b"\"goose\"").is_err());
}

#[tokio::test]
async fn a_worker_is_used_again_and_counts_for_the_engine() {
    let scripts = Scripts::new();
    let workers = scripts.workers("echo $$ >> pids; cat done done; exec cat > orders");
    for _ in 0..2 {
        let (result, moved) = workers.run_batch(&scripts.request).await;
        assert_eq!((result.unwrap().files.len(), moved.rows_read), (0, 7));
        assert_eq!(workers.idle_workers(), 1);
    }
    assert_eq!(std::fs::read_to_string(scripts.folder().join("pids")).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn a_worker_is_told_a_plan_once() {
    let scripts = Scripts::new();
    let BatchRequest { plan, prior, run, epoch, batch, attempt, memory_bytes } = scripts.request.clone();
    let order = Order::RunBatch(BatchOrder { run, epoch, batch, attempt, memory_bytes, limit_bytes: 1 });
    let mut worker =
        WorkerProcess::start(&scripts.program("cat done done; exec cat > orders"), b"begin").await.unwrap();
    assert!(!worker.knows(&plan));
    for _ in 0..2 {
        worker.learn(&plan, &prior).await.unwrap();
        worker.follow(&order).await.unwrap();
    }
    assert!(worker.knows(&plan) && !worker.knows(&Arc::new(skein_protocol::plan::Plan::clone(&plan))));
    let order = frame::encode(&order).unwrap();
    let plan = frame::encode(&Order::Plan(std::borrow::Cow::Borrowed(&plan))).unwrap();
    let prior = frame::encode(&Order::Prior(std::borrow::Cow::Borrowed(&prior))).unwrap();
    let expected = [b"begin".as_slice(), &plan, &prior, &order, &order].concat();
    let told = loop {
        let told = std::fs::read(scripts.folder().join("orders")).unwrap_or_default();
        if told.len() >= expected.len() {
            break told;
        }
        tokio::task::yield_now().await;
    };
    assert!(told == expected, "{}", String::from_utf8_lossy(&told));
}

#[tokio::test]
async fn a_worker_that_dies_fails_its_call_with_its_file_and_its_last_words_and_is_replaced() {
    let scripts = Scripts::new();
    let workers = scripts.workers(
        "if [ -e died ]; then cat done; exec cat > orders; fi; : > died; cat reading; \
         echo 'memory allocation of 62672162783232 bytes failed' >&2; kill -ABRT $$",
    );
    let failure = failure(&workers, &scripts.request).await;
    assert_eq!((failure.code(), failure.class), (Code::MemoryExceeded, Class::Permanent), "{failure}");
    assert!(failure.problem.what.contains("dt=1/part-0") && failure.problem.why.contains("62672162783232"));
    assert_eq!(failure.problem.dataset.as_deref(), Some("db.t"));
    assert_eq!(workers.idle_workers(), 0);
    workers.run_batch(&scripts.request).await.0.unwrap();
}

#[tokio::test]
async fn a_worker_that_is_killed_or_talks_nonsense_is_worth_another_try() {
    let scripts = Scripts::new();
    for script in ["kill -KILL $$", "printf '\\377\\377\\377\\377'; exec cat > orders", "exit 3"] {
        let failure = failure(&scripts.workers(script), &scripts.request).await;
        assert_eq!((failure.code(), failure.class), (Code::WorkerDied, Class::Transient), "{script}: {failure}");
    }
    let nowhere = WorkerProgram::new(scripts.folder().join("nowhere"), ["worker"]);
    let workers = Workers::new(nowhere, &Connections::new(), EngineSettings::default()).unwrap();
    let failure = failure(&Arc::new(workers), &scripts.request).await;
    assert_eq!((failure.code(), failure.class), (Code::Io, Class::Transient), "{failure}");
}

#[tokio::test]
async fn a_worker_that_died_while_it_was_idle_is_not_given_work() {
    let scripts = Scripts::new();
    let workers = scripts.workers("echo $$ > pid; cat done; exec cat > orders");
    workers.run_batch(&scripts.request).await.0.unwrap();
    let pid = scripts.pid("pid").await;
    let raw = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
    ended(pid).await;
    workers.run_batch(&scripts.request).await.0.unwrap();
    assert_ne!(scripts.pid("pid").await, pid);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_its_worker_with_it() {
    let scripts = Scripts::new();
    let workers = scripts.workers("echo $$ > pid; exec cat > orders");
    let (called, request) = (Arc::clone(&workers), scripts.request.clone());
    let call = tokio::spawn(async move { called.run_batch(&request).await });
    let pid = scripts.pid("pid").await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    ended(pid).await;
    assert_eq!(workers.idle_workers(), 0);
}

#[tokio::test]
async fn workers_end_with_their_pool() {
    let scripts = Scripts::new();
    let workers = scripts.workers("echo $$ > pid; cat done; exec cat > orders");
    workers.run_batch(&scripts.request).await.0.unwrap();
    let pid = scripts.pid("pid").await;
    drop(workers);
    ended(pid).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_work_is_let_go_after_a_while() {
    let scripts = Scripts::new();
    let workers = scripts.workers("cat done done; exec cat > orders");
    workers.run_batch(&scripts.request).await.0.unwrap();
    assert_eq!(workers.idle_workers(), 1);
    // The watcher starts its clock when it is first polled, so time must go on until it has.
    while workers.idle_workers() > 0 {
        tokio::time::advance(std::time::Duration::from_secs(10)).await;
    }
}
