//! Authorities, certificates, tokens, and the node files that hold them.

use std::time::Duration;

use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;

use super::*;
use crate::env::memory::{MemoryHost, NoDataPlane};
use crate::env::{Env, FileMode};

const NOW: u64 = 1_800_000_000_000;
const NODE_NO: NodeId = NodeId(0xff_ffff_ffff);

fn env(seed: u64) -> Env {
    MemoryHost::new(seed).env(std::sync::Arc::new(NoDataPlane))
}

/// The files of a fleet's first node: it signs its own certificate.
fn founded(seed: u64) -> (Env, Authority, Credentials) {
    let env = env(seed);
    let authority = Authority::create(&*env.files, &*env.entropy, NOW).unwrap();
    let request = prepare_key(&*env.files).unwrap().request().unwrap();
    let signed = authority.sign(&request, NODE_NO, &*env.entropy, NOW).unwrap();
    let credentials = install(&*env.files, &signed, NODE_NO, NOW).unwrap();
    (env, authority, credentials)
}

#[test]
fn a_certificate_names_its_node_and_lives_ninety_days() {
    let (_, _, credentials) = founded(1);
    let certificate = credentials.certificate().unwrap();
    assert_eq!(certificate.node, NODE_NO);
    assert_eq!(certificate.not_after_millis, NOW + 90 * 24 * 3_600_000);
    assert!(certificate.not_before_millis < NOW);
    assert_eq!(certificate.serial.len(), 16 * 3 - 1, "{}", certificate.serial);
    assert_eq!(node_of(&credentials.chain[0]).unwrap(), NODE_NO);
    assert!(node_of(&credentials.authorities[0]).is_err(), "an authority is no node");
}

#[test]
fn what_was_installed_is_loaded_again() {
    let (env, authority, credentials) = founded(2);
    let loaded = load(&*env.files).unwrap().unwrap();
    assert_eq!(loaded.chain, credentials.chain);
    assert_eq!(loaded.key, credentials.key);
    assert_eq!(Hash256::of(&loaded.authorities[0]), authority.hash());
    assert_eq!(Authority::load(&*env.files).unwrap().unwrap().hash(), authority.hash());
    assert!(load(&*self::env(3).files).unwrap().is_none());
    assert!(Authority::load(&*self::env(3).files).unwrap().is_none());
    assert!(Authority::create(&*env.files, &*env.entropy, NOW).is_err(), "a fleet has one authority");
}

#[test]
fn a_renewal_changes_the_key_and_can_be_broken_off_at_any_step() {
    let (env, authority, before) = founded(4);
    let key = prepare_key(&*env.files).unwrap();
    let between = load(&*env.files).unwrap().unwrap();
    assert_eq!(between.key, before.key, "the next key waits for its certificate");
    let later = NOW + 1000;
    let signed = authority.sign(&key.request().unwrap(), NODE_NO, &*env.entropy, later).unwrap();
    // The certificate is in place, the key file was not tidied up: as after a crash.
    env.files.write(NODE, signed.chain.as_bytes(), FileMode::Shared).unwrap();
    let after = load(&*env.files).unwrap().unwrap();
    assert_ne!(after.key, before.key);
    assert_eq!(install(&*env.files, &signed, NODE_NO, later).unwrap().key, after.key);
    assert_eq!(load(&*env.files).unwrap().unwrap().key, after.key);
    assert_ne!(after.certificate().unwrap().serial, before.certificate().unwrap().serial);
}

#[test]
fn a_certificate_that_is_not_ours_is_not_installed() {
    let (env, authority, _) = founded(5);
    let key = prepare_key(&*env.files).unwrap();
    let request = key.request().unwrap();
    let refused = |signed: &skein_protocol::peer::Signed, now| {
        install(&*env.files, signed, NODE_NO, now).unwrap_err().to_string()
    };
    let other_node = authority.sign(&request, NodeId(7), &*env.entropy, NOW).unwrap();
    assert!(refused(&other_node, NOW).contains("names node 7"));
    let other_key = NodeKey::generate().unwrap().request().unwrap();
    let other_key = authority.sign(&other_key, NODE_NO, &*env.entropy, NOW).unwrap();
    assert!(refused(&other_key, NOW).contains("none of its keys"));
    let signed = authority.sign(&request, NODE_NO, &*env.entropy, NOW).unwrap();
    let years = NOW + 365 * 24 * 3_600_000;
    assert!(refused(&signed, years).contains("xpired"));
    let (_, stranger, _) = founded(6);
    let mixed = skein_protocol::peer::Signed { ca: stranger.pem().to_owned(), ..signed.clone() };
    assert!(refused(&mixed, NOW).contains("UnknownIssuer"));
    install(&*env.files, &signed, NODE_NO, NOW).unwrap();
}

#[test]
fn requests_that_prove_nothing_are_refused() {
    let (env, authority, _) = founded(7);
    let mut request = NodeKey::generate().unwrap().request().unwrap();
    assert!(authority.sign(&[], NODE_NO, &*env.entropy, NOW).is_err());
    assert!(authority.sign(&vec![0; 1 << 20], NODE_NO, &*env.entropy, NOW).is_err());
    let last = request.len() - 1;
    request[last] ^= 1;
    let forged = authority.sign(&request, NODE_NO, &*env.entropy, NOW);
    assert!(matches!(forged, Err(PkiError::Request(_))), "the signature must prove that the key is held");
}

#[test]
fn renewal_is_due_when_a_third_is_left() {
    let (from, to) = (1_000, 91_000);
    assert_eq!(renewal(from, to, 1_000), Renewal::NotBefore(61_000));
    assert_eq!(renewal(from, to, 60_999), Renewal::NotBefore(61_000));
    assert_eq!(renewal(from, to, 61_000), Renewal::Due);
    assert_eq!(renewal(from, to, 91_000), Renewal::Due);
    assert_eq!(renewal(from, to, 91_001), Renewal::Expired);
    assert_eq!(renewal(5, 3, 3), Renewal::Due, "a certificate that was never valid is no reason to panic");
}

#[test]
fn a_token_survives_its_text_and_hides_its_secret() {
    let env = env(8);
    let token = JoinToken::generate(&*env.entropy, Hash256::of(b"authority"));
    let text = token.text();
    assert_eq!(text.parse::<JoinToken>().unwrap(), token);
    assert_eq!(format!(" {text}\n").parse::<JoinToken>().unwrap(), token);
    assert!(!format!("{token:?}").contains(&Hash256(token.secret.0).to_string()));
    let cut = &text[..text.len() - 1];
    for broken in ["", "skein-join", cut, &format!("{text}.x"), &text.replace("join", "leave")] {
        let refused = broken.parse::<JoinToken>().unwrap_err().to_string();
        assert!(!refused.contains(&Hash256(token.secret.0).to_string()), "{refused}");
    }
}

#[test]
fn a_lifetime_is_the_one_that_is_promised() {
    assert_eq!(NODE_LIFETIME, Duration::from_secs(7_776_000));
}
