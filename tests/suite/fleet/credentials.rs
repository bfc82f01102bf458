//! Join tokens that are wrong, expired, revoked or used: the node is refused, and says so.

use std::time::{Duration, Instant};

use skein_tests::{Program, until};

use crate::support::{Fleet, Lake, Node, Options, Scratch};

/// A token of one second is of no use after this.
const EXPIRED: Duration = Duration::from_millis(1500);

/// A node that tries to join with `token`: its exit code and what it said.
fn refused(fleet: &Fleet, scratch: &Scratch, name: &str, token: &str) -> (Option<i32>, String) {
    let (config, address) = (fleet.config(0), fleet.endpoint());
    let mut node = Node::spawn(scratch.path(), name, &config, Some((&address, token)));
    let code = node.ended();
    (code, node.log())
}

#[test]
fn a_join_token_works_once_and_only_while_it_is_valid() {
    let scratch = Scratch::new("credentials");
    let lake = Lake::new(scratch.path());
    let mut fleet = Fleet::start(scratch.path(), 1, Options::new(Program::Node, 1, lake.connections()));
    let members = |fleet: &Fleet| fleet.client().fleet()["nodes"].as_array().expect("a list").len();

    let good = fleet.join_token(&[]);
    let (head, authority) = good.rsplit_once('.').expect("a token has three parts");
    let (kind, secret) = head.rsplit_once('.').expect("a token has three parts");
    let flip = |text: &str| text.chars().map(|c| if c == '0' { '1' } else { '0' }).collect::<String>();
    let wrong = [
        ("wrong-secret", format!("{kind}.{}.{authority}", flip(secret)), "JOIN"),
        ("wrong-authority", format!("{kind}.{secret}.{}", flip(authority)), "does not belong"),
        ("no-token", "skein-join.42".to_owned(), "token"),
    ];
    for (name, token, word) in wrong {
        let (code, said) = refused(&fleet, &scratch, name, &token);
        assert_eq!(code, Some(1), "{name}: {said}");
        assert!(said.contains("error:") && said.contains(word), "{name} says why: {said}");
        assert!(!said.contains(secret), "{name}: a secret is never logged");
    }
    assert_eq!(members(&fleet), 1, "nobody was admitted");

    let (short, made) = (fleet.join_token(&["--valid", "1s"]), Instant::now());
    until("the token has expired", || (made.elapsed() > EXPIRED).then_some(()));
    let (code, said) = refused(&fleet, &scratch, "too-late", &short);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("expired"), "{said}");

    let revoked = fleet.join_token(&[]);
    let node = &fleet.nodes[0];
    node.cli().run(&["fleet", "revoke", &revoked]).ended_with(0);
    let (code, said) = refused(&fleet, &scratch, "revoked", &revoked);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("revoked"), "{said}");

    fleet.grow(1);
    let (config, address) = (fleet.config(0), fleet.endpoint());
    let joined = Node::start(scratch.path(), "joins", &config, Some((&address, &good)));
    assert_eq!(members(&fleet), 3);
    let (code, said) = refused(&fleet, &scratch, "again", &good);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("used"), "{said}");
    assert_eq!(members(&fleet), 3, "nobody else was admitted");
    drop(joined);
}
