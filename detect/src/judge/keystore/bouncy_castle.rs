//! The keystores of Bouncy Castle: BKS, which Android's programs have too, UBER and BCFKS.
//!
//! BKS lists its entries openly, each key encrypted, with a MAC under the store's password behind them.
//! UBER and BCFKS encrypt the list itself: whether a private key is in it only the password tells.
//! Forms: `BcKeyStoreSpi` and `BcFKSKeyStoreSpi` of `org.bouncycastle.jcajce.provider.keystore`.

use std::ops::Range;

use super::{Hash, Seal, name, number};
use crate::judge::der::{OBJECT_ID, OCTET_STRING, SEQUENCE, element};
use crate::scan::UnreadWhy;

/// How BCFKS encrypts all that it holds: PBES2.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
/// Bytes of the salt of the older forms, with its length before it.
const SALT: Range<usize> = 8..28;
/// Where their content begins: behind version, salt and rounds.
const CONTENT: usize = 32;
/// Bytes of their MAC.
const MAC: usize = 20;
/// What they derive their keys in: a number drawn from these.
const ROUNDS: Range<u32> = 1024..2048;
/// The version whose MAC has a key of full length; before it there were 16 bits.
const FULL: u32 = 2;

/// What a file is as one of them.
pub(super) enum Held {
    /// It holds a private or a secret key, under a seal that may be known.
    Key(Option<Seal>),
    /// It holds certificates only.
    Certificates,
    /// Nobody can say.
    Unread(UnreadWhy),
}

/// Whether a file may be one of the older forms, by its first 32 bytes.
pub(super) fn may_begin(head: &[u8]) -> bool {
    header(head).is_some()
}

/// What `file` holds; none where it is none of them.
pub(super) fn read(file: &[u8]) -> Option<Held> {
    let Some((version, rounds)) = header(file) else {
        return is_bcfks(file).map(|()| Held::Unread(UnreadWhy::Encrypted));
    };
    let end = file.len().checked_sub(MAC)?;
    let holds = holds_key(file.get(CONTENT..end)?);
    let seal = || Seal::Pkcs12 {
        hash: Hash::Sha1,
        mac: end..file.len(),
        salt: SALT,
        rounds: u64::from(rounds),
        content: CONTENT..end,
    };
    Some(match holds {
        Some(true) => Held::Key((version == FULL).then(seal)),
        Some(false) => Held::Certificates,
        // UBER begins like BKS of the first version.
        None if version < FULL => Held::Unread(UnreadWhy::Encrypted),
        None => Held::Unread(UnreadWhy::Damaged),
    })
}

/// Version and rounds of the older forms.
fn header(head: &[u8]) -> Option<(u32, u32)> {
    const LENGTH: u32 = 20;
    let mut rest = head.get(..CONTENT)?;
    let version = number(&mut rest)?;
    let length = number(&mut rest)?;
    let rounds = number(&mut &head[SALT.end..])?;
    let fits = (1..=FULL).contains(&version) && length == LENGTH && ROUNDS.contains(&rounds);
    fits.then_some((version, rounds))
}

/// Whether one of the entries of BKS is a private or a secret key; none where they cannot be read.
fn holds_key(mut rest: &[u8]) -> Option<bool> {
    const END: u8 = 0;
    const CERTIFICATE: u8 = 1;
    const KEYS: Range<u8> = 2..5;
    loop {
        let (&entry, after) = rest.split_first()?;
        rest = after;
        if entry == END {
            return Some(false);
        }
        name(&mut rest)?;
        rest = rest.get(8..)?; // its date
        for _ in 0..number(&mut rest)? {
            certificate(&mut rest)?;
        }
        match entry {
            CERTIFICATE => certificate(&mut rest)?,
            key if KEYS.contains(&key) => return Some(true),
            _ => return None,
        }
    }
}

/// Passes a certificate: its kind and its bytes.
fn certificate(rest: &mut &[u8]) -> Option<()> {
    name(rest)?;
    let length = number(rest)?;
    *rest = rest.get(usize::try_from(length).ok()?..)?;
    Some(())
}

/// Whether a file is BCFKS: what is held, encrypted as a whole, and a check of it.
fn is_bcfks(file: &[u8]) -> Option<()> {
    let (inner, rest) = element(file, SEQUENCE)?;
    let (held, check) = element(inner, SEQUENCE)?;
    let (algorithm, content) = element(held, SEQUENCE)?;
    let (kind, _) = element(algorithm, OBJECT_ID)?;
    element(content, OCTET_STRING)?;
    let checked = matches!(check.first(), Some(&(SEQUENCE | 0xa0)));
    (kind == PBES2 && checked && rest.is_empty()).then_some(())
}
