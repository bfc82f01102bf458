//! What is tried again, and when not: a circuit breaker for each connection, and a ration of retries for a node.
//!
//! In: starts, outcomes, times. Out: whether something may begin. A connection that fails again and again for reasons that pass (no
//! answer, no room, too many requests) is left alone for a while, then tried with a single batch. Retries are a share of
//! all starts, so that they never become the load that keeps a system down. A failure that the data is to blame for is none here.

/// Failures in a row after which a connection is left alone: one more than a batch's retries within the first seconds, so that a
/// single bad batch does not close it.
pub const FAILURES_TO_OPEN: u32 = 5;
/// How long it is left alone at first: a restart of a metastore takes about that.
pub const COOL_DOWN_MILLIS: u64 = 5_000;
/// How long it is left alone at most: whoever repaired it does not want to wait for longer.
pub const LONGEST_COOL_DOWN_MILLIS: u64 = 5 * 60_000;
/// A try that has not ended after this time is forgotten, and another one is made: batches take minutes.
pub const LONGEST_PROBE_MILLIS: u64 = 10 * 60_000;
/// Of all starts within the window, so many percent may be retries.
pub const RETRY_PERCENT: u32 = 20;
/// So many retries within the window are always allowed: a node that does little else must get on.
pub const LEAST_RETRIES: u32 = 10;
/// Milliseconds of one part of the window.
const PART_MILLIS: u64 = 10_000;
/// Parts of the window: together a minute, in which the pauses between retries have come to an end at first.
const PARTS: usize = 6;

/// Whether something may begin with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allow {
    /// Whatever there is.
    Yes,
    /// One batch, to see whether it works again.
    Probe,
    /// Nothing before this time, milliseconds since 1970; earlier if the try that runs succeeds.
    NotBefore(u64),
}

/// The breaker of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    state: Circuit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Circuit {
    /// All goes through; so many failures in a row.
    Closed { failures: u32 },
    /// Nothing goes through until then.
    Open { until: u64, cool_down: u64 },
    /// One try was begun then.
    HalfOpen { since: u64, cool_down: u64 },
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: Circuit::Closed { failures: 0 } }
    }
}

impl Breaker {
    /// Whether something may begin now. Changes nothing: say so with [`Breaker::began`].
    #[must_use]
    pub fn allow(&self, now: u64) -> Allow {
        match self.state {
            Circuit::Closed { .. } => Allow::Yes,
            Circuit::Open { until, .. } if until <= now => Allow::Probe,
            Circuit::Open { until, .. } => Allow::NotBefore(until),
            Circuit::HalfOpen { since, .. } => {
                let forgotten = since.saturating_add(LONGEST_PROBE_MILLIS);
                if forgotten <= now { Allow::Probe } else { Allow::NotBefore(forgotten) }
            }
        }
    }

    /// Something began.
    pub fn began(&mut self, now: u64) {
        if self.allow(now) == Allow::Probe
            && let Circuit::Open { cool_down, .. } | Circuit::HalfOpen { cool_down, .. } = self.state
        {
            self.state = Circuit::HalfOpen { since: now, cool_down };
        }
    }

    /// Something ended: well (also when the connection did its part and the data was to blame), or in a failure that may pass.
    pub fn ended(&mut self, ok: bool, now: u64) {
        self.state = match self.state {
            _ if ok => Circuit::Closed { failures: 0 },
            Circuit::Closed { failures } if failures + 1 < FAILURES_TO_OPEN => {
                Circuit::Closed { failures: failures + 1 }
            }
            Circuit::Closed { .. } => Self::open(COOL_DOWN_MILLIS, now),
            // What began before it was opened ends now; that is no news.
            open @ Circuit::Open { .. } => open,
            Circuit::HalfOpen { cool_down, .. } => {
                Self::open(cool_down.saturating_mul(2).min(LONGEST_COOL_DOWN_MILLIS), now)
            }
        };
    }

    fn open(cool_down: u64, now: u64) -> Circuit {
        Circuit::Open { until: now.saturating_add(cool_down), cool_down }
    }

    /// Whether the connection is left alone, or being tried.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.state, Circuit::Closed { .. })
    }
}

/// The ration of retries of one node: of what began within the last minute only a share may be retries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetryBudget {
    parts: [Part; PARTS],
}

/// Starts within one part of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Part {
    number: u64,
    starts: u32,
    retries: u32,
}

impl RetryBudget {
    /// Something began: for the first time, or again after it failed.
    pub fn began(&mut self, retry: bool, now: u64) {
        let number = now / PART_MILLIS;
        let part = &mut self.parts[index(number)];
        if part.number != number {
            *part = Part { number, ..Part::default() };
        }
        part.starts = part.starts.saturating_add(1);
        part.retries = part.retries.saturating_add(u32::from(retry));
    }

    /// How many retries may begin now.
    #[must_use]
    pub fn left(&self, now: u64) -> u32 {
        let number = now / PART_MILLIS;
        let recent = self.parts.iter().filter(|part| part.number <= number && number - part.number < PARTS as u64);
        let (starts, retries) = recent.fold((0_u64, 0_u64), |(starts, retries), part| {
            (starts + u64::from(part.starts), retries + u64::from(part.retries))
        });
        let most = (starts * u64::from(RETRY_PERCENT) / 100).max(u64::from(LEAST_RETRIES));
        u32::try_from(most.saturating_sub(retries)).unwrap_or(u32::MAX)
    }

