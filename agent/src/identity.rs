//! Who this host is to its collector: certificate, key, authorities, on disk and in memory.
//!
//! | file | what | mode |
//! |---|---|---|
//! | `host.json` | host id, trust domain, directive keys ([`HostRecord`]); written last, so it being there means *enrolled* | 0644 |
//! | `key.pem` | the private key | 0600 |
//! | `key.next.pem` | the key of an enrollment or renewal under way | 0600 |
//! | `cert.pem` | the certificate and its intermediates, leaf first | 0644 |
//! | `authorities.pem` | who may vouch for a collector | 0644 |
//!
//! Every file is replaced whole: written beside, given to its owner, synced, renamed. Whoever waits for
//! `host.json` finds everything there, and everything its own. A renewal has one moment at which
//! it counts, the rename of `cert.pem`; whoever opens an identity whose certificate belongs to
//! `key.next.pem` was interrupted just after it, and finishes. Nothing here talks to anybody.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use akwatch_proto::agent::{HostId, PublicKey, TrustDomain};
use akwatch_proto::limits;
use akwatch_proto::time::Time;
use nix::unistd::Uid;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

/// In the reporter's directory, and a copy in the watcher's: what the host is called.
pub const HOST_FILE: &str = "host.json";
const KEY_FILE: &str = "key.pem";
const NEXT_KEY_FILE: &str = "key.next.pem";
const CERTIFICATE_FILE: &str = "cert.pem";
const AUTHORITIES_FILE: &str = "authorities.pem";

/// The files of an identity that is founded, `key.next.pem` being that of none.
pub const FILES: [&str; 4] = [HOST_FILE, KEY_FILE, CERTIFICATE_FILE, AUTHORITIES_FILE];
/// What the name of a file ends in while it is written.
const BESIDE: &str = ".new";

/// Bytes of one of these files. Stops: a collector that fills the disk with authorities.
const FILE_BYTES: usize = 256 * 1024;
/// Certificates in one of them.
const CERTIFICATES: usize = 64;

/// What a host is called and whose directives it obeys: no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    /// The identity that the certificate carries.
    pub host: HostId,
    /// The trust domain of that identity.
    pub trust_domain: TrustDomain,
    /// Who may sign directives.
    pub directive_keys: Vec<PublicKey>,
    /// Seconds between heartbeats, until the collector says otherwise.
    pub heartbeat_seconds: u32,
    /// When the host was enrolled, by the collector's clock.
    pub enrolled: Time,
}

/// Why an identity could not be read, made or changed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is none.
    #[error(
        "this host is not enrolled ({path} is missing): run `akwatch-agent enroll` with a bootstrap \
         string of your collector", path = .path.display()
    )]
    NotEnrolled {
        /// The file that is missing.
        path: PathBuf,
    },
    /// There is one already.
    #[error(
        "this host is enrolled already, as {host}, in {directory}: to enroll it anew, retire it in \
         the console and move that directory away", directory = .directory.display()
    )]
    Enrolled {
        /// Under which identity.
        host: String,
        /// Where.
        directory: PathBuf,
    },
    /// A file could not be read or written.
    #[error(
        "{step} {path} failed; check that the directory belongs to the agent and has space",
        path = .path.display()
    )]
    File {
        /// `reading`, `writing`, `removing`.
        step: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else could have a hand in what is written there.
    #[error("{path} {what}: look at what it is, move it away and enroll again", path = .path.display())]
    Strange {
        /// What.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A file does not hold what its name says.
    #[error(
        "{path} is not a usable {what}: restore the directory from a backup of this host, or move \
         it away and enroll anew", path = .path.display()
    )]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The collector issued a certificate that this host cannot use.
    #[error("the collector's answer is of no use: {0}; upgrade the older of agent and collector")]
    Answer(&'static str),
    /// A key could not be made or used.
    #[error("cannot {step} a key")]
    Key {
        /// What was tried.
        step: &'static str,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
}

/// An identity, ready to use.
pub struct Identity {
    /// What the host is called.
    pub record: HostRecord,
    /// Who may vouch for a collector.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The certificate and its intermediates, PEM.
    pub certificate: String,
    /// When the certificate begins.
    pub not_before: Time,
    /// When it ends.
    pub not_after: Time,
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.record.host)
    }
}

/// A key whose certificate has yet to be issued.
pub struct PendingKey {
    key: KeyPair,
    /// The request for a certificate, PEM.
    pub csr: String,
}

