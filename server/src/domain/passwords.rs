//! Passwords: Argon2id, on a thread of its own, two at a time.
//!
//! Each hash takes 19 MiB, so the number at once is what bounds memory; who cannot get a turn in
//! time is told to come back.

use std::time::Duration;

use akwatch_proto::agent::RefusalCode;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::domain::refusal::Refusal;

/// Characters of a password, at least.
const SHORTEST: usize = 12;
/// Bytes of a password, at most. Stops: hashing of megabytes.
const LONGEST: usize = 1024;
const TURN_TIME: Duration = Duration::from_secs(10);

/// Hashes and verifies passwords.
pub struct Passwords {
    turns: Semaphore,
    /// A hash of a random value: verifying against it takes as long as against a real one.
    nobody: std::sync::OnceLock<String>,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords {
            turns: Semaphore::new(2),
            nobody: std::sync::OnceLock::new(),
        }
    }
}

impl Passwords {
    /// Hashes a new password into a PHC string.
    ///
    /// # Errors
    /// When it is too short or long, or no turn was free.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, Refusal> {
        if password.chars().count() < SHORTEST || password.len() > LONGEST {
            return Err(Refusal::new(
                RefusalCode::Malformed,
                format!(
                    "A password has at least {SHORTEST} characters, and at most {LONGEST} bytes."
                ),
            ));
        }
        self.turn(move || phc(&password)).await
    }

    /// Whether a password fits a hash. Without a hash it takes as long and is false.
    ///
    /// # Errors
    /// When no turn was free.
    pub async fn verify(
        &self,
        password: Zeroizing<String>,
        hash: Option<String>,
    ) -> Result<bool, Refusal> {
        if password.len() > LONGEST {
            return Ok(false);
        }
        let known = hash.is_some();
        let nobody = self.nobody.get().cloned();
        let (fits, made) = self
            .turn(move || {
                let made = match &nobody {
                    Some(nobody) => nobody.clone(),
                    None => phc(&crate::domain::grants::secret(SHORTEST)),
                };
                let hash = hash.unwrap_or_else(|| made.clone());
                let fits = PasswordHash::new(&hash).is_ok_and(|hash| {
                    Argon2::default()
                        .verify_password(password.as_bytes(), &hash)
                        .is_ok()
                });
                (fits, made)
            })
            .await?;
        let _ = self.nobody.set(made);
        Ok(known && fits)
    }

    /// Does slow work on a thread of its own, when it is its turn.
    ///
    /// # Errors
    /// When no turn was free in time.
    pub async fn turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = tokio::time::timeout(TURN_TIME, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Refusal::busy("Too many people are signing in at once.", 10));
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Refusal::internal("hash a password", &error))
    }
}

fn phc(password: &str) -> String {
    Argon2::default()
        .hash_password(password.as_bytes())
        .expect("invariant: Argon2's defaults hash any short text")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::default();
        let hash = passwords.hash(text("correct horse battery")).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            passwords
                .verify(text("correct horse battery"), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(text("correct horse"), Some(hash))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(text("anything at all"), None)
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(text("anything at all"), Some("!".to_owned()))
                .await
                .unwrap()
        );
        assert!(passwords.hash(text("short")).await.is_err());
        assert!(passwords.hash(text(&"x".repeat(2000))).await.is_err());
    }
}
