//! Keystores that hold private keys: Java's own two forms, Bouncy Castle's and PKCS #12, and which password
//! opens one.
//!
//! A store is as safe as its password, and that is often the one that everybody knows, or lies in a
//! setting beside it. Each form ends in a digest over its password and its content, so a guess is
//! verified without decrypting anything. Trust stores hold certificates only and are public. Forms:
//! `sun.security.provider.JavaKeyStore` and `com.sun.crypto.provider.JceKeyStore` of OpenJDK, RFC 7292.

use std::ops::Range;

use akwatch_proto::finding::Proof;
use akwatch_proto::limits;
use hmac::digest::common::BlockSizeUser;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::der::{INTEGER, OBJECT_ID, OCTET_STRING, SEQUENCE, element};
use super::key::PrivateKey;
use crate::scan::UnreadWhy;
use crate::unwrap::inline;

mod bouncy_castle;

use bouncy_castle::Held;

const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const JCEKS: [u8; 4] = [0xce, 0xce, 0xce, 0xce];
/// What Java puts between the password and the content.
const WHITENER: &[u8] = b"Mighty Aphrodite";
/// Bytes of the digest at the end of Java's forms.
const DIGEST: usize = 20;
/// `pkcs8ShroudedKeyBag`, as it stands in a file: a private key under the store's password.
const SHROUDED_KEY: &[u8] = &[
    OBJECT_ID, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 2,
];
/// `keyBag`: one without any.
const KEY: &[u8] = &[
    OBJECT_ID, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 1,
];
/// `secretBag`: whatever else is kept, for Java the key of a cipher.
const SECRET: &[u8] = &[
    OBJECT_ID, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 5,
];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
/// `encryptedData` and `envelopedData`: bags of which nothing is seen without the key.
const SHUT: [&[u8]; 2] = [
    &[OBJECT_ID, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 6],
    &[OBJECT_ID, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3],
];
const SHA1: &[u8] = &[0x2b, 0x0e, 3, 2, 26];
/// The SHA-2 family's identifiers but for their last byte: 1, 2 and 3 for 256, 384 and 512 bits.
const SHA2: &[u8] = &[0x60, 0x86, 0x48, 1, 101, 3, 4, 2];
/// What RFC 7292 mixes in for the key of a MAC.
const FOR_MAC: u8 = 3;

/// Passwords that keytool's documents, Android's debug store, OpenSSL's users and application servers
/// have.
pub(crate) const KNOWN: [&str; 8] = [
    "changeit", "", "changeme", "password", "android", "keystore", "123456", "secret",
];
/// Bytes of a store that is looked at.
const LONGEST: usize = 512 << 10;
/// Bytes of one in base64 inside a value.
const LONGEST_WRAPPED: usize = 64 << 10;
/// Bytes of a store that stand for it: its first key is among them.
const TOLD: usize = limits::LONGEST_SECRET / 4 * 3;
/// Bytes that one step of a digest takes: what guessing costs is counted in these.
pub(crate) const BLOCK: usize = 64;

/// A keystore with a private key in it.
pub(crate) struct Keystore {
    bytes: Zeroizing<Vec<u8>>,
    seal: Option<Seal>,
}

/// What says whether a password is the store's.
pub(super) enum Seal {
    /// A digest of the password and all that stands before it.
    Java,
    /// A MAC of the content, with a key derived from the password as PKCS #12 does.
    Pkcs12 {
        hash: Hash,
        mac: Range<usize>,
        salt: Range<usize>,
        rounds: u64,
        content: Range<usize>,
    },
}

#[derive(Clone, Copy)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// Whether a file that begins with `head` may be one: eight bytes are enough, 32 for Bouncy Castle's.
pub(crate) fn may_begin(head: &[u8]) -> bool {
    head.starts_with(&JKS)
        || head.starts_with(&JCEKS)
        || version(head).is_some()
        || bouncy_castle::may_begin(head)
}

impl Keystore {
    /// The keystore that `file` is, if it holds a private key.
    pub(crate) fn read(file: &[u8]) -> Option<Keystore> {
        let seal = match file.first_chunk::<4>()? {
            _ if file.len() > LONGEST => return None,
            &JKS | &JCEKS => {
                let store = file.get(..file.len().checked_sub(DIGEST)?)?;
                holds_key(store).ok().filter(|holds| *holds)?;
                Some(Seal::Java)
            }
            _ => match bouncy_castle::read(file) {
                Some(Held::Key(seal)) => seal,
                Some(Held::Certificates | Held::Unread(_)) => return None,
                None => pkcs12(file)?,
            },
        };
        Some(Keystore {
            bytes: Zeroizing::new(file.to_vec()),
            seal,
        })
    }

