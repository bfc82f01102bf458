//! Nodes join, open and close sessions, fall silent, are drained and removed.

use super::Stamp;
use super::ownership::{self, Death};
use crate::defects::{self, Defect};
use crate::hash::Hash256;
use crate::ids::{NodeId, SessionNo};
use crate::ledger::entry::Answer;
use crate::ledger::members::{JoinToken, Member, Seat, Standing};
use crate::ledger::state::State;
use crate::problem::{Code, Problem};

/// Members that are kept, removed ones included: gossip carries no more identities, and a fleet of a thousand nodes
/// that are all replaced once fits. The oldest removed one makes room.
const MEMBERS_KEPT: usize = 2000;
/// Names that a node which lost its ledger has asked for and not come with: as many as it has starts within the time that a
/// call may be under way, and some more.
const NAMES_OF_A_LOST_NODE: usize = 16;
/// Join tokens that are kept: those of a fleet that grows by a thousand nodes a day. The one that expires first makes room.
const JOIN_TOKENS_KEPT: usize = 1000;

type Applied = Result<Answer, Problem>;

pub(super) fn session_opened(
    state: &mut State,
    stamp: Stamp<'_>,
    node: NodeId,
    session: SessionNo,
    seat: &Seat,
) -> Applied {
    let founder = state.members.is_empty();
    if founder {
        insert(state, stamp, node, &seat.address, "it founded the fleet".to_owned());
    }
    let member = known(state, node)?;
    if member.session >= session {
        return if member.session == session && member.standing == Standing::Active {
            Ok(Answer::Unchanged)
        } else {
            Err(over(node, session))
        };
    }
    member.session = session;
    member.seat = seat.clone();
    stand(member, stamp, Standing::Active);
    take_place(state, stamp, node);
    ownership::taken_up(state, stamp, node, session);
    ownership::rehome(state, stamp, &Death::none());
    Ok(Answer::Applied)
}

pub(super) fn session_closed(state: &mut State, stamp: Stamp<'_>, node: NodeId, session: SessionNo) -> Applied {
    let member = known(state, node)?;
    if member.session != session {
        return Err(over(node, session));
    }
    if member.standing != Standing::Active {
        return Ok(Answer::Unchanged);
    }
    stand(member, stamp, Standing::Left);
    let death = Death { nodes: vec![node], blamed: false };
    ownership::rehome(state, stamp, &death);
    Ok(Answer::Applied)
}

pub(super) fn sessions_expired(
    state: &mut State,
    stamp: Stamp<'_>,
    sessions: &[(NodeId, SessionNo)],
    mass: bool,
) -> Answer {
    let mut dead = Vec::new();
    let mut blamed = !mass;
    for (node, session) in sessions {
        if let Some(member) = state.members.get_mut(node)
            && member.session == *session
            && member.standing == Standing::Active
        {
            blamed &= !member.draining;
            stand(member, stamp, Standing::Expired);
            dead.push(*node);
        }
    }
    if dead.is_empty() {
        return Answer::Unchanged;
    }
    if !defects::is(Defect::ExpiredKeepsWork) {
        ownership::rehome(state, stamp, &Death { nodes: dead, blamed });
    }
    Answer::Applied
}

pub(super) fn admitted(state: &mut State, stamp: Stamp<'_>, node: NodeId, token: Hash256, address: &str) -> Applied {
    let refused = |why: &str| {
        let next = "make a new one with `skein fleet token`, and use it once before it expires";
        Problem::new(Code::JoinRefused, "the join token", why, next)
    };
    let Some(known) = state.join_tokens.get(&token) else { return Err(refused("it is not known")) };
    match known.used_by {
        Some(by) if by == node => return Ok(Answer::Unchanged),
        Some(by) => return Err(refused(&format!("it was used by node {by}"))),
        None => {}
    }
    if known.revoked {
        return Err(refused("it was revoked"));
    }
    if known.expires_at <= stamp.at_millis {
        return Err(refused("it has expired"));
    }
    // Its first admission may have happened without its knowing: then it comes with another token. A member that ever had a
    // session is somebody.
    let waits = |member: &Member| member.standing == Standing::Admitted && member.replaces.is_none();
    let known = state.members.get(&node);
    if known.is_some_and(|member| !waits(member)) {
        return Err(refused(&format!("node {node} is or was a member already")));
    }
    let again = known.is_some();
    if let Some(token) = state.join_tokens.get_mut(&token) {
        token.used_by = Some(node);
    }
    if again {
        return Ok(Answer::Applied);
    }
    insert(state, stamp, node, address, format!("admitted by {}", stamp.actor));
    Ok(Answer::Applied)
}

pub(super) fn replaced(state: &mut State, stamp: Stamp<'_>, old: NodeId, new: NodeId, address: &str) -> Applied {
    if state.members.contains_key(&new) {
        // It may be removed by now: then it asks under another name.
        return known(state, new).map(|_| Answer::Unchanged);
    }
    known(state, old)?;
    // Whoever dies between its new certificate and its first session asks once more, under a third name.
    let origin = state.members.get(&old).filter(|member| member.standing == Standing::Admitted);
    let origin = origin.and_then(|member| member.replaces).unwrap_or(old);
    // What it asked for before may come later than what it asked for last, so earlier names stay, up to a limit.
    let idle = |member: &&Member| member.replaces == Some(origin) && member.node != old;
    let idle: Vec<&Member> = state.members.values().filter(idle).collect();
    if idle.len() >= NAMES_OF_A_LOST_NODE
        && let Some(oldest) = idle.iter().min_by_key(|member| member.changed_at).map(|member| member.node)
        && let Ok(member) = known(state, oldest)
    {
        member.note = format!("it never came; it is node {new} now");
        stand(member, stamp, Standing::Removed);
    }
    insert(state, stamp, new, address, format!("it was node {origin}, whose ledger was lost"));
    if let Some(member) = state.members.get_mut(&new) {
        member.replaces = Some(origin);
    }
    Ok(Answer::Applied)
}

