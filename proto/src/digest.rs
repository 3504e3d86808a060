//! A digest of a set of findings that does not depend on their order.
//!
//! Each heartbeat says what the agent believes the collector should hold. Comparing one digest is
//! enough to know that both agree; only a difference costs a resynchronisation. The digest is the
//! sum, modulo 2^64 in each of four lanes, of a hash of every element, so that adding and removing
//! one finding costs one hash whatever the size of the set. A host speaks only for itself, so a
//! host that forges a collision hides its own findings from its own report, which it can do anyway.
//!
//! A finding that is gone is no element ([`is_listed`]), so that either side may forget long-gone
//! findings without asking the other. Both sides sum what the agent reported, not what the
//! collector made of it since (a silent host, a retirement). The collector compares digests only
//! when the heartbeat's `acknowledged` is the revision that it last acknowledged and `unsent` is 0:
//! reports and heartbeats travel side by side, and in any other case they differ for no reason.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::finding::{FindingKey, PresenceState};

/// The sum of the elements of a set and their number. Written `count:hex`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SetDigest {
    lanes: [u64; 4],
    count: u64,
}

crate::credential::written_as_text!(SetDigest);

/// The hash of one finding's identity and presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element([u64; 4]);

impl Element {
    /// The element for a finding in a state.
    #[must_use]
    pub fn of(key: &FindingKey, presence: PresenceState) -> Element {
        let mut hash = Sha256::new();
        hash.update(b"akwatch finding v1\0");
        let key = serde_json::to_vec(key).expect("invariant: a finding's key serializes");
        hash.update(&key);
        hash.update([0, presence as u8]);
        Element::from_bytes(hash.finalize().into())
    }

    /// Reads an element that was stored as bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Element {
        let mut lanes = [0; 4];
        for (lane, chunk) in lanes.iter_mut().zip(bytes.chunks_exact(8)) {
            *lane = u64::from_le_bytes(chunk.try_into().expect("invariant: chunks of 8"));
        }
        Element(lanes)
    }

    /// The element as bytes, for storing.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, lane) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&lane.to_le_bytes());
        }
        bytes
    }
}

/// Whether a finding in this state is an element of the digest.
#[must_use]
pub fn is_listed(state: PresenceState) -> bool {
    state != PresenceState::Gone
}

impl SetDigest {
    /// Adds an element that is not in the set.
    pub fn add(&mut self, element: Element) {
        for (lane, value) in self.lanes.iter_mut().zip(element.0) {
            *lane = lane.wrapping_add(value);
        }
        self.count = self.count.wrapping_add(1);
    }

    /// Removes an element that is in the set.
    pub fn remove(&mut self, element: Element) {
        for (lane, value) in self.lanes.iter_mut().zip(element.0) {
            *lane = lane.wrapping_sub(value);
        }
        self.count = self.count.wrapping_sub(1);
    }

    /// How many elements the set has.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

impl From<SetDigest> for String {
    fn from(digest: SetDigest) -> String {
        let bytes = Element(digest.lanes).to_bytes();
        format!(
            "{}:{}",
            digest.count,
            data_encoding::HEXLOWER.encode(&bytes)
        )
    }
}

impl TryFrom<String> for SetDigest {
    type Error = crate::credential::InvalidWord;
    fn try_from(text: String) -> Result<SetDigest, Self::Error> {
        let form = crate::credential::InvalidWord::Form {
            what: "a set digest",
            form: "count:64 hex digits",
        };
        let (count, hex) = text.split_once(':').ok_or_else(|| form.clone())?;
        let bytes = data_encoding::HEXLOWER
            .decode(hex.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or_else(|| form.clone())?;
        let count = count.parse().map_err(|_| form)?;
        Ok(SetDigest {
            lanes: Element::from_bytes(bytes).0,
            count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_gone_is_not_listed() {
        assert!(is_listed(PresenceState::Present) && is_listed(PresenceState::Unknown));
        assert!(!is_listed(PresenceState::Gone));
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_removal_undoes(
            elements in proptest::collection::vec(any::<[u8; 32]>(), 0..20),
            extra in any::<[u8; 32]>(),
        ) {
            let (mut forward, mut backward) = (SetDigest::default(), SetDigest::default());
            for element in &elements {
                forward.add(Element::from_bytes(*element));
            }
            backward.add(Element::from_bytes(extra));
            for element in elements.iter().rev() {
                backward.add(Element::from_bytes(*element));
            }
            prop_assert_ne!(forward, backward);
            backward.remove(Element::from_bytes(extra));
            prop_assert_eq!(forward, backward);
            let text = String::from(forward);
            prop_assert_eq!(SetDigest::try_from(text).unwrap(), forward);
        }
    }
}
