//! The node files of a node's credentials: loaded at its start, replaced at each renewal.
//!
//! A crash at any moment leaves a certificate with its key: the key file holds the next key before the present one
//! until the next certificate is in place, and loading takes the key that fits the certificate.

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use skein_protocol::ids::NodeId;
use skein_protocol::peer::Signed;

use super::authority::text;
use super::{Certificate, Credentials, NodeKey, PkiError};
use crate::env::{FileMode, NodeFiles};

/// The authority's certificate, or several while it is replaced; the first one signs.
pub const AUTHORITY: &str = "ca.pem";
/// The authority's key; only on nodes that sign.
pub const AUTHORITY_KEY: &str = "ca.key";
/// This node's certificate and those between it and the authority.
pub const NODE: &str = "node.pem";
/// The key of this node's certificate; before it, perhaps, that of its next.
pub const NODE_KEY: &str = "node.key";
/// Keys that are kept: the next and the present one.
const KEPT_KEYS: usize = 2;

/// Reads the node's credentials; None: it has no certificate yet.
///
/// # Errors
/// When files cannot be read, or do not belong together.
pub fn load(files: &dyn NodeFiles) -> Result<Option<Credentials>, PkiError> {
    let (Some(authority), Some(chain)) = (read(files, AUTHORITY)?, read(files, NODE)?) else {
        return Ok(None);
    };
    let authorities = certificates(AUTHORITY, &authority)?;
    let chain = certificates(NODE, &chain)?;
    let keys = read(files, NODE_KEY)?.unwrap_or_default();
    let key = key_of(&chain, &keys)?;
    Ok(Some(Credentials { authorities, chain, key }))
}

/// Makes the key of the node's next certificate and keeps it beside the present one. Ask for the certificate with
/// its request, then [`install`] the answer.
///
/// # Errors
/// When no key can be made, or the file cannot be written.
pub fn prepare_key(files: &dyn NodeFiles) -> Result<NodeKey, PkiError> {
    let key = NodeKey::generate()?;
    let kept = match (read(files, NODE)?, read(files, NODE_KEY)?) {
        (Some(chain), Some(keys)) => pem_of(&key_of(&certificates(NODE, &chain)?, &keys)?)?,
        _ => String::new(),
    };
    write(files, NODE_KEY, &format!("{}{kept}", key.pem()), FileMode::Secret)?;
    Ok(key)
}

/// Takes a certificate into use: it must name `node`, belong to a key that was prepared, and be signed by the
/// authority that comes with it. `now_millis` is milliseconds since 1970.
///
/// # Errors
/// When it is none of that, or files cannot be written; then the earlier credentials stay.
pub fn install(files: &dyn NodeFiles, signed: &Signed, node: NodeId, now_millis: u64) -> Result<Credentials, PkiError> {
    let authorities = certificates(AUTHORITY, &signed.ca)?;
    let chain = certificates(NODE, &signed.chain)?;
    let keys = read(files, NODE_KEY)?.unwrap_or_default();
    let key = key_of(&chain, &keys)?;
    let named = Certificate::read(&chain[0])?.node;
    if named != node {
        return Err(PkiError::Certificate(format!("it names node {named}; this is node {node}")));
    }
    verify(&chain, &authorities, now_millis)?;
    write(files, AUTHORITY, &signed.ca, FileMode::Shared)?;
    write(files, NODE, &signed.chain, FileMode::Shared)?;
    write(files, NODE_KEY, &pem_of(&key)?, FileMode::Secret)?;
    Ok(Credentials { authorities, chain, key })
}

/// Checks that `chain` leads from one of `authorities` to its first certificate, at `now_millis`.
pub(crate) fn verify(
    chain: &[CertificateDer<'static>],
    authorities: &[CertificateDer<'static>],
    now_millis: u64,
) -> Result<(), PkiError> {
    let refused = |why: rustls::Error| PkiError::Certificate(why.to_string());
    let mut roots = rustls::RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(refused)?;
    }
    let [leaf, between @ ..] = chain else {
        return Err(PkiError::Certificate("the chain is empty".to_owned()));
    };
    let leaf = rustls::server::ParsedCertificate::try_from(leaf).map_err(refused)?;
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_millis(now_millis));
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    rustls::client::verify_server_cert_signed_by_trust_anchor(&leaf, &roots, between, now, algorithms).map_err(refused)
}

/// The one of the keys in `keys` (PEM) that belongs to the first certificate of `chain`.
fn key_of(chain: &[CertificateDer<'static>], keys: &str) -> Result<PrivatePkcs8KeyDer<'static>, PkiError> {
    let provider = ring::default_provider();
    for key in PrivatePkcs8KeyDer::pem_slice_iter(keys.as_bytes()).take(KEPT_KEYS) {
        let key = key.map_err(|error| PkiError::Damaged { name: NODE_KEY, why: error.to_string() })?;
        let fits = rustls::sign::CertifiedKey::from_der(chain.to_vec(), key.clone_key().into(), &provider);
        if fits.is_ok() {
            return Ok(key);
        }
    }
    Err(PkiError::Damaged { name: NODE_KEY, why: "none of its keys belongs to the node's certificate".to_owned() })
}

fn pem_of(key: &PrivatePkcs8KeyDer<'_>) -> Result<String, PkiError> {
    // The one encoder of PEM at hand is that of key pairs.
    rcgen::KeyPair::try_from(key).map(|pair| pair.serialize_pem()).map_err(PkiError::making)
}

fn certificates(name: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let damaged = |why: String| PkiError::Damaged { name, why };
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = read.map_err(|error| damaged(error.to_string()))?;
    if certificates.is_empty() { Err(damaged("it holds no certificate".to_owned())) } else { Ok(certificates) }
}

fn read(files: &dyn NodeFiles, name: &'static str) -> Result<Option<String>, PkiError> {
    let bytes = files.read(name).map_err(|source| PkiError::File { name, source })?;
    bytes.map(|bytes| text(name, bytes)).transpose()
}

fn write(files: &dyn NodeFiles, name: &'static str, content: &str, mode: FileMode) -> Result<(), PkiError> {
    files.write(name, content.as_bytes(), mode).map_err(|source| PkiError::File { name, source })
}
