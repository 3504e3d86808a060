//! From matches with secrets to facts without: fingerprints, previews, cleaned names.
//!
//! This is the wall between what a detector sees and what anybody else may hear. It is the only
//! module that may call [`SafeText::danger_already_redacted`]. A name leaves only after everything
//! that a rule finds in it, and every window of [`WINDOW`] bytes of every secret matched in the same
//! job (plain, in another case, percent-encoded, in hex or base64), was replaced by `‹rule~tag›`.
//! The tag is a keyed hash of the raw name, so that two different names stay different.
//!
//! What a rule's public prefix (`ghp_`) and a PEM file's armour say is no secret and stays.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use akwatch_detect::{Detector, Match};
use akwatch_proto::agent::FleetKey;
use akwatch_proto::credential::{
    ARGON_LANES, ARGON_MEMORY_KIB, ARGON_PASSES, ARGON_SALT_LABEL, Epoch, Fingerprint, InvalidWord,
    LengthClass, Preview, RuleId, Scheme,
};
use akwatch_proto::finding::{Proof, Subject};
use akwatch_proto::limits;
use akwatch_proto::place::{SafeText, Spot};
use argon2::{Algorithm, Argon2, Params, Version};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::job::Found;

mod windows;

use windows::Windows;

/// Bytes of a secret that may not appear together anywhere outside. The promise is eight; seven are
/// removed, because base64 of eight bytes at an odd place shows only seven of them whole.
pub const WINDOW: usize = 7;
/// Slow hashes in one job; at about 20 ms each. Stops: a file of passwords that holds the detector.
const SLOW_HASHES: usize = 32;
/// Slow hashes that are remembered.
const REMEMBERED: usize = 512;
/// Characters of the tag behind a rule in a cleaned name.
const TAG: usize = 3;

/// Makes fingerprints: the fleet's key of one epoch, wiped when dropped.
pub struct FingerprintKey {
    epoch: Epoch,
    key: Zeroizing<[u8; 32]>,
    salt: [u8; 16],
    /// The key outlives this process, so a password's fingerprint must be slow to guess.
    kept: bool,
    slow: Mutex<HashMap<[u8; 32], [u8; 32]>>,
}

impl FingerprintKey {
    /// The fleet's.
    ///
    /// # Errors
    /// When the key is not 32 bytes of base64.
    pub fn of_fleet(key: &FleetKey) -> Result<FingerprintKey, InvalidWord> {
        Ok(FingerprintKey::new(key.epoch.clone(), key.expose()?, true))
    }

    /// One for this run only, for a host that is not enrolled; its epoch is `local`. Nobody can guess
    /// with a key that is drawn at random and forgotten, so passwords are not stretched under it.
    ///
    /// # Errors
    /// When the kernel gives no randomness.
    pub fn local() -> Result<FingerprintKey, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let epoch = Epoch::parse("local").expect("invariant: a lower-case word");
        Ok(FingerprintKey::new(epoch, key, false))
    }

    fn new(epoch: Epoch, key: [u8; 32], kept: bool) -> FingerprintKey {
        let key = Zeroizing::new(key);
        let mut salt = [0; 16];
        salt.copy_from_slice(&keyed_hash(&key, &[ARGON_SALT_LABEL])[..16]);
        FingerprintKey {
            epoch,
            key,
            salt,
            kept,
            slow: Mutex::default(),
        }
    }

    /// Which key this is.
    #[must_use]
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// A mark of some bytes, to see later whether they are still the same.
    #[must_use]
    pub fn mark(&self, parts: &[&[u8]]) -> u64 {
        let mut all: Vec<&[u8]> = vec![b"akwatch tail v1\0"];
        all.extend(parts);
        let hash = keyed_hash(&self.key, &all);
        u64::from_le_bytes(hash[..8].try_into().expect("invariant: 8 of 32 bytes"))
    }

    /// The fingerprint of a machine-made secret.
    #[must_use]
    pub fn quick(&self, secret: &[u8]) -> Fingerprint {
        Fingerprint {
            scheme: Scheme::Hmac,
            epoch: self.epoch.clone(),
            bytes: keyed_hash(&self.key, &[secret]),
        }
    }

    /// The fingerprint of a password that a person chose; `None` when `budget` is used up and it is
    /// not remembered.
    #[must_use]
    pub fn slow(&self, secret: &[u8], budget: &mut usize) -> Option<Fingerprint> {
        if !self.kept {
            return Some(self.quick(secret));
        }
        let known_by = keyed_hash(&self.key, &[b"akwatch slow v1\0", secret]);
        let remembered = {
            let slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
            slow.get(&known_by).copied()
        };
        let bytes = if let Some(bytes) = remembered {
            bytes
        } else {
            *budget = budget.checked_sub(1)?;
            let bytes = keyed_hash(&self.key, &[&*self.stretch(secret)]);
            let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
            if slow.len() >= REMEMBERED {
                slow.clear();
            }
            slow.insert(known_by, bytes);
            bytes
        };
        Some(Fingerprint {
            scheme: Scheme::ArgonHmac,
            epoch: self.epoch.clone(),
            bytes,
        })
    }

    fn stretch(&self, secret: &[u8]) -> Zeroizing<[u8; 32]> {
        let params = Params::new(ARGON_MEMORY_KIB, ARGON_PASSES, ARGON_LANES, Some(32))
            .expect("invariant: constants within Argon2's bounds");
        let mut out = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(secret, &self.salt, &mut *out)
            .expect("invariant: a bounded secret, a salt of 16 and an output of 32 bytes");
        out
    }

    fn tag(&self, name: &[u8]) -> String {
        let hash = keyed_hash(&self.key, &[b"akwatch name v1\0", name]);
        data_encoding::HEXLOWER.encode(&hash[..TAG])
    }
}

