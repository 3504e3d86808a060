//! What lets somebody in: enrollment tokens, API tokens, sessions, the first link.
//!
//! Made here for the console and for the command line alike. Every value is random, shown once and
//! stored by its SHA-256 only: 256 bits need no slow hash.

use std::collections::BTreeMap;

use akwatch_proto::agent::{Bootstrap, RefusalCode, TokenId, TokenSecret};
use akwatch_proto::people::{
    CreatedApiToken, CreatedEnrollmentToken, NewApiToken, NewEnrollmentToken, Role,
};
use akwatch_proto::time::Time;
use akwatch_proto::{limits, text};
use akwatch_store::access::NewApiTokenRecord;
use akwatch_store::enrollment::NewToken;
use akwatch_store::{Actor, Scope};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::domain::Domain;
use crate::domain::people::may_grant;
use crate::domain::refusal::Refusal;
use crate::pki::authority::{DAY_MS, random};

/// Characters of a random value: 43 of base 62 hold 256 bits.
pub const SECRET_CHARACTERS: usize = 43;
/// Characters of a token's public id.
const ID_CHARACTERS: usize = 12;
const PREFIX: &str = "akw_";
/// Characters of an API token's checksum: 6 of base 62 hold 32 bits.
const CHECK_CHARACTERS: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Hosts that one enrollment token may bring in, at most.
const MOST_USES: u32 = 100_000;
/// Seconds that an enrollment token lives: least, default, most.
const TOKEN_SECONDS: (u32, u32, u32) = (60, 3600, 30 * 24 * 3600);
/// Days that an API token lives: least, default, most.
const TOKEN_DAYS: (u32, u32, u32) = (1, 90, 365);
/// Milliseconds that the link for the first sign-in is good.
pub const LINK_MS: i64 = 60 * 60 * 1000;
/// Characters of a note or name.
const NAME: usize = 128;

/// Who gives a token away, and what they may give at most.
pub(super) struct Grantor<'a> {
    pub(super) name: &'a str,
    pub(super) role: Role,
    pub(super) scope: &'a Scope,
}

/// A random value of base 62.
#[must_use]
pub fn secret(characters: usize) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(characters));
    let mut bytes = Zeroizing::new([0; 64]);
    while out.len() < characters {
        random(bytes.as_mut_slice());
        // 248 is the largest multiple of 62 in a byte: what lies above would favour some letters.
        let missing = characters - out.len();
        let fair = bytes.iter().filter(|byte| **byte < 248).take(missing);
        out.extend(fair.map(|byte| char::from(BASE62[usize::from(byte % 62)])));
    }
    out
}

/// What the store knows a random value by.
#[must_use]
pub fn hash(value: &str) -> [u8; 32] {
    Sha256::digest(value.as_bytes()).into()
}

impl Domain {
    /// Creates an enrollment token.
    ///
    /// # Errors
    /// When a wish is out of range, or the store fails.
    pub(super) async fn enrollment_token(
        &self,
        new: NewEnrollmentToken,
        actor: Actor,
        now: Time,
    ) -> Result<CreatedEnrollmentToken, Refusal> {
        let uses = new.uses.unwrap_or(1);
        within("uses", uses, (1, MOST_USES))?;
        let (least, default, most) = TOKEN_SECONDS;
        let seconds = new.seconds.unwrap_or(default);
        within("seconds", seconds, (least, most))?;
        labels(&new.labels)?;
        if let Some(note) = &new.note {
            printable("the note", note, NAME)?;
        }
        let id = TokenId::parse(&secret(ID_CHARACTERS)).expect("invariant: base 62 is a token id");
        let value = secret(SECRET_CHARACTERS);
        let record = NewToken {
            id: id.clone(),
            secret_hash: hash(&value),
            uses,
            until: now.plus(i64::from(seconds) * 1000),
            labels: new.labels,
            note: new.note,
        };
        let token = self.store.create_token(record, actor, now).await?;
        let bootstrap = Bootstrap {
            token: id,
            secret: TokenSecret::new(value.to_string()),
            authority: self.authority.pin(),
        };
        Ok(CreatedEnrollmentToken {
            token,
            bootstrap: bootstrap.expose(),
        })
    }

