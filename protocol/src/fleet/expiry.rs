//! Sessions: who counts as dead, and when a node stops by itself.
//!
//! In: how long each node has been silent, times of a monotonic clock. Out: whose sessions are over. A node that is silent for
//! longer than a session is expired, and others adopt what it owns. If many fall silent together it is rather the network, or
//! the one who looks: adoption waits for one session more and looks again. Not here: what expiry means (the ledger),
//! heartbeats (the node).

use crate::ids::NodeId;

/// Fewer nodes than this are never a mass death: two machines do fail within a few seconds.
pub const MASS_NODES: usize = 3;
/// A mass death is at least so much of the fleet, percent: a rack or a zone, or the network towards it.
pub const MASS_PERCENT: usize = 30;
/// A node fences itself when this part of a session is left, `session / FENCE_PART`: in that time its last effects end, and
/// clocks that differ by a hundredth in speed do not matter.
pub const FENCE_PART: u64 = 4;
/// Who was not asked to look for longer than `session / STALL_PART` was stalled itself: the others' silence says nothing.
const STALL_PART: u64 = 2;

/// A node with a session, as the one who decides has heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionView {
    /// The node.
    pub node: NodeId,
    /// Milliseconds since it was heard last; 0 for the one who decides.
    pub silent_millis: u64,
    /// It is about to leave: its silence is no sign of anything.
    pub draining: bool,
}

/// What the one who decides remembers between two looks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MassDeath {
    /// When the last look was.
    looked_at: Option<u64>,
    /// Nobody is expired before this time: a mass death is being looked at, or the looker was stalled.
    waits_until: Option<u64>,
    /// Who was expired within the last session time, and when.
    expired: Vec<(NodeId, u64)>,
}

/// What is to be done about silent nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Sessions that are over.
    pub expire: Vec<NodeId>,
    /// Many at once: none of them is to blame for what it ran.
    pub mass: bool,
    /// When to look again; `None` when nobody is silent.
    pub look_again_in_millis: Option<u64>,
}

/// Decides whose sessions are over. `now` is monotonic, milliseconds; to be asked at least every half session.
pub fn decide(fleet: &[SessionView], session_millis: u64, mass: &mut MassDeath, now: u64) -> Verdict {
    let session_millis = session_millis.max(1);
    mass.expired.retain(|(_, at)| now.saturating_sub(*at) < session_millis);
    let stalled = mass.looked_at.is_some_and(|at| now.saturating_sub(at) > session_millis / STALL_PART);
    mass.looked_at = Some(now);
    if stalled {
        let until = now.saturating_add(session_millis);
        mass.waits_until = Some(mass.waits_until.map_or(until, |other| other.max(until)));
    }
    let over: Vec<&SessionView> = fleet.iter().filter(|node| node.silent_millis >= session_millis).collect();
    if over.is_empty() {
        // A look that was begun because of a mass death has found that it was none; one after a stall goes on.
        mass.waits_until = mass.waits_until.filter(|until| stalled || now < *until);
        return Verdict { look_again_in_millis: next_end(fleet, session_millis), ..Verdict::default() };
    }
    let is_mass = is_mass(fleet, session_millis, &mass.expired);
    let may_end_at = match mass.waits_until {
        Some(until) => until,
        None if is_mass => now.saturating_add(session_millis),
        None => now,
    };
    let waits = may_end_at > now;
    mass.waits_until = waits.then_some(may_end_at);
    // Who said that it leaves, left.
    let expire: Vec<NodeId> =
        over.iter().filter(|node| !waits || node.draining && !stalled).map(|node| node.node).collect();
    mass.expired.extend(over.iter().filter(|node| !waits && !node.draining).map(|node| (node.node, now)));
    let again = [waits.then(|| may_end_at - now), next_end(fleet, session_millis)].into_iter().flatten().min();
    Verdict { mass: is_mass && !expire.is_empty(), expire, look_again_in_millis: again }
}