fn keyed_hash(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash =
        Hmac::<Sha256>::new_from_slice(key).expect("invariant: HMAC takes a key of any length");
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into_bytes().into()
}

/// One job's redaction: knows every secret matched in it.
pub struct Redactor<'a> {
    detector: &'a mut Detector,
    key: &'a FingerprintKey,
    windows: Windows,
    rules: Vec<RuleId>,
    slow_hashes: usize,
    /// Members and keys repeat in a job: each is cleaned once.
    cleaned: HashMap<Vec<u8>, SafeText>,
    /// A match was left out because the job's slow hashes were used up.
    pub exhausted: bool,
}

impl<'a> Redactor<'a> {
    /// Redacts for a job in which `matches` were found.
    #[must_use]
    pub fn new(
        detector: &'a mut Detector,
        key: &'a FingerprintKey,
        matches: &[Match],
    ) -> Redactor<'a> {
        let mut windows = Windows::default();
        for (index, found) in matches.iter().enumerate() {
            let prefix = found.prefix.as_ref().map_or("", |prefix| prefix.as_str());
            for secret in found.secret.iter().chain(&found.also) {
                windows.add(index, secret.expose(), prefix.as_bytes());
            }
        }
        windows.finish();
        Redactor {
            detector,
            key,
            windows,
            rules: matches.iter().map(|found| found.rule.clone()).collect(),
            slow_hashes: SLOW_HASHES,
            cleaned: HashMap::new(),
            exhausted: false,
        }
    }

    /// What may be said of one of the job's matches; `None` where nothing is left to say, or the
    /// slow hashes are used up.
    pub fn found(&mut self, found: &Match) -> Option<Found> {
        let id = found
            .id
            .as_ref()
            .filter(|id| !self.windows.touch(id.as_str().as_bytes()))
            .cloned();
        let subject = match (&found.secret, &id) {
            (Some(secret), _) => Subject::Secret(self.fingerprint(found.scheme, secret.expose())?),
            (None, Some(id)) => Subject::Reference(id.clone()),
            (None, None) => return None,
        };
        let proof = found
            .proof
            .iter()
            .filter(|proof| match proof {
                Proof::Account { id, .. } => !self.windows.touch(id.as_bytes()),
                _ => true,
            })
            .take(limits::PROOFS_PER_FINDING)
            .cloned()
            .collect();
        let preview = found.secret.as_ref().map(|secret| Preview {
            prefix: found.prefix.clone(),
            length: LengthClass::of(secret.len()),
        });
        let inside = found.spot.inside.iter().take(limits::INSIDE_DEPTH);
        Some(Found {
            part: found.part,
            inside: inside.map(|name| self.name(name)).collect(),
            subject,
            rule: found.rule.clone(),
            provider: found.provider.clone(),
            kind: found.kind,
            credential_id: id,
            confidence: found.confidence,
            preview,
            proof,
            spot: Spot {
                line: found.spot.line,
                end_line: found.spot.end_line,
                field: found.spot.field.as_deref().map(|field| self.name(field)),
                encoding: found.spot.encoding.clone(),
                typed: found.spot.typed,
            },
        })
    }

    fn fingerprint(&mut self, scheme: Scheme, secret: &[u8]) -> Option<Fingerprint> {
        match scheme {
            Scheme::Hmac => Some(self.key.quick(secret)),
            Scheme::ArgonHmac => {
                let made = self.key.slow(secret, &mut self.slow_hashes);
                self.exhausted |= made.is_none();
                made
            }
        }
    }

    /// A raw name as it may be stored and shown.
    pub fn name(&mut self, raw: &[u8]) -> SafeText {
        // What is longer is cut below anyway; a hostile name must not cost more than it shows.
        let raw = &raw[..raw.len().min(2 * limits::SAFE_TEXT)];
        if let Some(clean) = self.cleaned.get(raw) {
            return clean.clone();
        }
        let clean = self.clean(raw);
        self.cleaned.insert(raw.to_vec(), clean.clone());
        clean
    }

    fn clean(&mut self, raw: &[u8]) -> SafeText {
        let mut hits: Vec<(Range<usize>, RuleId)> = self.detector.secrets_in_name(raw);
        for (range, index) in self.windows.in_name(raw) {
            if let Some(rule) = self.rules.get(index) {
                hits.push((range, rule.clone()));
            }
        }
        if hits.is_empty() {
            return SafeText::danger_already_redacted(raw);
        }
        hits.sort_by_key(|(range, _)| range.start);
        let tag = self.key.tag(raw);
        let mut clean = Vec::with_capacity(raw.len());
        let mut done = 0;
        for (range, rule) in hits {
            let end = range.end.min(raw.len());
            if range.start >= done {
                clean.extend_from_slice(&raw[done..range.start.min(raw.len())]);
                clean.extend_from_slice(format!("‹{rule}~{tag}›").as_bytes());
            }
            done = done.max(end);
        }
        clean.extend_from_slice(&raw[done..]);
        SafeText::danger_already_redacted(&clean)
    }
}

#[cfg(test)]
pub(crate) mod tests;
