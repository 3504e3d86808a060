//! Private keys in a window: with armour, as objects and files of their own form, and without any armour.

use super::*;
use akwatch_proto::finding::Proof;

use crate::judge::key::{self, PrivateKey};
use crate::judge::{jwk, owner, putty};

/// How often a key's text is undone: strings inside strings.
const MOST_ESCAPED: usize = 4;

impl Scanner<'_> {
    /// Private keys, wherever they stand.
    pub(super) fn keys(&mut self, region: &Region, text: &[u8], hits: &[Hit], lines: &Lines) {
        for hit in hits {
            let Hit::Pem(at) = *hit else { continue };
            let rest = &text[at..];
            let found = if rest.starts_with(jwk::KEY_TYPE) {
                jwk::read(text, at)
            } else if rest.starts_with(jwk::RSA_VALUE) {
                jwk::read_rsa_value(text, at)
            } else if rest.starts_with(putty::BEGINNING) {
                putty::read(rest).map(|found| (at..at + found.length, found))
            } else {
                self.armoured(region, text, at, lines);
                None
            };
            if let Some((range, found)) = found {
                let of = (lines.number(range.start), lines.number(range.end - 1));
                self.key(&Spot::of(region, range.start, of), found);
            }
        }
    }

    /// A key in PEM, OpenSSH or PGP armour.
    fn armoured(&mut self, region: &Region, text: &[u8], at: usize, lines: &Lines) {
        let Some(rule) = self.rules.engine(Engine::PrivateKey) else {
            return;
        };
        let mut unescaped = Vec::new();
        let limit = text.len().min(at + akwatch_proto::limits::LONGEST_SECRET);
        let stop = memchr::memmem::find(&text[at..limit], b"-----END ").map_or(at, |n| at + n);
        // Armour has no backslash of its own: a string inside a string has two for one, and a line end
        // may be written behind each.
        let escaped = memchr::memchr(b'\\', &text[at..stop]).is_some();
        if escaped {
            unescaped = text[at..(stop + 80).min(text.len())].to_vec();
            for _ in 0..MOST_ESCAPED {
                if memchr::memchr(b'\\', &unescaped).is_none() {
                    break;
                }
                let once = Zeroizing::new(std::mem::take(&mut unescaped));
                unescaped = inline::unescape(&once);
            }
        }
        let found = key::read(if escaped { &unescaped } else { &text[at..] });
        unescaped.zeroize();
        let Some(found) = found else { return };
        let end = if escaped {
            (stop + 9).min(text.len())
        } else {
            at + found.length
        };
        let (first, last) = (lines.number(at), lines.number(end - 1));
        let unsure = found.confidence;
        let owner = owner::of(text, at..end, found.der.as_ref().map(|der| der.as_slice()));
        let owned = owner
            .as_ref()
            .and_then(|owner| self.rules.engine(owner.engine));
        let Some(told) = self.key(&Spot::of(region, at, (first, last)), found) else {
            return;
        };
        told.encoding.extend(escaped.then_some(Encoding::Escaped));
        told.rules = vec![owned.unwrap_or(rule)];
        if documentation::is_documentation(&region.member.name) {
            told.confidence = unsure.min(told.confidence);
        }
        if let (Some(owner), Some(_)) = (owner, owned) {
            if !owner.holds {
                told.confidence = Confidence::Contextual;
            }
            told.proofs.extend(owner.proofs);
            told.public = Some(owner.id);
        }
    }

    /// What a file is as a whole, by its first bytes: a key without armour, a keystore.
    pub(crate) fn key_files(&mut self, region: &Region, text: &[u8]) {
        if der::may_begin(text) && der::is_private_key(text) {
            let proofs = vec![Proof::Structure { holds: true }];
            let found = PrivateKey::told(inline::to_base64(text), text.len(), true, proofs);
            self.key(&Spot::of(region, 0, (1, 1)), found);
        }
        self.store_file(region, text);
    }

    /// A key that a value holds as base64 of its structure: by a rule of its own where one knows it.
    pub(super) fn unarmoured(&mut self, value: &Value<'_>, before: usize, text: Vec<u8>) {
        if self.rules.engine(Engine::PrivateKey).is_none() {
            return;
        }
        let generic = |found: &Candidate| {
            found
                .rules
                .iter()
                .all(|&rule| self.rules.rule(rule).provider.as_str() == "generic")
        };
        let proof = Proof::Structure { holds: true };
        let mut known = false;
        for found in &mut self.candidates[before..] {
            if found.part == Part::Single && !generic(found) {
                found.confidence = Confidence::Proven;
                found.proofs.push(proof.clone());
                known = true;
            }
        }
        if known {
            return;
        }
        self.candidates.truncate(before);
        let spot = Spot {
            path: value.path,
            scope: value.scope,
            member: value.member,
            encoding: value.encoding,
            order: value.order,
            lines: (
                (value.line)(0),
                (value.line)(value.bytes.len().saturating_sub(1)),
            ),
        };
        let length = value.bytes.len();
        self.key(&spot, PrivateKey::told(text, length, true, vec![proof]));
    }

    /// Tells a key; answers what was told, for whoever knows more of it.
    pub(super) fn key(&mut self, spot: &Spot<'_>, found: PrivateKey) -> Option<&mut Candidate> {
        let rule = self.rules.engine(Engine::PrivateKey)?;
        self.candidates.push(Candidate {
            part: Part::Single,
            value: Zeroizing::new(found.text),
            rules: vec![rule],
            prefixed: false,
            named: false,
            hints: Hints::default(),
            path: spot.path.to_vec(),
            stem: Vec::new(),
            scope: spot.scope,
            line: spot.lines.0,
            end_line: spot.lines.1,
            member: Rc::clone(spot.member),
            encoding: spot.encoding.to_vec(),
            order: spot.order,
            confidence: found.confidence.max(Confidence::Contextual),
            proofs: found.proofs,
            kind: Some(Kind::PrivateKey),
            public: None,
            doubt: None,
        });
        self.candidates.last_mut()
    }
}

/// Where a key stands.
pub(super) struct Spot<'a> {
    pub(super) path: &'a [u8],
    pub(super) scope: ScopeId,
    pub(super) member: &'a Rc<MemberName>,
    pub(super) encoding: &'a [Encoding],
    pub(super) order: u64,
    pub(super) lines: (u32, u32),
}

impl<'a> Spot<'a> {
    /// On `lines` of a region, `at` bytes into it.
    fn of(region: &'a Region, at: usize, lines: (u32, u32)) -> Spot<'a> {
        Spot {
            path: &region.path,
            scope: region.scope,
            member: &region.member,
            encoding: &region.encoding,
            order: region.offset + at as u64,
            lines,
        }
    }
}