/// A node that lost its ledger is here under its new name: the old one goes, and with it all names that never came.
fn take_place(state: &mut State, stamp: Stamp<'_>, node: NodeId) {
    let Some(old) = state.members.get_mut(&node).and_then(|member| member.replaces.take()) else { return };
    let same = |member: &&Member| member.node == old || member.replaces == Some(old);
    let gone: Vec<NodeId> = state.members.values().filter(same).map(|member| member.node).collect();
    for name in gone.into_iter().filter(|name| *name != node) {
        if let Ok(member) = known(state, name) {
            member.note = format!("its ledger was lost; it is node {node} now");
            stand(member, stamp, Standing::Removed);
            // A disk that forgets is no fault of what ran there.
            ownership::rehome(state, stamp, &Death { nodes: vec![name], blamed: false });
        }
    }
}

pub(super) fn removed(state: &mut State, stamp: Stamp<'_>, node: NodeId, reason: &str) -> Applied {
    let member = match known(state, node) {
        Ok(member) => member,
        Err(problem) if problem.code == Code::NodeRemoved => return Ok(Answer::Unchanged),
        Err(problem) => return Err(problem),
    };
    let blamed = member.standing == Standing::Active && !member.draining;
    member.note = format!("removed by {}: {reason}", stamp.actor);
    stand(member, stamp, Standing::Removed);
    ownership::rehome(state, stamp, &Death { nodes: vec![node], blamed });
    Ok(Answer::Applied)
}

pub(super) fn drain(state: &mut State, stamp: Stamp<'_>, node: NodeId, drain: bool, reason: &str) -> Applied {
    let member = known(state, node)?;
    if member.draining == drain {
        return Ok(Answer::Unchanged);
    }
    member.draining = drain;
    let verb = if drain { "drained" } else { "in use again" };
    member.note = format!("{verb} by {}: {reason}", stamp.actor);
    member.changed_at = stamp.at_millis;
    if !drain {
        // What came while nobody could take it has waited for this one.
        ownership::rehome(state, stamp, &Death::none());
    }
    Ok(Answer::Applied)
}

pub(super) fn token_issued(state: &mut State, stamp: Stamp<'_>, token: Hash256, expires_at: u64) -> Applied {
    if state.join_tokens.contains_key(&token) {
        return Ok(Answer::Unchanged);
    }
    state.join_tokens.retain(|_, token| token.expires_at > stamp.at_millis);
    if state.join_tokens.len() >= JOIN_TOKENS_KEPT {
        let first = state.join_tokens.iter().min_by_key(|(_, token)| token.expires_at).map(|(hash, _)| *hash);
        if let Some(first) = first {
            state.join_tokens.remove(&first);
        }
    }
    let issued_by = stamp.actor.to_owned();
    state.join_tokens.insert(token, JoinToken { expires_at, issued_by, used_by: None, revoked: false });
    Ok(Answer::Applied)
}

pub(super) fn token_revoked(state: &mut State, token: Hash256) -> Applied {
    match state.join_tokens.get_mut(&token) {
        Some(token) if token.revoked => Ok(Answer::Unchanged),
        Some(token) => {
            token.revoked = true;
            Ok(Answer::Applied)
        }
        None => Err(Problem::new(Code::NotFound, "the join token", "it is not known", "list the tokens")),
    }
}

fn insert(state: &mut State, stamp: Stamp<'_>, node: NodeId, address: &str, note: String) {
    if state.members.len() >= MEMBERS_KEPT {
        let removed = state.members.values().filter(|member| member.standing == Standing::Removed);
        if let Some(oldest) = removed.min_by_key(|member| member.changed_at).map(|member| member.node) {
            state.members.remove(&oldest);
        }
    }
    let member = Member {
        node,
        standing: Standing::Admitted,
        draining: false,
        session: SessionNo(0),
        seat: Seat { address: address.to_owned(), ..Seat::default() },
        admitted_at: stamp.at_millis,
        changed_at: stamp.at_millis,
        note,
        replaces: None,
    };
    state.members.insert(node, member);
}

fn stand(member: &mut Member, stamp: Stamp<'_>, standing: Standing) {
    member.standing = standing;
    member.changed_at = stamp.at_millis;
}

fn known(state: &mut State, node: NodeId) -> Result<&mut Member, Problem> {
    match state.members.get_mut(&node) {
        Some(member) if member.standing == Standing::Removed => Err(Problem::new(
            Code::NodeRemoved,
            format!("node {node}"),
            "it was removed from the fleet",
            "let it join again, with an empty data folder and a new join token",
        )),
        Some(member) => Ok(member),
        None => Err(Problem::new(
            Code::NodeUnknown,
            format!("node {node}"),
            "the fleet has no such member",
            "list the nodes; a new one joins with a join token",
        )),
    }
}

fn over(node: NodeId, session: SessionNo) -> Problem {
    let why = "it is over, or was never opened";
    Problem::new(Code::NoSession, format!("session {session} of node {node}"), why, "nothing: the node opens another")
}

#[cfg(test)]
mod tests;
