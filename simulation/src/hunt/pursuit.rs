//! The pursuit of each defect: seed after seed from several beginnings, until one of them catches it.
//!
//! In: defects. Out: for each beginning the seed that caught it, and for what no seed caught the crash point that did. What fails
//! without the defect catches nothing. Holds: the processes that run at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

use super::Known;
use super::log::Log;
use super::pins::Pin;
use super::trial::{End, Subject, Trial, failing_points};

/// Seeds of one beginning never meet those of the next: no hunt tries as many.
const BETWEEN_STARTS: u64 = 10_000;

/// Crash points that are tried by themselves after they failed among all others.
const MOST_POINTS: usize = 10;

/// How long a hunt is.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seeds: u64,
    pub(super) starts: u64,
    pub(super) jobs: usize,
    /// Seeds that caught a defect earlier are tried first: then little is hunted anew.
    pub(super) earlier: Vec<Pin>,
}

/// What caught a defect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Catch {
    pub(super) subject: Subject,
    /// How many were tried for it, this one included.
    pub(super) tries: u64,
    pub(super) why: String,
}

/// What became of one defect.
#[derive(Debug, Clone)]
pub(super) struct Chase {
    pub(super) known: Known,
    /// For each beginning; `None` where no seed caught it.
    pub(super) starts: Vec<Option<Catch>>,
    /// The crash point that caught it, if the first beginning did not.
    pub(super) point: Option<Catch>,
}

impl Chase {
    /// What caught it, beginning by beginning, then the crash point.
    pub(super) fn caught(&self) -> impl Iterator<Item = &Catch> {
        self.starts.iter().flatten().chain(&self.point)
    }

    /// The median number of seeds; `None` where half of the beginnings did not catch it.
    pub(super) fn median(&self) -> Option<u64> {
        let mut tries: Vec<u64> =
            self.starts.iter().map(|one| one.as_ref().map_or(u64::MAX, |one| one.tries)).collect();
        tries.sort_unstable();
        tries.get((tries.len().max(1) - 1) / 2).copied().filter(|tries| *tries < u64::MAX)
    }
}

/// Hunts all of them.
pub(super) fn hunt(wanted: &[Known], plan: &Plan, log: &Log) -> Result<Vec<Chase>> {
    let pursuits: Vec<(usize, u64)> =
        (0..wanted.len()).flat_map(|number| (0..plan.starts).map(move |start| (number, start))).collect();
    let (next, found, points) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()), Mutex::new(BTreeMap::new()));
    let work = || -> Result<()> {
        while let Some((number, start)) = pursuits.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
            let caught = pursue(wanted[number].name, start, plan, log)?;
            let told = caught.as_ref().map_or_else(
                || format!("not caught by {} seeds", plan.seeds),
                |one| format!("caught by seed {}, the {}. of them: {}", one.subject, one.tries, one.why),
            );
            eprintln!("{}, beginning {start}: {told}", wanted[number].name);
            if start == 0 && caught.is_none() {
                let point = pursue_points(wanted[number].name, log)?;
                let told = point.as_ref().map_or("no".to_owned(), |one| format!("{}: {}", one.subject, one.why));
                eprintln!("{}, crash point: {told}", wanted[number].name);
                points.lock().unwrap_or_else(PoisonError::into_inner).insert(number, point);
            }
            found.lock().unwrap_or_else(PoisonError::into_inner).insert((number, start), caught);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a worker panicked")))
    })?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut points = points.into_inner().unwrap_or_else(PoisonError::into_inner);
    let chase = |(number, known): (usize, &Known)| Chase {
        known: *known,
        starts: (0..plan.starts).map(|start| found.remove(&(number, start)).flatten()).collect(),
        point: points.remove(&number).flatten(),
    };
    Ok(wanted.iter().enumerate().map(chase).collect())
}

fn pursue(defect: &str, start: u64, plan: &Plan, log: &Log) -> Result<Option<Catch>> {
    let first = start * BETWEEN_STARTS + 1;
    let earlier = plan.earlier.iter().filter(|pin| pin.defect == defect).map(|pin| pin.subject.clone());
    let seeds = (first..first + plan.seeds).map(Subject::Seed);
    first_that_catches(defect, earlier.filter(|one| matches!(one, Subject::Seed(_))).chain(seeds), log)
}

/// Tries all crash points; what fails among the others must also fail by itself.
fn pursue_points(defect: &str, log: &Log) -> Result<Option<Catch>> {
    first_that_catches(defect, failing_points(defect)?.into_iter().take(MOST_POINTS), log)
}

fn first_that_catches(defect: &str, subjects: impl Iterator<Item = Subject>, log: &Log) -> Result<Option<Catch>> {
    for (tries, subject) in (1..).zip(subjects) {
        let End::Wrong(why) = log.run(&Trial::bad(subject.clone(), defect))? else { continue };
        if log.run(&Trial::sound(subject.clone()))? == End::Well {
            return Ok(Some(Catch { subject, tries, why }));
        }
        eprintln!("{subject} fails without a defect");
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chase(tries: &[Option<u64>]) -> Chase {
        let known = Known { name: "n", sentence: "s", seen_by: "c" };
        let catch =
            |tries: &Option<u64>| tries.map(|tries| Catch { subject: Subject::Seed(tries), tries, why: String::new() });
        Chase { known, starts: tries.iter().map(catch).collect(), point: None }
    }

    #[test]
    fn the_median_counts_beginnings_that_caught_nothing_as_endless() {
        assert_eq!(chase(&[Some(9), Some(1), Some(3)]).median(), Some(3));
        assert_eq!(chase(&[Some(9), None, Some(3)]).median(), Some(9));
        assert_eq!(chase(&[None, None, Some(3)]).median(), None);
        assert_eq!(chase(&[Some(4), Some(2)]).median(), Some(2));
        assert_eq!(chase(&[]).median(), None);
    }
}
