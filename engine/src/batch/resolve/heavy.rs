//! Keys that more rows have than fit into memory.
//!
//! In: a part of a range with few keys. Out: its losing rows. Holds: the best row of each key, and the first of equal rows for some
//! of the rows at a time. The part's files are read once to find the best, and twice for each of these some.

use std::collections::HashMap;

use skein_protocol::data_plane::Failure;
use skein_protocol::problem::{Code, Problem};

use super::{Identity, Keys, Losing, Outcome, Part, Range};

/// Memory that the first of equal rows takes in its table, bytes.
const FIRST_BYTES: usize = 80;
/// Memory that the best row of a key takes in its table beside its order, bytes.
const BEST_BYTES: usize = 160;
/// Losing rows that are written at once.
const LOSERS_AT_ONCE: usize = 64 << 10;

/// The best row of a key so far.
struct Best {
    order: Vec<u8>,
    row128: u128,
    file: u32,
    row: u64,
}

impl Best {
    fn is_before(&self, other: &Identity<'_>) -> bool {
        (self.order.as_slice(), self.row128, self.file, self.row) <= (other.order, other.row128, other.file, other.row)
    }

    fn is(&self, identity: &Identity<'_>) -> bool {
        (self.file, self.row) == (identity.file, identity.row)
    }
}

/// Finds the losing rows of `part`.
pub(super) fn resolve(range: &Range<'_>, part: Part, outcome: &mut Outcome) -> Result<(), Failure> {
    let (best, rows) = best(range, part)?;
    let mut found = Keys { keys: best.len() as u64, rows, ..Keys::default() };
    let mut winners = Vec::new();
    let mut losing = Losing::default();
    let exact = range.question.exact.filter(|_| range.question.exact_first());
    let groups = match exact {
        None => 1,
        Some(_) => rows.saturating_mul(FIRST_BYTES).div_ceil(range.work.memory().max(1)).next_power_of_two(),
    };
    for group in 0..groups {
        // Bits that say nothing of the part, should whole rows be the keys.
        let in_group = |identity: &Identity<'_>| (identity.row128 >> 32) as u32 as usize & (groups - 1) == group;
        let mut firsts: HashMap<u128, (u32, u64)> = HashMap::new();
        if exact.is_some() {
            range.each(part, |identity| {
                if in_group(&identity) {
                    let place = (identity.file, identity.row);
                    let first = firsts.entry(identity.row128).or_insert(place);
                    *first = place.min(*first);
                }
                Ok(())
            })?;
        }
        range.each(part, |identity| {
            if !in_group(&identity) {
                return Ok(());
            }
            let repeats = exact.filter(|_| firsts.get(&identity.row128) != Some(&(identity.file, identity.row)));
            let wins = best.get(&identity.key).is_some_and(|best| best.is(&identity));
            match repeats.or(range.question.keyed.filter(|_| !wins)) {
                Some(rule) => losing.push(identity.file, identity.row, rule),
                None => winners.push(identity.key),
            }
            if losing.len() == LOSERS_AT_ONCE {
                found.losers += losing.len();
                outcome.losers.write(range.work, std::mem::take(&mut losing))?;
            }
            Ok(())
        })?;
    }
    found.losers += losing.len();
    outcome.losers.write(range.work, losing)?;
    found.winners = winners.len();
    found.winning_keys = super::distinct(&mut winners);
    outcome.keys.add(&found);
    Ok(())
}

/// The best row of each key, and how many rows there are.
fn best(range: &Range<'_>, part: Part) -> Result<(HashMap<u128, Best>, usize), Failure> {
    let (mut all, mut rows, mut bytes) = (HashMap::<u128, Best>::new(), 0, 0);
    range.each(part, |identity| {
        rows += 1;
        if all.get(&identity.key).is_some_and(|best| best.is_before(&identity)) {
            return Ok(());
        }
        let Identity { key, order, row128, file, row } = identity;
        bytes += BEST_BYTES + order.len();
        if let Some(before) = all.insert(key, Best { order: order.to_vec(), row128, file, row }) {
            bytes -= BEST_BYTES + before.order.len();
        }
        if bytes > range.work.memory() { Err(too_many(range, all.len())) } else { Ok(()) }
    })?;
    Ok((all, rows))
}

fn too_many(range: &Range<'_>, keys: usize) -> Failure {
    let memory = range.work.memory();
    let why = format!(
        "{keys} keys of one part of a range, one of {} parts, take more than {memory} bytes",
        super::MOST_PARTS
    );
    let next = "Give batches more memory in the policy's limits; then plan again";
    let problem = Problem::new(Code::MemoryExceeded, "Finding rows that lose", why, next);
    Failure::permanent(problem.of(&range.work.plan().source.dataset))
}
