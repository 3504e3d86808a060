//! Whose a private key is, by what stands around it: a Google service account, an Oracle Cloud user.
//!
//! Reads the text around a key within a bound, whatever its format: a key's file is JSON, a profile or
//! a variable's value, and each of them gives the same names to the same parts.

use akwatch_proto::credential::CredentialId;
use akwatch_proto::finding::Proof;

use super::rsa;
use crate::rule::Engine;

/// Bytes before and after a key in which its owner is looked for. Stops: a file of nothing but keys.
const AROUND: usize = 4096;

/// What a private key belongs to.
pub(crate) struct Owner {
    pub(crate) engine: Engine,
    pub(crate) id: CredentialId,
    /// Whether what its text says of it holds.
    pub(crate) holds: bool,
    pub(crate) proofs: Vec<Proof>,
}

/// The owner of the key at `key` in `text`, whose DER is `der`.
pub(crate) fn of(text: &[u8], key: std::ops::Range<usize>, der: Option<&[u8]>) -> Option<Owner> {
    let from = key.start.saturating_sub(AROUND);
    let before = &text[from..key.start];
    let after = &text[key.end.min(text.len())..text.len().min(key.end + AROUND)];
    service_account(before, after, der.is_some()).or_else(|| oracle(before, after, der))
}

fn service_account(before: &[u8], after: &[u8], whole: bool) -> Option<Owner> {
    let id = named(before, after, b"private_key_id", |b| b.is_ascii_hexdigit())?;
    let email = named(before, after, b"client_email", |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@')
    })?;
    let holds = whole && id.len() == 40 && email.ends_with(b"gserviceaccount.com");
    let email = std::str::from_utf8(email).ok()?;
    Some(Owner {
        engine: Engine::ServiceAccount,
        id: CredentialId::parse(std::str::from_utf8(id).ok()?).ok()?,
        holds,
        proofs: vec![
            Proof::Structure { holds },
            Proof::Account {
                id: email.chars().take(128).collect(),
                canary: false,
            },
        ],
    })
}

/// An Oracle Cloud key is known by the fingerprint of its public half, which its profile states.
fn oracle(before: &[u8], after: &[u8], der: Option<&[u8]>) -> Option<Owner> {
    let marked = after.trim_ascii_start().starts_with(b"OCI_API_KEY");
    let ocid = [before, after]
        .iter()
        .any(|side| memchr::memmem::find(side, b"ocid1.").is_some());
    if !marked && !ocid {
        return None;
    }
    let own = rsa::fingerprint(der?)?;
    let own: Vec<String> = own.iter().map(|b| format!("{b:02x}")).collect();
    let own = own.join(":");
    let stated = named(before, after, b"fingerprint", |b| {
        b.is_ascii_hexdigit() || b == b':'
    })
    .filter(|stated| stated.len() == 47);
    let holds = stated.is_none_or(|stated| stated.eq_ignore_ascii_case(own.as_bytes()));
    let proofs = stated.map(|_| Proof::Structure { holds });
    Some(Owner {
        engine: Engine::OciKey,
        id: CredentialId::parse(&own).ok()?,
        holds,
        proofs: proofs.into_iter().collect(),
    })
}

/// The value of `name` nearest to the key: the bytes after it that are `part` of one.
fn named<'a>(
    before: &'a [u8],
    after: &'a [u8],
    name: &[u8],
    part: fn(u8) -> bool,
) -> Option<&'a [u8]> {
    let value = |side: &'a [u8], at: usize| -> Option<&'a [u8]> {
        let rest = &side[at + name.len()..];
        let skip = rest
            .iter()
            .take(16)
            .take_while(|&&b| !b.is_ascii_alphanumeric())
            .count();
        let rest = &rest[skip..];
        let length = rest.iter().position(|&b| !part(b)).unwrap_or(rest.len());
        (length >= 8).then_some(&rest[..length])
    };
    let last = memchr::memmem::rfind(before, name);
    let first = memchr::memmem::find(after, name);
    let nearer_before = match (last, first) {
        (Some(last), Some(first)) => before.len() - last < first,
        (last, _) => last.is_some(),
    };
    if nearer_before {
        last.and_then(|at| value(before, at))
    } else {
        first.and_then(|at| value(after, at))
    }
}
