//! Links the halves that belong together, by scope and name, never by the nearest line.
//!
//! From the innermost scope outwards: where a scope holds both ids and secrets that are not linked
//! yet, the best candidates of each other are linked. What stays tied is linked in order and says
//! *ambiguous*, with the number of candidates. A temporary credential takes its token and expiry
//! from the same scope.

mod beside;
mod compare;
mod kin;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use akwatch_proto::credential::{Confidence, CredentialId, Kind, PublicPrefix, Scheme};
use akwatch_proto::finding::Proof;
use akwatch_proto::limits;

use beside::Beside;

use crate::content::Secret;
use crate::judge::{Candidate, MemberName, Part, proof};
use crate::rule::{Engine, ProofKind, RuleSet};
use crate::scan::{Match, RawSpot};
use crate::syntax::{ScopeId, Scopes};

/// Halves that stand in a list if all but one in eight stand in twos.
const LIST: usize = 16;

/// What pairing gives.
pub(crate) struct Paired {
    /// In order of part and position.
    pub(crate) matches: Vec<Match>,
    /// Ids that were held against a secret, each once for every secret: what pairing cost.
    pub(crate) compared: u64,
    /// Whether halves stayed alone that were not compared with all the others of their scope.
    pub(crate) too_many: bool,
}

/// Turns candidates into matches.
pub(crate) fn pair(mut candidates: Vec<Candidate>, scopes: &Scopes, rules: &RuleSet) -> Paired {
    candidates.sort_by_key(|found| (found.member.part, found.order));
    let twins = candidates
        .iter()
        .enumerate()
        .map(|(at, found)| {
            let near = at.saturating_sub(2)..candidates.len().min(at + 3);
            near.into_iter().find(|&other| {
                let twin = &candidates[other];
                other != at
                    && twin.order == found.order
                    && twin.member == found.member
                    && twin.value == found.value
            })
        })
        .collect();
    let mut first: HashMap<&[u8], usize> = HashMap::new();
    let values = candidates
        .iter()
        .enumerate()
        .map(|(at, found)| *first.entry(found.value.as_slice()).or_insert(at))
        .collect();
    let kin: Vec<Vec<u8>> = candidates
        .iter()
        .map(|found| kin::of(&found.path))
        .collect();
    let mut pairing = Pairing {
        twins,
        values,
        beside: Beside::of(&candidates, &kin, scopes),
        kin,
        links: vec![None; candidates.len()],
        ambiguous: vec![0; candidates.len()],
        compared: 0,
        too_many: false,
        candidates,
        scopes,
        rules,
    };
    pairing.link();
    Paired {
        compared: pairing.compared,
        too_many: pairing.too_many,
        matches: pairing.matches(),
    }
}

/// What has been told of each place: member and value.
type Told = HashSet<(Rc<MemberName>, Vec<u8>)>;

fn key_of(found: &Candidate) -> (Rc<MemberName>, Vec<u8>) {
    (Rc::clone(&found.member), found.value.to_vec())
}

struct Pairing<'a> {
    candidates: Vec<Candidate>,
    /// For an id its secret, for a secret its id; and the scope that held both.
    links: Vec<Option<(usize, ScopeId, u16)>>,
    /// The same value as the other half, where its name may say either.
    twins: Vec<Option<usize>>,
    /// For each candidate the first that has the same value.
    values: Vec<usize>,
    /// What its name shares with that of its other half.
    kin: Vec<Vec<u8>>,
    ambiguous: Vec<u32>,
    beside: Beside,
    compared: u64,
    too_many: bool,
    scopes: &'a Scopes,
    rules: &'a RuleSet,
}

/// What has come together in a scope.
#[derive(Default)]
struct Gathered {
    members: Vec<usize>,
    /// How many scopes it is from: what is from one has been compared there.
    sources: u32,
}

