//! The fleet's authority: one key that signs the certificates of all nodes.

use std::fmt;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;
use skein_protocol::peer::{MAX_CSR_BYTES, Signed};

use super::certificate::server_name;
use super::{AUTHORITY, AUTHORITY_KEY, PkiError};
use crate::env::{Entropy, FileMode, NodeFiles};

/// So long a node's certificate is valid; it is renewed when a third of that is left.
pub const NODE_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// So long the authority's own certificate is valid: longer than any fleet is kept without being rebuilt.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Certificates are valid from a little earlier on, for clocks of other machines that are behind.
const CLOCK_SKEW: Duration = Duration::from_secs(600);
/// A serial number has at most 20 bytes; 16 random ones are never given twice.
const SERIAL_BYTES: usize = 16;

/// The authority with its key.
pub struct Authority {
    /// Its certificate, PEM.
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("hash", &self.hash()).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a new one, valid from `now_millis` on, and writes its node files: from then on this node can sign.
    ///
    /// # Errors
    /// When no key can be made, the files cannot be written, or there is an authority already.
    pub fn create(files: &dyn NodeFiles, entropy: &dyn Entropy, now_millis: u64) -> Result<Self, PkiError> {
        for name in [AUTHORITY, AUTHORITY_KEY] {
            if files.exists(name).map_err(|source| PkiError::File { name, source })? {
                return Err(PkiError::Damaged {
                    name,
                    why: "it is there already; a fleet has one authority".to_owned(),
                });
            }
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::making)?;
        let serial = serial(entropy);
        let mut params = CertificateParams::default();
        let name = format!("Skein fleet {}", &Hash256::of(&serial).to_string()[..8]);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now_millis, AUTHORITY_LIFETIME);
        let pem = params.self_signed(&key).map_err(PkiError::making)?.pem();
        // The key last: with it the authority is there.
        let write = |name, bytes: &str, mode| {
            files.write(name, bytes.as_bytes(), mode).map_err(|source| PkiError::File { name, source })
        };
        write(AUTHORITY, &pem, FileMode::Shared)?;
        write(AUTHORITY_KEY, &key.serialize_pem(), FileMode::Secret)?;
        Self::of(pem, key)
    }

    /// Reads the authority's files; None: this node has not its key.
    ///
    /// # Errors
    /// When they cannot be read, or do not belong together.
    pub fn load(files: &dyn NodeFiles) -> Result<Option<Self>, PkiError> {
        let read = |name| files.read(name).map_err(|source| PkiError::File { name, source });
        let Some(key) = read(AUTHORITY_KEY)? else {
            return Ok(None);
        };
        let damaged = |name, why: String| PkiError::Damaged { name, why };
        let missing = || damaged(AUTHORITY, "it is missing, and its key is there".to_owned());
        let pem = text(AUTHORITY, read(AUTHORITY)?.ok_or_else(missing)?)?;
        let key =
            KeyPair::from_pem(&text(AUTHORITY_KEY, key)?).map_err(|error| damaged(AUTHORITY_KEY, error.to_string()))?;
        Self::of(pem, key).map(Some)
    }

    fn of(pem: String, key: KeyPair) -> Result<Self, PkiError> {
        let damaged = |why: String| PkiError::Damaged { name: AUTHORITY, why };
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| damaged(error.to_string()))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|error| damaged(error.to_string()))?;
        if *parsed.public_key().subject_public_key.data != *rcgen::PublicKeyData::der_bytes(&key) {
            return Err(damaged("it is not the certificate of the key in ca.key".to_owned()));
        }
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|error| damaged(error.to_string()))?;
        Ok(Self { pem, der, issuer })
    }

    /// Its certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The hash of its certificate: what join tokens pin.
    #[must_use]
    pub fn hash(&self) -> Hash256 {
        Hash256::of(&self.der)
    }

    /// Signs a certificate for `node`. Of the request (PKCS #10, DER) only the public key is taken, after the
    /// signature has proved that its sender holds the private one: what the certificate says is decided here.
    ///
    /// # Errors
    /// When the request is not one, or signing fails.
    pub fn sign(&self, csr: &[u8], node: NodeId, entropy: &dyn Entropy, now_millis: u64) -> Result<Signed, PkiError> {
        if csr.len() > MAX_CSR_BYTES {
            return Err(PkiError::Request(format!("{} bytes are more than {MAX_CSR_BYTES}", csr.len())));
        }
        let request = CertificateSigningRequestParams::from_der(&csr.into())
            .map_err(|error| PkiError::Request(error.to_string()))?;
        let mut params = CertificateParams::new(vec![server_name(node)]).map_err(PkiError::making)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Skein node {node}"));
        params.serial_number = Some(SerialNumber::from_slice(&serial(entropy)));
        params.use_authority_key_identifier_extension = true;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        set_validity(&mut params, now_millis, NODE_LIFETIME);
        let signed = params.signed_by(&request.public_key, &self.issuer).map_err(PkiError::making)?;
        Ok(Signed { chain: format!("{}{}", signed.pem(), self.pem), ca: self.pem.clone() })
    }
}

fn serial(entropy: &dyn Entropy) -> [u8; SERIAL_BYTES] {
    let mut bytes = [0; SERIAL_BYTES];
    entropy.fill(&mut bytes);
    // A serial number is positive, and its encoding has no leading zero.
    bytes[0] = bytes[0] & 0x3f | 0x40;
    bytes
}

fn set_validity(params: &mut CertificateParams, now_millis: u64, lifetime: Duration) {
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(now_millis);
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + lifetime;
}

/// A node file that must be text.
pub(super) fn text(name: &'static str, bytes: Vec<u8>) -> Result<String, PkiError> {
    String::from_utf8(bytes).map_err(|_| PkiError::Damaged { name, why: "it is not text".to_owned() })
}
