//! Signed addresses: whoever has one may do what it says until it ends.
//!
//! Azure's carry a signature `sig=` of 32 bytes beside what they allow (`sp`), their version (`sv`) or
//! policy (`skn`) and when they end (`se`):
//! <https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas>. Addresses that show
//! only an id and a signature over one request are references and are not looked at here.

use std::sync::LazyLock;

use akwatch_proto::credential::{Confidence, Kind};
use akwatch_proto::finding::Proof;
use akwatch_proto::place::Encoding;
use memchr::memmem::Finder;

use super::{Candidate, Judge, Part, Value, proof};
use crate::rule::Engine;
use crate::unwrap::inline;

/// Addresses of one value that are read. Stops: a value of nothing but `sig=`.
const MOST: usize = 64;
/// Bytes around a signature in which the rest of its address is looked for.
const AROUND: usize = 1024;

impl Judge<'_> {
    /// Signatures in the value as it is written, before anything is decoded.
    pub(crate) fn signed(&self, value: &Value<'_>, out: &mut Vec<Candidate>) {
        let Some(rule) = self.rules.engine(Engine::SignedAddress) else {
            return;
        };
        let bytes = value.bytes;
        // What was told of the value as it is written is not told of it decoded.
        let told = |found: &&Candidate| found.rules == [rule] && found.order >= value.order;
        if value.encoding.last() == Some(&Encoding::Url) && out.last().as_ref().is_some_and(told) {
            return;
        }
        static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"sig="));
        for at in MARK.find_iter(bytes).take(MOST) {
            let first = at.checked_sub(1).and_then(|n| bytes.get(n));
            if !first.is_none_or(|b| matches!(b, b'?' | b'&' | b' ' | b';' | b'"' | b'\'')) {
                continue;
            }
            let start = at + 4;
            let rest = &bytes[start..bytes.len().min(start + 200)];
            let part = |b: &u8| b.is_ascii_alphanumeric() || b"%+/=_-".contains(b);
            let length = rest.iter().position(|b| !part(b)).unwrap_or(rest.len());
            let signature = &rest[..length];
            let once = single(signature);
            let plain = inline::percent(&once);
            let decoded = inline::base64(plain.as_deref().unwrap_or(&once));
            let around = &bytes[start.saturating_sub(AROUND)..bytes.len().min(start + AROUND)];
            let says = |name: &[u8]| parameter(around, name).is_some();
            if decoded.is_none_or(|bytes| bytes.len() != 32)
                || !(says(b"se") && (says(b"sv") || says(b"sr") || says(b"skn") || says(b"sp")))
            {
                continue;
            }
            let mut found = self.candidate(value, Part::Single, &once, start);
            found.rules = vec![rule];
            found.kind = Some(Kind::TemporaryCredential);
            found.confidence = Confidence::Proven;
            found.proofs.push(Proof::Structure { holds: true });
            let ends = parameter(around, b"se").and_then(|value| {
                let plain = inline::percent(value);
                proof::expires(plain.as_deref().unwrap_or(value))
            });
            found.proofs.extend(ends);
            out.push(found);
        }
    }
}

/// systemd writes `%` twice, and in an address it never stands twice.
fn single(text: &[u8]) -> Vec<u8> {
    let doubled = |at: usize| text[at] == b'%' && text.get(at + 1) == Some(&b'%');
    (0..text.len())
        .filter(|&at| !doubled(at))
        .map(|at| text[at])
        .collect()
}

/// The value of the parameter `name` in an address or what is left of one.
fn parameter<'a>(address: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    memchr::memmem::find_iter(address, name)
        .take(MOST)
        .find_map(|at| {
            let before = at.checked_sub(1).and_then(|n| address.get(n));
            let value = address[at + name.len()..].strip_prefix(b"=")?;
            if before.is_some_and(u8::is_ascii_alphanumeric) {
                return None;
            }
            let part = |b: &u8| b.is_ascii_alphanumeric() || b"%:.+_-".contains(b);
            let length = value.iter().position(|b| !part(b)).unwrap_or(value.len());
            (length > 0).then_some(&value[..length])
        })
}
