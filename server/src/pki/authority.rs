//! The authority: made once, then the only signer of this collector's certificates.
//!
//! Times are the caller's, so that a test can issue an expired certificate without changing a clock.

use std::path::{Path, PathBuf};
use std::time::Duration;

use akwatch_proto::agent::{HostId, TrustDomain};
use akwatch_proto::limits;
use akwatch_proto::time::Time;
use rcgen::PublicKeyData as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::files::{self, FileError};

/// Days that the authority's own certificate holds.
const AUTHORITY_DAYS: i64 = 3650;
/// Days that a host's certificate holds; agents renew at half of it.
pub const HOST_DAYS: i64 = 7;
/// Days that a listener's certificate holds; it is replaced at half of it.
pub const SERVER_DAYS: i64 = 90;
/// Days after its end during which a host may still renew with its old certificate.
pub const LATE_DAYS: i64 = 30;
/// How far before now a certificate begins, so that a host whose clock is behind can use it.
const BACKDATED_MS: i64 = 5 * 60 * 1000;
/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Why there is no usable authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// One of its two files.
    #[error(transparent)]
    File(#[from] FileError),
    /// One of the two files is there without the other.
    #[error(
        "{} is missing although {} is there. Restore it from the backup that holds both, or remove \
         both to make a new authority, after which every host must be enrolled again",
        missing.display(), present.display()
    )]
    Half {
        /// What is missing.
        missing: PathBuf,
        /// What is there.
        present: PathBuf,
    },
    /// A file that is not what its name says.
    #[error("{} is not a usable {what}: restore it from a backup", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The certificate has ended.
    #[error(
        "the authority's certificate {} has ended: move it and its key away to make a new one, \
         after which every host must be enrolled again", path.display()
    )]
    Ended {
        /// Which file.
        path: PathBuf,
    },
    /// Making or signing failed.
    #[error("cannot {step}")]
    Sign {
        /// What was being made.
        step: &'static str,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
}

/// Why a certificate request was refused. Always the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Longer than [`limits::CSR_PEM`].
    #[error("the certificate request has {0} bytes, more than {max}", max = limits::CSR_PEM)]
    TooLarge(usize),
    /// Not a request, or not signed by the key in it.
    #[error("the certificate request is malformed or not signed by its own key")]
    Malformed,
    /// Another key than ECDSA on P-256.
    #[error("the certificate request is not for an ECDSA P-256 key")]
    Algorithm,
}

/// A certificate that was issued to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCertificate {
    /// The certificate, PEM.
    pub pem: String,
    /// Its serial number, lower-case hex without leading zeros.
    pub serial: String,
    /// SHA-256 of the key that it is for (its `SubjectPublicKeyInfo`).
    pub key: [u8; 32],
    /// When it ends.
    pub not_after: Time,
}

/// The built-in authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
    pin: [u8; 32],
    trust_domain: TrustDomain,
}

impl Authority {
    /// Opens the authority of a state directory, or makes it when neither file is there.
    ///
    /// # Errors
    /// As [`AuthorityError`] says. A damaged authority is never replaced silently: every host would
    /// be locked out.
    pub fn open(
        state: &Path,
        trust_domain: TrustDomain,
        now: Time,
    ) -> Result<Authority, AuthorityError> {
        let key_path = state.join("ca.key");
        let pem_path = state.join("ca.pem");
        let _lock = files::lock(state)?;
        match (files::read_key(&key_path)?, files::read_public(&pem_path)?) {
            (None, None) => {
                let (key, pem) = create(now)?;
                files::write_atomic(&key_path, key.as_bytes(), 0o600)?;
                files::write_atomic(&pem_path, pem.as_bytes(), 0o644)?;
                Authority::load(&key, &pem, &key_path, &pem_path, trust_domain, now)
            }
            (Some(key), Some(pem)) => {
                let unusable = |path: &Path, what| AuthorityError::Unusable {
                    path: path.to_owned(),
                    what,
                };
                let key = std::str::from_utf8(&key).map_err(|_| unusable(&key_path, "key"))?;
                let pem =
                    std::str::from_utf8(&pem).map_err(|_| unusable(&pem_path, "certificate"))?;
                Authority::load(key, pem, &key_path, &pem_path, trust_domain, now)
            }
            (Some(_), None) => Err(AuthorityError::Half {
                missing: pem_path,
                present: key_path,
            }),
            (None, Some(_)) => Err(AuthorityError::Half {
                missing: key_path,
                present: pem_path,
            }),
        }
    }

    fn load(
        key: &str,
        pem: &str,
        key_path: &Path,
        pem_path: &Path,
        trust_domain: TrustDomain,
        now: Time,
    ) -> Result<Authority, AuthorityError> {
        let unusable = |path: &Path, what| AuthorityError::Unusable {
            path: path.to_owned(),
            what,
        };
        let key = KeyPair::from_pem(key).map_err(|_| unusable(key_path, "key"))?;
        let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
            .map_err(|_| unusable(pem_path, "certificate"))?;
        let der = CertificateDer::from(block.contents);
        let (spki, ends) = {
            let (_, certificate) =
                X509Certificate::from_der(&der).map_err(|_| unusable(pem_path, "certificate"))?;
            let public = certificate.public_key();
            if public.subject_public_key.data.as_ref() != key.public_key_raw() {
                return Err(unusable(pem_path, "certificate of the key beside it"));
            }
            (
                public.raw.to_vec(),
                certificate.validity().not_after.timestamp(),
            )
        };
        if ends <= now.seconds() {
            return Err(AuthorityError::Ended {
                path: pem_path.to_owned(),
            });
        }
        let issuer = Issuer::from_ca_cert_der(&der, key)
            .map_err(|_| unusable(pem_path, "authority's certificate"))?;
        Ok(Authority {
            issuer,
            pem: pem.to_owned(),
            der,
            pin: Sha256::digest(&spki).into(),
            trust_domain,
        })
    }

