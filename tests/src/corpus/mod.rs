//! Our own labelled corpus: simulated hosts, made from a seed, the same bytes for the same seed.
//!
//! Hosts have roles; their files are in the formats and places of real servers; what is planted is of
//! the vendors' formats with valid checksums, and what only looks like it stands beside. Names,
//! layouts, orders and comments are drawn from lists of our own. **Nothing here reads a rule**: the
//! corpus says what servers hold, the rules what is found, and the ratchet in
//! `tests/corpus/ratchet.toml` how far they agree. No secret in it was ever issued by anybody.

pub mod block;
pub mod clients;
pub mod clouds;
pub mod commands;
pub mod dice;
pub mod formats;
pub mod git;
pub mod hosts;
pub mod lookalikes;
pub mod names;
pub mod negatives;
pub mod page;
pub mod passwords;
pub mod peers;
pub mod processes;
pub mod ratchet;
pub mod score;
pub mod shipped;
pub mod sqlite;
pub mod table;
pub mod text;
pub mod tokens;
pub mod vendors;
pub mod wrap;
pub mod wrapped;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use page::{Host, Label};

/// The seed of the committed figures.
pub const SEED: u64 = 20_260_314;

/// A generated corpus.
#[derive(Debug)]
pub struct Corpus {
    /// Its hosts.
    pub hosts: Vec<Host>,
}

impl Corpus {
    /// Makes the corpus of `seed`.
    #[must_use]
    pub fn generate(seed: u64) -> Corpus {
        Corpus {
            hosts: hosts::all(seed),
        }
    }

    /// Every label.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        self.hosts.iter().flat_map(|host| &host.labels)
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let files = self.hosts.iter().flat_map(|host| &host.files);
        files.map(|file| file.bytes.len() as u64).sum()
    }

    /// Writes each host below `directory`, in a directory of its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, directory: &Path) -> Result<()> {
        for host in &self.hosts {
            for file in &host.files {
                let path = directory.join(&host.name).join(&file.path);
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::write(&path, &file.bytes).with_context(|| format!("{}", path.display()))?;
            }
        }
        Ok(())
    }
}

impl Corpus {
    /// Writes the hosts and, beside them, `labels.jsonl`: what a reader of another tool needs to
    /// compare its findings.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_labelled(&self, directory: &Path) -> Result<()> {
        self.write(directory)?;
        let mut text = String::new();
        for label in self.labels() {
            let line = serde_json::json!({
                "file": format!("{}/{}", label.host, label.path),
                "line": label.line,
                "format": label.format,
                "tier": label.credential.tier.word(),
                "family": label.credential.family,
                "secret": label.credential.secret,
                "id": label.credential.id,
                "also": label.credential.also,
            });
            text.push_str(&line.to_string());
            text.push('\n');
        }
        fs::write(directory.join("labels.jsonl"), text)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let digest = |corpus: &Corpus| {
            let files = corpus.hosts.iter().flat_map(|host| &host.files);
            files.fold(0_u64, |sum, file| {
                sum.rotate_left(7) ^ u64::from(text::crc32(&file.bytes))
            })
        };
        let first = Corpus::generate(11);
        assert_eq!(digest(&first), digest(&Corpus::generate(11)));
        assert_ne!(digest(&first), digest(&Corpus::generate(12)));
        assert!(first.labels().count() > 3000);
    }
}
