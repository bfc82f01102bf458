//! When a certificate must be renewed.

/// What to do about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// Nothing until then (milliseconds since 1970).
    NotBefore(u64),
    /// Ask for the next one; this one still works.
    Due,
    /// It is over: peers refuse it, and the node must join again.
    Expired,
}

/// Decides over a certificate that is valid in `[not_before, not_after]`, all in milliseconds since 1970: it is
/// renewed when a third of its time is left, so that a fleet without an authority for a month still works.
#[must_use]
pub fn renewal(not_before: u64, not_after: u64, now: u64) -> Renewal {
    let due = not_after.saturating_sub(not_after.saturating_sub(not_before) / 3);
    if now > not_after {
        Renewal::Expired
    } else if now >= due {
        Renewal::Due
    } else {
        Renewal::NotBefore(due)
    }
}
