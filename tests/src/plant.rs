//! Generated credentials and the places where they are planted.
//!
//! Nothing that looks like a live key is ever committed: every pair is made at run time from the
//! vendors' documented alphabets and lengths.

use std::path::Path;

use anyhow::{Context, Result};

/// An access key that no cloud has issued.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: String,
}

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";

/// `length` random characters of `alphabet`.
///
/// # Panics
/// When the system gives no random bytes.
#[must_use]
pub fn random(alphabet: &str, length: usize) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).expect("invariant: the system has random bytes");
    bytes
        .into_iter()
        .map(|byte| alphabet[usize::from(byte) % alphabet.len()])
        .collect()
}

/// A Tencent Cloud pair: `AKID` and 32 characters; 32 characters.
#[must_use]
pub fn tencent() -> Pair {
    let alphabet = format!("{UPPER}{LOWER}{DIGITS}");
    Pair {
        id: format!("AKID{}", random(&alphabet, 32)),
        secret: random(&alphabet, 32),
    }
}

/// An Alibaba Cloud pair: `LTAI` and 20 characters; 30 characters.
#[must_use]
pub fn alibaba() -> Pair {
    let alphabet = format!("{UPPER}{LOWER}{DIGITS}");
    Pair {
        id: format!("LTAI5t{}", random(&alphabet, 18)),
        secret: random(&alphabet, 30),
    }
}

/// An AWS pair: `AKIA` and 16 base32 characters, in the form that encodes an account; 40 base64
/// characters.
#[must_use]
pub fn aws() -> Pair {
    let id = format!(
        "AKIA{}{}",
        random("QRSTUVWXYZ234567", 1),
        random("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 15)
    );
    let secret = random(&format!("{UPPER}{LOWER}{DIGITS}/+"), 40);
    Pair { id, secret }
}

/// A keystore in Java's own form with a private key that is none, under `password`.
#[must_use]
pub fn keystore(password: &str) -> Vec<u8> {
    use sha1::{Digest as _, Sha1};
    let mut store = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1];
    store.extend([0, 0, 0, 1, 0, 1, b'k']);
    store.extend(random(UPPER, 600).bytes());
    let mut digest = Sha1::new();
    for unit in password.encode_utf16() {
        digest.update(unit.to_be_bytes());
    }
    digest.update(b"Mighty Aphrodite");
    digest.update(&store);
    store.extend(digest.finalize());
    store
}

/// Writes a file through a temporary name and a rename, as careful programs do.
///
/// # Errors
/// When the directory cannot be written.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().context("a path without a directory")?;
    std::fs::create_dir_all(directory)?;
    let temporary = directory.join(format!("{TEMPORARY}{}.new", random(LOWER, 8)));
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, path)?;
    Ok(())
}

/// How the names begin that [`write()`] renames.
const TEMPORARY: &str = ".akwatch-planting-";

/// Whether a path is one that [`write()`] renames.
#[must_use]
pub fn is_temporary(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.starts_with(TEMPORARY)
}
