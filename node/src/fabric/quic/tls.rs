//! TLS between nodes: what this node presents, and whom it believes. Both are asked of the [`Identity`] at each
//! handshake, so that exchanged credentials count at once.
//!
//! Sessions are never resumed: a resumed one would skip the check of the certificate, and with it its expiry.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use skein_protocol::hash::Hash256;

use super::limits::ALPN;
use super::world::WallTime;
use crate::pki::{Credentials, Identity, node_of};

/// The configuration of connections that this node accepts.
pub(super) fn server(identity: Arc<Identity>, time: Arc<WallTime>) -> Result<QuicServerConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(PeerVerifier { trust: Trust::Fleet(identity.clone()), provider: provider.clone() });
    let mut config = rustls::ServerConfig::builder_with_details(provider.clone(), time)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(Presenter::new(identity, provider)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    QuicServerConfig::try_from(config).map_err(|error| Error::General(error.to_string()))
}

/// The configuration of connections that this node dials.
pub(super) fn client(identity: Arc<Identity>, time: Arc<WallTime>) -> Result<QuicClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(PeerVerifier { trust: Trust::Fleet(identity.clone()), provider: provider.clone() });
    let config = rustls::ClientConfig::builder_with_details(provider.clone(), time)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(Presenter::new(identity, provider)));
    quic_client(config)
}

/// The configuration of the one connection over which a node joins: it has no certificate, and knows the fleet by
/// the hash of its authority's.
pub(super) fn joining(authority: Hash256, time: Arc<WallTime>) -> Result<QuicClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(PeerVerifier { trust: Trust::Pinned(authority), provider: provider.clone() });
    let config = rustls::ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    quic_client(config)
}

fn quic_client(mut config: rustls::ClientConfig) -> Result<QuicClientConfig, Error> {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(|error| Error::General(error.to_string()))
}

/// Makes sure that credentials can be presented.
pub(super) fn check(credentials: &Credentials) -> Result<(), Error> {
    certified(credentials, &ring::default_provider()).map(|_| ())
}

fn certified(credentials: &Credentials, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    CertifiedKey::from_der(credentials.chain.clone(), credentials.key.clone_key().into(), provider)
}

/// Presents the credentials of the moment.
struct Presenter {
    identity: Arc<Identity>,
    provider: Arc<CryptoProvider>,
    /// What was presented last: reading a key takes longer than looking whether it is still the one.
    prepared: Mutex<Option<(Arc<Credentials>, Arc<CertifiedKey>)>>,
}

impl fmt::Debug for Presenter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presenter").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Presenter {
    fn new(identity: Arc<Identity>, provider: Arc<CryptoProvider>) -> Self {
        Self { identity, provider, prepared: Mutex::new(None) }
    }

    fn present(&self) -> Option<Arc<CertifiedKey>> {
        let present = self.identity.present()?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((credentials, key)) = &*prepared
            && Arc::ptr_eq(credentials, &present)
        {
            return Some(key.clone());
        }
        match certified(&present, &self.provider) {
            Ok(key) => {
                let key = Arc::new(key);
                *prepared = Some((present, key.clone()));
                Some(key)
            }
            Err(error) => {
                tracing::error!(%error, "this node's credentials cannot be presented");
                None
            }
        }
    }
}

impl ResolvesServerCert for Presenter {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.present()
    }
}

impl ResolvesClientCert for Presenter {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.present()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Whose signature makes a peer one of the fleet.
#[derive(Debug)]
enum Trust {
    /// The authorities of this node's credentials.
    Fleet(Arc<Identity>),
    /// The authority whose certificate has this hash; the peer sends it along.
    Pinned(Hash256),
}

/// Believes a peer whose certificate names a node and is signed by the fleet's authority.
#[derive(Debug)]
struct PeerVerifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl PeerVerifier {
    fn verify(&self, leaf: &CertificateDer<'_>, between: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        match &self.trust {
            Trust::Fleet(identity) => {
                let present = identity.present().ok_or(Error::NoCertificatesPresented)?;
                for authority in &present.authorities {
                    roots.add(authority.clone())?;
                }
            }
            Trust::Pinned(hash) => {
                let pinned = between.iter().find(|certificate| Hash256::of(certificate) == *hash);
                roots.add(pinned.ok_or(CertificateError::UnknownIssuer)?.clone().into_owned())?;
            }
        }
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        rustls::client::verify_server_cert_signed_by_trust_anchor(&parsed, &roots, between, now, algorithms)?;
        node_of(leaf).map_err(|_| CertificateError::ApplicationVerificationFailure)?;
        Ok(())
    }
}

/// What both sides of a handshake check of signatures: everything that the provider does. rustls asks each of its two traits
/// for it.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    };
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    signatures!();
}

impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        // A node that joins has none yet; what it may ask is decided by who reads its streams.
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    signatures!();
}
