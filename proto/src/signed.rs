//! What a collector may tell an agent, and the only way in: a signed envelope.
//!
//! Directives and rule packs change what an agent reads, so TLS is not enough: a stolen collector
//! must not be able to replay yesterday's policy or hand one host's directive to another. The
//! signature covers the exact payload bytes, and the payload names its audience, its last moment
//! and its serial. [`Signed::open`] checks all four; there is no other way to the content.

use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::agent::HostId;
use crate::limits;
use crate::time::Time;

/// Whom an envelope is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// One host.
    Host(HostId),
    /// Every host of the fleet.
    Fleet,
}

/// A payload with the signature over its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Signed<T> {
    /// The envelope as JSON, base64: signed as it stands, parsed only after the signature holds.
    pub payload: String,
    /// Ed25519 over the payload's bytes after [`CONTEXT`], base64.
    pub signature: String,
    #[serde(skip)]
    #[schema(ignore)]
    body: PhantomData<T>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    audience: Audience,
    not_after: Time,
    serial: u64,
    body: T,
}

/// What an opened envelope held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<T> {
    /// Rises with every envelope of one key; the receiver refuses one that it has seen.
    pub serial: u64,
    /// The content.
    pub body: T,
}

/// Why an envelope was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Longer than [`limits::SIGNED_PAYLOAD`].
    #[error("the signed payload has {0} bytes, more than {max}", max = limits::SIGNED_PAYLOAD)]
    TooLarge(usize),
    /// Not base64, or not JSON of the expected form, although signed.
    #[error("the signed payload is malformed: {0}")]
    Malformed(String),
    /// No known key made this signature.
    #[error("no known key made this signature")]
    BadSignature,
    /// Meant for another host.
    #[error("the envelope is for another host")]
    WrongAudience,
    /// Past its last moment.
    #[error("the envelope expired")]
    Expired,
}

/// Prepended to the payload before signing, so that no other signature of the key can be replayed.
pub const CONTEXT: &[u8] = b"akwatch signed envelope v1\0";

impl<T: Serialize + DeserializeOwned> Signed<T> {
    /// Seals `body` for `audience` until `not_after`.
    ///
    /// # Panics
    /// When `body` cannot be written as JSON, which no type of this crate does.
    #[must_use]
    pub fn seal(
        key: &SigningKey,
        audience: Audience,
        not_after: Time,
        serial: u64,
        body: T,
    ) -> Signed<T> {
        let payload = serde_json::to_vec(&Envelope {
            audience,
            not_after,
            serial,
            body,
        })
        .expect("invariant: directives serialize");
        let signature = key.sign(&[CONTEXT, &payload].concat());
        Signed {
            payload: STANDARD.encode(payload),
            signature: STANDARD.encode(signature.to_bytes()),
            body: PhantomData,
        }
    }

    /// Checks signature, audience and time, then parses.
    ///
    /// # Errors
    /// As [`SignedError`] says; nothing of the content is looked at before the signature holds.
    pub fn open(
        &self,
        keys: &[VerifyingKey],
        host: HostId,
        now: Time,
    ) -> Result<Opened<T>, SignedError> {
        if self.payload.len() > limits::SIGNED_PAYLOAD {
            return Err(SignedError::TooLarge(self.payload.len()));
        }
        let payload = STANDARD
            .decode(&self.payload)
            .map_err(|error| SignedError::Malformed(error.to_string()))?;
        let signature = STANDARD
            .decode(&self.signature)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .ok_or(SignedError::BadSignature)?;
        let signed = [CONTEXT, &payload].concat();
        if !keys
            .iter()
            .any(|key| key.verify_strict(&signed, &signature).is_ok())
        {
            return Err(SignedError::BadSignature);
        }
        let envelope: Envelope<T> = serde_json::from_slice(&payload)
            .map_err(|error| SignedError::Malformed(error.to_string()))?;
        match envelope.audience {
            Audience::Host(id) if id != host => return Err(SignedError::WrongAudience),
            Audience::Host(_) | Audience::Fleet => {}
        }
        if now > envelope.not_after {
            return Err(SignedError::Expired);
        }
        Ok(Opened {
            serial: envelope.serial,
            body: envelope.body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn sealed(audience: Audience) -> Signed<String> {
        Signed::seal(&key(1), audience, Time(1000), 7, "rescan".to_owned())
    }

    #[test]
    fn the_right_host_in_time_gets_the_content() {
        let host = HostId::from_u128(1);
        let opened = sealed(Audience::Host(host))
            .open(
                &[key(2).verifying_key(), key(1).verifying_key()],
                host,
                Time(1000),
            )
            .unwrap();
        assert_eq!(
            opened,
            Opened {
                serial: 7,
                body: "rescan".to_owned()
            }
        );
    }

    #[test]
    fn each_check_refuses() {
        let (host, other) = (HostId::from_u128(1), HostId::from_u128(2));
        let keys = [key(1).verifying_key()];
        let signed = sealed(Audience::Host(host));
        assert_eq!(
            signed.open(&keys, other, Time(0)),
            Err(SignedError::WrongAudience)
        );
        assert_eq!(
            signed.open(&keys, host, Time(1001)),
            Err(SignedError::Expired)
        );
        assert_eq!(
            signed.open(&[key(2).verifying_key()], host, Time(0)),
            Err(SignedError::BadSignature)
        );
        let mut altered = signed.clone();
        altered.payload = STANDARD.encode(
            String::from_utf8(STANDARD.decode(&altered.payload).unwrap())
                .unwrap()
                .replace("rescan", "retire"),
        );
        assert_eq!(
            altered.open(&keys, host, Time(0)),
            Err(SignedError::BadSignature)
        );
    }
}
