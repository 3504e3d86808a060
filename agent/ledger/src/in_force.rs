//! What the host reads with at this moment: without it nothing can be called gone.
//!
//! The ledger knows no rule, policy or key itself. The watcher says what is in force, at its start
//! and at each change; until it has, every absence is *unknown*.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use akwatch_proto::credential::{Epoch, RuleId};
use akwatch_proto::place::Place;

pub use crate::format::ReadLimits;

/// Rule sets remembered: readings made just before a change arrive just after it.
const RULE_SETS: usize = 4;

/// Rules, keys, policy and limits that readings are made with.
pub struct InForce {
    rules: BTreeMap<String, BTreeSet<RuleId>>,
    order: Vec<String>,
    /// Epochs of the fleet keys that fingerprints are made with.
    pub epochs: BTreeSet<Epoch>,
    /// How far reading goes.
    pub limits: ReadLimits,
    /// Whether policy still covers a place.
    pub covers: Box<dyn Fn(&Place) -> bool + Send>,
}

impl InForce {
    /// Nothing is in force: nothing can be called gone.
    #[must_use]
    pub fn nothing() -> InForce {
        InForce {
            rules: BTreeMap::new(),
            order: Vec::new(),
            epochs: BTreeSet::new(),
            limits: ReadLimits {
                file_bytes: 0,
                depth: 0,
                unwrapped_bytes: 0,
            },
            covers: Box::new(|_| false),
        }
    }

    /// Adds a rule set by its version, as the detector names it; the last few are remembered.
    pub fn add_rules(&mut self, version: &str, ids: impl IntoIterator<Item = RuleId>) {
        if self
            .rules
            .insert(version.to_owned(), ids.into_iter().collect())
            .is_none()
        {
            self.order.push(version.to_owned());
        }
        if self.order.len() > RULE_SETS {
            let oldest = self.order.remove(0);
            self.rules.remove(&oldest);
        }
    }

    /// Whether the rule set of that version holds the rule; an unknown version holds none.
    #[must_use]
    pub fn holds_rule(&self, version: &str, rule: &RuleId) -> bool {
        self.rules
            .get(version)
            .is_some_and(|rules| rules.contains(rule))
    }
}

impl fmt::Debug for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InForce")
            .field("rules", &self.order)
            .field("epochs", &self.epochs)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