    /// When there may be more, at the latest: milliseconds since 1970.
    #[must_use]
    pub fn more_at(now: u64) -> u64 {
        (now / PART_MILLIS + 1).saturating_mul(PART_MILLIS)
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number % PARTS as u64).expect("it is less than the number of parts")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A breaker that was opened at `now`.
    fn opened(now: u64) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_TO_OPEN {
            assert!(!breaker.is_open());
            breaker.ended(false, now);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            for _ in 1..FAILURES_TO_OPEN {
                breaker.ended(false, 0);
            }
            breaker.ended(true, 0);
        }
        assert_eq!(breaker.allow(0), Allow::Yes);
        assert_eq!(opened(1_000).allow(1_000), Allow::NotBefore(1_000 + COOL_DOWN_MILLIS));
    }

    #[test]
    fn after_the_cool_down_one_batch_tries_and_the_others_wait_for_it() {
        let mut breaker = opened(0);
        assert_eq!(breaker.allow(COOL_DOWN_MILLIS), Allow::Probe);
        breaker.began(COOL_DOWN_MILLIS);
        assert!(matches!(breaker.allow(COOL_DOWN_MILLIS), Allow::NotBefore(_)));
        breaker.ended(true, COOL_DOWN_MILLIS + 10);
        assert_eq!(breaker.allow(COOL_DOWN_MILLIS + 10), Allow::Yes);
    }

    #[test]
    fn each_failed_try_doubles_the_cool_down_to_a_bound() {
        let (mut breaker, mut now, mut waits) = (opened(0), 0, Vec::new());
        for _ in 0..9 {
            let Allow::NotBefore(until) = breaker.allow(now) else { panic!("{breaker:?}") };
            waits.push(until - now);
            now = until;
            breaker.began(now);
            breaker.ended(false, now);
        }
        assert_eq!(waits, [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
    }

    #[test]
    fn late_failures_of_what_ran_already_change_nothing_and_a_late_success_closes_it() {
        let mut breaker = opened(0);
        breaker.ended(false, 3_000);
        assert_eq!(breaker.allow(3_000), Allow::NotBefore(COOL_DOWN_MILLIS));
        breaker.ended(true, 4_000);
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_try_that_never_ends_is_forgotten() {
        let mut breaker = opened(0);
        breaker.began(COOL_DOWN_MILLIS);
        assert_eq!(breaker.allow(COOL_DOWN_MILLIS + LONGEST_PROBE_MILLIS), Allow::Probe);
    }

    #[test]
    fn a_few_retries_are_always_allowed_and_more_only_beside_other_work() {
        let mut budget = RetryBudget::default();
        assert_eq!(budget.left(0), LEAST_RETRIES);
        for _ in 0..LEAST_RETRIES {
            budget.began(true, 1_000);
        }
        assert_eq!(budget.left(1_000), 0);
        for _ in 0..90 {
            budget.began(false, 2_000);
        }
        assert_eq!(budget.left(2_000), 10, "a fifth of a hundred, and ten were taken");
        assert_eq!(budget.left(62_000), LEAST_RETRIES, "the window has passed");
        assert_eq!(RetryBudget::more_at(2_000), 10_000);
    }

    proptest! {
        #[test]
        fn retries_never_pass_their_share_of_a_window(
            starts in prop::collection::vec((any::<bool>(), 0_u64..500), 1..1_000),
        ) {
            let (mut budget, mut now, mut log) = (RetryBudget::default(), 0, Vec::new());
            for (wants_retry, pause) in starts {
                now += pause;
                let retry = wants_retry && budget.left(now) > 0;
                if retry || !wants_retry {
                    budget.began(retry, now);
                    log.push((now, retry));
                }
                let window = (now / PART_MILLIS).saturating_sub(PARTS as u64 - 1) * PART_MILLIS;
                let recent: Vec<_> = log.iter().filter(|(at, _)| *at >= window).collect();
                let retries = recent.iter().filter(|(_, retry)| *retry).count();
                prop_assert!(!retry || retries <= (recent.len() / 5).max(LEAST_RETRIES as usize));
            }
        }

        #[test]
        fn a_breaker_always_says_when_to_come_back(
            events in prop::collection::vec((0_u8..3, 0_u64..400_000), 1..200),
        ) {
            let (mut breaker, mut now) = (Breaker::default(), 0);
            for (event, pause) in events {
                now += pause;
                match event {
                    0 if !matches!(breaker.allow(now), Allow::NotBefore(_)) => breaker.began(now),
                    1 => breaker.ended(false, now),
                    2 => breaker.ended(true, now),
                    _ => {}
                }
                if let Allow::NotBefore(until) = breaker.allow(now) {
                    prop_assert!(until > now && until - now <= LONGEST_PROBE_MILLIS.max(LONGEST_COOL_DOWN_MILLIS));
                    prop_assert_eq!(breaker.allow(until), Allow::Probe);
                }
            }
        }
    }
}
