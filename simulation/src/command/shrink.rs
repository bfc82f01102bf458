//! `skein-sim shrink`: the fewest faults with which a seed still fails in the same way.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use super::child::Running;
use super::{Summary, again};
use crate::plan;

/// Which seed.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The seed.
    seed: u64,
    /// Lets the nodes make this mistake; needs a build with the feature `defects`.
    #[arg(long)]
    defect: Option<String>,
}

/// Shrinks the seed.
///
/// # Errors
/// When a process cannot be started, or the seed does not fail.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    let seed = arguments.seed;
    let fails = |without: &BTreeSet<u32>| -> Result<Option<String>> {
        let mut options: Vec<OsString> = Vec::new();
        if !without.is_empty() {
            options.extend(["--without".into(), list(without).into()]);
        }
        if let Some(defect) = &arguments.defect {
            options.extend(["--defect".into(), defect.into()]);
        }
        let summary = Running::start(seed, &options)?.end()?;
        Ok(way(&summary))
    };
    let Some(way) = fails(&BTreeSet::new())? else { bail!("seed {seed} does not fail") };
    println!("seed {seed} fails: {way}");
    let all = plan::fault_numbers(seed);
    let without = fewest(&all, |without| Ok(fails(without)?.as_ref() == Some(&way)))?;
    for (number, fault) in plan::fault_texts(seed).into_iter().filter(|(number, _)| !without.contains(number)) {
        println!("needed: {fault}");
        debug_assert!(all.contains(&number));
    }
    let mut more = String::new();
    if !without.is_empty() {
        more.push_str(&format!(" --without {}", list(&without)));
    }
    if let Some(defect) = &arguments.defect {
        more.push_str(&format!(" --defect {defect}"));
    }
    println!("{} of {} faults are needed\nagain: {}", all.len() - without.len(), all.len(), again(seed, &more));
    Ok(ExitCode::SUCCESS)
}

/// How a seed fails: the name of the first check that says so.
fn way(summary: &Summary) -> Option<String> {
    summary.failures.first().map(|failure| failure.split(':').next().unwrap_or_default().to_owned())
}

fn list(numbers: &BTreeSet<u32>) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// The most numbers that can be left out, as far as leaving out ever smaller parts finds them (delta debugging, as Zeller and
/// Hildebrandt have it, without its complements: each part is tried on top of what is left out already).
fn fewest(all: &BTreeSet<u32>, mut still: impl FnMut(&BTreeSet<u32>) -> Result<bool>) -> Result<BTreeSet<u32>> {
    let mut without = BTreeSet::new();
    let mut size = all.len();
    while size > 0 {
        let left: Vec<u32> = all.difference(&without).copied().collect();
        for part in left.chunks(size) {
            let more: BTreeSet<u32> = without.iter().copied().chain(part.iter().copied()).collect();
            if still(&more)? {
                without = more;
            }
        }
        size /= 2;
    }
    Ok(without)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failure_needs_is_all_that_is_left() {
        let all: BTreeSet<u32> = (0..20).collect();
        let needed = BTreeSet::from([3, 11]);
        let without = fewest(&all, |without| Ok(without.is_disjoint(&needed))).unwrap();
        assert_eq!(all.difference(&without).copied().collect::<BTreeSet<u32>>(), needed);
    }

    #[test]
    fn a_failure_that_needs_no_fault_is_left_with_none() {
        let all: BTreeSet<u32> = (0..7).collect();
        assert_eq!(fewest(&all, |_| Ok(true)).unwrap(), all);
        assert_eq!(fewest(&BTreeSet::new(), |_| Ok(true)).unwrap(), BTreeSet::new());
    }
}
