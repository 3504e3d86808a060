//! Generated credentials of a rule's shape, and the rules' own examples run against them.
//!
//! No literal that looks like a live key is ever written down: examples hold `{id}`, `{secret}` and
//! `{token}`, or a class such as `{hex:32}`, and a seeded generator fills them in.

use std::sync::Arc;

use akwatch_proto::credential::{Confidence, Kind, RuleId};

use crate::content::{Format, Part, Position};
use crate::judge::checksum;
use crate::rule::{Half, Pattern, ProofKind, Rule, RuleFault, RuleSet};
use crate::scan::{Detector, Limits};
use crate::sieve;

/// One generated credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Sample {
    /// The public half; empty if the rule has none.
    pub id: String,
    /// The secret half.
    pub secret: String,
    /// The session token; empty if the rule has none.
    pub token: String,
}

/// A linear congruential generator: the same seed gives the same sample everywhere.
#[derive(Clone, Debug)]
pub struct Seed(pub u64);

impl Seed {
    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 29
    }
}

impl Sample {
    /// What a rule without a shape has.
    const NONE: Sample = Sample {
        id: String::new(),
        secret: String::new(),
        token: String::new(),
    };

    /// A credential of the rule called `rule`; none if there is no such rule or it has no shape.
    #[must_use]
    pub fn of(rules: &RuleSet, rule: &str, seed: &mut Seed) -> Option<Sample> {
        let rule = rules
            .rules()
            .iter()
            .find(|known| known.id.as_str() == rule)?;
        Sample::generate(rule, 0, seed)
    }

    /// One of the secret's `shape`-th shape, and of the first shape of the other halves.
    fn generate(rule: &Rule, shape: usize, seed: &mut Seed) -> Option<Sample> {
        let mut one = |half: Half| {
            let number = if half == Half::Secret { shape } else { 0 };
            let pattern = rule.shape(half).patterns.get(number)?;
            Some(text(pattern.generate(&mut || seed.next_number())))
        };
        let mut sample = Sample {
            id: one(Half::Id).unwrap_or_default(),
            secret: one(Half::Secret)?,
            token: one(Half::Token).unwrap_or_default(),
        };
        match rule.proof {
            Some(ProofKind::Volcengine) => volcengine(&mut sample, seed),
            Some(kind) => checksum::complete(kind, &mut sample.secret),
            None => {}
        }
        Some(sample)
    }
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Sample(id {} bytes, secret {} bytes)",
            self.id.len(),
            self.secret.len()
        )
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

fn volcengine(sample: &mut Sample, seed: &mut Seed) {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    let mut uuid = || format!("{:016x}{:016x}", seed.next_number(), seed.next_number());
    let tail = STANDARD_NO_PAD.encode(uuid());
    sample.id.replace_range(4.., &tail);
    sample.secret = STANDARD.encode(STANDARD_NO_PAD.encode(uuid()));
}

impl RuleSet {
    /// Runs every rule's own examples and look-alikes; a fault for each that is not as it says.
    #[must_use]
    pub fn check_examples(self: &Arc<RuleSet>, seed: u64) -> Vec<RuleFault> {
        let mut detector = Detector::new(Arc::clone(self), Limits::default());
        let mut seed = Seed(seed);
        let mut faults = Vec::new();
        for rule in self.rules() {
            let shapes = if rule.short_form {
                rule.secret.patterns.len()
            } else {
                1
            };
            for shape in 0..shapes {
                // Chance may begin a secret like another vendor's: that one is told, and rightly.
                let sample = std::iter::repeat_with(|| Sample::generate(rule, shape, &mut seed))
                    .take(8)
                    .flatten()
                    .find(|sample| !self.is_likelier(rule, sample.secret.as_bytes()))
                    .unwrap_or(Sample::NONE);
                check_rule(&mut detector, rule, shape, &sample, &mut seed, &mut faults);
            }
        }
        faults
    }

    /// Whether another rule's shape fixes more of how `secret` begins.
    fn is_likelier(&self, rule: &Rule, secret: &[u8]) -> bool {
        // By chance it may also begin with the whole of another vendor's, or hold it.
        let mut begins = sieve::tokens(secret, self).into_iter();
        let stands =
            |token: &sieve::Token| token.start == 0 || token.half == Half::Id || rule.by_word;
        // Where services share a form, the name beside the value tells whose it is.
        let shared = |known: &Rule| {
            known.provider.as_str() == "generic" || known.proof == Some(ProofKind::Chance)
        };
        let other = |token: &sieve::Token| {
            let known = self.rule(token.rule);
            let whole = token.end - token.start == secret.len();
            !whole || rule.by_word && known.id != rule.id && !shared(known)
        };
        if begins.any(|token| stands(&token) && other(&token)) {
            return true;
        }
        let fixed = rule.secret.fixed(secret);
        self.rules().iter().any(|other| {
            other.id != rule.id
                && [&other.public, &other.secret, &other.token]
                    .iter()
                    .any(|shape| shape.fixed(secret) > fixed)
        })
    }
}

