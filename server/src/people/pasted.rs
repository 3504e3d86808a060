//! A secret that a person pastes to ask who holds it: the one secret that passes through here.
//!
//! Its bytes are read into memory that is locked and wiped, unescaped there, and turned into
//! fingerprints by the handler as soon as the caller may ask; before that they are only wiped, so that
//! who asks too often costs no hash. Nothing else ever sees them: no log, no audit entry, no error. What the HTTP layer's read buffer still holds is freed with the connection,
//! which is closed after such a call.

use std::time::Duration;

use akwatch_proto::agent::RefusalCode;
use akwatch_proto::credential::{CredentialId, Fingerprint};
use akwatch_proto::limits;
use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroize as _;

use crate::people::bodies;
use crate::pki::Keys;
use crate::refusal::Refusal;

/// Bytes of the body: a secret of the greatest length whose every byte is escaped fits but for the
/// longest form of escape.
const BODY: usize = 2 * limits::PASTED_SECRET + 1024;
const BODY_TIME: Duration = Duration::from_secs(15);

/// What is asked: by id, which is no secret, or by the secret itself.
pub enum Question {
    /// The key's id.
    Id(CredentialId),
    /// The secret.
    Secret(PastedSecret),
}

/// Bytes in memory that is kept from swap where the system allows it, and wiped when dropped. No
/// `Debug`, `Clone`, `Display` or `Serialize`.
pub struct PastedSecret {
    bytes: Box<[u8]>,
    length: usize,
    _lock: Option<region::LockGuard>,
}

impl PastedSecret {
    fn with_room(room: usize) -> PastedSecret {
        let bytes = vec![0; room.max(1)].into_boxed_slice();
        let lock = region::lock(bytes.as_ptr(), bytes.len()).ok();
        PastedSecret {
            bytes,
            length: 0,
            _lock: lock,
        }
    }

    fn push(&mut self, more: &[u8]) -> Result<(), Refusal> {
        let end = self.length + more.len();
        let room = self.bytes.get_mut(self.length..end).ok_or_else(|| {
            Refusal::new(RefusalCode::TooLarge, "The pasted text is too long.")
                .hint("Paste one secret; the longest has 16 KiB.")
        })?;
        room.copy_from_slice(more);
        self.length = end;
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Takes off what copying adds, in place: space around it; and from an armoured key, as agents
    /// do before they hash one, indentation, carriage returns and empty lines.
    fn tidy(&mut self) {
        let text = self.bytes();
        let from = text.len() - text.trim_ascii_start().len();
        let until = from + text.trim_ascii().len();
        let armoured = text[from..until].starts_with(b"-----BEGIN ");
        let mut written = 0;
        let mut at = from;
        while at < until {
            let rest = &self.bytes[at..until];
            let line = match rest.iter().position(|byte| armoured && *byte == b'\n') {
                Some(end) => end,
                None => rest.len(),
            };
            let indent = line - rest[..line].trim_ascii_start().len();
            let length = rest[..line].trim_ascii().len();
            if length > 0 {
                if written > 0 {
                    self.bytes[written] = b'\n';
                    written += 1;
                }
                self.bytes
                    .copy_within(at + indent..at + indent + length, written);
                written += length;
            }
            at += line + 1;
        }
        self.bytes[written..].zeroize();
        self.length = written;
    }

    /// The fingerprints under which the fleet may know this secret: as a machine made it and as a
    /// person chose it.
    #[must_use]
    pub fn fingerprints(&self, keys: &Keys) -> Vec<Fingerprint> {
        crate::fingerprint::all(keys, self.bytes())
    }
}

impl Drop for PastedSecret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked<'a> {
    #[serde(default)]
    id: Option<CredentialId>,
    // Borrowed as it stands in the locked buffer: serde makes no copy of it.
    #[serde(default, borrow)]
    secret: Option<&'a RawValue>,
}

impl<S: Sync> FromRequest<S> for Question {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Question, Refusal> {
        bodies::json_only(request.headers())?;
        let mut raw = PastedSecret::with_room(BODY);
        let mut body = request.into_body();
        let read = async {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| malformed("the body ended before its time"))?;
                if let Ok(part) = frame.into_data() {
                    raw.push(&part)?;
                    if let Ok(mut part) = part.try_into_mut() {
                        part.zeroize();
                    }
                }
            }
            Ok::<(), Refusal>(())
        };
        tokio::time::timeout(BODY_TIME, read)
            .await
            .map_err(|_| malformed("the body took too long"))??;
        question(raw.bytes())
    }
}

fn question(body: &[u8]) -> Result<Question, Refusal> {
    let asked: Asked<'_> = bodies::parse(body)?;
    match (asked.id, asked.secret) {
        (Some(id), None) => Ok(Question::Id(id)),
        (None, Some(raw)) => {
            let mut secret = unescape(raw.get().as_bytes())?;
            secret.tidy();
            if secret.bytes().is_empty() {
                return Err(malformed("the secret is empty"));
            }
            Ok(Question::Secret(secret))
        }
        _ => Err(malformed("exactly one of `id` and `secret` is taken")),
    }
}

