//! Access tokens are made, used and taken back.

use super::Stamp;
use crate::access::Rights;
use crate::hash::Hash256;
use crate::ledger::access::{AccessToken, Revoked, SignIn};
use crate::ledger::entry::Answer;
use crate::ledger::state::State;
use crate::problem::{Code, Problem};

/// Tokens that are kept, worthless ones included: those of a company's teams and programs. The one that became worthless first
/// makes room; where all are good, no further one is made.
const TOKENS_KEPT: usize = 10_000;

type Applied = Result<Answer, Problem>;

pub(super) fn issued(
    state: &mut State,
    stamp: Stamp<'_>,
    token: Hash256,
    name: &str,
    rights: &Rights,
    expires_at: Option<u64>,
) -> Applied {
    let tokens = &mut state.access.tokens;
    if tokens.contains_key(&token) {
        return Ok(Answer::Unchanged);
    }
    if tokens.values().any(|known| known.name == name) {
        let why = "there is or was one of that name, which stands in histories";
        let next = "choose another name; `skein token list` shows those that are taken";
        return Err(Problem::new(Code::RequestInvalid, format!("the token {name}"), why, next));
    }
    if tokens.len() >= TOKENS_KEPT {
        let worthless = |token: &&AccessToken| !token.holds(stamp.at_millis);
        let end = |token: &AccessToken| token.revoked.as_ref().map(|revoked| revoked.at_millis).or(token.expires_at);
        let first = tokens.iter().filter(|(_, token)| worthless(token)).min_by_key(|(_, token)| end(token));
        let Some(first) = first.map(|(hash, _)| *hash) else {
            let why = format!("there are {TOKENS_KEPT} already, and none has expired");
            return Err(Problem::new(Code::RequestInvalid, format!("the token {name}"), why, "revoke some first"));
        };
        tokens.remove(&first);
    }
    let token_record = AccessToken {
        name: name.to_owned(),
        rights: rights.clone(),
        issued_by: stamp.actor.to_owned(),
        issued_at: stamp.at_millis,
        expires_at,
        last_used: None,
        revoked: None,
    };
    tokens.insert(token, token_record);
    Ok(Answer::Applied)
}

pub(super) fn revoked(state: &mut State, stamp: Stamp<'_>, token: Hash256, reason: &str) -> Applied {
    match state.access.tokens.get_mut(&token) {
        Some(token) if token.revoked.is_some() => Ok(Answer::Unchanged),
        Some(token) => {
            let (by, at_millis, reason) = (stamp.actor.to_owned(), stamp.at_millis, reason.to_owned());
            token.revoked = Some(Revoked { by, at_millis, reason });
            Ok(Answer::Applied)
        }
        None => Err(Problem::new(Code::NotFound, "the token", "it is not known", "list them: skein token list")),
    }
}

pub(super) fn used(state: &mut State, stamp: Stamp<'_>, tokens: &[Hash256]) -> Answer {
    let mut answer = Answer::Unchanged;
    for hash in tokens {
        if let Some(token) = state.access.tokens.get_mut(hash)
            && token.last_used.is_none_or(|last| last < stamp.at_millis)
        {
            token.last_used = Some(stamp.at_millis);
            answer = Answer::Applied;
        }
    }
    answer
}

/// Sessions that are kept: many people with several browsers. The one that ends first makes room.
const SESSIONS_KEPT: usize = 10_000;

pub(super) fn signed_in(state: &mut State, stamp: Stamp<'_>, session: Hash256, person: SignIn) -> Applied {
    let access = &mut state.access;
    if access.sessions.contains_key(&session) {
        return Ok(Answer::Unchanged);
    }
    if person.token.is_some_and(|token| !access.tokens.get(&token).is_some_and(|token| token.holds(stamp.at_millis))) {
        let why = "the token has expired, or was revoked";
        return Err(Problem::new(Code::Unauthorized, "the sign-in", why, "ask for another token"));
    }
    access.sessions.retain(|_, known| stamp.at_millis < known.expires_at);
    if access.sessions.len() >= SESSIONS_KEPT {
        let first = access.sessions.iter().min_by_key(|(_, known)| known.expires_at).map(|(hash, _)| *hash);
        first.map(|first| access.sessions.remove(&first));
    }
    access.sessions.insert(session, person);
    Ok(Answer::Applied)
}