impl std::fmt::Debug for PendingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PendingKey")
    }
}

impl PendingKey {
    /// Makes a P-256 key and a request that names nothing: the collector gives the name.
    ///
    /// # Errors
    /// When the kernel gives no randomness.
    pub fn make() -> Result<PendingKey, IdentityError> {
        let key = KeyPair::generate().map_err(failed("make"))?;
        PendingKey::of(key)
    }

    fn of(key: KeyPair) -> Result<PendingKey, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let csr = params
            .serialize_request(&key)
            .and_then(|request| request.pem())
            .map_err(failed("request a certificate for"))?;
        Ok(PendingKey { key, csr })
    }
}

fn failed(step: &'static str) -> impl Fn(rcgen::Error) -> IdentityError {
    move |source| IdentityError::Key { step, source }
}

impl Identity {
    /// Reads the identity in `directory`; finishes a renewal that was interrupted.
    ///
    /// # Errors
    /// When there is none, or a file is missing or not what its name says.
    pub fn open(directory: &Path) -> Result<Identity, IdentityError> {
        Identity::read(directory, true)
    }

    /// As [`open`](Identity::open), and changes nothing: for who only asks.
    ///
    /// # Errors
    /// As [`open`](Identity::open).
    pub fn look(directory: &Path) -> Result<Identity, IdentityError> {
        Identity::read(directory, false)
    }

    fn read(directory: &Path, finish: bool) -> Result<Identity, IdentityError> {
        let record = record(directory)?;
        let path = directory.join(CERTIFICATE_FILE);
        let certificate = text(&path)?;
        let unusable = |path: &Path, what| IdentityError::Unusable {
            path: path.to_owned(),
            what,
        };
        let chain = certificates(&certificate).ok_or_else(|| unusable(&path, "certificate"))?;
        let leaf = Leaf::of(&chain).ok_or_else(|| unusable(&path, "certificate"))?;
        let authorities_path = directory.join(AUTHORITIES_FILE);
        let authorities = certificates(&text(&authorities_path)?)
            .ok_or_else(|| unusable(&authorities_path, "list of authorities"))?;
        let key = key_of(directory, &leaf, finish)?;
        Ok(Identity {
            record,
            authorities,
            certificate,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            chain,
            key,
        })
    }

    /// Writes the first identity of a host, every file as one of `owner`'s where one is named. `record` is
    /// written last: whoever waits for it starts at once.
    ///
    /// # Errors
    /// When the answer does not fit the key, a file cannot be written, or there is one already.
    pub fn found(
        directory: &Path,
        record: &HostRecord,
        key: &PendingKey,
        certificate: &str,
        authorities: &str,
        owner: Option<Uid>,
    ) -> Result<Identity, IdentityError> {
        absent(directory)?;
        fits(key, record, certificate, authorities)?;
        private_directory(directory)?;
        write_key(&directory.join(KEY_FILE), &key.key, owner)?;
        for (name, text) in [
            (CERTIFICATE_FILE, certificate),
            (AUTHORITIES_FILE, authorities),
        ] {
            write_for(&directory.join(name), text.as_bytes(), 0o644, owner)?;
        }
        write_record(directory, record, owner)?;
        forget_next_key(directory);
        Identity::open(directory)
    }

    /// The key for the next certificate: that of an interrupted renewal, or a new one, which is
    /// durable before anybody hears of it.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn next_key(directory: &Path) -> Result<PendingKey, IdentityError> {
        let path = directory.join(NEXT_KEY_FILE);
        if let Some(key) = read_key(&path)? {
            return PendingKey::of(key);
        }
        let pending = PendingKey::make()?;
        write_key(&path, &pending.key, None)?;
        Ok(pending)
    }

    /// Replaces certificate, authorities and key by those of a renewal.
    ///
    /// # Errors
    /// When the answer does not fit the key, or a file cannot be written; then the old identity
    /// holds.
    pub fn renew(
        &self,
        directory: &Path,
        key: &PendingKey,
        certificate: &str,
        authorities: &str,
    ) -> Result<Identity, IdentityError> {
        fits(key, &self.record, certificate, authorities)?;
        write(
            &directory.join(AUTHORITIES_FILE),
            authorities.as_bytes(),
            0o644,
        )?;
        write(
            &directory.join(CERTIFICATE_FILE),
            certificate.as_bytes(),
            0o644,
        )?;
        Identity::open(directory)
    }

    /// The certificate chain, for TLS.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    /// The private key, for TLS.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }

    /// Signs `message` with the private key: ECDSA P-256 SHA-256, ASN.1.
    ///
    /// # Errors
    /// When the provider fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, IdentityError> {
        rcgen::SigningKey::sign(&self.key, message).map_err(failed("sign with"))
    }
}

