//! What a name says about the value beside it.
//!
//! Names are folded (lower case; `-`, `_`, `.`, spaces and brackets ignored), and the longest known
//! ending decides: `PROD_ALIYUN_ACCESS_KEY_SECRET` is a secret, and what is left, `prodaliyun`, is
//! its *stem*, by which it finds its id. A name alone never makes a finding.

use std::collections::HashMap;

use serde::Deserialize;

/// What a value is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// The public half.
    Id,
    /// The secret half.
    Secret,
    /// `access_key`, which some vendors use for the id and some for the secret.
    IdOrSecret,
    /// A temporary credential's session token.
    Token,
    /// A bearer token or API key.
    Bearer,
    /// When a temporary credential ends.
    Expiry,
    /// A password.
    Password,
    /// A service's word alone: `cloudflare = …`.
    Vendor,
}

/// What a name was found to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) role: Role,
    /// The folded name without the words that say its role.
    pub(crate) stem: Vec<u8>,
    /// Bytes of the words that said it: the longer, the surer.
    pub(crate) weight: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNames {
    id: Vec<String>,
    secret: Vec<String>,
    token: Vec<String>,
    bearer: Vec<String>,
    expiry: Vec<String>,
    password: Vec<String>,
    vendor: Vec<String>,
    not: Vec<String>,
}

/// The known names, by their folded text.
#[derive(Debug)]
pub(crate) struct Names {
    roles: HashMap<Vec<u8>, Role>,
    not: Vec<Vec<u8>>,
    /// Last two bytes of every name: what the sieve asks first.
    endings: Box<[bool; 1 << 16]>,
    longest: usize,
}

/// Names up to this length need a word boundary before them.
const SHORT: usize = 4;
/// Bytes of a key that are looked at, from its end.
const LONGEST_KEY: usize = 160;

impl Names {
    pub(super) fn new(raw: &RawNames) -> Names {
        let mut names = Names {
            roles: HashMap::new(),
            not: raw.not.iter().map(|name| fold(name.as_bytes())).collect(),
            endings: vec![false; 1 << 16]
                .into_boxed_slice()
                .try_into()
                .expect("invariant: the length is the same"),
            longest: 0,
        };
        names.extend(Role::Id, &raw.id);
        names.extend(Role::Secret, &raw.secret);
        names.extend(Role::Token, &raw.token);
        names.extend(Role::Bearer, &raw.bearer);
        names.extend(Role::Expiry, &raw.expiry);
        names.extend(Role::Password, &raw.password);
        names.extend(Role::Vendor, &raw.vendor);
        names
    }

    pub(super) fn extend(&mut self, role: Role, names: &[String]) {
        for name in names {
            let name = fold(name.as_bytes());
            let Some(ending) = name.last_chunk::<2>() else {
                continue;
            };
            self.endings[usize::from(u16::from_le_bytes(*ending))] = true;
            self.longest = self.longest.max(name.len());
            let known = self.roles.get(&name).copied();
            let role = match (known, role) {
                (Some(Role::Id), Role::Secret) | (Some(Role::Secret), Role::Id) => Role::IdOrSecret,
                (Some(known), _) => known,
                (None, role) => role,
            };
            self.roles.insert(name, role);
        }
    }

    /// Whether a name may end with these two folded bytes.
    pub(crate) fn may_end(&self, ending: [u8; 2]) -> bool {
        self.endings[usize::from(u16::from_le_bytes(ending))]
    }