    /// The same of base64 inside a value.
    pub(crate) fn wrapped(text: &[u8]) -> Option<Keystore> {
        const BEGINNINGS: [&[u8]; 5] = [b"/u3+7Q", b"_u3-7Q", b"zs7Ozg", b"AAAAAgAAABQ", b"MI"];
        let text = text.trim_ascii();
        let begins = BEGINNINGS.iter().any(|mark| text.starts_with(mark));
        if !begins || !(64..=LONGEST_WRAPPED).contains(&text.len()) {
            return None;
        }
        let part = |b: &u8| inline::is_base64(*b) || matches!(b, b'=' | b'-' | b'_');
        if !text.iter().all(|b| part(b) || b.is_ascii_whitespace()) {
            return None;
        }
        let clean = Zeroizing::new(text.iter().copied().filter(part).collect::<Vec<u8>>());
        Keystore::read(&Zeroizing::new(inline::base64(&clean)?))
    }

    /// Bytes that it keeps.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether anything in it tells a right password from a wrong one.
    pub(crate) fn can_be_tried(&self) -> bool {
        self.seal.is_some()
    }

    /// Whether `password` is its own; none when trying costs more than `left`, in steps of a digest, or
    /// when nothing in it tells.
    pub(crate) fn opens(&self, password: &str, left: &mut u64) -> Option<bool> {
        let cost = match self.seal.as_ref()? {
            Seal::Java => self.bytes.len() / BLOCK,
            Seal::Pkcs12 { content, salt, .. } => (content.len() + salt.len()) / BLOCK,
        } as u64;
        let rounds = match self.seal.as_ref()? {
            Seal::Java => 1,
            Seal::Pkcs12 { rounds, .. } => *rounds,
        };
        // The empty password is written in two ways.
        let times = if password.is_empty() { 2 } else { 1 };
        *left = left.checked_sub(cost.saturating_add(rounds).saturating_mul(times))?;
        let units = password.encode_utf16().flat_map(u16::to_be_bytes);
        let mut units = Zeroizing::new(units.collect::<Vec<u8>>());
        Some(match self.seal.as_ref()? {
            Seal::Java => {
                let (store, digest) = self.bytes.split_at(self.bytes.len() - DIGEST);
                let mut own = Sha1::new();
                own.update(&units);
                own.update(WHITENER);
                own.update(store);
                own.finalize()[..] == *digest
            }
            Seal::Pkcs12 {
                hash,
                mac,
                salt,
                rounds,
                content,
            } => {
                units.extend([0, 0]);
                let [mac, salt, content] =
                    [mac, salt, content].map(|range| &self.bytes[range.clone()]);
                let sealed = |password: &[u8]| match hash {
                    Hash::Sha1 => holds::<Sha1>(password, salt, *rounds, content, mac),
                    Hash::Sha256 => holds::<Sha256>(password, salt, *rounds, content, mac),
                    Hash::Sha384 => holds::<Sha384>(password, salt, *rounds, content, mac),
                    Hash::Sha512 => holds::<Sha512>(password, salt, *rounds, content, mac),
                };
                sealed(&units) || (password.is_empty() && sealed(&[]))
            }
        })
    }

    /// What is told of it: `opened` when its password lies open.
    pub(crate) fn told(&self, opened: bool) -> PrivateKey {
        let text = inline::to_base64(&self.bytes[..self.bytes.len().min(TOLD)]);
        let proof = match opened {
            true => Proof::Checksum { holds: true },
            false => Proof::Encrypted,
        };
        let proofs = vec![Proof::Structure { holds: true }, proof];
        PrivateKey::told(text, self.bytes.len(), true, proofs)
    }
}

/// Why nobody can say whether a file that is a keystore, and of which [`Keystore::read`] knows no key,
/// holds one; none where it is no keystore, or holds certificates only.
pub(crate) fn why_unread(file: &[u8]) -> Option<UnreadWhy> {
    if file.starts_with(&JKS) || file.starts_with(&JCEKS) {
        let store = &file[..file.len().saturating_sub(DIGEST).max(4)];
        return holds_key(store).err();
    }
    if let Some(held) = bouncy_castle::read(file) {
        return match held {
            Held::Unread(why) => Some(why),
            Held::Key(_) | Held::Certificates => None,
        };
    }
    version(file)?;
    let held = |part: &[u8]| memchr::memmem::find(file, part).is_some();
    if [SHROUDED_KEY, KEY, SECRET].into_iter().any(held) {
        return None;
    }
    if SHUT.into_iter().any(held) {
        return Some(UnreadWhy::Encrypted);
    }
    // Pieces of a text whose length is not stated may cut what is looked for.
    (file.get(1) == Some(&0x80)).then_some(UnreadWhy::Unsupported)
}

/// Whether one of the entries of Java's forms is a private or a secret key.
fn holds_key(store: &[u8]) -> Result<bool, UnreadWhy> {
    /// A private key with its certificates, a certificate, a secret key (JCEKS).
    const ENTRIES: Range<u32> = 1..4;
    const CERTIFICATE: u32 = 2;
    let cut = UnreadWhy::Damaged;
    let mut rest = store.get(4..).ok_or(cut)?;
    let version = number(&mut rest).ok_or(cut)?;
    let entries = number(&mut rest).ok_or(cut)?;
    if !(1..=2).contains(&version) {
        return Err(UnreadWhy::Unsupported);
    }
    for _ in 0..entries {
        let entry = number(&mut rest).ok_or(cut)?;
        if !ENTRIES.contains(&entry) {
            return Err(UnreadWhy::Unsupported);
        }
        if entry != CERTIFICATE {
            return Ok(true);
        }
        pass_certificate(version, &mut rest).ok_or(cut)?;
    }
    Ok(false)
}

