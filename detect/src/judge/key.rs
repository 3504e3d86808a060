//! Private keys in PEM, OpenSSH and PGP armour.

use akwatch_proto::credential::Confidence;
use akwatch_proto::finding::Proof;
use akwatch_proto::limits;
use zeroize::Zeroizing;

use super::rsa;
use crate::unwrap::inline;

/// A private key found at the start of a text.
pub(crate) struct PrivateKey {
    /// Its lines without indentation or carriage returns: equal keys are equal text.
    pub(crate) text: Vec<u8>,
    /// Bytes that it took.
    pub(crate) length: usize,
    /// What its armour holds, where that is a key in the clear.
    pub(crate) der: Option<Zeroizing<Vec<u8>>>,
    pub(crate) confidence: Confidence,
    pub(crate) proofs: Vec<Proof>,
}

impl PrivateKey {
    /// A key of which no more is known than its `text`, that it took `length` bytes, and whether it
    /// proves itself.
    pub(crate) fn told(
        text: Vec<u8>,
        length: usize,
        holds: bool,
        proofs: Vec<Proof>,
    ) -> PrivateKey {
        PrivateKey {
            text,
            length,
            der: None,
            confidence: if holds {
                Confidence::Proven
            } else {
                Confidence::Contextual
            },
            proofs,
        }
    }
}

/// Body characters below which it is a stub. The smallest real keys (Ed25519) have 64; a cut one is
/// still told, as what it is.
const SHORTEST_BODY: usize = 32;

/// Reads the private key whose `-----BEGIN` is at the start of `text`.
pub(crate) fn read(text: &[u8]) -> Option<PrivateKey> {
    let text = &text[..text.len().min(limits::LONGEST_SECRET)];
    let rest = text.strip_prefix(b"-----BEGIN ")?;
    let label = &rest[..memchr::memmem::find(&rest[..rest.len().min(64)], b"-----")?];
    if !label.ends_with(b"PRIVATE KEY") && label != b"PGP PRIVATE KEY BLOCK" {
        return None;
    }
    let head = 11 + label.len() + 5;
    let body_length = memchr::memmem::find(&text[head..], b"-----")?;
    let footer = &text[head + body_length..];
    let footer_length = 9 + label.len() + 5;
    if !footer.starts_with(b"-----END ") || footer.len() < footer_length {
        return None;
    }
    let length = head + body_length + footer_length;
    // A picture of a key: what it leaves out is the secret.
    if memchr::memmem::find(&text[head..head + body_length], b"...").is_some() {
        return None;
    }
    let Armour {
        lines,
        mut body,
        encrypted,
    } = armour(&text[..length]);
    let mut encrypted = encrypted || label.starts_with(b"ENCRYPTED");
    if body.is_empty() {
        // All on one line.
        let inner = text[head..head + body_length].iter().copied();
        body.extend(inner.filter(|&b| inline::is_base64(b) || b == b'='));
    }
    if body.len() < SHORTEST_BODY {
        return None;
    }
    let whole = body.len() / 4 * 4;
    let decoded = inline::base64(&body[..whole]);
    if let Some(decoded) = &decoded {
        encrypted |= openssh_encrypted(decoded);
    }
    let whole_key = body.len() >= 64;
    let holds = encrypted
        || decoded.as_ref().is_some_and(|bytes| {
            rsa::is_whole(bytes)
                || bytes.starts_with(b"openssh-key-v1\0")
                || label.starts_with(b"PGP")
        });
    let mut proofs = vec![Proof::Structure { holds }];
    if encrypted {
        proofs.push(Proof::Encrypted);
    }
    let clear = decoded.filter(|bytes| !encrypted && bytes.starts_with(&[0x30]));
    Some(PrivateKey {
        text: lines,
        length,
        der: clear.map(Zeroizing::new),
        confidence: if holds && whole_key {
            Confidence::Proven
        } else {
            Confidence::Contextual
        },
        proofs,
    })
}

struct Armour {
    lines: Vec<u8>,
    body: Vec<u8>,
    encrypted: bool,
}

/// The lines of an armoured key, trimmed, and the base64 between its headers and footer.
fn armour(text: &[u8]) -> Armour {
    let mut armour = Armour {
        lines: Vec::with_capacity(text.len()),
        body: Vec::new(),
        encrypted: false,
    };
    for line in text.split(|&b| b == b'\n') {
        // Programs put it together from strings: `"MII…\n" +`.
        let pieces = line.split(|b| matches!(b, b'"' | b'\''));
        let line = pieces.max_by_key(|piece| piece.len()).unwrap_or_default();
        let line = line.trim_ascii();
        if line.iter().all(|b| matches!(b, b'+' | b'\\' | b',' | b'.')) {
            continue;
        }
        let header = is_header(line);
        // A log puts the time before each line.
        let end = memchr::memmem::find(line, b"-----END").unwrap_or(0);
        let line = match line.iter().rposition(u8::is_ascii_whitespace) {
            _ if end > 0 => &line[end..],
            Some(blank) if !header && !line.starts_with(b"-----") => &line[blank + 1..],
            _ => line,
        };
        if !armour.lines.is_empty() {
            armour.lines.push(b'\n');
        }
        armour.lines.extend_from_slice(line);
        armour.encrypted |= header && memchr::memmem::find(line, b"ENCRYPTED").is_some();
        if !header && !line.starts_with(b"-----") && !line.starts_with(b"=") {
            let inner = line.iter().copied();
            armour
                .body
                .extend(inner.filter(|&b| inline::is_base64(b) || b == b'='));
        }
    }
    armour
}

/// `Name: value` of an armour's head.
fn is_header(line: &[u8]) -> bool {
    memchr::memchr(b':', line).is_some_and(|colon| {
        colon > 0
            && matches!(line.get(colon + 1), None | Some(b' '))
            && line[..colon]
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    })
}

/// OpenSSH's container names its cipher first.
fn openssh_encrypted(decoded: &[u8]) -> bool {
    decoded
        .strip_prefix(b"openssh-key-v1\0\0\0\0")
        .and_then(|rest| rest.split_first())
        .is_some_and(|(&length, rest)| {
            rest.get(..usize::from(length))
                .is_some_and(|name| name != b"none")
        })
}
