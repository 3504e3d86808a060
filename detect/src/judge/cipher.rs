//! Keys of ciphers in source code: arrays of bytes, and hexadecimal beside a bare `key`.
//!
//! Neither has a form of its own, and `key` names many things. Told are bytes that chance made, under a
//! name that says secret, or says key where the code around is about ciphers or credentials.

use super::*;

/// Bytes of code on either side that say what a `key` is for.
const AROUND: usize = 512;

impl Judge<'_> {
    /// An array's or a string's `value`, which `bytes` are, beside a name; `around` is the code there.
    pub(crate) fn cipher_key(
        &self,
        value: &Value<'_>,
        bytes: &[u8],
        around: [&[u8]; 2],
        out: &mut Vec<Candidate>,
    ) {
        let name = value.path.rsplit(|&b| b == b'.').next().unwrap_or_default();
        let role = self.rules.names().role_of(name).map(|named| named.role);
        let password = role == Some(Role::Password);
        let named = matches!(
            role,
            Some(Role::Secret | Role::IdOrSecret | Role::Bearer | Role::Token | Role::Password)
        );
        let folded = name.to_ascii_lowercase();
        let key = ends_with_key(&folded)
            && (is_cipher(&folded) || around.iter().any(|code| is_about(code)));
        let engine = match password {
            true => Engine::NamedPassword,
            false => Engine::NamedSecret,
        };
        let Some(rule) = self.rules.engine(engine).filter(|_| named || key) else {
            return;
        };
        // What says secret is none of what everybody may know, whatever it says beside that.
        if !named && is_public(name) || !is_made(bytes) || quiet::is_placeholder(value.bytes) {
            return;
        }
        let mut found = self.candidate(value, Part::Single, value.bytes, 0);
        found.rules = vec![rule];
        found.named = true;
        found.kind = Some(match password {
            true => Kind::Password,
            false => Kind::SecretKey,
        });
        // Tests of ciphers are made of such keys, whatever they are called.
        if is_test(&value.member.name, named) {
            found.confidence = Confidence::Unknown;
        }
        out.push(found);
    }
}

/// The code around `range`, before and behind it.
pub(crate) fn around<'t>(text: &'t [u8], range: &std::ops::Range<usize>) -> [&'t [u8]; 2] {
    [
        &text[range.start.saturating_sub(AROUND)..range.start],
        &text[range.end..text.len().min(range.end + AROUND)],
    ]
}

/// Whether a file's name says that it tests something; unless the key is `named` a secret also whether its
/// directory's does, which may be no login's own.
fn is_test(path: &[u8], named: bool) -> bool {
    let path = &path[path.len().saturating_sub(512)..];
    let mut parts = path.rsplit(|&b| b == b'/');
    let (file, parent, above) = (parts.next(), parts.next(), parts.next());
    let own = matches!(above, Some(b"home" | b"Users" | b""));
    let parent = parent.filter(|_| !named && !own);
    let told = [file, parent].into_iter().flatten().flat_map(chosen::words);
    told.into_iter().any(|word| {
        matches!(
            word.as_str(),
            "test" | "tests" | "testing" | "testdata" | "spec" | "vectors" | "unittest"
        )
    })
}

/// `key`, `aes_key`, `AESKEY`, `masterKey2`; not `monkey`.
fn ends_with_key(folded: &[u8]) -> bool {
    let end = folded
        .iter()
        .rposition(|b| !b.is_ascii_digit() && *b != b'_');
    let word = &folded[..end.map_or(0, |end| end + 1)];
    word.strip_suffix(b"key")
        .is_some_and(|before| !before.ends_with(b"mon") && !before.ends_with(b"don"))
}

/// Whether a key's name says the cipher, or what it is for.
fn is_cipher(folded: &[u8]) -> bool {
    const WORDS: [&[u8]; 14] = [
        b"aes",
        b"blowfish",
        b"chacha",
        b"cipher",
        b"crypt",
        b"des",
        b"enc",
        b"hmac",
        b"master",
        b"priv",
        b"rc4",
        b"secret",
        b"sm4",
        b"xor",
    ];
    WORDS
        .iter()
        .any(|word| memchr::memmem::find(folded, word).is_some())
}

/// Whether code is about ciphers or credentials.
fn is_about(code: &[u8]) -> bool {
    const WORDS: [&[u8]; 9] = [
        b"aes",
        b"cipher",
        b"credential",
        b"crypt",
        b"hmac",
        b"passw",
        b"secret",
        b"token",
        b"xor",
    ];
    let code = code.to_ascii_lowercase();
    WORDS
        .iter()
        .any(|word| memchr::memmem::find(&code, word).is_some())
}

