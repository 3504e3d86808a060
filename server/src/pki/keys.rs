//! The collector's own secrets: the pepper, the fleet key, the directive key.
//!
//! Each comes from the service manager's credentials if it is there (`pepper`, `fleet-key`,
//! `directive-key`), else from a 0600 file of the state directory, which is made once. None of them
//! is ever in the database or its backup. A damaged one is an error, never replaced: a new pepper
//! would make every stored fingerprint meaningless.

use std::path::{Path, PathBuf};

use akwatch_proto::agent::{FleetKey, PublicKey};
use akwatch_proto::credential::Epoch;
use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use ed25519_dalek::SigningKey;
use zeroize::{Zeroize as _, Zeroizing};

use super::authority::random;
use super::files::{self, FileError};

/// Why a key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its file does not hold 32 bytes in hex.
    #[error("{} does not hold a key (64 hex digits): restore it from a backup", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
}

/// The collector's own secrets. No `Debug`, no `Clone`, wiped when dropped.
pub struct Keys {
    pepper: Zeroizing<[u8; 32]>,
    fleet: Zeroizing<[u8; 32]>,
    directive: SigningKey,
}

impl Keys {
    /// Opens or makes the keys of a state directory.
    ///
    /// # Errors
    /// As [`KeyError`] says.
    pub fn open(state: &Path) -> Result<Keys, KeyError> {
        let _lock = files::lock(state)?;
        let directive = key(state, "directive-key", "directive.key")?;
        Ok(Keys {
            pepper: key(state, "pepper", "pepper.key")?,
            fleet: key(state, "fleet-key", "fleet-1.key")?,
            directive: SigningKey::from_bytes(&directive),
        })
    }

    /// What turns a fingerprint of the wire into the one that is stored.
    #[must_use]
    pub fn pepper(&self) -> &[u8; 32] {
        &self.pepper
    }

    /// The key with which agents make fingerprints.
    ///
    /// # Panics
    /// Never: "1" is an epoch.
    #[must_use]
    pub fn fleet(&self) -> FleetKey {
        FleetKey::new(
            Epoch::parse("1").expect("invariant: 1 is an epoch"),
            &self.fleet,
        )
    }

    /// The fleet key's bytes, to make the same fingerprints here.
    #[must_use]
    pub fn fleet_bytes(&self) -> &[u8; 32] {
        &self.fleet
    }

    /// Signs directives.
    #[must_use]
    pub fn directive(&self) -> &SigningKey {
        &self.directive
    }

    /// Who may sign directives, for agents.
    #[must_use]
    pub fn directive_public(&self) -> PublicKey {
        PublicKey::of(&self.directive.verifying_key())
    }
}

fn key(state: &Path, credential: &str, file: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let path = state.join(file);
    if let Some(text) = files::read_credential(credential)? {
        return decode(&text).ok_or_else(|| KeyError::Damaged {
            path: credential.into(),
        });
    }
    if let Some(text) = files::read_key(&path)? {
        return decode(&text).ok_or(KeyError::Damaged { path });
    }
    let mut key = Zeroizing::new([0; 32]);
    random(key.as_mut_slice());
    let mut text = Zeroizing::new(HEX.encode(key.as_slice()));
    text.push('\n');
    files::write_atomic(&path, text.as_bytes(), 0o600)?;
    Ok(key)
}

fn decode(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = HEX.decode(text.trim_ascii()).ok()?;
    let key = <[u8; 32]>::try_from(bytes.as_slice())
        .ok()
        .map(Zeroizing::new);
    bytes.zeroize();
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn keys_are_made_once_and_a_damaged_one_is_not_replaced() {
        let state = tempfile::tempdir().unwrap();
        let first = Keys::open(state.path()).unwrap();
        let second = Keys::open(state.path()).unwrap();
        assert_eq!(first.pepper(), second.pepper());
        assert_eq!(first.fleet(), second.fleet());
        assert_eq!(first.directive_public(), second.directive_public());
        assert_ne!(first.pepper(), &*first.fleet);
        let path = state.path().join("pepper.key");
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..20]).unwrap();
        assert!(matches!(
            Keys::open(state.path()),
            Err(KeyError::Damaged { .. })
        ));
    }
}
