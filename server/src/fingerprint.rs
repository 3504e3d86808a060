//! Fingerprints of a pasted secret, made exactly as agents make them of a found one.
//!
//! F1 = HMAC-SHA256(K, secret) for machine-made secrets, HMAC-SHA256(K, Argon2id(secret)) for
//! passwords; the parameters are proto's. The store turns F1 into F2 with the pepper at once.

use akwatch_proto::credential::{
    ARGON_LANES, ARGON_MEMORY_KIB, ARGON_PASSES, ARGON_SALT_LABEL, Fingerprint, Scheme,
};
use argon2::{Algorithm, Argon2, Params, Version};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::pki::Keys;

/// Every fingerprint under which the fleet may know `secret`. Takes about 20 ms and 9 MiB.
///
/// # Panics
/// Never: the parameters are constants within Argon2's bounds, the secret is bounded by its caller.
#[must_use]
pub fn all(keys: &Keys, secret: &[u8]) -> Vec<Fingerprint> {
    let (epoch, key) = (keys.fleet().epoch.clone(), keys.fleet_bytes());
    let params = Params::new(ARGON_MEMORY_KIB, ARGON_PASSES, ARGON_LANES, Some(32))
        .expect("invariant: constants within Argon2's bounds");
    let salt = keyed_hash(key, ARGON_SALT_LABEL);
    let mut stretched = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(secret, &salt[..16], stretched.as_mut_slice())
        .expect("invariant: a bounded secret, a salt of 16 and an output of 32 bytes");
    vec![
        Fingerprint {
            scheme: Scheme::Hmac,
            epoch: epoch.clone(),
            bytes: keyed_hash(key, secret),
        },
        Fingerprint {
            scheme: Scheme::ArgonHmac,
            epoch,
            bytes: keyed_hash(key, stretched.as_slice()),
        },
    ]
}

fn keyed_hash(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).expect("invariant: HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_schemes_differ_and_each_is_the_same_twice() {
        let state = tempfile::tempdir().unwrap();
        let keys = Keys::open(state.path()).unwrap();
        let made = all(&keys, b"not a real secret");
        assert_eq!(made, all(&keys, b"not a real secret"));
        assert_ne!(made[0].bytes, made[1].bytes);
        assert_eq!(
            made[0].bytes,
            keyed_hash(keys.fleet_bytes(), b"not a real secret")
        );
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        // Its first test has a key of 20 bytes 0x0b, which HMAC pads with zeros as it does ours.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(
            data_encoding::HEXLOWER.encode(&keyed_hash(&key, b"Hi There")),
            expected
        );
    }
}
