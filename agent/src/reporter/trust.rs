//! Whom the agent believes to be its collector.
//!
//! One verifier for three occasions. *Known authorities*: after enrollment. *A pin*: at enrollment,
//! when only the SHA-256 of the authority's key is known; the authority itself must come with the
//! handshake, and the whole chain is then verified against it and nothing else. *Any time*: known
//! authorities, but a certificate that has ended or not begun counts, for the one question that a
//! host with a wrong clock must ask: what time it is.
//!
//! Whatever is refused, the issuer that was seen is noted: it is what a person needs to know when
//! something sits between the host and its collector.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use akwatch_proto::text;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::clock::Clock;
use crate::identity::Identity;

/// Bytes of an issuer's name that are shown.
const ISSUER: usize = 200;

/// The provider of all cryptography in TLS.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The issuer of the last certificate that was refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Option<String>>>);

impl Seen {
    pub(crate) fn issuer(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, end_entity: &CertificateDer<'_>) {
        let issuer = X509Certificate::from_der(end_entity).map_or_else(
            |_| "no readable certificate".to_owned(),
            |(_, certificate)| certificate.issuer().to_string(),
        );
        let issuer = text::cut(&text::escape(issuer.as_bytes()), ISSUER);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(issuer);
    }
}

/// What a collector's certificate must descend from.
#[derive(Clone, Debug)]
pub(crate) enum Roots {
    /// These authorities.
    Known(Vec<CertificateDer<'static>>),
    /// The authority with this SHA-256 of its public key (SPKI).
    Pinned([u8; 32]),
}

/// TLS with the host's certificate.
///
/// # Errors
/// When certificate and key do not serve for TLS.
pub(crate) fn as_host(
    identity: &Identity,
    clock: &Arc<Clock>,
    seen: &Seen,
) -> Result<ClientConfig, rustls::Error> {
    let roots = Roots::Known(identity.authorities.clone());
    let mut config = builder(clock, Verifier::new(roots, false, seen))?
        .with_client_auth_cert(identity.chain(), identity.key())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// TLS as nobody in particular; `any_time` forgives a collector's certificate its dates.
///
/// # Errors
/// Never with the built-in provider.
pub(crate) fn as_anybody(
    roots: Roots,
    any_time: bool,
    clock: &Arc<Clock>,
    seen: &Seen,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = builder(clock, Verifier::new(roots, any_time, seen))?.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn builder(
    clock: &Arc<Clock>,
    verifier: Verifier,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, rustls::Error> {
    let clock: Arc<Clock> = Arc::clone(clock);
    let config = ClientConfig::builder_with_details(provider(), clock)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(config)
}

#[derive(Debug)]
struct Verifier {
    roots: Roots,
    any_time: bool,
    seen: Seen,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(roots: Roots, any_time: bool, seen: &Seen) -> Verifier {
        Verifier {
            roots,
            any_time,
            seen: seen.clone(),
            provider: provider(),
        }
    }

    /// The authorities to verify against; a pinned one is taken from the handshake.
    fn anchors(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<RootCertStore, rustls::Error> {
        let mut store = RootCertStore::empty();
        match &self.roots {
            Roots::Known(authorities) => {
                store.add_parsable_certificates(authorities.iter().cloned());
            }
            Roots::Pinned(pin) => {
                let chain = std::iter::once(end_entity).chain(intermediates);
                for authority in chain.filter(|certificate| is_pinned(certificate, pin)) {
                    store.add(authority.clone().into_owned())?;
                }
            }
        }
        if store.is_empty() {
            return Err(CertificateError::UnknownIssuer.into());
        }
        Ok(store)
    }
}

/// Whether a certificate is an authority's with the pinned key.
fn is_pinned(certificate: &CertificateDer<'_>, pin: &[u8; 32]) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, certificate)| {
        let digest: [u8; 32] = Sha256::digest(certificate.public_key().raw).into();
        certificate.is_ca() && digest == *pin
    })
}

/// A moment at which the certificate holds, as near to `now` as can be.
fn within_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> UnixTime {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return now;
    };
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    let from = seconds(certificate.validity().not_before.timestamp());
    let to = seconds(certificate.validity().not_after.timestamp());
    let moment = now.as_secs().max(from).min(to.max(from));
    UnixTime::since_unix_epoch(Duration::from_secs(moment))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let now = if self.any_time {
            within_validity(end_entity, now)
        } else {
            now
        };
        let verified = self.anchors(end_entity, intermediates).and_then(|store| {
            WebPkiServerVerifier::builder_with_provider(store.into(), Arc::clone(&self.provider))
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        });
        if verified.is_err() {
            self.seen.note(end_entity);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