    /// Creates an API token in a person's name.
    ///
    /// # Errors
    /// When a wish is out of range or above what the person may, or the store fails.
    pub(super) async fn api_token(
        &self,
        new: NewApiToken,
        by: &Grantor<'_>,
        actor: Actor,
        now: Time,
    ) -> Result<CreatedApiToken, Refusal> {
        if !may_grant(by.role, new.role) {
            return Err(Refusal::new(
                RefusalCode::Forbidden,
                "A token may do at most what the person who makes it may do.",
            )
            .hint("Choose your own role, or one that may do less."));
        }
        if !by.scope.holds(&new.labels) {
            return Err(Refusal::new(
                RefusalCode::Forbidden,
                "A token may see at most what the person who makes it may see.",
            )
            .hint("Give it every label of your own scope, which `GET /api/v1/me` names."));
        }
        labels(&new.labels)?;
        printable("the name", &new.name, NAME)?;
        let (least, default, most) = TOKEN_DAYS;
        let days = new.days.unwrap_or(default);
        within("days", days, (least, most))?;
        let value = with_checksum(&secret(SECRET_CHARACTERS));
        let record = NewApiTokenRecord {
            id: secret(ID_CHARACTERS).to_string(),
            hash: hash(&value),
            name: new.name,
            role: new.role,
            labels: new.labels,
            person: by.name.to_owned(),
            until: now.plus(i64::from(days) * DAY_MS),
        };
        let token = self.store.create_api_token(record, actor, now).await?;
        let token = token.ok_or_else(|| Refusal::not_found("person"))?;
        Ok(CreatedApiToken {
            token,
            value: value.to_string(),
        })
    }
}

/// What the store knows an API token by; none when its checksum does not hold, so that a mistyped
/// or made-up one costs no query.
#[must_use]
pub fn api_token_hash(value: &str) -> Option<[u8; 32]> {
    let body = value.strip_prefix(PREFIX)?;
    let whole = body.len() == SECRET_CHARACTERS + CHECK_CHARACTERS && body.is_ascii();
    if !whole || *with_checksum(&body[..SECRET_CHARACTERS]) != *value {
        return None;
    }
    Some(hash(value))
}

fn with_checksum(secret: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(64));
    out.push_str(PREFIX);
    out.push_str(secret);
    let mut check = crc32(secret.as_bytes());
    for _ in 0..CHECK_CHARACTERS {
        let digit = usize::try_from(check % 62).unwrap_or(0);
        out.push(char::from(BASE62[digit]));
        check /= 62;
    }
    out
}

/// CRC-32 as of ISO 3309, reflected, polynomial 0x04C11DB7: catches typing errors, proves nothing.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// Refuses labels that are too many, too long, or could move a cursor.
///
/// # Errors
/// Saying which.
pub fn labels(labels: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let count = u32::try_from(labels.len()).unwrap_or(u32::MAX);
    within("labels", count, (0, 64))?;
    for (key, value) in labels {
        printable("a label's name", key, limits::SLUG)?;
        printable("a label's value", value, limits::LABEL_VALUE)?;
    }
    Ok(())
}

fn within(what: &str, value: u32, (least, most): (u32, u32)) -> Result<(), Refusal> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::Malformed,
        format!("`{what}` is {value}; {least} to {most} are allowed."),
    )
    .hint(format!("Ask again with {least} to {most} `{what}`.")))
}

/// Refuses a name for people that is empty, too long or could move a cursor.
///
/// # Errors
/// Saying which.
pub fn printable(what: &str, value: &str, limit: usize) -> Result<(), Refusal> {
    let bad = value.trim().is_empty() || value.len() > limit || value.chars().any(text::is_hostile);
    if !bad {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::Malformed,
        format!("{what} must have 1 to {limit} printable characters."),
    )
    .hint("Shorten it, or take out line ends and what cannot be printed."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_their_length_and_alphabet() {
        let (one, other) = (secret(SECRET_CHARACTERS), secret(SECRET_CHARACTERS));
        assert_eq!(one.len(), SECRET_CHARACTERS);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(one, other);
    }

    #[test]
    fn what_is_refused_says_what_to_do() {
        let refused = |result: Result<(), Refusal>| result.unwrap_err().told();
        let many = refused(within("days", 400, (1, 365)));
        assert!(many.message.contains("400") && many.hint.unwrap().contains("1 to 365"));
        let name = refused(printable("the name", "a\nb", NAME));
        assert!(name.hint.unwrap().contains("line ends"));
    }

    #[test]
    fn the_checksum_is_crc32_and_one_wrong_letter_is_refused() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let value = with_checksum(&secret(SECRET_CHARACTERS));
        assert!(api_token_hash(&value).is_some());
        let mut wrong = value.as_bytes().to_vec();
        wrong[10] = if wrong[10] == b'a' { b'b' } else { b'a' };
        assert!(api_token_hash(std::str::from_utf8(&wrong).unwrap()).is_none());
        for bad in [
            "",
            "akw_",
            "akw_x",
            "ghp_x",
            &value[..value.len() - 1],
            "akw_é",
        ] {
            assert!(api_token_hash(bad).is_none());
        }
    }
}
