//! Java keystores whose password is the one that everybody knows.
//!
//! A keystore ends in a digest over its password and its content, so that a guess is verified without
//! opening anything. Only stores with private keys are looked at: trust stores are public, and theirs is
//! nearly always the default. The form: `sun.security.provider.JavaKeyStore` of OpenJDK.

use akwatch_proto::finding::Proof;
use sha1::{Digest, Sha1};

use super::key::PrivateKey;

const MAGIC: &[u8] = &[0xfe, 0xed, 0xfe, 0xed];
/// What is put between the password and the content.
const WHITENER: &[u8] = b"Mighty Aphrodite";
const DIGEST: usize = 20;
/// An entry that holds a private key; the other kind is a certificate.
const PRIVATE: [u8; 4] = [0, 0, 0, 1];
/// Passwords that keytool's documents, Android's debug store and application servers use.
const KNOWN: [&str; 6] = [
    "changeit", "changeme", "password", "android", "keystore", "123456",
];
/// Bytes of a store that is digested.
const LONGEST: usize = 1 << 20;

/// The password of the keystore in `file`, if it is one of those: whoever has the file has its keys.
pub(crate) fn read(file: &[u8]) -> Option<PrivateKey> {
    let store = file.get(..file.len().checked_sub(DIGEST)?)?;
    let first = store.get(12..16)?;
    if !file.starts_with(MAGIC) || file.len() > LONGEST || first != PRIVATE {
        return None;
    }
    let known = KNOWN.iter().find(|password| {
        let mut digest = Sha1::new();
        for unit in password.encode_utf16() {
            digest.update(unit.to_be_bytes());
        }
        digest.update(WHITENER);
        digest.update(store);
        digest.finalize()[..] == file[store.len()..]
    })?;
    let proofs = vec![Proof::Checksum { holds: true }];
    let password = known.as_bytes().to_vec();
    Some(PrivateKey::told(password, file.len(), true, proofs))
}
