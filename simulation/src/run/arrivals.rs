//! How the machines come into the fleet: the first founds it, the others ask any member for a token and join, some of them late,
//! in the middle of the work and of what goes wrong.
//!
//! In: when each machine comes. Out: machines that were started with an invitation. Holds: where each of them is on its way.
//! Not here: the steps of joining (`entering`), starting a member again after a crash (`course`).

use std::time::Duration;

use crate::client::{self, Call, DEADLINE, Said, Underway};
use crate::fleet::Fleet;
use crate::tape::Tape;

/// Somebody who got no token, or whose token was of no use, asks again after this.
const PAUSE: Duration = Duration::from_millis(400);
/// A token is of use for this long.
const TOKEN_SECONDS: u64 = 3600;

enum Step {
    /// Asks for a token from this time on.
    Wants(Duration),
    /// Waits for one.
    Asked { underway: Underway, asked: usize, since: Duration },
    /// Was started with one.
    Invited,
}

/// A machine on its way into the fleet.
struct Arrival {
    machine: usize,
    step: Step,
    tries: usize,
}

/// All machines but the first.
pub(super) struct Arrivals(Vec<Arrival>);

impl Arrivals {
    /// Machines, each with the time at which it comes.
    pub(super) fn new(machines: impl Iterator<Item = (usize, Duration)>) -> Self {
        Self(machines.map(|(machine, at)| Arrival { machine, step: Step::Wants(at), tries: 0 }).collect())
    }

    /// Whether a machine was started: from then on it crashes and restarts like any other.
    pub(super) fn has_come(&self, machine: usize) -> bool {
        self.0.iter().all(|arrival| arrival.machine != machine || matches!(arrival.step, Step::Invited))
    }

    /// A machine's token was of no use (it was used by a start that died on the way): it asks for another.
    pub(super) fn asks_again(&mut self, machine: usize, now: Duration) {
        for arrival in self.0.iter_mut().filter(|arrival| arrival.machine == machine) {
            arrival.step = Step::Wants(now + PAUSE);
        }
    }

    /// Goes on with everybody.
    pub(super) fn step(&mut self, fleet: &mut Fleet, now: Duration, tape: &Tape) {
        for arrival in &mut self.0 {
            arrival.go_on(fleet, now, tape);
        }
    }
}

impl Arrival {
    fn go_on(&mut self, fleet: &mut Fleet, now: Duration, tape: &Tape) {
        match &self.step {
            Step::Wants(at) if now >= *at => {
                let machines = fleet.machines.len();
                let asked = (0..machines).map(|step| (step + self.tries) % machines);
                let asked = asked
                    .filter(|number| *number != self.machine)
                    .find(|number| fleet.machines[*number].node().is_some());
                self.tries += 1;
                let call = Call::post("/v1/fleet/tokens", format!("{{\"validSeconds\":{TOKEN_SECONDS}}}"));
                let underway = asked.and_then(|asked| Some((client::call(&fleet.machines[asked], call)?, asked)));
                self.step = match underway {
                    Some((underway, asked)) => Step::Asked { underway, asked, since: now },
                    None => Step::Wants(now + PAUSE),
                };
            }
            Step::Asked { underway, asked, since } => {
                let gone = now > *since + 2 * DEADLINE || !fleet.machines[*asked].is_up();
                match underway.take() {
                    Some(Said::Done(text)) => {
                        let answer: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                        let Some(token) = answer["token"].as_str() else {
                            self.step = Step::Wants(now + PAUSE);
                            return;
                        };
                        let invitation = (fleet.machines[*asked].at, token.to_owned());
                        tape.note(self.machine, &format!("invited by machine {asked}"));
                        if self.tries > 1 {
                            tape.mark("asked again for a join token");
                        }
                        fleet.machines[self.machine].invitation = Some(invitation);
                        fleet.start(self.machine);
                        self.step = Step::Invited;
                    }
                    Some(_) => self.step = Step::Wants(now + PAUSE),
                    None if gone => self.step = Step::Wants(now + PAUSE),
                    None => {}
                }
            }
            Step::Wants(_) | Step::Invited => {}
        }
    }
}
