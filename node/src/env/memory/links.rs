//! The links between hosts: what they do to whatever travels over them, and what they have done.
//!
//! In: a seed; latencies, cuts, weather, silences. Out: the fate of one frame or datagram ([`Trip`]); how often each
//! kind of fault took effect. Holds: [`Links`]. Not here: the frames (`fabric`), the datagrams (the simulation).
//!
//! A fault is counted when it has taken effect, not when it is planned: a frame that is to be held back and that no
//! later one overtakes is no reordering.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::weather::{PER_MILLE, Weather};

/// Latencies of a local network, each way.
const LEAST_LATENCY: Duration = Duration::from_micros(200);
const MOST_LATENCY: Duration = Duration::from_millis(2);
/// What is held back is so between one and so many times as long: longer than the latencies of any simulation.
const HOLD: Duration = Duration::from_millis(8);
const MOST_HOLDS: u64 = 6;
/// A second copy comes within so many microseconds after the first.
const COPY_WITHIN_MICROS: u64 = 10_000;
/// A long delay is the longest one, divided by one to so many.
const DELAY_PARTS: u64 = 24;

/// The names under which what took effect is counted.
#[derive(Debug)]
struct Names {
    lost: &'static str,
    doubled: &'static str,
    overtaken: &'static str,
    delayed: &'static str,
    cut_one_way: &'static str,
    cut_both_ways: &'static str,
}

const OF_FRAMES: Names = Names {
    lost: "frame lost",
    doubled: "frame doubled",
    overtaken: "frame overtaken",
    delayed: "frame delayed",
    cut_one_way: "frame cut off one way",
    cut_both_ways: "frame cut off both ways",
};
const OF_DATAGRAMS: Names = Names {
    lost: "datagram lost",
    doubled: "datagram doubled",
    overtaken: "datagram overtaken",
    delayed: "datagram delayed",
    cut_one_way: "datagram cut off one way",
    cut_both_ways: "datagram cut off both ways",
};
/// An answer that got lost after its call was carried out.
pub(super) const ANSWER_LOST: &str = "answer lost";
/// A frame of a newer program that was refused.
pub(super) const FOREIGN_REFUSED: &str = "frame of another version refused";
/// A one-way frame of a machine, or to one, whose one-way frames do not pass.
const SILENCED: &str = "one-way frame silenced";

/// The links between all hosts. Clones are the same links.
#[derive(Debug, Clone)]
pub struct Links(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: ChaCha8Rng,
    names: &'static Names,
    latency: (Duration, Duration),
    weather: Weather,
    /// Links with weather of their own: from, to.
    local: BTreeMap<Link, Weather>,
    /// Links over which nothing arrives: from, to.
    cuts: BTreeSet<Link>,
    /// Hosts whose one-way frames do not get out, and those to which none gets in.
    mute: BTreeSet<SocketAddr>,
    deaf: BTreeSet<SocketAddr>,
    traffic: BTreeMap<Link, Traffic>,
    inflicted: BTreeMap<&'static str, u64>,
}

type Link = (SocketAddr, SocketAddr);

/// What has travelled over one link.
#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    sent: u64,
    /// The newest of those that have arrived.
    newest: u64,
}

/// The fate of one frame or datagram.
#[derive(Debug, Clone)]
pub struct Trip {
    link: Link,
    number: u64,
    held_back: bool,
    delayed: bool,
    /// So long it is under way.
    pub takes: Duration,
    /// It does not arrive; say so with [`Links::lose`] when it should have.
    pub lost: bool,
    /// A copy of it arrives, so long after it.
    pub again: Option<Duration>,
    /// It is as a newer program writes it.
    pub foreign: bool,
}

impl Trip {
    /// Whether it goes with the others of its link, which then arrive in their order where order matters.
    #[must_use]
    pub fn is_in_line(&self) -> bool {
        !self.held_back && !self.delayed
    }
}

impl Links {
    /// Links that carry whole frames; everything about them follows from `seed`.
    #[must_use]
    pub fn of_frames(seed: u64) -> Self {
        Self::new(seed, &OF_FRAMES)
    }

    /// Links that carry datagrams.
    #[must_use]
    pub fn of_datagrams(seed: u64) -> Self {
        Self::new(seed, &OF_DATAGRAMS)
    }

