//! Rules as data and the set that they compile to.
//!
//! A rule names a credential, the shapes of its parts and the words that go with it; it can refuse
//! nothing and decide nothing. The floors that keep a malicious pack from reading files out (the
//! shortest secret, how much of a shape must be fixed or random, matches per KiB) are code here and
//! in `judge`, never data.

pub(crate) mod name;
mod pack;
pub(crate) mod pattern;
mod reference;
mod words;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use akwatch_proto::credential::{Kind, Provider, PublicPrefix, RuleId};

use crate::sieve::Anchors;

pub(crate) use name::{Names, Role};
pub(crate) use pattern::Pattern;
pub(crate) use words::Words;

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

/// Which half of a credential a shape describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Half {
    Id,
    Secret,
    Token,
}

/// The shape of one half.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) names: Vec<String>,
}

impl Shape {
    pub(crate) fn is_whole(&self, value: &[u8]) -> bool {
        self.patterns.iter().any(|pattern| pattern.is_whole(value))
    }

    /// How many bytes at the beginning of `value` the shape that it has fixes.
    pub(crate) fn fixed(&self, value: &[u8]) -> usize {
        let fits = self.patterns.iter().find(|pattern| pattern.is_whole(value));
        fits.map_or(0, |pattern| pattern.anchor().len())
    }
}

/// What can be proven offline about a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProofKind {
    Atlassian,
    AwsAccount,
    AzureSignature,
    Base64Json,
    Base64Number,
    /// Nothing is encoded: what tells it from a word is that no word is like it.
    Chance,
    Confluent,
    Crc32Base62,
    Crc32BodyHex,
    Crc32Hex,
    GitlabRoutable,
    Jwt,
    Macaroon,
    Volcengine,
}

/// What the engine itself finds for a rule that has no shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Engine {
    NamedPassword,
    NamedSecret,
    NamedToken,
    PasswordHash,
    OciKey,
    PrivateKey,
    ServiceAccount,
    SignedAddress,
    UrlPassword,
}

/// One compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: RuleId,
    pub(crate) provider: Provider,
    pub(crate) kind: Kind,
    pub(crate) words: Vec<String>,
    /// The secret is known by a word in its key and its shape.
    pub(crate) by_word: bool,
    /// What may stand right before the secret: `bot` in the addresses of Telegram.
    pub(crate) behind: Option<String>,
    pub(crate) proof: Option<ProofKind>,
    pub(crate) public: Shape,
    pub(crate) secret: Shape,
    pub(crate) token: Shape,
    /// What every secret of the rule begins with, when it is not the id that has the prefix.
    pub(crate) prefix: Option<PublicPrefix>,
    pub(crate) remedy: String,
    pub(crate) about: String,
    pub(crate) source: String,
    /// Its examples are those that all short forms share: each of its shapes fits into them.
    pub(crate) short_form: bool,
    pub(crate) examples: Vec<String>,
    pub(crate) look_alikes: Vec<String>,
}

impl Rule {
    pub(crate) fn is_pair(&self) -> bool {
        !self.public.patterns.is_empty()
    }

    pub(crate) fn shape(&self, half: Half) -> &Shape {
        match half {
            Half::Id => &self.public,
            Half::Secret => &self.secret,
            Half::Token => &self.token,
        }
    }
}

/// A shape that begins with a literal: found by its first three bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    pub(crate) rule: u16,
    pub(crate) half: Half,
    pub(crate) pattern: u16,
}

/// A compiled set of rules.
#[derive(Debug)]
pub struct RuleSet {
    version: RulesVersion,
    rules: Vec<Rule>,
    engines: HashMap<Engine, u16>,
    names: Names,
    words: Words,
    anchors: Anchors,
    /// Rules of pairs of which a half has shapes without a beginning of their own, by half: what every
    /// value beside an id is held against.
    bare: [Vec<u16>; 3],
}

/// Changes whenever matching changes for the same rule text.
const MATCHING: &str = "4";

impl RuleSet {
    /// Compiles the rules that come with this program and then `packs`; a pack's rule replaces an
    /// earlier one of the same id. A bad rule is set aside by name and never silences the others.
    #[must_use]
    pub fn compile(packs: &[RulePack]) -> (RuleSet, Vec<RuleFault>) {
        let mut faults = Vec::new();
        let mut hash = Fnv::new();
        hash.add(env!("CARGO_PKG_VERSION").as_bytes());
        hash.add(MATCHING.as_bytes());
        hash.add(pack::NAMES.as_bytes());
        let mut rules: Vec<Rule> = Vec::new();
        let mut engines = HashMap::new();
        let mut markers: Vec<(String, u16)> = Vec::new();
        let builtin = pack::BUILTIN.iter().map(|&(name, toml)| (name, toml, true));
        let added = packs
            .iter()
            .map(|pack| (pack.name.as_str(), pack.toml.as_str(), false));
        for (name, toml, trusted) in builtin.chain(added) {
            hash.add(toml.as_bytes());
            for compiled in pack::read(name, toml, trusted, &mut faults) {
                let at = match rules.iter().position(|rule| rule.id == compiled.rule.id) {
                    Some(at) => at,
                    None if rules.len() < MOST_RULES => rules.len(),
                    None => {
                        faults.push(RuleFault {
                            pack: name.to_owned(),
                            rule: Some(compiled.rule.id.to_string()),
                            why: format!("more than {MOST_RULES} rules"),
                        });
                        continue;
                    }
                };
                let number = u16::try_from(at).expect("invariant: at most MOST_RULES rules");
                if let Some(engine) = compiled.engine {
                    engines.insert(engine, number);
                }
                markers.retain(|(_, rule)| *rule != number);
                markers.extend(compiled.marker.map(|text| (text, number)));
                if at == rules.len() {
                    rules.push(compiled.rule);
                } else {
                    rules[at] = compiled.rule;
                }
            }
        }
        let set = RuleSet {
            version: RulesVersion(format!("{:016x}", hash.0)),
            words: Words::new(&rules),
            names: names_of(&rules),
            anchors: Anchors::new(&rules, &markers),
            bare: [Half::Id, Half::Secret, Half::Token].map(|half| bare(&rules, half)),
            rules,
            engines,
        };
        (set, faults)
    }