impl Pairing<'_> {
    /// Scopes from the innermost to the root: a child's number is always larger than its parent's.
    fn link(&mut self) {
        self.link_all(|found| found.part != Part::Anonymous || found.path.is_empty());
        // A value whose name says nothing comes last, and only where nothing else would do.
        self.link_all(|found| matches!(found.part, Part::Id | Part::Anonymous));
    }

    fn link_all(&mut self, due: fn(&Candidate) -> bool) {
        let mut open: BTreeMap<ScopeId, Gathered> = BTreeMap::new();
        for (at, found) in self.candidates.iter().enumerate() {
            let pairs = matches!(found.part, Part::Id | Part::Secret | Part::Anonymous)
                || (found.part == Part::Single
                    && found.kind == Some(Kind::Token)
                    && found.rules.len() > 1);
            if pairs && self.is_free(at) && due(found) {
                let here = open.entry(found.scope).or_default();
                here.members.push(at);
                here.sources = 2;
            }
        }
        while let Some((scope, mut here)) = open.pop_last() {
            if here.sources > 1 {
                here.members.sort_unstable();
                self.link_scope(scope, &here.members);
            }
            here.members
                .retain(|&at| self.is_free(at) && self.climbs(at));
            if scope != Scopes::ROOT && !here.members.is_empty() {
                let parent = open.entry(self.scopes.parent(scope)).or_default();
                parent.members.append(&mut here.members);
                parent.sources += 1;
            }
        }
    }

    /// Whether a value is not linked yet, neither as the one half nor as the other.
    fn is_free(&self, at: usize) -> bool {
        let twin = self.twins[at];
        self.links[at].is_none() && twin.is_none_or(|twin| self.links[twin].is_none())
    }

    /// Values without a name belong to their own scope only.
    fn climbs(&self, at: usize) -> bool {
        matches!(self.candidates[at].part, Part::Id | Part::Secret)
    }

    fn link_scope(&mut self, scope: ScopeId, members: &[usize]) {
        let ids: Vec<usize> = members
            .iter()
            .copied()
            .filter(|&at| self.candidates[at].part == Part::Id)
            .collect();
        let secrets: Vec<usize> = members
            .iter()
            .copied()
            .filter(|&at| self.candidates[at].part != Part::Id)
            .collect();
        let (pairs, cut) = compare::pairs(&ids, &secrets, |at| self.kin[at].as_slice());
        self.compared += pairs.len() as u64;
        let mut scores: Vec<(u32, usize, usize, u16)> = Vec::new();
        for (id, secret) in pairs {
            if let Some((score, rule)) = self.score(id, secret) {
                scores.push((score, id, secret, rule));
            }
        }
        scores.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut start = 0;
        while start < scores.len() {
            let level = scores[start].0;
            let end = start
                + scores[start..]
                    .iter()
                    .take_while(|entry| entry.0 == level)
                    .count();
            self.link_level(scope, &scores[start..end]);
            start = end;
        }
        let alone = |all: &[usize]| all.iter().any(|&at| self.is_free(at) && self.climbs(at));
        self.too_many |= cut && alone(&ids) && alone(&secrets);
    }

    /// Links what is mutually unique among equals first, then the tied in their order.
    fn link_level(&mut self, scope: ScopeId, level: &[(u32, usize, usize, u16)]) {
        for tied in [false, true] {
            if tied {
                self.link_twos(scope, level);
            }
            let mut by_id: HashMap<usize, HashSet<usize>> = HashMap::new();
            let mut by_secret: HashMap<usize, HashSet<usize>> = HashMap::new();
            for &(_, id, secret, _) in level {
                if self.is_free(id) && self.is_free(secret) {
                    by_id.entry(id).or_default().insert(self.values[secret]);
                    by_secret.entry(secret).or_default().insert(self.values[id]);
                }
            }
            let counts: Vec<(usize, usize)> = level
                .iter()
                .map(|&(_, id, secret, _)| {
                    (
                        by_id.get(&id).map_or(0, HashSet::len),
                        by_secret.get(&secret).map_or(0, HashSet::len),
                    )
                })
                .collect();
            for (&(_, id, secret, rule), &(of_id, of_secret)) in level.iter().zip(&counts) {
                let free = self.is_free(id) && self.is_free(secret);
                let unique = of_id == 1 && of_secret == 1;
                if !free || !(unique || tied) {
                    continue;
                }
                self.links[id] = Some((secret, scope, rule));
                self.links[secret] = Some((id, scope, rule));
                if !unique && of_id > 1 {
                    self.ambiguous[id] = u32::try_from(of_id).unwrap_or(u32::MAX);
                }
            }
        }
    }

    /// Links names that come back: `ID KEY KEY ID` of equal names are two and two, as they are written.
    fn link_twos(&mut self, scope: ScopeId, level: &[(u32, usize, usize, u16)]) {
        let mut tied: Vec<usize> = level
            .iter()
            .flat_map(|&(_, id, secret, _)| [id, secret])
            .filter(|&at| self.is_free(at))
            .collect();
        tied.sort_unstable();
        tied.dedup();
        let twos = self.twos(&tied);
        if tied.len() <= 2 || twos.is_empty() {
            return;
        }
        let together: HashMap<(usize, usize), u16> = level
            .iter()
            .map(|&(_, id, secret, rule)| ((id, secret), rule))
            .collect();
        let among = u32::try_from(twos.len()).unwrap_or(u32::MAX);
        for (id, secret) in twos {
            let free = self.is_free(id) && self.is_free(secret);
            if let Some(&rule) = together.get(&(id, secret)).filter(|_| free) {
                self.links[id] = Some((secret, scope, rule));
                self.links[secret] = Some((id, scope, rule));
                self.ambiguous[id] = among;
            }
        }
    }

    /// What stands in twos, id and secret; nothing if it does not. In a long list a half may be missing:
    /// the others stay together, and what follows does not move up.
    fn twos(&self, tied: &[usize]) -> Vec<(usize, usize)> {
        let is_id = |at: usize| self.candidates[at].part == Part::Id;
        let in_order = |two: &[usize]| match is_id(two[0]) {
            true => (two[0], two[1]),
            false => (two[1], two[0]),
        };
        if tied.len().is_multiple_of(2) && tied.chunks(2).all(|two| is_id(two[0]) != is_id(two[1]))
        {
            return tied.chunks(2).map(in_order).collect();
        }
        let list = |id_first: bool| {
            let mut twos = Vec::new();
            let mut rest = tied;
            while let [one, other, ..] = *rest {
                let together = is_id(one) == id_first && is_id(other) != id_first;
                if together {
                    twos.push(in_order(&[one, other]));
                }
                rest = &rest[if together { 2 } else { 1 }..];
            }
            twos
        };
        let (front, back) = (list(true), list(false));
        let twos = if back.len() > front.len() {
            back
        } else {
            front
        };
        let is_list = tied.len() >= LIST && twos.len() * 2 * 8 >= tied.len() * 7;
        if is_list { twos } else { Vec::new() }
    }

    /// How well an id and a secret go together, and by which rule.
    fn score(&self, id: usize, secret: usize) -> Option<(u32, u16)> {
        let (public, hidden) = (&self.candidates[id], &self.candidates[secret]);
        if self.values[id] == self.values[secret] {
            return None;
        }
        let mut best: Option<(u32, u16)> = None;
        for &rule in &public.rules {
            if !hidden.rules.contains(&rule) {
                continue;
            }
            let hint = public.hints.level(rule).max(hidden.hints.level(rule));
            let generic = self.rules.rule(rule).provider.as_str() == "generic";
            // Halves without a beginning of their own need names, and a provider's word; beside a
            // secret that speaks for itself the id's name is enough.
            if !public.prefixed {
                let named = public.named && hidden.named && hidden.part == Part::Secret;
                let told = hidden.prefixed && public.named && hidden.rules.first() == Some(&rule);
                if !told && (!named || !(hint > 0 || generic)) {
                    continue;
                }
            }
            let mut score = 0;
            if hidden.part != Part::Anonymous {
                // The same name but for the half it says, or but for all such words.
                let stem = public.stem == hidden.stem && hidden.part == Part::Secret;
                let kin = self.kin[id] == self.kin[secret];
                score += if stem {
                    64 + 32 * u32::from(kin)
                } else {
                    56 * u32::from(kin)
                };
            }
            score += 32 * u32::from(hidden.part == Part::Secret);
            score += 8 * if generic { 0 } else { hint };
            score += 4 * u32::from(public.prefixed);
            score += 4 * u32::from(hidden.part == Part::Anonymous && hidden.path.is_empty());
            score += u32::from(!generic);
            score += 2 * u32::from(public.member == hidden.member);
            if best.is_none_or(|(known, _)| score > known) {
                best = Some((score, rule));
            }
        }
        best
    }

    fn matches(mut self) -> Vec<Match> {
        let mut matches = Vec::new();
        let mut told = Told::new();
        // Pairs first: what they tell is not told again.
        for at in 0..self.candidates.len() {
            if self.candidates[at].part == Part::Id && self.links[at].is_some() {
                let order = self.candidates[at].order;
                matches.extend(self.linked(at, &mut told).map(|found| (order, found)));
            }
        }
        for at in 0..self.candidates.len() {
            let order = self.candidates[at].order;
            if self.links[at].is_none() {
                matches.extend(self.alone(at, &mut told).map(|found| (order, found)));
            }
        }
        matches.sort_by_key(|(order, found)| (found.part, *order));
        matches.into_iter().map(|(_, found)| found).collect()
    }

    /// The match of a linked id.
    fn linked(&mut self, id: usize, told: &mut Told) -> Option<Match> {
        let (secret, scope, rule) = self.links[id]?;
        let part = self.candidates[secret].member.part;
        let public =
            CredentialId::parse(std::str::from_utf8(&self.candidates[id].value).ok()?).ok()?;
        told.insert(key_of(&self.candidates[id]));
        if !told.insert(key_of(&self.candidates[secret])) {
            return None;
        }
        let known = self.rules.rule(rule);
        let mut proofs = std::mem::take(&mut self.candidates[id].proofs);
        let mut confidence = Confidence::Paired;
        if known.proof == Some(ProofKind::Volcengine) {
            let holds =
                proof::volcengine(&self.candidates[id].value, &self.candidates[secret].value);
            proofs.push(Proof::Structure { holds });
            confidence = if holds {
                Confidence::Proven
            } else {
                Confidence::Contextual
            };
        }
        if self.ambiguous[id] > 1 {
            proofs.push(Proof::Ambiguous {
                candidates: self.ambiguous[id],
            });
            confidence = Confidence::Strong;
        }
        let (token, expiry) = self.beside(id, secret, scope);
        let mut also = Vec::new();
        if let Some(token) = token {
            let value = self.candidates[token].value.to_vec();
            told.insert(key_of(&self.candidates[token]));
            also.push(Secret::new(value));
            if let Some(Proof::Expires { at }) = expiry {
                proofs.push(Proof::Expires { at });
            }
        }
        let rule = match (also.is_empty(), known.kind) {
            (false, Kind::AccessKeyPair) => self.temporary_of(rule),
            _ => rule,
        };
        let known = self.rules.rule(rule);
        let kind = if also.is_empty() {
            known.kind
        } else {
            Kind::TemporaryCredential
        };
        proofs.truncate(limits::PROOFS_PER_FINDING);
        Some(Match {
            rule: known.id.clone(),
            provider: known.provider.clone(),
            kind,
            also,
            id: Some(public),
            confidence,
            proof: proofs,
            prefix: None,
            scheme: Scheme::Hmac,
            part,
            spot: self.spot(secret),
            secret: Some(Secret::new(self.candidates[secret].value.to_vec())),
        })
    }

    /// The rule for the temporary form of a pair, where the provider has one.
    fn temporary_of(&self, rule: u16) -> u16 {
        let provider = &self.rules.rule(rule).provider;
        (0_u16..)
            .zip(self.rules.rules())
            .find(|(_, other)| {
                other.provider == *provider && other.kind == Kind::TemporaryCredential
            })
            .map_or(rule, |(number, _)| number)
    }

    /// A session token and an expiry in the pair's own scope or, for tokens, just around it.
    fn beside(&self, id: usize, secret: usize, scope: ScopeId) -> (Option<usize>, Option<Proof>) {
        let around = [
            self.candidates[id].scope,
            self.candidates[secret].scope,
            scope,
        ];
        let (token, expiry) = self.beside.pair(around, &self.kin[secret], self.scopes);
        let proofs = expiry.map(|at| &self.candidates[at].proofs);
        (token, proofs.and_then(|proofs| proofs.first().cloned()))
    }

    fn spot(&mut self, at: usize) -> RawSpot {
        let found = &mut self.candidates[at];
        let path = std::mem::take(&mut found.path);
        RawSpot {
            line: found.line,
            end_line: found.end_line,
            field: (!path.is_empty()).then_some(path),
            inside: found.member.inside.clone(),
            encoding: found.encoding.clone(),
            typed: None,
        }
    }

    /// What an unlinked candidate is by itself, if anything.
    fn alone(&mut self, at: usize, told: &mut Told) -> Option<Match> {
        let found = &self.candidates[at];
        let (rule, kind) = match found.part {
            Part::Id if found.prefixed => (*found.rules.first()?, Kind::Reference),
            Part::Single => (*found.rules.last()?, found.kind.unwrap_or(Kind::Token)),
            Part::Token if found.prefixed || found.kind.is_some() => {
                (*found.rules.first()?, Kind::Token)
            }
            Part::Secret => self.lone_secret(found)?,
            _ => return None,
        };
        let rule = self.rules.rule(rule);
        let kind = if found.part == Part::Single && found.kind.is_none() {
            rule.kind
        } else {
            kind
        };
        if !told.insert(key_of(found)) {
            return None;
        }
        let id = match kind {
            Kind::Reference => {
                Some(CredentialId::parse(std::str::from_utf8(&found.value).ok()?).ok()?)
            }
            _ => found.public.clone(),
        };
        let reference = kind == Kind::Reference;
        let floor = if kind == Kind::Password {
            limits::SHORTEST_PASSWORD
        } else {
            limits::SHORTEST_SECRET
        };
        if !reference && found.value.len() < floor {
            return None;
        }
        let prefix: Option<PublicPrefix> = rule.prefix.clone().filter(|_| !reference);
        Some(Match {
            rule: rule.id.clone(),
            provider: rule.provider.clone(),
            kind,
            secret: (!reference).then(|| Secret::new(found.value.to_vec())),
            also: Vec::new(),
            id,
            confidence: found.confidence,
            proof: found.proofs.clone(),
            prefix,
            scheme: if kind == Kind::Password {
                Scheme::ArgonHmac
            } else {
                Scheme::Hmac
            },
            part: found.member.part,
            spot: self.spot(at),
        })
    }

    /// The rule of a secret without an id: its provider's, if a word or its beginning tells it, else
    /// the one for secrets by name.
    fn lone_secret(&self, found: &Candidate) -> Option<(u16, Kind)> {
        if found.prefixed {
            return Some((*found.rules.first()?, Kind::SecretKey));
        }
        let own = found
            .rules
            .iter()
            .copied()
            .filter(|&rule| self.rules.rule(rule).provider.as_str() != "generic")
            .filter(|&rule| found.hints.level(rule) > 0)
            .max_by_key(|&rule| (found.hints.level(rule), std::cmp::Reverse(rule)));
        let rule = own.or_else(|| self.rules.engine(Engine::NamedSecret))?;
        Some((rule, Kind::SecretKey))
    }
}