/// Undoes JSON's escapes into locked memory. `raw` is a valid JSON value, since serde has read it.
fn unescape(raw: &[u8]) -> Result<PastedSecret, Refusal> {
    let inner = raw
        .strip_prefix(b"\"")
        .and_then(|raw| raw.strip_suffix(b"\""))
        .ok_or_else(|| malformed("`secret` is not a text"))?;
    let mut secret = PastedSecret::with_room(limits::PASTED_SECRET);
    let mut rest = inner;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        secret.push(&rest[..at])?;
        let escaped = rest.get(at + 1).copied().ok_or_else(unpaired)?;
        let mut used = at + 2;
        match escaped {
            b'n' => secret.push(b"\n")?,
            b't' => secret.push(b"\t")?,
            b'r' => secret.push(b"\r")?,
            b'b' => secret.push(b"\x08")?,
            b'f' => secret.push(b"\x0c")?,
            b'u' => {
                let (character, length) = unicode(&rest[used..])?;
                let mut utf8 = [0; 4];
                secret.push(character.encode_utf8(&mut utf8).as_bytes())?;
                utf8.zeroize();
                used += length;
            }
            other => secret.push(&[other])?,
        }
        rest = &rest[used..];
    }
    secret.push(rest)?;
    Ok(secret)
}

/// Reads `XXXX` or `XXXX\uXXXX` after `\u`.
fn unicode(rest: &[u8]) -> Result<(char, usize), Refusal> {
    let unit = |at: usize| {
        rest.get(at..at + 4)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(unpaired)
    };
    let high = unit(0)?;
    if !(0xd800..0xdc00).contains(&high) {
        return Ok((char::from_u32(high).ok_or_else(unpaired)?, 4));
    }
    if rest.get(4..6) != Some(br"\u") {
        return Err(unpaired());
    }
    let low = unit(6)?;
    let low = low
        .checked_sub(0xdc00)
        .filter(|low| *low < 0x400)
        .ok_or_else(unpaired)?;
    let character = 0x10000 + ((high - 0xd800) << 10) + low;
    Ok((char::from_u32(character).ok_or_else(unpaired)?, 10))
}

fn unpaired() -> Refusal {
    malformed("`secret` has an escape that stands for no character")
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(RefusalCode::Malformed, format!("Not understood: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn secret(body: &str) -> Vec<u8> {
        match question(body.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal}")) {
            Question::Secret(secret) => secret.bytes().to_vec(),
            Question::Id(_) => panic!("an id"),
        }
    }

    #[test]
    fn escapes_are_undone_as_serde_would() {
        for text in [
            "plain",
            "a\"b\\c/d",
            "line\nline\ttab\r\u{8}\u{c}.",
            "密钥 🔑",
            "\u{1}",
        ] {
            let body = serde_json::json!({ "secret": text }).to_string();
            assert_eq!(secret(&body), text.as_bytes());
        }
        assert_eq!(
            secret(r#"{"secret":"\ud83d\udd11\u00e9\/"}"#),
            "🔑é/".as_bytes()
        );
    }

    #[test]
    fn what_copying_adds_is_taken_off() {
        let pasted = |text: &str| secret(&serde_json::json!({ "secret": text }).to_string());
        assert_eq!(pasted(" \n plain text\t\r\n"), b"plain text");
        assert_eq!(pasted("a\n  b"), b"a\n  b");
        let (begin, end) = ("-----BEGIN X KEY-----", "-----END X KEY-----");
        let key = format!("\n  {begin}\r\n\r\n    AAAA\r\n    BB==\r\n  {end}\r\n");
        assert_eq!(
            pasted(&key),
            format!("{begin}\nAAAA\nBB==\n{end}").as_bytes()
        );
    }

    #[test]
    fn what_is_no_question_is_refused_without_repeating_it() {
        for body in [
            "",
            "{}",
            r#"{"secret":7}"#,
            r#"{"secret":"   "}"#,
            r#"{"secret":"\ud83d"}"#,
            r#"{"secret":"\ud83dhunter2"}"#,
            r#"{"secret":"hunter2","id":"AKIDhunter2"}"#,
            r#"{"secret":"hunter2","why":"hunter2"}"#,
            r#"{"secret":"hunter2"#,
        ] {
            let Err(refusal) = question(body.as_bytes()) else {
                panic!("{body}")
            };
            assert!(!format!("{refusal:?}").contains("hunter2"), "{body}");
        }
        let long = serde_json::json!({ "secret": "x".repeat(limits::PASTED_SECRET + 1) });
        let Err(refusal) = question(long.to_string().as_bytes()) else {
            panic!("too long")
        };
        assert_eq!(refusal.code(), RefusalCode::TooLarge);
    }

    #[test]
    fn an_id_is_no_secret() {
        let question = question(br#"{"id":"AKIDEXAMPLE"}"#);
        assert!(matches!(question, Ok(Question::Id(id)) if id.as_str() == "AKIDEXAMPLE"));
    }
}
