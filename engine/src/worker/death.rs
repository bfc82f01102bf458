//! What a worker's death means for the work that it was at.
//!
//! In: how it ended, its last words, the files that it read. Out: a [`Failure`].
//!
//! A worker that ended itself (a stack that overflowed, memory beyond its limit, an abort) was brought to it by what it
//! read, and would be again: that is for good. One that was ended from outside is worth another try.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableName;
use skein_protocol::problem::{Code, Problem};

/// Signals by which a process ends itself, or is ended for what it did.
const OWN_FAULT: [(Signal, &str); 7] = [
    (Signal::ABORT, "SIGABRT"),
    (Signal::SEGV, "SIGSEGV"),
    (Signal::BUS, "SIGBUS"),
    (Signal::ILL, "SIGILL"),
    (Signal::FPE, "SIGFPE"),
    (Signal::TRAP, "SIGTRAP"),
    (Signal::SYS, "SIGSYS"),
];
/// What Rust's runtime says before it ends a process that asked for memory in vain.
const OUT_OF_MEMORY: &str = "memory allocation of";
/// What it says before it ends one for its stack.
const OUT_OF_STACK: &str = "overflowed its stack";

/// A worker's end.
#[derive(Debug)]
pub(super) struct Death {
    /// How it ended; absent if nobody can tell.
    pub(super) status: Option<ExitStatus>,
    /// What it did wrong, if it was ended for that.
    pub(super) wrong: Option<String>,
    /// The last that it wrote to standard error.
    pub(super) said: String,
    /// Files that its readers had turned to.
    pub(super) reading: Vec<String>,
    /// Memory that it could not go beyond.
    pub(super) limit_bytes: u64,
}

impl Death {
    /// The failure of the work on `dataset` that it was at.
    pub(super) fn failure(&self, dataset: &TableName) -> Failure {
        let what = match self.reading.as_slice() {
            [] => "The process that read the table ended".to_owned(),
            [file] => format!("The process that read {file:?} ended"),
            files => format!("The process that read one of {files:?} ended"),
        };
        let (code, permanent, why, next) = self.meaning();
        let problem = Problem::new(code, what, why, next).of(dataset);
        if permanent { Failure::permanent(problem) } else { Failure::transient(problem) }
    }

    fn meaning(&self) -> (Code, bool, String, &'static str) {
        let again = "The work is tried again; if the machine was out of memory, lower node.slots or node.batchMemory";
        let restore = "Check the file: restore it from its origin, or move it out of the table's folder; then retry";
        if let Some(wrong) = &self.wrong {
            return (Code::WorkerDied, false, format!("it was ended: {wrong}"), again);
        }
        let Some(signal) = self.status.and_then(|status| status.signal()) else {
            let code = self.status.and_then(|status| status.code());
            let how = code.map_or("for no reason that is known".to_owned(), |code| format!("with exit code {code}"));
            return (Code::WorkerDied, false, self.told(format!("it ended {how}")), again);
        };
        let own_fault = OWN_FAULT.iter().find(|(own, _)| own.as_raw() == signal);
        let Some((_, name)) = own_fault else {
            return (Code::WorkerDied, false, format!("it was ended from outside, by signal {signal}"), again);
        };
        let last = self.last_words();
        if last.is_some_and(|line| line.contains(OUT_OF_MEMORY)) {
            let why = format!(
                "decoding wanted more memory than the {} bytes that the process may have: {}",
                self.limit_bytes,
                last.unwrap_or_default()
            );
            let next = "Check the file, which may claim sizes that it does not have; else give node.batchMemory more; then retry";
            return (Code::MemoryExceeded, true, why, next);
        }
        (Code::WorkerDied, true, self.told(format!("decoding ended it with {name}")), restore)
    }

    fn told(&self, why: String) -> String {
        self.last_words().map_or_else(|| why.clone(), |words| format!("{why}: {words}"))
    }

    /// The line that says most: that of the runtime, else the last one.
    fn last_words(&self) -> Option<&str> {
        let telling = |line: &&str| line.contains(OUT_OF_MEMORY) || line.contains(OUT_OF_STACK);
        let lines = || self.said.lines().rev().map(str::trim).filter(|line| !line.is_empty());
        lines().find(telling).or_else(|| lines().next())
    }
}

#[cfg(test)]
mod tests {
    use skein_protocol::data_plane::{Class, Outcome};

    use super::*;

    fn failure(signal: i32, said: &str, reading: &[&str]) -> Failure {
        let reading = reading.iter().map(|file| (*file).to_owned()).collect();
        let status = Some(ExitStatus::from_raw(signal));
        Death { status, wrong: None, said: said.to_owned(), reading, limit_bytes: 1 << 30 }
            .failure(&TableName::new("db", "t"))
    }

    #[test]
    fn a_worker_that_ended_itself_fails_its_work_for_good_and_names_the_file() {
        let said =
            "\nthread 'tokio-rt-worker' has overflowed its stack\nfatal runtime error: stack overflow, aborting\n";
        let failure = failure(6, said, &["dt=1/part-0"]);
        assert_eq!(
            (failure.code(), failure.class, failure.outcome),
            (Code::WorkerDied, Class::Permanent, Outcome::NotDone)
        );
        assert_eq!(failure.problem.dataset.as_deref(), Some("db.t"));
        assert!(failure.problem.what.contains("dt=1/part-0"), "{failure}");
        assert!(failure.problem.why.contains("SIGABRT") && failure.problem.why.contains("overflowed its stack"));
    }

    #[test]
    fn a_worker_that_wanted_more_memory_than_it_may_have_says_so() {
        let failure = failure(6, "memory allocation of 62672162783232 bytes failed\n", &["a", "b"]);
        assert_eq!((failure.code(), failure.class), (Code::MemoryExceeded, Class::Permanent));
        assert!(failure.problem.why.contains("62672162783232") && failure.problem.why.contains("1073741824"));
        assert!(failure.problem.what.contains("one of [\"a\", \"b\"]"), "{failure}");
    }

    #[test]
    fn a_worker_that_was_ended_from_outside_is_worth_another_try() {
        for signal in [9, 15] {
            let failure = failure(signal, "", &["a"]);
            assert_eq!((failure.code(), failure.class), (Code::WorkerDied, Class::Transient));
            assert!(failure.problem.why.contains("from outside"), "{failure}");
        }
        // An exit with a code, which is the second byte.
        let failure = failure(1 << 8, "worker: no memory for a thread\n", &[]);
        assert_eq!((failure.code(), failure.class), (Code::WorkerDied, Class::Transient));
        assert!(failure.problem.why.ends_with("exit code 1: worker: no memory for a thread"), "{failure}");
    }
}