fn check_rule(
    detector: &mut Detector,
    rule: &Rule,
    shape: usize,
    sample: &Sample,
    seed: &mut Seed,
    faults: &mut Vec<RuleFault>,
) {
    let mut fault = |number: usize, what: &str, why: &str| {
        faults.push(RuleFault {
            pack: "examples".to_owned(),
            rule: Some(rule.id.to_string()),
            why: match rule.short_form {
                true => format!("{what} {number}, form {}: {why}", shape + 1),
                false => format!("{what} {number}: {why}"),
            },
        });
    };
    for (number, example) in rule.examples.iter().enumerate() {
        let filled = fill(example, rule, shape, sample, seed);
        if filled.is_some_and(|filled| !tells(detector, &filled, rule, sample)) {
            fault(number + 1, "example", "no match with its secret and id");
        }
    }
    for (number, example) in rule.look_alikes.iter().enumerate() {
        let Some(filled) = fill(example, rule, shape, sample, seed) else {
            continue;
        };
        let told = scan(detector, &filled)
            .iter()
            .any(|(id, kind, ..)| *id == rule.id && *kind != Kind::Reference);
        if told {
            fault(number + 1, "look-alike", "it matches");
        }
    }
}

type Told = (RuleId, Kind, Vec<u8>, Option<String>);

fn scan(detector: &mut Detector, text: &str) -> Vec<Told> {
    let bytes = text.as_bytes().to_vec();
    let part = Part {
        name: b"example.conf",
        format: Format::Guess,
        start: Position::default(),
        source: &bytes,
    };
    detector
        .scan(&[part])
        .matches
        .into_iter()
        .filter(|found| found.confidence > Confidence::Unknown)
        .map(|found| {
            let secret = found
                .secret
                .map(|secret| secret.expose().to_vec())
                .unwrap_or_default();
            (
                found.rule,
                found.kind,
                secret,
                found.id.map(|id| id.to_string()),
            )
        })
        .collect()
}

fn tells(detector: &mut Detector, text: &str, rule: &Rule, sample: &Sample) -> bool {
    scan(detector, text).iter().any(|(id, _, secret, public)| {
        *id == rule.id
            && *secret == sample.secret.as_bytes()
            && public.as_deref().unwrap_or_default() == sample.id
    })
}

/// Fills `{id}`, `{secret}`, `{token}`, the rule's first `{word}`, a secret too `{short}` by one or
/// `{masked}`, and classes such as `{hex:32}`; other braces stay. Nothing if the rule has no such thing.
fn fill(
    example: &str,
    rule: &Rule,
    shape: usize,
    sample: &Sample,
    seed: &mut Seed,
) -> Option<String> {
    let pattern = rule.secret.patterns.get(shape);
    let mut out = String::new();
    let mut rest = example;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let close = rest.find('}').map_or(rest.len(), |at| at + 1);
        let inner = &rest[..close];
        let filled = match inner {
            "{id}" => Some(sample.id.clone()),
            "{secret}" => Some(sample.secret.clone()),
            "{token}" => Some(sample.token.clone()),
            "{word}" => Some(rule.words.first()?.clone()),
            "{masked}" => Some(text(pattern?.mask())),
            "{short}" => {
                let short = pattern?.shorten(&mut || seed.next_number());
                // A shape that is one shorter than another of the same rule has no such look-alike.
                let whole = (0..=short.len()).any(|end| rule.secret.is_whole(&short[..end]));
                Some(text(Some(short).filter(|_| !whole)?))
            }
            _ if inner.contains(':') && !inner.contains(['"', ' ']) => Pattern::parse(inner)
                .ok()
                .map(|pattern| text(pattern.generate(&mut || seed.next_number()))),
            _ => None,
        };
        match filled {
            Some(filled) => {
                out.push_str(&filled);
                rest = &rest[close..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_compile_and_keep_their_examples() {
        let (set, faults) = RuleSet::compile(&[]);
        assert_eq!(faults, []);
        let unsourced = set.rules().iter().filter(|rule| rule.source.is_empty());
        let unsourced: Vec<&str> = unsourced.map(|rule| rule.id.as_str()).collect();
        assert!(unsourced.is_empty(), "no source: {unsourced:?}");
        let set = Arc::new(set);
        for seed in 0..12 {
            let faults = set.check_examples(seed);
            assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
        }
    }
}