/// Names of what everybody may know, by their words: `sort_key`, and not `resort_key`.
fn is_public(name: &[u8]) -> bool {
    const WORDS: [&str; 31] = [
        "cert",
        "certificate",
        "digest",
        "digests",
        "dummy",
        "example",
        "examples",
        "expect",
        "expected",
        "fake",
        "hash",
        "hashed",
        "hashes",
        "perm",
        "permutation",
        "permute",
        "pub",
        "public",
        "round",
        "rounds",
        "sample",
        "samples",
        "sched",
        "schedule",
        "sort",
        "sorted",
        "sorting",
        "test",
        "testing",
        "tests",
        "testvector",
    ];
    chosen::words(name).iter().any(|word| {
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let bare = word.strip_suffix("key").unwrap_or(word);
        WORDS.contains(&bare)
    })
}

/// Whether chance made the bytes: no table that counts, no small numbers, none of what standards print.
fn is_made(bytes: &[u8]) -> bool {
    /// Keys of FIPS 197 and of NIST SP 800-38A, which every test of AES has.
    const PUBLISHED: [&[u8]; 4] = [
        &[0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6],
        &[0x8e, 0x73, 0xb0, 0xf7, 0xda, 0x0e, 0x64, 0x52],
        &[0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe],
        &[0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07],
    ];
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let mut seen = [false; 256];
    bytes
        .iter()
        .for_each(|byte| seen[usize::from(*byte)] = true);
    let distinct = seen.iter().filter(|seen| **seen).count();
    let steps = bytes.len().saturating_sub(1);
    let rising = bytes.windows(2).filter(|two| two[0] < two[1]).count();
    let falling = bytes.windows(2).filter(|two| two[0] > two[1]).count();
    let most = bytes.iter().max().copied().unwrap_or_default();
    let text = |b: &u8| b.is_ascii_graphic() || b.is_ascii_whitespace();
    let wide = most >= 0x80 || bytes.iter().all(text);
    distinct >= 8
        && distinct * 3 >= bytes.len()
        && rising.max(falling) * 6 < steps * 5
        && wide
        && !PUBLISHED.iter().any(|known| bytes.starts_with(known))
        && !(bytes.iter().all(text) && quiet::is_wordy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_no_keys() {
        let counted: Vec<u8> = (0x70..0x90).collect();
        assert!(!is_made(&counted));
        let backwards: Vec<u8> = counted.iter().rev().copied().collect();
        assert!(!is_made(&backwards));
        // Places of bits, as DES permutes them.
        let places: Vec<u8> = (0..56).map(|n: u8| (n + 1) * 4 % 57).collect();
        assert!(!is_made(&places));
        assert!(!is_made(&[0x11; 32]));
        assert!(!is_made(b"unauthorized access"));
        let chance: Vec<u8> = (1..=32_u8)
            .map(|n| n.wrapping_mul(n).wrapping_mul(53))
            .collect();
        assert!(is_made(&chance));
    }

    #[test]
    fn names_say_what_a_key_is() {
        assert!(ends_with_key(b"aes_key2"));
        assert!(!ends_with_key(b"monkey"));
        assert!(!ends_with_key(b"keymap"));
        for name in [
            &b"pubkey"[..],
            b"PublicKey2",
            b"sort_key",
            b"TEST_KEY",
            b"expectedKey",
        ] {
            assert!(is_public(name));
        }
        for name in [
            &b"latest_key"[..],
            b"resort_key",
            b"background_key",
            b"superKey",
            b"attestation_key",
        ] {
            assert!(!is_public(name));
        }
    }

    #[test]
    fn tests_are_told_by_the_file_and_where_it_lies() {
        assert!(is_test(b"aes_test.c", false) && is_test(b"/srv/x/tests/aes.c", false));
        assert!(is_test(b"src/crypto/testdata/aes.go", false));
        assert!(!is_test(b"/home/test/aes.c", false) && !is_test(b"/test/aes.c", false));
        assert!(!is_test(b"/home/test/src/aes.c", false) && !is_test(b"/srv/tests/x/aes.c", false));
        assert!(!is_test(b"/srv/latest/contest.c", false));
        assert!(is_test(b"/srv/x/aes_test.c", true) && !is_test(b"/srv/x/tests/aes.c", true));
    }
}
