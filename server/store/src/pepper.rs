//! P, the collector's own key over everything that derives from a secret.
//!
//! F2 = HMAC-SHA256(P, context, F1). Whoever steals the database has no P, so that even with the
//! fleet key a guessed password cannot be checked against it. The identity of a finding holds F1,
//! so its hash is keyed with P too; the elements of a host's set digest are hashes of F1 that must
//! be subtracted later, so they are stored masked with a pad that P makes.

use akwatch_proto::credential::{Fingerprint, Scheme};
use akwatch_proto::digest::Element;
use akwatch_proto::finding::{FindingKey, PresenceState};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

/// The pepper: 32 random bytes that the caller keeps outside the database. Wiped when dropped; its
/// `Debug` says nothing.
#[derive(Clone)]
pub struct PepperKey([u8; 32]);

/// What the store knows a secret by.
pub type F2 = [u8; 32];

impl PepperKey {
    /// Wraps the key.
    #[must_use]
    pub fn new(key: [u8; 32]) -> PepperKey {
        PepperKey(key)
    }

    /// F2 of a fingerprint from the wire.
    #[must_use]
    pub fn f2(&self, fingerprint: &Fingerprint) -> F2 {
        let scheme: &[u8] = match fingerprint.scheme {
            Scheme::Hmac => b"hmac",
            Scheme::ArgonHmac => b"argon-hmac",
        };
        self.mac(
            b"akwatch f2 v1\0",
            &[
                scheme,
                b"\0",
                fingerprint.epoch.as_str().as_bytes(),
                b"\0",
                &fingerprint.bytes,
            ],
        )
    }

    /// The identity of a finding within its host.
    pub(crate) fn identity(&self, key: &FindingKey) -> [u8; 32] {
        let key = serde_json::to_vec(key).expect("invariant: a finding's key serializes");
        self.mac(b"akwatch identity v1\0", &[&key])
    }

    /// An element of a host's digest, masked or unmasked: doing it twice gives it back.
    pub(crate) fn mask_element(
        &self,
        identity: &[u8; 32],
        state: PresenceState,
        element: [u8; 32],
    ) -> [u8; 32] {
        xor(
            element,
            self.mac(b"akwatch element v1\0", &[identity, &[state as u8]]),
        )
    }

    /// A finding's element, ready to be stored.
    pub(crate) fn masked_element(
        &self,
        identity: &[u8; 32],
        key: &FindingKey,
        state: PresenceState,
    ) -> (Element, [u8; 32]) {
        let element = Element::of(key, state);
        (
            element,
            self.mask_element(identity, state, element.to_bytes()),
        )
    }

    /// The sum of a host's elements, masked or unmasked. The nonce is new with every change: two
    /// copies of the database must not differ by one bare element.
    pub(crate) fn mask_sum(&self, host: &[u8], nonce: &[u8], sum: [u8; 32]) -> [u8; 32] {
        xor(sum, self.mac(b"akwatch digest v1\0", &[host, nonce]))
    }

    /// One round of the permutation that hides row numbers in references.
    pub(crate) fn round(&self, what: &[u8], round: u8, half: u32) -> u32 {
        let parts: &[&[u8]] = &[what, &[0, round], &half.to_be_bytes()];
        let mac = self.mac(b"akwatch reference v1\0", parts);
        u32::from_be_bytes([mac[0], mac[1], mac[2], mac[3]])
    }

    /// What the database keeps to know whether it was opened with the right key.
    pub(crate) fn check_value(&self) -> [u8; 32] {
        self.mac(b"akwatch pepper check v1\0", &[])
    }

    fn mac(&self, context: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .expect("invariant: HMAC takes a key of any length");
        mac.update(context);
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for PepperKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PepperKey(…)")
    }
}

impl Drop for PepperKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn xor(mut left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    for (byte, pad) in left.iter_mut().zip(right) {
        *byte ^= pad;
    }
    left
}