    fn new(seed: u64, names: &'static Names) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: ChaCha8Rng::seed_from_u64(seed ^ 0x6661_6272),
            names,
            latency: (LEAST_LATENCY, MOST_LATENCY),
            weather: Weather::FAIR,
            local: BTreeMap::new(),
            cuts: BTreeSet::new(),
            mute: BTreeSet::new(),
            deaf: BTreeSet::new(),
            traffic: BTreeMap::new(),
            inflicted: BTreeMap::new(),
        })))
    }

    /// From now on a frame takes between `least` and `most`, evenly.
    pub fn set_latency(&self, least: Duration, most: Duration) {
        self.lock().latency = (least, most.max(least));
    }

    /// The weather of all links that have none of their own.
    pub fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// The weather of one link, in one direction; `None`: that of all the others.
    pub fn set_weather_between(&self, from: SocketAddr, to: SocketAddr, weather: Option<Weather>) {
        let mut state = self.lock();
        match weather {
            Some(weather) => state.local.insert((from, to), weather),
            None => state.local.remove(&(from, to)),
        };
    }

    /// From now on nothing of `from` arrives at `to`; the other direction stays.
    pub fn cut(&self, from: SocketAddr, to: SocketAddr) {
        self.lock().cuts.insert((from, to));
    }

    /// From now on nothing passes between `one` and `other`.
    pub fn cut_both(&self, one: SocketAddr, other: SocketAddr) {
        self.lock().cuts.extend([(one, other), (other, one)]);
    }

    /// From now on nothing passes between a host of one side and a host of the other.
    pub fn partition(&self, one_side: &[SocketAddr], other_side: &[SocketAddr]) {
        for one in one_side {
            for other in other_side {
                self.cut_both(*one, *other);
            }
        }
    }

    /// Heals both directions between `one` and `other`.
    pub fn heal(&self, one: SocketAddr, other: SocketAddr) {
        let mut state = self.lock();
        state.cuts.remove(&(one, other));
        state.cuts.remove(&(other, one));
    }

    /// From now on no one-way frame of the host at `at` gets out: gossip will take it for dead, while its calls pass.
    pub fn mute(&self, at: SocketAddr) {
        self.lock().mute.insert(at);
    }

    /// From now on no one-way frame gets to the host at `at`: it will take all others for dead.
    pub fn deafen(&self, at: SocketAddr) {
        self.lock().deaf.insert(at);
    }

    /// One-way frames of and to the host at `at` pass again.
    pub fn unsilence(&self, at: SocketAddr) {
        let mut state = self.lock();
        state.mute.remove(&at);
        state.deaf.remove(&at);
    }

    /// Heals everything: fair weather, no cuts, no silences. What is under way stays as it is.
    pub fn heal_all(&self) {
        let mut state = self.lock();
        state.weather = Weather::FAIR;
        state.local.clear();
        state.cuts.clear();
        state.mute.clear();
        state.deaf.clear();
    }

    /// How often each kind of fault has taken effect.
    #[must_use]
    pub fn inflicted(&self) -> BTreeMap<&'static str, u64> {
        self.lock().inflicted.clone()
    }

    /// Draws the fate of one frame or datagram that is sent now.
    #[must_use]
    pub fn trip(&self, from: SocketAddr, to: SocketAddr) -> Trip {
        let mut state = self.lock();
        let link = (from, to);
        let weather = state.weather_of(link);
        let traffic = state.traffic.entry(link).or_default();
        traffic.sent += 1;
        let number = traffic.sent;
        let mut takes = state.latency();
        let (held_back, delayed) = (state.happens(weather.held_back), state.happens(weather.delayed));
        if held_back {
            takes += HOLD + HOLD.mul_f64(state.below((MOST_HOLDS - 1) * PER_MILLE) as f64 / PER_MILLE as f64);
        }
        if delayed {
            let parts = u32::try_from(1 + state.below(DELAY_PARTS)).unwrap_or(1);
            takes += weather.longest_delay / parts;
        }
        let again = state.happens(weather.doubled);
        let again = again.then(|| Duration::from_micros(state.below(COPY_WITHIN_MICROS)));
        let (lost, foreign) = (state.happens(weather.lost), state.happens(weather.foreign));
        Trip { link, number, held_back, delayed, takes, lost, again, foreign }
    }

    /// Whether it goes no further, because its link is cut.
    #[must_use]
    pub fn stops(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let mut state = self.lock();
        let stopped = state.cuts.contains(&(from, to));
        if stopped {
            let name =
                if state.cuts.contains(&(to, from)) { state.names.cut_both_ways } else { state.names.cut_one_way };
            state.count(name);
        }
        stopped
    }

    /// Whether a one-way frame is swallowed where it would be sent.
    #[must_use]
    pub fn swallows(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let mut state = self.lock();
        let swallowed = state.mute.contains(&from) || state.deaf.contains(&to);
        if swallowed {
            state.count(SILENCED);
        }
        swallowed
    }

    /// Whether the answer to a call that was carried out gets lost, on its way from `from` to `to`.
    #[must_use]
    pub fn loses_answer(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let mut state = self.lock();
        let rate = state.weather_of((from, to)).answers_lost;
        let lost = state.happens(rate);
        if lost {
            state.count(ANSWER_LOST);
        }
        lost
    }

    /// One did not arrive where it should have by now.
    pub fn lose(&self) {
        let mut state = self.lock();
        let name = state.names.lost;
        state.count(name);
    }

    /// It has arrived now.
    pub fn arrive(&self, trip: &Trip) {
        let mut state = self.lock();
        let traffic = state.traffic.entry(trip.link).or_default();
        let overtaken = trip.number < traffic.newest;
        traffic.newest = traffic.newest.max(trip.number);
        let (delayed, overtakes) = (state.names.delayed, state.names.overtaken);
        if trip.delayed {
            state.count(delayed);
        }
        if overtaken && trip.held_back {
            state.count(overtakes);
        }
    }

    /// A copy of one has arrived now.
    pub fn arrive_again(&self) {
        let mut state = self.lock();
        let name = state.names.doubled;
        state.count(name);
    }

    /// Counts what took effect somewhere else.
    pub(super) fn count(&self, name: &'static str) {
        self.lock().count(name);
    }

    /// One of `limit` numbers from 0 on.
    #[must_use]
    pub fn draw(&self, limit: u64) -> u64 {
        self.lock().below(limit)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn below(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit.max(1)
    }

    fn happens(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(PER_MILLE) < u64::from(per_mille)
    }

    fn latency(&mut self) -> Duration {
        let (least, most) = self.latency;
        let spread = u64::try_from((most - least).as_micros()).unwrap_or(u64::MAX).saturating_add(1);
        least + Duration::from_micros(self.below(spread))
    }

    fn weather_of(&self, link: Link) -> Weather {
        self.local.get(&link).copied().unwrap_or(self.weather)
    }

    fn count(&mut self, name: &'static str) {
        *self.inflicted.entry(name).or_default() += 1;
    }
}
