//! The ratchet: figures that were reached once and may only rise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::score::{Score, Tally};

/// Figures of a tier or a family, each a share cut to four digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Found of planted.
    pub recall: f64,
    /// Found of told.
    pub precision: f64,
    /// Pairs told with their id.
    pub linked: f64,
}

/// The committed figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ratchet {
    /// By tier.
    pub tier: BTreeMap<String, Floor>,
    /// By `tier/family`.
    pub family: BTreeMap<String, Floor>,
}

const HEAD: &str = "# Reached on the labelled corpus with its committed seed, and not to be lost again.\n\
     # Written by `cargo xtask bench detect --corpus --raise`, which never lowers a figure.\n\n";

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/ratchet.toml")
}

/// The committed figures.
///
/// # Errors
/// When the file cannot be read.
pub fn committed() -> Result<Ratchet> {
    let path = file();
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{}", path.display()))
}

/// What a score falls below, in words: empty when all is held.
#[must_use]
pub fn lost(ratchet: &Ratchet, score: &Score) -> Vec<String> {
    let mut lost = Vec::new();
    for (name, floor) in &ratchet.tier {
        compare(name, floor, score.tiers.get(name.as_str()), &mut lost);
    }
    for (name, floor) in &ratchet.family {
        compare(name, floor, score.families.get(name), &mut lost);
    }
    lost
}

fn compare(name: &str, floor: &Floor, tally: Option<&Tally>, lost: &mut Vec<String>) {
    let reached = tally.map(of).unwrap_or_default();
    for (what, floor, reached) in [
        ("recall", floor.recall, reached.recall),
        ("precision", floor.precision, reached.precision),
        ("linked", floor.linked, reached.linked),
    ] {
        if reached < floor {
            lost.push(format!("{name}: {what} {reached:.4}, was {floor:.4}"));
        }
    }
}

fn of(tally: &Tally) -> Floor {
    let cut = |share: f64| (share * 1e4).floor() / 1e4;
    Floor {
        recall: cut(tally.recall()),
        precision: cut(tally.precision()),
        linked: cut(tally.linked()),
    }
}

/// Raises the committed figures to those of `score`; lowers none.
///
/// # Errors
/// When the file cannot be written.
pub fn raise(score: &Score) -> Result<()> {
    let mut ratchet = committed().unwrap_or_default();
    let higher = |old: Floor, new: Floor| Floor {
        recall: old.recall.max(new.recall),
        precision: old.precision.max(new.precision),
        linked: old.linked.max(new.linked),
    };
    for (name, tally) in &score.tiers {
        let floor = ratchet.tier.entry((*name).to_owned()).or_default();
        *floor = higher(*floor, of(tally));
    }
    for (name, tally) in &score.families {
        let floor = ratchet.family.entry(name.clone()).or_default();
        *floor = higher(*floor, of(tally));
    }
    let path = file();
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(&path, written(&ratchet)).with_context(|| format!("{}", path.display()))
}

/// One line a figure, so that a change reads as one.
fn written(ratchet: &Ratchet) -> String {
    let mut text = HEAD.to_owned();
    for (table, floors) in [("tier", &ratchet.tier), ("family", &ratchet.family)] {
        let _ = writeln!(text, "[{table}]");
        for (name, floor) in floors {
            let _ = writeln!(
                text,
                "\"{name}\" = {{ recall = {:.4}, precision = {:.4}, linked = {:.4} }}",
                floor.recall, floor.precision, floor.linked
            );
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut ratchet = Ratchet::default();
        let floor = Floor {
            recall: 0.9871,
            precision: 1.0,
            linked: 0.5,
        };
        ratchet.family.insert("ak/aws".to_owned(), floor);
        let read: Ratchet = toml::from_str(&written(&ratchet)).unwrap();
        assert_eq!(read, ratchet);
    }

    #[test]
    fn a_lower_figure_is_named() {
        let mut ratchet = Ratchet::default();
        let floor = Floor {
            recall: 0.9,
            precision: 0.5,
            linked: 1.0,
        };
        ratchet.tier.insert("ak".to_owned(), floor);
        let mut score = Score::default();
        let tally = Tally {
            planted: 10,
            found: 8,
            ..Tally::default()
        };
        score.tiers.insert("ak", tally);
        assert_eq!(lost(&ratchet, &score), ["ak: recall 0.8000, was 0.9000"]);
    }
}
