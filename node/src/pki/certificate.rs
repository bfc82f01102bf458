//! What a certificate says: which node it names, from when until when.

use rustls::pki_types::CertificateDer;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;
use x509_parser::extensions::GeneralName;

use super::PkiError;

const NAME_BEFORE: &str = "n-";
const NAME_AFTER: &str = ".skein";

/// The name of `node` in its certificate.
#[must_use]
pub fn server_name(node: NodeId) -> String {
    format!("{NAME_BEFORE}{node}{NAME_AFTER}")
}

/// The node that a certificate names. The certificate is believed: whoever asks has verified it.
///
/// # Errors
/// When it does not name exactly one node.
pub fn node_of(certificate: &CertificateDer<'_>) -> Result<NodeId, PkiError> {
    Certificate::read(certificate).map(|certificate| certificate.node)
}

/// What a node's certificate says, for display and for renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The node that it names.
    pub node: NodeId,
    /// Serial number, as hexadecimal bytes with colons between them.
    pub serial: String,
    /// Valid from, milliseconds since 1970.
    pub not_before_millis: u64,
    /// Valid until, milliseconds since 1970.
    pub not_after_millis: u64,
    /// SHA-256 of the whole certificate.
    pub hash: Hash256,
}

impl Certificate {
    /// Reads a node's certificate; it is not verified.
    ///
    /// # Errors
    /// When it is no certificate, or does not name exactly one node.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, PkiError> {
        let refused = |why: String| PkiError::Certificate(why);
        let (_, parsed) =
            x509_parser::parse_x509_certificate(certificate).map_err(|error| refused(error.to_string()))?;
        let names = parsed.subject_alternative_name().map_err(|error| refused(error.to_string()))?;
        let names = names.map_or(&[][..], |names| &names.value.general_names);
        let [GeneralName::DNSName(name)] = names else {
            return Err(refused(format!("it has {} names; a node's has one", names.len())));
        };
        let node = name.strip_prefix(NAME_BEFORE).and_then(|name| name.strip_suffix(NAME_AFTER));
        // Only the form that is written: one node has one name.
        let node = node.and_then(|number| number.parse().ok()).map(NodeId);
        let node = node.filter(|node| server_name(*node) == *name);
        let node = node.ok_or_else(|| refused(format!("{name:?} is not a node's name")))?;
        let millis = |seconds: i64| u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
        Ok(Self {
            node,
            serial: parsed.raw_serial_as_string(),
            not_before_millis: millis(parsed.validity().not_before.timestamp()),
            not_after_millis: millis(parsed.validity().not_after.timestamp()),
            hash: Hash256::of(certificate),
        })
    }
}
