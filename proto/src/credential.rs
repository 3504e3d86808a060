//! What identifies a credential without being one: ids, fingerprints, previews, kinds.
//!
//! An access key has a public half (its id) and a secret half. The id may be stored and shown; of
//! the secret only a keyed [`Fingerprint`] and a [`Preview`] leave the host. A preview holds the
//! rule's public prefix and a length class, never a character of the secret part.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::limits;

/// Why a word from outside was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWord {
    /// The text is empty or longer than its limit.
    #[error("{what} has {length} characters; 1 to {limit} are allowed")]
    Length {
        /// What was being read.
        what: &'static str,
        /// Its length.
        length: usize,
        /// The limit, from [`limits`].
        limit: usize,
    },
    /// A character outside the word's alphabet.
    #[error("{what} has a character that is not allowed at position {at}")]
    Character {
        /// What was being read.
        what: &'static str,
        /// Byte offset of the character.
        at: usize,
    },
    /// The parts of a compound word are not as its format says.
    #[error("{what} does not have the form {form}")]
    Form {
        /// What was being read.
        what: &'static str,
        /// The form that was expected.
        form: &'static str,
    },
}

pub(crate) fn checked(
    what: &'static str,
    text: &str,
    limit: usize,
    allowed: impl Fn(char) -> bool,
) -> Result<(), InvalidWord> {
    if text.is_empty() || text.len() > limit {
        return Err(InvalidWord::Length {
            what,
            length: text.len(),
            limit,
        });
    }
    match text.char_indices().find(|&(_, c)| !allowed(c)) {
        Some((at, _)) => Err(InvalidWord::Character { what, at }),
        None => Ok(()),
    }
}

/// Gives a structured type that is written as one string the schema of a string.
macro_rules! written_as_text {
    ($name:ident) => {
        impl ::utoipa::PartialSchema for $name {
            fn schema() -> ::utoipa::openapi::RefOr<::utoipa::openapi::schema::Schema> {
                <String as ::utoipa::PartialSchema>::schema()
            }
        }
        impl ::utoipa::ToSchema for $name {}
    };
}
pub(crate) use written_as_text;

/// Defines a validated text newtype: parsing is the only way in, deserialization included.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $what:literal, $limit:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses `text`.
            ///
            /// # Errors
            /// When it is empty, too long or has a character outside its alphabet.
            pub fn parse(text: &str) -> Result<$name, $crate::credential::InvalidWord> {
                $crate::credential::checked($what, text, $limit, $allowed)?;
                Ok($name(text.to_owned()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl ::std::str::FromStr for $name {
            type Err = $crate::credential::InvalidWord;
            fn from_str(text: &str) -> Result<$name, Self::Err> {
                $name::parse(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = $crate::credential::InvalidWord;
            fn try_from(text: String) -> Result<$name, Self::Error> {
                $name::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(word: $name) -> String {
                word.0
            }
        }
    };
}
pub(crate) use word;

fn slug(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_')
}

word! {
    /// A rule's name, `provider.what`: lower-case letters, digits, `.`, `-`, `_`; for example
    /// `tencent.access-key`.
    RuleId, "a rule id", limits::SLUG, slug
}

word! {
    /// Who issues a credential: `aws`, `alibaba`, `tencent`, … or `generic`.
    Provider, "a provider", limits::SLUG, slug
}

word! {
    /// The public half of a key, which is no secret: `LTAI…`, `AKID…`, `AKIA…`. Printable ASCII
    /// without spaces, quotes or backslashes.
    CredentialId, "a credential id", limits::CREDENTIAL_ID,
    |c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '`' | '<' | '>')
}

/// What sort of credential a finding is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// A cloud access key: id and secret.
    AccessKeyPair,
    /// The secret half of an access key, found without its id.
    SecretKey,
    /// A short-lived cloud credential: id, secret and session token.
    TemporaryCredential,
    /// A PEM, OpenSSH or PGP private key.
    PrivateKey,
    /// A service's bearer token.
    Token,
    /// A password beside its name or inside a connection string.
    Password,
    /// A lone id: an inventory of use, not a leak.
    Reference,
    /// A kind that this program is too old to know.
    #[serde(other)]
    Unknown,
}

/// How sure the detector is, lowest first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Confidence {
    /// A value beside a name that says what it is.
    Contextual = 1,
    /// The value's own format says what it is.
    Strong = 2,
    /// Id and secret found together in one scope.
    Paired = 3,
    /// A checksum or structure was verified offline.
    Proven = 4,
    /// Below the default: vendors' samples, hashes, failed proofs; or a level that this program is
    /// too old to know.
    #[serde(other)]
    Unknown = 0,
}

/// How a fingerprint was made from the secret.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// HMAC-SHA256(K, secret): machine-made secrets, which cannot be guessed.
    Hmac,
    /// HMAC-SHA256(K, Argon2id(secret)): passwords that people choose.
    ArgonHmac,
}

/// Memory of [`Scheme::ArgonHmac`]'s Argon2id (version 1.3), in KiB. Agent and collector must agree;
/// 9 MiB and four passes are among the settings that OWASP holds equal, and fit a detector's memory.
pub const ARGON_MEMORY_KIB: u32 = 9 * 1024;
/// Passes of [`Scheme::ArgonHmac`]'s Argon2id.
pub const ARGON_PASSES: u32 = 4;
/// Lanes of [`Scheme::ArgonHmac`]'s Argon2id.
pub const ARGON_LANES: u32 = 1;
/// Its salt is the first 16 bytes of HMAC-SHA256(K, this label); its output has 32 bytes and is what
/// the HMAC is taken of.
pub const ARGON_SALT_LABEL: &[u8] = b"akwatch argon2id salt v1";