    /// The rules that come with this program, compiled once.
    #[must_use]
    pub fn builtin() -> Arc<RuleSet> {
        static SET: OnceLock<Arc<RuleSet>> = OnceLock::new();
        Arc::clone(SET.get_or_init(|| Arc::new(RuleSet::compile(&[]).0)))
    }

    /// Names this set.
    #[must_use]
    pub fn version(&self) -> &RulesVersion {
        &self.version
    }

    /// The ids of the rules in force.
    pub fn ids(&self) -> impl Iterator<Item = &RuleId> {
        self.rules.iter().map(|rule| &rule.id)
    }

    /// What the documentation says of each rule, in the set's order.
    pub fn describe(&self) -> impl Iterator<Item = RuleDescription<'_>> {
        self.rules.iter().map(|rule| RuleDescription {
            id: &rule.id,
            provider: &rule.provider,
            kind: rule.kind,
            about: &rule.about,
            source: &rule.source,
            remedy: &rule.remedy,
        })
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Pair rules of which `half` may have a shape without a beginning of its own, in order.
    pub(crate) fn bare(&self, half: Half) -> impl Iterator<Item = (u16, &Rule)> {
        let rules = &self.bare[half as usize];
        rules.iter().map(|&number| (number, self.rule(number)))
    }

    pub(crate) fn rule(&self, number: u16) -> &Rule {
        &self.rules[usize::from(number)]
    }

    pub(crate) fn engine(&self, engine: Engine) -> Option<u16> {
        self.engines.get(&engine).copied()
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// The words that name rules.
    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    /// Where shapes begin.
    pub(crate) fn anchors(&self) -> &Anchors {
        &self.anchors
    }
}

fn bare(rules: &[Rule], half: Half) -> Vec<u16> {
    let is_bare = |rule: &Rule| {
        let mut patterns = rule.shape(half).patterns.iter();
        rule.is_pair() && patterns.any(|pattern| pattern.anchor().is_empty())
    };
    let numbered = (0..).zip(rules);
    numbered
        .filter(|(_, rule)| is_bare(rule))
        .map(|(number, _)| number)
        .collect()
}

/// The words that say what a value is: the program's own and those of the rules.
fn names_of(rules: &[Rule]) -> Names {
    let mut names = pack::names();
    for rule in rules {
        names.extend(Role::Id, &rule.public.names);
        names.extend(Role::Secret, &rule.secret.names);
        names.extend(Role::Token, &rule.token.names);
        if rule.is_pair() {
            names.extend_glued(Role::Id, &rule.words, "ak");
            names.extend_glued(Role::Secret, &rule.words, "sk");
        }
        if rule.by_word {
            // A word that says a role by itself keeps it: `hec_token` is a token.
            let silent =
                |word: &&String| word.len() >= 3 && names.says(word.as_bytes(), |_| true).is_none();
            let words: Vec<String> = rule.words.iter().filter(silent).cloned().collect();
            names.extend(Role::Vendor, &words);
        }
    }
    names
}

/// What the documentation says of one rule.
#[derive(Clone, Copy, Debug)]
pub struct RuleDescription<'a> {
    /// Its name.
    pub id: &'a RuleId,
    /// Who issues the credential.
    pub provider: &'a Provider,
    /// What sort.
    pub kind: Kind,
    /// What it is, in a sentence.
    pub about: &'a str,
    /// Where its form comes from.
    pub source: &'a str,
    /// Key of the advice for it.
    pub remedy: &'a str,
}

/// Rules of one set: what bounds the table, and a pack that is a bomb.
const MOST_RULES: usize = 4096;

/// FNV-1a, 64 bits: names a set, protects nothing. Tables whose keys are the program's own hash with
/// it.
pub(crate) struct Fnv(pub(crate) u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv::new()
    }
}

impl std::hash::Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        self.add(bytes);
    }

    fn write_usize(&mut self, length: usize) {
        self.0 ^= length as u64;
    }

    fn finish(&self) -> u64 {
        // The table takes its buckets from the low bits and its tags from the high ones.
        self.0 ^ self.0 >> 32
    }
}

impl Fnv {
    pub(crate) fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.0 = (self.0 ^ 0xff).wrapping_mul(0x0100_0000_01b3);
    }

    pub(crate) fn of(bytes: &[u8]) -> u64 {
        let mut hash = Fnv::new();
        hash.add(bytes);
        hash.0
    }
}
