//! Who is at the other end: a certificate's host, serial and key, read after TLS has verified it.
//!
//! The one exception is a renewal with an expired certificate, which TLS would refuse: its
//! signature by the authority is verified here, and its end judged by the caller.

use akwatch_proto::agent::{HostId, TrustDomain};
use akwatch_proto::limits;
use akwatch_proto::time::Time;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::authority::Authority;

/// What a host's certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The host.
    pub host: HostId,
    /// The serial number, lower-case hex.
    pub serial: String,
    /// When it ends.
    pub not_after: Time,
    /// The public key: an uncompressed point of P-256.
    key: Vec<u8>,
}

/// Why a certificate names no host of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Not a certificate.
    #[error("the certificate is malformed")]
    Malformed,
    /// Signed by somebody else.
    #[error("the certificate was not issued by this collector's authority")]
    NotOurs,
    /// It has no name of the form `spiffe://<trust domain>/host/<uuid>`, or more than one.
    #[error("the certificate names no host of this trust domain")]
    NoHost,
}

impl PeerCertificate {
    /// Reads a certificate that TLS has verified.
    ///
    /// # Errors
    /// When it names no host of the trust domain.
    pub fn parse(der: &[u8], domain: &TrustDomain) -> Result<PeerCertificate, CertificateFault> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| CertificateFault::Malformed)?;
        PeerCertificate::of(&certificate, domain)
    }

    /// Reads a certificate that may have expired, verifying that the authority signed it.
    ///
    /// # Errors
    /// As [`CertificateFault`] says.
    pub fn parse_expired(
        pem: &str,
        authority: &Authority,
    ) -> Result<PeerCertificate, CertificateFault> {
        if pem.len() > limits::CSR_PEM {
            return Err(CertificateFault::Malformed);
        }
        let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
            .map_err(|_| CertificateFault::Malformed)?;
        let (rest, certificate) =
            X509Certificate::from_der(&block.contents).map_err(|_| CertificateFault::Malformed)?;
        let (_, issuer) =
            X509Certificate::from_der(authority.der()).map_err(|_| CertificateFault::Malformed)?;
        if !rest.is_empty() || certificate.is_ca() {
            return Err(CertificateFault::Malformed);
        }
        // The authority's key is P-256 and signs with SHA-256, always: nothing is negotiated.
        let signed = UnparsedPublicKey::new(
            &ECDSA_P256_SHA256_ASN1,
            issuer.public_key().subject_public_key.data.as_ref(),
        )
        .verify(
            certificate.tbs_certificate.as_ref(),
            &certificate.signature_value.data,
        );
        if signed.is_err() {
            return Err(CertificateFault::NotOurs);
        }
        PeerCertificate::of(&certificate, authority.trust_domain())
    }

    fn of(
        certificate: &X509Certificate<'_>,
        domain: &TrustDomain,
    ) -> Result<PeerCertificate, CertificateFault> {
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| CertificateFault::Malformed)?
            .ok_or(CertificateFault::NoHost)?;
        let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
            return Err(CertificateFault::NoHost);
        };
        let host = uri
            .strip_prefix("spiffe://")
            .and_then(|rest| rest.strip_prefix(domain.as_str()))
            .and_then(|rest| rest.strip_prefix("/host/"))
            .filter(|host| host.len() == 36)
            .and_then(|host| host.parse().ok())
            .ok_or(CertificateFault::NoHost)?;
        let client = certificate
            .extended_key_usage()
            .map_err(|_| CertificateFault::Malformed)?
            .is_some_and(|usage| usage.value.client_auth);
        if !client {
            return Err(CertificateFault::NoHost);
        }
        Ok(PeerCertificate {
            host,
            serial: data_encoding::HEXLOWER.encode(certificate.raw_serial()),
            not_after: Time::from_seconds(certificate.validity().not_after.timestamp()),
            key: certificate.public_key().subject_public_key.data.to_vec(),
        })
    }

    /// Whether the certificate's key made `signature` over `message`.
    #[must_use]
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.key)
            .verify(message, signature)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akwatch_proto::agent::HostId;
    use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ED25519, SanType};

    use crate::pki::authority::{CsrError, DAY_MS, HOST_DAYS};

    const NOW: Time = Time(1_800_000_000_000);
    const HOST: HostId = HostId::from_u128(7);

    fn domain() -> TrustDomain {
        TrustDomain::parse("fleet.example").unwrap()
    }

    fn authority() -> (tempfile::TempDir, Authority) {
        let state = tempfile::tempdir().unwrap();
        let authority = Authority::open(state.path(), domain(), NOW).unwrap();
        (state, authority)
    }

    fn csr(key: &KeyPair) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "root");
        params.subject_alt_names = vec![SanType::URI(
            "spiffe://fleet.example/host/someone-else"
                .to_owned()
                .try_into()
                .unwrap(),
        )];
        params.serialize_request(key).unwrap().pem().unwrap()
    }

    #[test]
    fn a_host_gets_the_name_that_the_collector_gives_and_no_other() {
        let (_state, authority) = authority();
        let key = KeyPair::generate().unwrap();
        let issued = authority.issue_host(&csr(&key), HOST, NOW).unwrap();
        let peer = PeerCertificate::parse_expired(&issued.pem, &authority).unwrap();
        assert_eq!(peer.host, HOST);
        assert_eq!(peer.serial, issued.serial);
        assert_eq!(peer.not_after, NOW.plus(HOST_DAYS * DAY_MS));
        let (_, block) = x509_parser::pem::parse_x509_pem(issued.pem.as_bytes()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&block.contents).unwrap();
        assert_eq!(certificate.subject().iter_common_name().count(), 0);
        assert_eq!(
            PeerCertificate::parse(&block.contents, &domain()).unwrap(),
            peer
        );
        let other = TrustDomain::parse("other.example").unwrap();
        assert_eq!(
            PeerCertificate::parse(&block.contents, &other),
            Err(CertificateFault::NoHost)
        );
        let again = authority.issue_host(&csr(&key), HOST, NOW).unwrap();
        assert_ne!(again.serial, issued.serial);
    }

    #[test]
    fn another_authority_of_the_same_name_is_not_ours() {
        let (_first, ours) = authority();
        let (_second, theirs) = authority();
        let key = KeyPair::generate().unwrap();
        let issued = theirs.issue_host(&csr(&key), HOST, NOW).unwrap();
        assert_eq!(
            PeerCertificate::parse_expired(&issued.pem, &ours),
            Err(CertificateFault::NotOurs)
        );
        assert_eq!(
            PeerCertificate::parse_expired(ours.pem(), &ours),
            Err(CertificateFault::Malformed)
        );
    }

    #[test]
    fn requests_that_are_not_for_a_p256_key_are_refused() {
        let (_state, authority) = authority();
        let refused = |csr: &str| authority.issue_host(csr, HOST, NOW).unwrap_err();
        assert_eq!(refused(""), CsrError::Malformed);
        assert_eq!(refused(&"x".repeat(9000)), CsrError::TooLarge(9000));
        assert_eq!(
            refused(&csr(&KeyPair::generate_for(&PKCS_ED25519).unwrap())),
            CsrError::Algorithm
        );
        let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert_eq!(refused(&csr(&p384)), CsrError::Algorithm);
        let good = csr(&KeyPair::generate().unwrap());
        let other = csr(&KeyPair::generate().unwrap());
        let spliced: String = good
            .lines()
            .zip(other.lines())
            .enumerate()
            .map(|(at, (a, b))| format!("{}\n", if at < 3 { a } else { b }))
            .collect();
        assert_eq!(refused(&spliced), CsrError::Malformed);
    }

    #[test]
    fn the_authority_is_made_once_and_never_replaced() {
        let (state, first) = authority();
        let second = Authority::open(state.path(), domain(), NOW).unwrap();
        assert_eq!((first.pin(), first.pem()), (second.pin(), second.pem()));
        let late = NOW.plus(4000 * DAY_MS);
        assert!(Authority::open(state.path(), domain(), late).is_err());
        std::fs::remove_file(state.path().join("ca.pem")).unwrap();
        let error = Authority::open(state.path(), domain(), NOW).err().unwrap();
        assert!(error.to_string().contains("ca.pem is missing"), "{error}");
    }
}