pub(super) fn signed_out(state: &mut State, session: Hash256) -> Answer {
    match state.access.sessions.remove(&session) {
        Some(_) => Answer::Applied,
        None => Answer::Unchanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::ledger::entry::Entry;
    use crate::ledger::scenario::Scenario;

    fn issue(name: &str, expires_at: Option<u64>) -> Entry {
        let token = Hash256::of(name.as_bytes());
        Entry::AccessTokenIssued { token, name: name.to_owned(), rights: Rights::of(Role::Viewer), expires_at }
    }

    fn token<'a>(scenario: &'a Scenario, name: &str) -> &'a AccessToken {
        &scenario.state.access().tokens()[&Hash256::of(name.as_bytes())]
    }

    #[test]
    fn a_token_holds_until_it_expires_or_is_revoked() {
        let mut scenario = Scenario::default();
        scenario.fact(issue("a", Some(10_000)));
        assert!(token(&scenario, "a").holds(9_999) && !token(&scenario, "a").holds(10_000));
        let revoke = Entry::AccessTokenRevoked { token: Hash256::of(b"a"), reason: "lost".to_owned() };
        scenario.fact(revoke.clone());
        assert!(!token(&scenario, "a").holds(0));
        assert_eq!(token(&scenario, "a").revoked.as_ref().unwrap().reason, "lost");
        assert_eq!(scenario.apply(revoke), Answer::Unchanged);
        let other = Entry::AccessTokenRevoked { token: Hash256::of(b"b"), reason: String::new() };
        assert!(matches!(scenario.apply(other), Answer::Refused(problem) if problem.code == Code::NotFound));
    }

    #[test]
    fn a_name_is_given_once_even_after_its_token_is_worthless() {
        let mut scenario = Scenario::default();
        scenario.fact(issue("a", None));
        assert_eq!(scenario.apply(issue("a", None)), Answer::Unchanged, "the same again");
        scenario.fact(Entry::AccessTokenRevoked { token: Hash256::of(b"a"), reason: String::new() });
        let again = Entry::AccessTokenIssued {
            token: Hash256::of(b"another"),
            name: "a".to_owned(),
            rights: Rights::all(),
            expires_at: None,
        };
        assert!(matches!(scenario.apply(again), Answer::Refused(problem) if problem.code == Code::RequestInvalid));
    }

    #[test]
    fn the_last_use_never_goes_back() {
        let mut scenario = Scenario::default();
        scenario.fact(issue("a", None));
        scenario.fact(Entry::AccessTokensUsed(vec![Hash256::of(b"a"), Hash256::of(b"gone")]));
        let used = token(&scenario, "a").last_used;
        assert_eq!(used, Some(2_000));
        assert_eq!(scenario.apply(Entry::AccessTokensUsed(vec![Hash256::of(b"gone")])), Answer::Unchanged);
        assert_eq!(token(&scenario, "a").last_used, used);
    }

    fn sign_in(session: &str, token: Option<&str>, expires_at: u64) -> Entry {
        let (name, rights) = ("person".to_owned(), Rights::of(Role::Admin));
        let token = token.map(|token| Hash256::of(token.as_bytes()));
        Entry::SignedIn { session: Hash256::of(session.as_bytes()), name, rights, token, expires_at }
    }

    fn who(scenario: &Scenario, session: &str, now: u64) -> Option<(String, Rights)> {
        let found = scenario.state.access().signed_in(&Hash256::of(session.as_bytes()), now);
        found.map(|(name, rights)| (name.to_owned(), rights.clone()))
    }

    #[test]
    fn a_session_ends_with_its_time_its_token_or_a_sign_out() {
        let mut scenario = Scenario::default();
        scenario.fact(issue("a", None));
        scenario.fact(sign_in("one", Some("a"), 50_000));
        scenario.fact(sign_in("two", None, 50_000));
        assert_eq!(who(&scenario, "one", 0), Some(("a".to_owned(), Rights::of(Role::Viewer))), "as its token");
        assert_eq!(who(&scenario, "two", 49_999), Some(("person".to_owned(), Rights::of(Role::Admin))));
        assert_eq!((who(&scenario, "two", 50_000), who(&scenario, "three", 0)), (None, None));
        scenario.fact(Entry::SignedOut { session: Hash256::of(b"two") });
        assert_eq!(who(&scenario, "two", 0), None);
        scenario.fact(Entry::AccessTokenRevoked { token: Hash256::of(b"a"), reason: String::new() });
        assert_eq!(who(&scenario, "one", 0), None);
        let late = scenario.apply(sign_in("four", Some("a"), 90_000));
        assert!(matches!(late, Answer::Refused(problem) if problem.code == Code::Unauthorized));
    }
}