/// Reads what the host in `directory` is called, without its key.
///
/// # Errors
/// When it is not enrolled or the file is damaged.
pub fn record(directory: &Path) -> Result<HostRecord, IdentityError> {
    let path = directory.join(HOST_FILE);
    let text = text(&path)?;
    serde_json::from_str(&text).map_err(|_| IdentityError::Unusable {
        path,
        what: "host record",
    })
}

/// Refuses a directory that holds an identity.
///
/// # Errors
/// [`IdentityError::Enrolled`] when it does.
pub fn absent(directory: &Path) -> Result<(), IdentityError> {
    let host = match record(directory) {
        Err(IdentityError::NotEnrolled { .. }) => return Ok(()),
        Ok(record) => record.host.to_string(),
        Err(IdentityError::Unusable { .. }) => "an unreadable name".to_owned(),
        Err(error) => return Err(error),
    };
    Err(IdentityError::Enrolled {
        host,
        directory: directory.to_owned(),
    })
}

/// Whether a file of this name is one that is written here, whole or in part.
#[must_use]
pub fn is_own_name(name: &str) -> bool {
    let name = name.strip_suffix(BESIDE).unwrap_or(name);
    name == NEXT_KEY_FILE || FILES.contains(&name)
}

/// Forgets who this host was: its key first, without which nothing else is of use.
///
/// # Errors
/// When something that exists cannot be removed.
pub fn forget(directory: &Path) -> Result<(), IdentityError> {
    let names = [
        KEY_FILE,
        NEXT_KEY_FILE,
        CERTIFICATE_FILE,
        AUTHORITIES_FILE,
        HOST_FILE,
    ];
    for name in names {
        let path = directory.join(name);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(IdentityError::File {
                    step: "remove",
                    path,
                    source,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Takes away the key of an enrollment that nobody has heard of, and the directory if it is empty.
/// What cannot be removed is used the next time.
pub fn forget_next_key(directory: &Path) {
    let _ = std::fs::remove_file(directory.join(NEXT_KEY_FILE));
    let _ = std::fs::remove_dir(directory);
}

/// Writes what the host is called, as [`write_for`] does.
///
/// # Errors
/// When the file cannot be written.
pub fn write_record(
    directory: &Path,
    record: &HostRecord,
    owner: Option<Uid>,
) -> Result<(), IdentityError> {
    let json = serde_json::to_vec_pretty(record).expect("invariant: a record serializes");
    write_for(&directory.join(HOST_FILE), &json, 0o644, owner)
}

/// Makes a directory that only its owner may enter, unless it is there.
///
/// # Errors
/// When it cannot be made.
pub fn private_directory(directory: &Path) -> Result<(), IdentityError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| IdentityError::File {
            step: "making",
            path: directory.to_owned(),
            source,
        })
}

/// Replaces a file whole: after a crash it holds the old content or the new.
///
/// # Errors
/// When it cannot be written; the old content stays.
pub fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), IdentityError> {
    write_for(path, content, mode, None)
}

/// As [`write`], and the file is `owner`'s before it has its name: a program that the name starts finds
/// it its own, and nothing that somebody else put under that name is ever given away.
///
/// # Errors
/// As [`write`]; with an owner also when the file may not be given away.
pub fn write_for(
    path: &Path,
    content: &[u8],
    mode: u32,
    owner: Option<Uid>,
) -> Result<(), IdentityError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(BESIDE);
    let beside = PathBuf::from(beside);
    let attempt = || -> io::Result<()> {
        // What an interrupted write left may have another mode.
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(content)?;
        if let Some(owner) = owner {
            fchown(&file, Some(owner.as_raw()), None)?;
        }
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    attempt().map_err(|source| IdentityError::File {
        step: "writing",
        path: path.to_owned(),
        source,
    })
}

fn write_key(path: &Path, key: &KeyPair, owner: Option<Uid>) -> Result<(), IdentityError> {
    let pem = Zeroizing::new(key.serialize_pem());
    write_for(path, pem.as_bytes(), 0o600, owner)
}

/// Reads a key; `None` when the file is not there.
fn read_key(path: &Path) -> Result<Option<KeyPair>, IdentityError> {
    let pem = match text(path) {
        Ok(pem) => Zeroizing::new(pem),
        Err(IdentityError::NotEnrolled { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    match KeyPair::from_pem(&pem) {
        Ok(key) => Ok(Some(key)),
        Err(_) => Err(IdentityError::Unusable {
            path: path.to_owned(),
            what: "private key",
        }),
    }
}

/// When the certificate in `directory` begins and ends, without its key.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn validity(directory: &Path) -> Result<(Time, Time), IdentityError> {
    let path = directory.join(CERTIFICATE_FILE);
    let chain = certificates(&text(&path)?);
    let leaf = chain.as_deref().and_then(Leaf::of);
    leaf.map(|leaf| (leaf.not_before, leaf.not_after))
        .ok_or(IdentityError::Unusable {
            path,
            what: "certificate",
        })
}

/// The key that the certificate was issued for; an interrupted renewal is finished if `finish`.
fn key_of(directory: &Path, leaf: &Leaf, finish: bool) -> Result<KeyPair, IdentityError> {
    let (path, next) = (directory.join(KEY_FILE), directory.join(NEXT_KEY_FILE));
    if let Some(key) = read_key(&path)?
        && key.subject_public_key_info() == leaf.spki
    {
        return Ok(key);
    }
    // A next key that is damaged is of no certificate: it must not hide what is wrong.
    match read_key(&next) {
        Ok(Some(key)) if key.subject_public_key_info() == leaf.spki => {
            if finish {
                std::fs::rename(&next, &path).map_err(|source| IdentityError::File {
                    step: "renaming",
                    path: next,
                    source,
                })?;
            }
            Ok(key)
        }
        _ => Err(IdentityError::Unusable {
            path,
            what: "private key of the certificate beside it",
        }),
    }
}

fn text(path: &Path) -> Result<String, IdentityError> {
    let unreadable = |source| IdentityError::File {
        step: "reading",
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(IdentityError::NotEnrolled {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut text = String::new();
    file.take(FILE_BYTES as u64)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    Ok(text)
}

fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .take(CERTIFICATES)
        .collect::<Result<_, _>>()
        .ok()?;
    (!certificates.is_empty()).then_some(certificates)
}

/// What is read of a certificate.
struct Leaf {
    spki: Vec<u8>,
    not_before: Time,
    not_after: Time,
    names: Vec<String>,
}

impl Leaf {
    fn of(chain: &[CertificateDer<'_>]) -> Option<Leaf> {
        let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
        let names = certificate
            .subject_alternative_name()
            .ok()
            .flatten()
            .map(|names| names.value.general_names.iter())
            .into_iter()
            .flatten()
            .filter_map(|name| match name {
                x509_parser::extensions::GeneralName::URI(uri) => Some((*uri).to_owned()),
                _ => None,
            });
        Some(Leaf {
            spki: certificate.public_key().raw.to_vec(),
            not_before: Time::from_seconds(certificate.validity().not_before.timestamp()),
            not_after: Time::from_seconds(certificate.validity().not_after.timestamp()),
            names: names.collect(),
        })
    }
}

/// Whether what the collector issued is for this key and host.
fn fits(
    key: &PendingKey,
    record: &HostRecord,
    certificate: &str,
    authorities: &str,
) -> Result<(), IdentityError> {
    if certificate.len() > FILE_BYTES || authorities.len() > FILE_BYTES {
        return Err(IdentityError::Answer("its certificates are too long"));
    }
    if record.directive_keys.len() > limits::DIRECTIVES
        || record.directive_keys.iter().any(|key| key.parse().is_err())
    {
        return Err(IdentityError::Answer("its directive keys are no keys"));
    }
    let leaf = certificates(certificate)
        .and_then(|chain| Leaf::of(&chain))
        .ok_or(IdentityError::Answer("its certificate cannot be read"))?;
    if leaf.spki != key.key.subject_public_key_info() {
        return Err(IdentityError::Answer("its certificate is for another key"));
    }
    let name = format!("spiffe://{}/host/{}", record.trust_domain, record.host);
    if !leaf.names.contains(&name) {
        return Err(IdentityError::Answer("its certificate is for another host"));
    }
    if certificates(authorities).is_none() {
        return Err(IdentityError::Answer("it names no authority"));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::reporter::testing::Authority;

    /// A host with a state directory of its own, whose certificate ends in `days`.
    pub(crate) fn enrolled_for(authority: &Authority, days: i64) -> (tempfile::TempDir, Identity) {
        let state = tempfile::tempdir().unwrap();
        let key = PendingKey::make().unwrap();
        let record = authority.record();
        let certificate = authority.host(&key.csr, &record, days);
        let directory = state.path().join(crate::role::IDENTITY_DIRECTORY);
        let pem = authority.pem();
        let identity =
            Identity::found(&directory, &record, &key, &certificate, &pem, None).unwrap();
        (state, identity)
    }

    /// An enrolled host in a directory of its own.
    pub(crate) fn enrolled(authority: &Authority) -> (tempfile::TempDir, Identity) {
        let directory = tempfile::tempdir().unwrap();
        let key = PendingKey::make().unwrap();
        let record = authority.record();
        let certificate = authority.host(&key.csr, &record, 7);
        let identity = Identity::found(
            directory.path(),
            &record,
            &key,
            &certificate,
            &authority.pem(),
            None,
        )
        .unwrap();
        (directory, identity)
    }

    #[test]
    fn an_identity_reads_back_and_its_keys_are_private() {
        let authority = Authority::new();
        let (directory, identity) = enrolled(&authority);
        let again = Identity::open(directory.path()).unwrap();
        assert_eq!(again.record, identity.record);
        assert_eq!(again.not_after, identity.not_after);
        let mode = |name| {
            let metadata = std::fs::metadata(directory.path().join(name)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        assert_eq!((mode(KEY_FILE), mode(HOST_FILE)), (0o600, 0o644));
        let again = Identity::found(
            directory.path(),
            &identity.record,
            &PendingKey::make().unwrap(),
            &identity.certificate,
            &authority.pem(),
            None,
        );
        assert!(matches!(again, Err(IdentityError::Enrolled { .. })));
    }

    #[test]
    fn a_certificate_for_another_key_or_host_is_refused() {
        let authority = Authority::new();
        let (directory, identity) = enrolled(&authority);
        let key = Identity::next_key(directory.path()).unwrap();
        let other = PendingKey::make().unwrap();
        let mut elsewhere = identity.record.clone();
        elsewhere.host = HostId::from_u128(99);
        for certificate in [
            authority.host(&other.csr, &identity.record, 7),
            authority.host(&key.csr, &elsewhere, 7),
            "no certificate".to_owned(),
        ] {
            let refused = identity.renew(directory.path(), &key, &certificate, &authority.pem());
            assert!(matches!(refused, Err(IdentityError::Answer(_))));
        }
        Identity::open(directory.path()).unwrap();
    }

    /// A renewal that is cut off after each of its writes leaves an identity that works.
    #[test]
    fn a_renewal_can_be_cut_off_anywhere() {
        let authority = Authority::new();
        let (directory, identity) = enrolled(&authority);
        let path = |name: &str| directory.path().join(name);
        let key = Identity::next_key(directory.path()).unwrap();
        let same = Identity::next_key(directory.path()).unwrap();
        assert_eq!(key.key.public_key_raw(), same.key.public_key_raw());
        let opened = Identity::open(directory.path()).unwrap();
        assert_eq!(opened.chain, identity.chain);

        let certificate = authority.host(&key.csr, &identity.record, 14);
        write(&path(CERTIFICATE_FILE), certificate.as_bytes(), 0o644).unwrap();
        let opened = Identity::open(directory.path()).unwrap();
        assert_eq!(opened.certificate, certificate);
        assert_eq!(opened.key.public_key_raw(), key.key.public_key_raw());
        assert!(!path(NEXT_KEY_FILE).exists());
        Identity::open(directory.path()).unwrap();
    }

    #[test]
    fn a_damaged_file_is_named() {
        let authority = Authority::new();
        for name in [HOST_FILE, KEY_FILE, CERTIFICATE_FILE, AUTHORITIES_FILE] {
            let (directory, _) = enrolled(&authority);
            std::fs::write(directory.path().join(name), "x").unwrap();
            let error = Identity::open(directory.path()).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            std::fs::remove_file(directory.path().join(name)).unwrap();
            Identity::open(directory.path()).unwrap_err();
        }
    }
}