    /// What `key`, a name or a key path, says. Its last component decides; the whole path is its
    /// stem.
    pub(crate) fn role_of(&self, key: &[u8]) -> Option<Named> {
        let key = &key[key.len().saturating_sub(LONGEST_KEY)..];
        let folded = fold(key);
        let name = strip_number(&folded);
        let starts = word_starts(key);
        // Longest ending first; among equals there is one only.
        let longest = self.longest.min(name.len());
        for length in (2..=longest).rev() {
            let ending = &name[name.len() - length..];
            let Some(&role) = self.roles.get(ending) else {
                continue;
            };
            let at = name.len() - length;
            if length <= SHORT && ending.is_ascii() && !starts.contains(&at) {
                continue;
            }
            if self
                .not
                .iter()
                .any(|not| name.ends_with(not) && not.len() > length)
            {
                return None;
            }
            let mut stem = name[..at].to_vec();
            stem.extend_from_slice(&folded[name.len()..]);
            return Some(Named {
                role,
                stem,
                weight: length,
            });
        }
        None
    }

    /// What `key` says when a qualifier follows the known words: `SECRET_KEY_PROD`.
    pub(crate) fn role_within(&self, key: &[u8]) -> Option<Named> {
        let key = &key[key.len().saturating_sub(LONGEST_KEY)..];
        let last = key.iter().rposition(|&b| b == b'.').map_or(0, |at| at + 1);
        let words: Vec<usize> = (last..key.len())
            .filter(|&at| at > last && matches!(key[at], b'_' | b'-'))
            .collect();
        words.into_iter().rev().take(3).find_map(|end| {
            let mut named = self.role_of(&key[..end])?;
            let strong = matches!(named.role, Role::Id | Role::Secret | Role::IdOrSecret);
            if !strong || named.weight < 8 {
                return None;
            }
            named.stem.extend(fold(&key[end..]));
            Some(named)
        })
    }
}

/// Lower case; separators dropped; other bytes kept, for names in Chinese.
pub(crate) fn fold(name: &[u8]) -> Vec<u8> {
    name.iter()
        .filter(|byte| !is_separator(**byte))
        .map(u8::to_ascii_lowercase)
        .collect()
}

fn is_separator(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric()
}

fn strip_number(folded: &[u8]) -> &[u8] {
    let end = folded
        .iter()
        .rposition(|byte| !byte.is_ascii_digit())
        .map_or(0, |at| at + 1);
    &folded[..end]
}

/// Offsets in the folded name at which a word begins.
fn word_starts(key: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = 0;
    let mut previous = b' ';
    for &byte in key {
        if !is_separator(byte) {
            let camel = byte.is_ascii_uppercase() && !previous.is_ascii_uppercase();
            if is_separator(previous) || camel || previous.is_ascii_digit() {
                starts.push(at);
            }
            at += 1;
        }
        previous = byte;
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::RuleSet;

    fn check(key: &str, role: Option<Role>, stem: &str) {
        let set = RuleSet::builtin();
        let named = set.names().role_of(key.as_bytes());
        assert_eq!(named.as_ref().map(|named| named.role), role, "{key}");
        if let Some(named) = named {
            assert_eq!(String::from_utf8_lossy(&named.stem), stem, "{key}");
        }
    }

    #[test]
    fn names_say_roles_and_leave_stems() {
        check(
            "ALIBABA_CLOUD_ACCESS_KEY_ID",
            Some(Role::Id),
            "alibabacloud",
        );
        check(
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            Some(Role::Secret),
            "alibabacloud",
        );
        check("cos.secretKey", Some(Role::Secret), "cos");
        check("cos.secretId", Some(Role::Id), "cos");
        check("AWS_SECRET_ACCESS_KEY", Some(Role::Secret), "aws");
        check("aws.access_key", Some(Role::IdOrSecret), "aws");
        check("AWS_SESSION_TOKEN", Some(Role::Token), "");
        check("volc.ak", Some(Role::Id), "volc");
        check("HUAWEICLOUD_SDK_SK", Some(Role::Secret), "huaweicloudsdk");
        check("task", None, "");
        check("disk", None, "");
        check("db.password", Some(Role::Password), "db");
        check("secret_key_2", Some(Role::Secret), "2");
        check("tokenUrl", None, "");
        check("数据库密码", Some(Role::Password), "数据库");
        check("expired_time", Some(Role::Expiry), "");
    }
}