/// Whether so many are silent, or were expired a moment ago, that it is no coincidence. Those count already that would be expired
/// within half a session: nodes that fall silent together are not heard last at the same moment.
fn is_mass(fleet: &[SessionView], session_millis: u64, expired: &[(NodeId, u64)]) -> bool {
    let counted = || fleet.iter().filter(|node| !node.draining);
    let gone = |node: NodeId| expired.iter().any(|(other, _)| *other == node);
    let silent = counted().filter(|node| node.silent_millis >= session_millis.div_ceil(2) && !gone(node.node)).count();
    let size = counted().filter(|node| !gone(node.node)).count() + expired.len();
    let share = (size * MASS_PERCENT).div_ceil(100);
    silent + expired.len() >= share.max(MASS_NODES)
}

/// How long until the next session may end.
fn next_end(fleet: &[SessionView], session_millis: u64) -> Option<u64> {
    let silent = fleet.iter().filter(|node| node.silent_millis > 0 && node.silent_millis < session_millis);
    silent.map(|node| session_millis - node.silent_millis).min()
}

/// Whether a node stops acting by itself: nobody has acknowledged its session for so long that others may soon take over what it
/// owns. The time counts from the moment at which the acknowledged heartbeat was *sent*.
#[must_use]
pub fn fence(millis_since_last_ack: u64, session_millis: u64) -> bool {
    millis_since_last_ack >= session_millis - session_millis / FENCE_PART
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SESSION: u64 = 5_000;

    fn fleet(silent: &[u64]) -> Vec<SessionView> {
        let nodes = (1..).map(NodeId).zip(silent);
        nodes
            .map(|(node, silent_millis)| SessionView { node, silent_millis: *silent_millis, draining: false })
            .collect()
    }

    fn nodes(ids: &[u64]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn who_is_silent_for_a_session_is_expired_and_the_others_are_looked_at_in_time() {
        let mut mass = MassDeath::default();
        let verdict = decide(&fleet(&[0, 4_000, 100, 0, 0]), SESSION, &mut mass, 10_000);
        assert_eq!(verdict, Verdict { look_again_in_millis: Some(1_000), ..Verdict::default() });
        let verdict = decide(&fleet(&[0, 5_000, 100, 0, 0]), SESSION, &mut mass, 11_000);
        assert_eq!(verdict, Verdict { expire: nodes(&[2]), mass: false, look_again_in_millis: Some(4_900) });
    }

    #[test]
    fn two_of_five_are_no_mass_death_and_three_are() {
        let two = decide(&fleet(&[0, 5_000, 5_100, 0, 0]), SESSION, &mut MassDeath::default(), 0);
        assert_eq!(two.expire, nodes(&[2, 3]));
        let mut mass = MassDeath::default();
        let three = fleet(&[0, 5_000, 5_100, 4_200, 0]);
        let verdict = decide(&three, SESSION, &mut mass, 0);
        assert_eq!(
            verdict,
            Verdict { look_again_in_millis: Some(800), ..Verdict::default() },
            "the third counts already"
        );
        let later = fleet(&[0, 10_000, 10_100, 100, 0]);
        assert_eq!(decide(&later, SESSION, &mut mass, 2_000).expire, nodes(&[]));
        assert_eq!(decide(&later, SESSION, &mut mass, 4_000).expire, nodes(&[]));
        let verdict = decide(&later, SESSION, &mut mass, 5_000);
        assert_eq!((verdict.expire, verdict.mass), (nodes(&[2, 3]), false), "the third is back");
    }

    #[test]
    fn who_is_still_silent_after_a_mass_death_was_looked_at_is_expired_without_blame() {
        let mut mass = MassDeath::default();
        let silent = fleet(&[0, 6_000, 6_000, 6_000, 6_000, 0, 0, 0, 0, 0]);
        for now in [0, 2_000, 4_000] {
            assert!(decide(&silent, SESSION, &mut mass, now).expire.is_empty());
        }
        let verdict = decide(&silent, SESSION, &mut mass, 5_000);
        assert_eq!((verdict.expire, verdict.mass), (nodes(&[2, 3, 4, 5]), true));
    }

    #[test]
    fn of_a_hundred_nodes_thirty_are_a_mass_death() {
        let silent = |count: u64| {
            let silent: Vec<u64> = (0..100).map(|node| if node < count { 5_000 } else { 0 }).collect();
            decide(&fleet(&silent), SESSION, &mut MassDeath::default(), 0).expire.len()
        };
        assert_eq!((silent(29), silent(30)), (29, 0));
    }

    #[test]
    fn nodes_that_die_one_after_the_other_add_up() {
        let mut mass = MassDeath::default();
        assert_eq!(decide(&fleet(&[0, 5_000, 0, 0, 0]), SESSION, &mut mass, 0).expire, nodes(&[2]));
        let without = |silent: &[(u64, u64)]| -> Vec<SessionView> {
            let view = |(node, silent_millis): &(u64, u64)| SessionView {
                node: NodeId(*node),
                silent_millis: *silent_millis,
                draining: false,
            };
            silent.iter().map(view).collect()
        };
        let second = without(&[(1, 0), (3, 5_000), (4, 0), (5, 0)]);
        assert_eq!(decide(&second, SESSION, &mut mass, 2_000).expire, nodes(&[3]));
        let third = without(&[(1, 0), (4, 5_000), (5, 0)]);
        assert!(decide(&third, SESSION, &mut mass, 4_000).expire.is_empty(), "the third within one session");
    }

    #[test]
    fn draining_nodes_are_expired_at_once_and_count_for_nothing() {
        let mut silent = fleet(&[0, 6_000, 6_000, 6_000, 0]);
        silent[1].draining = true;
        let verdict = decide(&silent, SESSION, &mut MassDeath::default(), 0);
        assert_eq!((verdict.expire, verdict.mass), (nodes(&[2, 3, 4]), false), "only two did not say that they leave");
        silent.push(SessionView { node: NodeId(6), silent_millis: 5_500, draining: false });
        assert_eq!(decide(&silent, SESSION, &mut MassDeath::default(), 0).expire, nodes(&[2]));
    }

    #[test]
    fn who_was_stalled_itself_gives_everybody_time_to_be_heard() {
        let mut mass = MassDeath::default();
        decide(&fleet(&[0, 0, 0]), SESSION, &mut mass, 0);
        let silent = fleet(&[0, 60_000, 60_000]);
        assert!(decide(&silent, SESSION, &mut mass, 60_000).expire.is_empty());
        assert!(decide(&fleet(&[0, 100, 100]), SESSION, &mut mass, 60_100).expire.is_empty());
        let one = fleet(&[0, 5_100, 100]);
        assert_eq!(decide(&one, SESSION, &mut mass, 62_000).expire, nodes(&[]));
        assert_eq!(decide(&one, SESSION, &mut mass, 64_000).expire, nodes(&[]));
        assert_eq!(decide(&one, SESSION, &mut mass, 65_100).expire, nodes(&[2]));
    }

    #[test]
    fn a_node_fences_itself_before_others_may_adopt() {
        assert!(!fence(3_749, SESSION));
        assert!(fence(3_750, SESSION));
        assert!(fence(0, 0));
    }

    proptest! {
        #[test]
        fn nobody_who_was_heard_within_its_session_is_expired_and_the_dead_are_in_the_end(
            dead in prop::collection::btree_set(2_u64..40, 0..39),
            steps in prop::collection::vec(100_u64..2_000, 60..80),
        ) {
            let mut mass = MassDeath::default();
            let mut left: Vec<u64> = (1..40).collect();
            let mut now = 0;
            for step in steps {
                now += step;
                let view = |node: &u64| SessionView {
                    node: NodeId(*node),
                    silent_millis: if dead.contains(node) { now } else { now % 900 },
                    draining: false,
                };
                let views: Vec<SessionView> = left.iter().map(view).collect();
                let verdict = decide(&views, SESSION, &mut mass, now);
                prop_assert!(verdict.expire.iter().all(|node| dead.contains(&node.0)));
                prop_assert!(now >= SESSION || verdict.expire.is_empty());
                left.retain(|node| !verdict.expire.contains(&NodeId(*node)));
            }
            // 60 steps of at least 100 ms are one session at least, and two where a mass death was looked at.
            if now >= 3 * SESSION {
                prop_assert!(left.iter().all(|node| !dead.contains(node)), "{left:?}");
            }
        }
    }
}
