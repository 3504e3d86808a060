//! Nonces for renewals with an expired certificate: 32 random bytes, one minute, one use.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use akwatch_proto::agent::HostId;

use crate::pki::authority::random;

/// How long a nonce is good.
const LIFE: Duration = Duration::from_secs(60);
/// Nonces at once. Stops: challenges that fill memory; they need no certificate.
const MOST: usize = 10_000;

/// Nonces that were given and not used.
#[derive(Default)]
pub struct Nonces(Mutex<HashMap<[u8; 32], (HostId, Instant)>>);

impl Nonces {
    /// Gives a host a nonce; none when too many are out.
    #[must_use]
    pub fn give(&self, host: HostId, now: Instant) -> Option<[u8; 32]> {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if given.len() >= MOST {
            given.retain(|_, (_, at)| now.duration_since(*at) < LIFE);
        }
        if given.len() >= MOST {
            return None;
        }
        let mut nonce = [0; 32];
        random(&mut nonce);
        given.insert(nonce, (host, now));
        Some(nonce)
    }

    /// Uses a nonce up; false when it was not given to this host, is over or was used.
    #[must_use]
    pub fn redeem(&self, nonce: &[u8; 32], host: HostId, now: Instant) -> bool {
        let given = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(nonce);
        given.is_some_and(|(to, at)| to == host && now.duration_since(at) < LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_once_for_its_host_within_a_minute() {
        let (nonces, now) = (Nonces::default(), Instant::now());
        let (host, other) = (HostId::from_u128(1), HostId::from_u128(2));
        let nonce = nonces.give(host, now).unwrap();
        assert!(nonces.redeem(&nonce, host, now));
        assert!(!nonces.redeem(&nonce, host, now));
        let nonce = nonces.give(host, now).unwrap();
        assert!(!nonces.redeem(&nonce, other, now));
        let nonce = nonces.give(host, now).unwrap();
        assert!(!nonces.redeem(&nonce, host, now + LIFE));
    }

    #[test]
    fn challenges_do_not_fill_memory() {
        let (nonces, now) = (Nonces::default(), Instant::now());
        for _ in 0..MOST {
            assert!(nonces.give(HostId::from_u128(1), now).is_some());
        }
        assert!(nonces.give(HostId::from_u128(1), now).is_none());
        assert!(nonces.give(HostId::from_u128(1), now + LIFE).is_some());
    }
}