word! {
    /// Names the fleet key that made a fingerprint: a number once enrolled, `local` before.
    Epoch, "an epoch", 16, |c: char| c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// What makes equal secrets equal across places and hosts: a keyed hash, meaningless without the
/// key. Written `scheme:epoch:hex`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint {
    /// How it was made.
    pub scheme: Scheme,
    /// Which key made it.
    pub epoch: Epoch,
    /// The keyed hash.
    pub bytes: [u8; 32],
}

written_as_text!(Fingerprint);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Hmac => "hmac",
            Scheme::ArgonHmac => "argon-hmac",
        };
        write!(
            f,
            "{scheme}:{}:{}",
            self.epoch,
            data_encoding::HEXLOWER.encode(&self.bytes)
        )
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidWord;
    fn from_str(text: &str) -> Result<Fingerprint, InvalidWord> {
        let form = InvalidWord::Form {
            what: "a fingerprint",
            form: "scheme:epoch:64 hex digits",
        };
        let mut parts = text.splitn(3, ':');
        let (Some(scheme), Some(epoch), Some(hex)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(form);
        };
        let scheme = match scheme {
            "hmac" => Scheme::Hmac,
            "argon-hmac" => Scheme::ArgonHmac,
            _ => return Err(form),
        };
        let bytes = data_encoding::HEXLOWER
            .decode(hex.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or(form)?;
        Ok(Fingerprint {
            scheme,
            epoch: Epoch::parse(epoch)?,
            bytes,
        })
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = InvalidWord;
    fn try_from(text: String) -> Result<Fingerprint, InvalidWord> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

/// A range of lengths: coarse on purpose, so that a preview says little about a password.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
pub struct LengthClass(u8);

impl LengthClass {
    const BOUNDS: [usize; 11] = [8, 16, 20, 24, 32, 36, 40, 48, 64, 128, 512];

    /// The class of a secret of `length` bytes.
    #[must_use]
    pub fn of(length: usize) -> LengthClass {
        let class = Self::BOUNDS.partition_point(|&bound| bound <= length);
        LengthClass(u8::try_from(class).unwrap_or(u8::MAX))
    }
}

impl fmt::Display for LengthClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = usize::from(self.0);
        match (
            class.checked_sub(1).and_then(|i| Self::BOUNDS.get(i)),
            Self::BOUNDS.get(class),
        ) {
            (Some(low), Some(high)) => write!(f, "{low}–{}", high - 1),
            (Some(low), None) => write!(f, "{low} or more"),
            (None, Some(high)) => write!(f, "under {high}"),
            (None, None) => f.write_str("unknown"),
        }
    }
}

/// What may be shown of a secret: the rule's public prefix and a length class. Shown as
/// `ghp_ ••• (36–39)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// The prefix that the rule itself declares; it comes from the rule, never from the match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<PublicPrefix>,
    /// How long the secret is, roughly.
    pub length: LengthClass,
}

word! {
    /// A prefix that every secret of one rule shares, declared by the rule: `ghp_`.
    PublicPrefix, "a public prefix", limits::PREVIEW_PREFIX, |c| c.is_ascii_graphic()
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(prefix) = &self.prefix {
            write!(f, "{prefix} ")?;
        }
        write!(f, "••• ({})", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_back_as_written() {
        let fingerprint = Fingerprint {
            scheme: Scheme::ArgonHmac,
            epoch: Epoch::parse("7").unwrap(),
            bytes: [0xab; 32],
        };
        let text = fingerprint.to_string();
        assert!(text.starts_with("argon-hmac:7:abab"));
        assert_eq!(text.parse::<Fingerprint>().unwrap(), fingerprint);
        assert!("hmac:7:ab".parse::<Fingerprint>().is_err());
        assert!("md5:7:00".parse::<Fingerprint>().is_err());
    }

    #[test]
    fn length_classes_name_their_bounds() {
        assert_eq!(LengthClass::of(3).to_string(), "under 8");
        assert_eq!(LengthClass::of(30).to_string(), "24–31");
        assert_eq!(LengthClass::of(32).to_string(), "32–35");
        assert_eq!(LengthClass::of(40).to_string(), "40–47");
        assert_eq!(LengthClass::of(4000).to_string(), "512 or more");
    }

    #[test]
    fn words_refuse_what_their_alphabet_does_not_hold() {
        assert!(RuleId::parse("tencent.access-key").is_ok());
        assert!(matches!(RuleId::parse(""), Err(InvalidWord::Length { .. })));
        assert!(matches!(
            RuleId::parse("a b"),
            Err(InvalidWord::Character { at: 1, .. })
        ));
        assert!(CredentialId::parse("AKID\u{1b}").is_err());
    }

    #[test]
    fn confidence_is_ordered_and_survives_the_future() {
        assert!(
            Confidence::Proven > Confidence::Paired && Confidence::Strong > Confidence::Contextual
        );
        assert_eq!(
            serde_json::from_str::<Confidence>("\"certain\"").unwrap(),
            Confidence::Unknown
        );
        assert_eq!(
            serde_json::from_str::<Kind>("\"quantum-key\"").unwrap(),
            Kind::Unknown
        );
    }
}
