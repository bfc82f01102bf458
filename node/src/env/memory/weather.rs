//! How a link treats what travels over it, as numbers.
//!
//! In: rates that somebody chose. Out: [`Weather`]. Holds: what each rate means. Not here: the draws, and what was
//! inflicted (`links`).

use std::time::Duration;

/// Rates are of this many.
pub(super) const PER_MILLE: u64 = 1_000;

/// How a link treats what travels over it. Rates are per mille of its frames, or of its datagrams under QUIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// They get lost. One-way frames are gone. The frame of a call is sent again, as QUIC does, which takes time; one
    /// that gets lost again and again takes its connection along.
    pub lost: u32,
    /// They arrive twice. A call never does: its stream has one beginning.
    pub doubled: u32,
    /// They are held back for some tens of milliseconds, so that later ones overtake them.
    pub held_back: u32,
    /// They take long: up to [`Self::longest_delay`], most of them much less.
    pub delayed: u32,
    /// The longest delay.
    pub longest_delay: Duration,
    /// Answers that get lost, and their connections with them, after the call was carried out. Frames only: a
    /// datagram does not show what it carries.
    pub answers_lost: u32,
    /// Frames as a newer program writes them. Frames only.
    pub foreign: u32,
}

impl Weather {
    /// Nothing happens.
    pub const FAIR: Self = Self {
        lost: 0,
        doubled: 0,
        held_back: 0,
        delayed: 0,
        longest_delay: Duration::ZERO,
        answers_lost: 0,
        foreign: 0,
    };
}

impl Default for Weather {
    fn default() -> Self {
        Self::FAIR
    }
}