fn pass_certificate(version: u32, rest: &mut &[u8]) -> Option<()> {
    name(rest)?;
    *rest = rest.get(8..)?;
    if version == 2 {
        name(rest)?;
    }
    let length = number(rest)?;
    *rest = rest.get(usize::try_from(length).ok()?..)?;
    Some(())
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_be_bytes(*number))
}

/// Passes a text with its length before it.
fn name(rest: &mut &[u8]) -> Option<()> {
    let (length, after) = rest.split_first_chunk()?;
    *rest = after.get(usize::from(u16::from_be_bytes(*length))..)?;
    Some(())
}

/// What seals a PKCS #12 file that holds a key; the inner none is a file whose seal this program does
/// not know: signed ones, lengths that are not stated, newer derivations.
#[expect(clippy::option_option, reason = "no such file, and no such seal")]
fn pkcs12(file: &[u8]) -> Option<Option<Seal>> {
    version(file)?;
    let held = |bag: &[u8]| memchr::memmem::find(file, bag).is_some();
    [SHROUDED_KEY, KEY, SECRET]
        .into_iter()
        .any(held)
        .then(|| seal(file))
}

/// How a PKCS #12 file begins: a sequence whose length is not stated, or stated in one, two or three
/// bytes, and version 3.
fn version(head: &[u8]) -> Option<()> {
    let length = match head {
        [SEQUENCE, 0x80, ..] => 0,
        [SEQUENCE, 0x81..=0x83, ..] => usize::from(head[1] & 0x7f),
        _ => return None,
    };
    let rest = head.get(2 + length..)?;
    rest.starts_with(&[INTEGER, 1, 3, SEQUENCE]).then_some(())
}

fn seal(file: &[u8]) -> Option<Seal> {
    let (inner, _) = element(file, SEQUENCE)?;
    let (_, rest) = element(inner, INTEGER)?;
    let (safe, mac_data) = element(rest, SEQUENCE)?;
    let (kind, safe) = element(safe, OBJECT_ID)?;
    let (safe, _) = element(safe, 0xa0).filter(|_| kind == DATA)?;
    let (content, _) = element(safe, OCTET_STRING)?;
    let (mac_data, _) = element(mac_data, SEQUENCE)?;
    let (info, rest) = element(mac_data, SEQUENCE)?;
    let (algorithm, mac) = element(info, SEQUENCE)?;
    let (algorithm, _) = element(algorithm, OBJECT_ID)?;
    let (mac, _) = element(mac, OCTET_STRING)?;
    let (salt, rest) = element(rest, OCTET_STRING)?;
    let rounds = match element(rest, INTEGER) {
        Some((number, _)) if number.len() <= 5 => number
            .iter()
            .fold(0, |sum: u64, &b| sum << 8 | u64::from(b)),
        Some(_) => return None,
        None => 1,
    };
    let hash = match algorithm.strip_prefix(SHA2) {
        Some([1]) => Hash::Sha256,
        Some([2]) => Hash::Sha384,
        Some([3]) => Hash::Sha512,
        _ if algorithm == SHA1 => Hash::Sha1,
        _ => return None,
    };
    // All are slices of the file.
    let place = |part: &[u8]| {
        let start = part.as_ptr().addr() - file.as_ptr().addr();
        start..start + part.len()
    };
    Some(Seal::Pkcs12 {
        hash,
        mac: place(mac),
        salt: place(salt),
        rounds,
        content: place(content),
    })
}

/// Whether `mac` is that of `content` under `password`, as RFC 7292 (appendix B) derives its key: the
/// salt and the password, each repeated to whole blocks, digested `rounds` times.
fn holds<D>(password: &[u8], salt: &[u8], rounds: u64, content: &[u8], mac: &[u8]) -> bool
where
    D: Digest + BlockSizeUser + EagerHash,
{
    let block = <D as BlockSizeUser>::block_size();
    let mut digest = D::new();
    digest.update(vec![FOR_MAC; block]);
    for part in [salt, password] {
        let whole = part.len().div_ceil(block) * block;
        let repeated = part.iter().copied().cycle().take(whole);
        digest.update(Zeroizing::new(repeated.collect::<Vec<u8>>()).as_slice());
    }
    let mut key = digest.finalize();
    for _ in 1..rounds {
        key = D::digest(&key);
    }
    <Hmac<D> as KeyInit>::new_from_slice(&key).is_ok_and(|mut own| {
        own.update(content);
        own.verify_slice(mac).is_ok()
    })
}
