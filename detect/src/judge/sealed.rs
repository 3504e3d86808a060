//! What stands in place of a secret and says so: hashes of passwords, digests by their names, ciphertexts.

/// Beginnings of what systems keep instead of passwords.
const HASHES: [&[u8]; 28] = [
    b"$1$",
    b"$2a$",
    b"$2b$",
    b"$2y$",
    b"$5$",
    b"$6$",
    b"$7$",
    b"$8$",
    b"$9$",
    b"$y$",
    b"$apr1$",
    b"$argon2",
    b"$pbkdf2",
    b"$scrypt$",
    b"pbkdf2_sha",
    b"{SSHA",
    b"{ssha",
    b"{SHA",
    b"{sha",
    b"{SMD5}",
    b"{MD5}",
    b"{md5}",
    b"{CRYPT}",
    b"{bcrypt}",
    b"{scrypt}",
    b"{pbkdf2",
    b"{argon2",
    b"SCRAM-SHA-",
];

/// Digests by their names, and their bytes.
const DIGESTS: [(&[u8], usize); 6] = [
    (b"md5", 16),
    (b"sha1", 20),
    (b"sha224", 28),
    (b"sha256", 32),
    (b"sha384", 48),
    (b"sha512", 64),
];

/// Whether the value is a digest that names itself, `sha256:…`, `sha512-…`, `md5…`, or MySQL's `*…`: what a
/// lock file, a database or an image is told by.
fn is_named_digest(value: &[u8]) -> bool {
    if let Some(digits) = value.strip_prefix(b"*") {
        return digits.len() == 40
            && digits
                .iter()
                .all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    }
    DIGESTS.iter().any(|&(name, bytes)| {
        let (Some(begins), Some(rest)) = (value.get(..name.len()), value.get(name.len()..)) else {
            return false;
        };
        let rest = rest
            .strip_prefix(b":")
            .or(rest.strip_prefix(b"-"))
            .unwrap_or(rest);
        let hex = rest.len() == bytes * 2 && rest.iter().all(u8::is_ascii_hexdigit);
        let padded = rest.iter().rev().take_while(|&&b| b == b'=').count();
        let digits = rest.len() - padded;
        let base64 = digits == (bytes * 4).div_ceil(3) && padded <= 2;
        begins.eq_ignore_ascii_case(name) && (hex || base64)
    })
}

/// Whether the value is a password's hash in one of the forms that name themselves.
pub(crate) fn is_password_hash(value: &[u8]) -> bool {
    (20..=512).contains(&value.len())
        && ((HASHES.iter()).any(|start| start.first() == value.first() && value.starts_with(start))
            || matches!(value[0], b'*' | b'm' | b'M' | b's' | b'S') && is_named_digest(value))
        && !value.iter().any(u8::is_ascii_whitespace)
}

/// Whether the value is what Google's key service has encrypted, or a sealed secret of Kubernetes: both are
/// long and begin alike, with the number of their key or its length.
pub(super) fn is_sealed(value: &[u8]) -> bool {
    const BEGINNINGS: [(&[u8], usize); 4] =
        [(b"CiQA", 80), (b"CiUA", 80), (b"AgA", 300), (b"AgB", 300)];
    let base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    BEGINNINGS
        .iter()
        .any(|(start, length)| value.len() >= *length && value.starts_with(start))
        && value.iter().all(base64)
}