    /// SHA-256 over the authority's public key (SPKI), which the bootstrap string carries.
    #[must_use]
    pub fn pin(&self) -> [u8; 32] {
        self.pin
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The authority's certificate.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The trust domain of every name that it signs.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Issues a host's certificate for the key of a request. Names, usages and every other wish in
    /// the request are thrown away.
    ///
    /// # Errors
    /// As [`CsrError`] says.
    pub fn issue_host(
        &self,
        csr: &str,
        host: HostId,
        now: Time,
    ) -> Result<HostCertificate, CsrError> {
        let key = requested_key(csr)?;
        let name = format!("spiffe://{}/host/{host}", self.trust_domain);
        let not_after = now.plus(HOST_DAYS * DAY_MS);
        let (mut params, serial) = leaf(now, not_after);
        let hash = Sha256::digest(key.subject_public_key_info()).into();
        params.subject_alt_names = vec![SanType::URI(
            name.try_into().map_err(|_| CsrError::Malformed)?,
        )];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|_| CsrError::Malformed)?;
        Ok(HostCertificate {
            pem: certificate.pem(),
            serial,
            key: hash,
            not_after: Time::from_seconds(not_after.seconds()),
        })
    }

    /// Issues a certificate for a listener with a fresh key that stays in memory.
    ///
    /// # Errors
    /// When signing fails.
    pub fn issue_server(
        &self,
        names: &[SanType],
        now: Time,
    ) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>, Time), AuthorityError> {
        let failed = |source| AuthorityError::Sign {
            step: "issue a listener's certificate",
            source,
        };
        let key = KeyPair::generate().map_err(failed)?;
        let not_after = now.plus(SERVER_DAYS * DAY_MS);
        let (mut params, _) = leaf(now, not_after);
        params.subject_alt_names = names.to_vec();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params
            .distinguished_name
            .push(DnType::CommonName, "akwatch collector");
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((certificate.der().clone(), private, not_after))
    }
}

/// The key that a request proves to hold.
fn requested_key(csr: &str) -> Result<rcgen::PublicKey, CsrError> {
    if csr.len() > limits::CSR_PEM {
        return Err(CsrError::TooLarge(csr.len()));
    }
    let request =
        CertificateSigningRequestParams::from_pem(csr).map_err(|_| CsrError::Malformed)?;
    // The key's own algorithm is checked, not only that of the signature over the request.
    let (_, block) =
        x509_parser::pem::parse_x509_pem(csr.as_bytes()).map_err(|_| CsrError::Malformed)?;
    let (_, parsed) =
        x509_parser::certification_request::X509CertificationRequest::from_der(&block.contents)
            .map_err(|_| CsrError::Malformed)?;
    let algorithm = &parsed.certification_request_info.subject_pki.algorithm;
    let curve = algorithm
        .parameters
        .as_ref()
        .and_then(|any| any.as_oid().ok());
    let p256 = algorithm.algorithm == x509_parser::oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY
        && curve == Some(x509_parser::oid_registry::OID_EC_P256);
    let signed = request.public_key.algorithm() == &rcgen::PKCS_ECDSA_P256_SHA256;
    if p256 && signed {
        Ok(request.public_key)
    } else {
        Err(CsrError::Algorithm)
    }
}

fn create(now: Time) -> Result<(zeroize::Zeroizing<String>, String), AuthorityError> {
    let failed = |source| AuthorityError::Sign {
        step: "make the authority",
        source,
    };
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::default();
    let mut tail = [0; 4];
    random(&mut tail);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(
        DnType::CommonName,
        format!(
            "akwatch authority {}",
            data_encoding::HEXLOWER.encode(&tail)
        ),
    );
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.serial_number, _) = serial();
    valid(
        &mut params,
        now.plus(-BACKDATED_MS),
        now.plus(AUTHORITY_DAYS * DAY_MS),
    );
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((
        zeroize::Zeroizing::new(key.serialize_pem()),
        certificate.pem(),
    ))
}

fn leaf(now: Time, not_after: Time) -> (CertificateParams, String) {
    let mut params = CertificateParams::default();
    let text;
    (params.serial_number, text) = serial();
    params.distinguished_name = DistinguishedName::new();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, now.plus(-BACKDATED_MS), not_after);
    (params, text)
}

/// A random serial number of 16 bytes and its text; the first byte is neither zero nor negative.
fn serial() -> (Option<SerialNumber>, String) {
    let mut bytes = [0; 16];
    random(&mut bytes);
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    (
        Some(SerialNumber::from_slice(&bytes)),
        data_encoding::HEXLOWER.encode(&bytes),
    )
}

/// Fills `bytes` from the kernel's generator.
///
/// # Panics
/// When the kernel has no randomness, without which nothing here may go on.
pub fn random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("invariant: the kernel gives random bytes");
}

/// Sets when a certificate begins and ends; whatever lies outside 1970 to 9999 is moved to the
/// nearer end.
fn valid(params: &mut CertificateParams, from: Time, to: Time) {
    const LAST_SECOND_OF_9999: u64 = 253_402_300_799;
    let instant = |time: Time| {
        let seconds = u64::try_from(time.seconds())
            .unwrap_or(0)
            .min(LAST_SECOND_OF_9999);
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    params.not_before = instant(from);
    params.not_after = instant(to);
}
