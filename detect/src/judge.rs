//! Decides what a field is: which half of which credential, how sure, proven or not.
//!
//! Rules say shapes; this says what counts. It reports candidates, which [`pair`](crate::pair)
//! links. A failed proof lowers confidence and never deletes; a placeholder, a reference or a
//! vendor's example is nothing.

pub(crate) mod checksum;
pub(crate) mod chosen;
pub(crate) mod cipher;
pub(crate) mod clue;
mod compound;
mod csp;
pub(crate) mod der;
pub(crate) mod jwk;
pub(crate) mod key;
pub(crate) mod keystore;
mod ngram;
pub(crate) mod owner;
pub(crate) mod proof;
mod public;
pub(crate) mod putty;
pub(crate) mod quiet;
mod rsa;
mod sealed;
mod signed;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::rc::Rc;

use akwatch_proto::credential::{Confidence, CredentialId, Kind};
use akwatch_proto::finding::Proof;
use akwatch_proto::limits;
use akwatch_proto::place::Encoding;
use zeroize::Zeroizing;

use clue::Hints;
use compound::header_name;
pub(crate) use compound::header_scheme;

use crate::content::Format;
use crate::rule::name;
use crate::rule::{Engine, Half, Names, ProofKind, Role, Rule, RuleSet};
use crate::sieve::{self, Token};
use crate::syntax::ScopeId;
use crate::unwrap::{inline, stream};

/// What a candidate is to a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Id,
    Secret,
    /// A value without a telling name that has a secret's shape: only ever half of a pair.
    Anonymous,
    /// A session token.
    Token,
    /// When a temporary credential ends.
    Expiry,
    /// A finding by itself.
    Single,
}

/// Something that may become a match.
pub(crate) struct Candidate {
    pub(crate) part: Part,
    pub(crate) value: Zeroizing<Vec<u8>>,
    /// Rules that it may belong to, surest first.
    pub(crate) rules: Vec<u16>,
    /// Whether its own beginning says whose it is.
    pub(crate) prefixed: bool,
    /// Whether its name says what it is.
    pub(crate) named: bool,
    /// Rules whose words stand around it.
    pub(crate) hints: Hints,
    pub(crate) path: Vec<u8>,
    pub(crate) stem: Vec<u8>,
    pub(crate) scope: ScopeId,
    pub(crate) line: u32,
    pub(crate) end_line: u32,
    pub(crate) member: Rc<MemberName>,
    pub(crate) encoding: Vec<Encoding>,
    pub(crate) order: u64,
    pub(crate) confidence: Confidence,
    pub(crate) proofs: Vec<Proof>,
    pub(crate) kind: Option<Kind>,
    /// The public half of a finding by itself, where its text told it.
    pub(crate) public: Option<CredentialId>,
    /// A word, and what its place says for it so far: what stands beside it decides.
    pub(crate) doubt: Option<i8>,
}

/// Which part of the scan, and which member inside it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MemberName {
    pub(crate) part: usize,
    pub(crate) inside: Vec<Vec<u8>>,
    /// The file's own name: its words say providers.
    pub(crate) name: Vec<u8>,
}

/// A value to be judged, with where it stands.
pub(crate) struct Value<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) bytes: &'a [u8],
    pub(crate) scope: ScopeId,
    pub(crate) encoding: &'a [Encoding],
    /// Whether there is no doubt where the value ends, or the text is configuration.
    pub(crate) sure: bool,
    /// Whether it stands unquoted in a text without a syntax.
    pub(crate) loose: bool,
    /// What the text around it says for a word as a password.
    pub(crate) spoken: &'a dyn Fn() -> i8,
    pub(crate) order: u64,
    /// First line of the value's byte at an offset.
    pub(crate) line: &'a dyn Fn(usize) -> u32,
    pub(crate) member: &'a Rc<MemberName>,
}

/// Judges values with one rule set.
pub(crate) struct Judge<'r> {
    pub(crate) rules: &'r RuleSet,
    /// Machine-made values without a name are looked at only where an id is near.
    pub(crate) anonymous: bool,
    /// How the text is written, and what its file says for a word as a password, once asked.
    pub(crate) format: Format,
    pub(crate) place: OnceCell<i8>,
    /// Values are judged by their names: not in binary data.
    pub(crate) by_name: bool,
    /// What is known by its name only is below the default: the text is documentation.
    pub(crate) documentation: bool,
}

/// Values longer than this are not looked into as a whole, only for tokens.
const LONGEST_NAMED: usize = 4096;
/// Bytes that are more than a secret has.
const LARGE: usize = 96;
/// Bytes of a token's own beginning that stand nowhere by chance.
const LONG_BEGINNING: usize = 5;
/// The shortest session token that vendors hand out.
const SHORTEST_SESSION: usize = 60;

impl Judge<'_> {
    /// What `value` is; candidates are added to `out`.
    pub(crate) fn value(&self, value: &Value<'_>, out: &mut Vec<Candidate>) {
        let mut bytes = value.bytes.trim_ascii();
        // A line end that was written as text.
        while let [rest @ .., b'\\', b'n' | b'r' | b't'] = bytes {
            bytes = rest.trim_ascii_end();
        }
        if bytes.len() < limits::SHORTEST_PASSWORD || bytes.len() > limits::LONGEST_SECRET {
            return;
        }
        let offset = value.bytes.len() - value.bytes.trim_ascii_start().len();
        let mut tokens = sieve::tokens(bytes, self.rules);
        // What is no token after all is judged by its name.
        tokens.retain(|token| self.token(value, bytes, offset, token, out));
        let is_whole = |token: &Token| token.start == 0 && token.end == bytes.len();
        let whole = tokens.iter().any(is_whole);
        if sealed::is_password_hash(bytes) {
            self.password_hash(value, bytes, offset, out);
            return;
        }
        if quiet::is_reference(bytes) {
            return;
        }
        if memchr::memchr_iter(b':', bytes).any(|at| bytes[at..].starts_with(b"://")) {
            self.url(value, bytes, offset, out);
        }
        self.header(value, bytes, offset, out);
        if let Some(colon) = header_name(bytes).filter(|_| tokens.is_empty()) {
            return self.header_line(value, bytes, offset, colon, out);
        }
        if bytes.contains(&b';') && bytes.contains(&b'=') && !bytes.contains(&b'\n') {
            self.connection(value, bytes, offset, out);
        } else if bytes.contains(&b'=') && bytes.contains(&b' ') && bytes.len() <= LONGEST_NAMED {
            self.settings(value, bytes, offset, out);
        }
        self.behind_id(value, bytes, offset, &tokens, out);
        if !whole && self.by_name && bytes.len() <= LONGEST_NAMED && !bytes.contains(&b'\n') {
            self.named(value, bytes, offset, !tokens.is_empty(), out);
        }
    }

    fn candidate(&self, value: &Value<'_>, part: Part, bytes: &[u8], at: usize) -> Candidate {
        let line = (value.line)(at);
        let inner = bytes.iter().filter(|&&b| b == b'\n').count();
        Candidate {
            part,
            value: Zeroizing::new(bytes.to_vec()),
            rules: Vec::new(),
            prefixed: false,
            named: false,
            hints: Hints::default(),
            path: value.path.to_vec(),
            stem: Vec::new(),
            scope: value.scope,
            line,
            end_line: line.saturating_add(u32::try_from(inner).unwrap_or(u32::MAX)),
            member: Rc::clone(value.member),
            encoding: value.encoding.to_vec(),
            order: value.order + at as u64,
            confidence: if self.documentation {
                Confidence::Unknown
            } else {
                Confidence::Contextual
            },
            proofs: Vec::new(),
            kind: None,
            public: None,
            doubt: None,
        }
    }

    /// A token of a rule's shape inside the value; false if its shape alone said too little.
    fn token(
        &self,
        value: &Value<'_>,
        bytes: &[u8],
        offset: usize,
        token: &Token,
        out: &mut Vec<Candidate>,
    ) -> bool {
        let text = &bytes[token.start..token.end];
        let mut number = token.rule;
        // Where services share a form, the name beside the value tells whose it is.
        let shared = |rule: &Rule| rule.proof == Some(ProofKind::Chance);
        if self.rules.rule(number).provider.as_str() == "generic" || shared(self.rules.rule(number))
        {
            number = self.named_service(value.path, text).unwrap_or(number);
        }
        let rule = self.rules.rule(number);
        let body = &text[rule.shape(token.half).fixed(text)..];
        if quiet::is_placeholder(text) && (quiet::is_stand_in(text) || quiet::is_placeholder(body))
        {
            return true;
        }
        let part = match token.half {
            Half::Id if quiet::entropy(&text[4.min(text.len())..]) < 2.5 => return true,
            Half::Id => Part::Id,
            Half::Secret if rule.is_pair() => Part::Secret,
            Half::Secret => Part::Single,
            Half::Token => Part::Token,
        };
        let mut found = self.candidate(value, part, text, offset + token.start);
        found.rules = self.sharing(token, text);
        found.rules[0] = number;
        found.prefixed = true;
        found.confidence = Confidence::Strong;
        if let Some(named) = self.rules.names().role_of(value.path) {
            found.stem = named.stem;
            found.named = true;
        }
        if part == Part::Single && quiet::entropy(text) < 2.8 {
            return true;
        }
        if part == Part::Single && quiet::is_wordy_body(body) {
            // Words behind a beginning that nothing else has, with digits or capitals among them: a
            // fixture as likely as a key.
            let own = text.len() - body.len() >= LONG_BEGINNING && quiet::is_varied(body);
            if !own {
                return true;
            }
            found.confidence = found.confidence.min(Confidence::Contextual);
        }
        if let (Some(kind), Part::Id | Part::Single) = (rule.proof, part) {
            match proof::prove(kind, text, &mut found.proofs) {
                proof::Verdict::Holds => found.confidence = Confidence::Proven,
                proof::Verdict::Lowers | proof::Verdict::Fails => {
                    found.confidence = found.confidence.min(Confidence::Contextual);
                }
                proof::Verdict::Alien => return kind != ProofKind::Chance,
                proof::Verdict::Silent => {}
            }
        }
        if found.confidence < Confidence::Proven && says_digest(value.path) {
            return true;
        }
        out.push(found);
        true
    }

    /// The token's rule, and pair rules of which it may be the same half: Volcengine's and Kingsoft's
    /// ids begin alike, and a secret of one cloud may by chance begin like another's.
    fn sharing(&self, token: &Token, text: &[u8]) -> Vec<u16> {
        let mut rules = vec![token.rule];
        if !self.rules.rule(token.rule).is_pair() {
            return rules;
        }
        if let Some(&key) = text.first_chunk() {
            for anchor in self.rules.anchors().at(key) {
                let rule = self.rules.rule(anchor.rule);
                let pattern = &rule.shape(token.half).patterns;
                if anchor.half == token.half
                    && rule.is_pair()
                    && !rules.contains(&anchor.rule)
                    && pattern[usize::from(anchor.pattern)].is_whole(text)
                {
                    rules.push(anchor.rule);
                }
            }
        }
        // What begins like one cloud's secret by chance is another's all the same.
        let others = match token.half {
            Half::Secret => self.fitting(text, Half::Secret),
            _ => Vec::new(),
        };
        rules.extend(others.into_iter().filter(|&rule| {
            let known = self.rules.rule(rule);
            known.provider.as_str() != "generic" && rule != token.rule
        }));
        rules
    }

    /// The value as a whole, by its name.
    fn named(
        &self,
        value: &Value<'_>,
        bytes: &[u8],
        offset: usize,
        has_tokens: bool,
        out: &mut Vec<Candidate>,
    ) {
        if is_type_name(value.path) {
            return;
        }
        let named = self.rules.names().named(value.path);
        let role = role_for(named.as_ref().map(|named| named.role), value.path, bytes);
        if has_tokens && !matches!(role, Some(Role::Password)) {
            return;
        }
        if role.is_none() && is_led(value, bytes) {
            let found = self.candidate(value, Part::Anonymous, bytes, offset);
            return self.bearer(bytes, found, value, out);
        }
        // Beside an id its other half may have any name; what is written in words is none.
        if role.is_none() && !(self.anonymous && self.is_drawn(quiet::core(bytes).1)) {
            return;
        }
        // A log or a half-edited line leaves quotes and escapes around a value; passwords may have them.
        let (skip, bytes) = match role {
            Some(Role::Password) => (0, bytes),
            _ => quiet::core(bytes),
        };
        let offset = offset + skip;
        let mut found = self.candidate(value, Part::Anonymous, bytes, offset);
        found.named = named.is_some();
        found.stem = named.map(|named| named.stem).unwrap_or_default();
        let printable = bytes.iter().all(u8::is_ascii_graphic);
        if let Some(rule) = self.by_word(role, value, bytes) {
            // Its name may say the id of a pair as well: what stands beside it decides.
            if role == Some(Role::Id) && printable && !self.spoken(value).is_empty() {
                self.id_half(bytes, &found, value, out);
            }
            found.part = Part::Single;
            found.rules = vec![rule];
            found.kind = Some(Kind::Token);
            out.push(found);
            return;
        }
        match role {
            Some(Role::Expiry) => {
                found.part = Part::Expiry;
                found.proofs.extend(proof::expires(bytes));
                if !found.proofs.is_empty() {
                    out.push(found);
                }
            }
            Some(Role::Token) if printable && bytes.len() >= SHORTEST_SESSION => {
                found.part = Part::Token;
                found.rules = self.fitting(bytes, Half::Token);
                out.push(found);
            }
            Some(Role::Secret | Role::Bearer)
                if bytes.len() < limits::SHORTEST_SECRET && quiet::is_short_secret(bytes) =>
            {
                self.password(bytes, found, value, out);
            }
            Some(role @ (Role::Id | Role::Secret | Role::IdOrSecret)) if printable => {
                self.half(role, bytes, found, value, out);
            }
            Some(Role::Bearer | Role::Token) if printable => self.bearer(bytes, found, value, out),
            Some(Role::Vendor) => self.vendor(bytes, found, value, out),
            Some(Role::Password) => self.password(bytes, found, value, out),
            // What signs an address stands beside the id that signed it, and is no half of it.
            None if value.path.to_ascii_lowercase().ends_with(b"signature") => {}
            None => {
                found.rules = self.fitting(bytes, Half::Secret);
                out.push(found);
            }
            _ => {}
        }
    }

    /// A value beside a name that mostly says nothing by itself: only what can be nothing else.
    fn vendor(&self, bytes: &[u8], found: Candidate, value: &Value<'_>, out: &mut Vec<Candidate>) {
        let short = bytes.len() < limits::SHORTEST_SECRET;
        if says_credential(value.path) && short && quiet::is_short_secret(bytes) {
            self.password(bytes, found, value, out);
        } else if bytes.iter().all(u8::is_ascii_graphic)
            && says_key(value.path)
            && !quiet::is_published(value.path, bytes)
            && (quiet::is_strong_secret(&unmarked(value, bytes))
                || quiet::is_scattered_secret(bytes))
        {
            self.bearer(bytes, found, value, out);
        }
    }

    /// The rule of a service whose word stands in the key and whose shape the value has.
    fn by_word(&self, role: Option<Role>, value: &Value<'_>, bytes: &[u8]) -> Option<u16> {
        let speaks = matches!(
            role,
            Some(
                Role::Bearer
                    | Role::Id
                    | Role::Secret
                    | Role::IdOrSecret
                    | Role::Token
                    | Role::Vendor
                    | Role::Password
            )
        );
        // Few characters repeat by chance.
        let floor = if bytes.len() < 24 { 2.2 } else { 2.5 };
        if !speaks || quiet::is_placeholder(bytes) || quiet::entropy(bytes) < floor {
            return None;
        }
        let found = self.named_service(value.path, bytes)?;
        let body = &bytes[self.rules.rule(found).secret.fixed(bytes)..];
        if quiet::is_name(body) {
            return None;
        }
        // A provider's own pair comes first, since its id is most likely near, unless the service's word
        // says more: `baidu_map` than `baidu`.
        let path = value.path.to_ascii_lowercase();
        let longest = |rule: &Rule| {
            let words = rule.words.iter();
            let stands = |word: &&String| memchr::memmem::find(&path, word.as_bytes()).is_some();
            words.filter(stands).max_by_key(|word| word.len()).cloned()
        };
        let word = longest(self.rules.rule(found)).unwrap_or_default();
        let says_less = |pair: &Rule| {
            longest(pair).is_some_and(|less| word.len() > less.len() && word.contains(&less))
        };
        let either = matches!(role, Some(Role::IdOrSecret | Role::Id));
        let paired = (either || role == Some(Role::Secret))
            && self.spoken(value).iter().any(|&rule| {
                let rule = self.rules.rule(rule);
                let fits = (either && rule.public.is_whole(bytes)) || rule.secret.is_whole(bytes);
                fits && !says_less(rule)
            });
        (!paired).then_some(found)
    }

    /// The rule by word whose shape `bytes` have and whose word stands nearest before the end of `path`:
    /// `datadog.algolia_api_key` is Algolia's. What begins inside a longer word comes after what does
    /// not, as `front_api` in `wavefront_api_key`; of words that end together the longest says most.
    fn named_service(&self, path: &[u8], bytes: &[u8]) -> Option<u16> {
        let mut best: Option<(bool, usize, usize, std::cmp::Reverse<u16>)> = None;
        self.rules.words().each_within(path, |range, number| {
            let before = range.start.checked_sub(1).map(|at| path[at]);
            let begins = before.is_none_or(|before| {
                let camel = before.is_ascii_lowercase() && path[range.start].is_ascii_uppercase();
                camel || !before.is_ascii_alphabetic()
            });
            let place = (begins, range.end, range.len(), std::cmp::Reverse(number));
            let rule = self.rules.rule(number);
            if rule.by_word && best.is_none_or(|best| place > best) && rule.secret.is_whole(bytes) {
                best = Some(place);
            }
        });
        best.map(|(.., std::cmp::Reverse(number))| number)
    }

    /// A value whose name says id, secret, or either.
    fn half(
        &self,
        role: Role,
        bytes: &[u8],
        mut found: Candidate,
        value: &Value<'_>,
        out: &mut Vec<Candidate>,
    ) {
        if quiet::hides_placeholder(bytes) {
            return;
        }
        found.hints.own = self.spoken(value);
        self.rules
            .words()
            .within(&value.member.name, &mut found.hints.far);
        if matches!(role, Role::Id | Role::IdOrSecret) {
            self.id_half(bytes, &found, value, out);
        }
        if role == Role::Id || bytes.len() < limits::SHORTEST_SECRET {
            return;
        }
        found.part = Part::Secret;
        found.rules = self.fitting(bytes, Half::Secret);
        let hex_only = quiet::is_hex(bytes);
        found.rules.retain(|&rule| {
            let rule = self.rules.rule(rule);
            !hex_only
                || bytes.len() != 40
                || !rule.secret.patterns.iter().all(|p| p.shortest() == 40)
        });
        // A store that anybody runs takes any secret beside its own name.
        let any = |rule: &u16| self.rules.rule(*rule).provider.as_str() == "generic";
        let open: Vec<u16> = found.hints.own.iter().copied().filter(any).collect();
        for rule in open {
            if !found.rules.contains(&rule) {
                found.rules.push(rule);
            }
        }
        let alphabet = |b: &u8| b.is_ascii_alphanumeric() || b"+/=_-.~!#$%^&*".contains(b);
        let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
        let unshaped = bytes.len() <= 256 && bytes.iter().all(alphabet) && quiet::is_chance(bytes)
            || quiet::is_keyboard_noise(bytes);
        // A shape with a length of its own needs no quotes; any value would do for the generic one, and
        // words joined by dashes fit many.
        let words = quiet::is_identifier(bytes);
        let shaped = found.rules.iter().any(|&rule| {
            let own = found.hints.own.contains(&rule);
            self.rules.rule(rule).provider.as_str() != "generic" && (own || !words)
        });
        let shaped = shaped && (value.sure || (digits >= 1 && !words));
        if (shaped || (value.sure && (unshaped || (!words && !found.rules.is_empty()))))
            && !quiet::is_path(bytes)
            && quiet::is_random(bytes, floor_for(bytes))
        {
            out.push(found);
        } else if role == Role::Secret
            && (quiet::is_passphrase(bytes)
                || chosen::has_mark(bytes) && says(value.path, "secret"))
        {
            self.password(bytes, found, value, out);
        }
    }

    fn bearer(
        &self,
        bytes: &[u8],
        mut found: Candidate,
        value: &Value<'_>,
        out: &mut Vec<Candidate>,
    ) {
        let Some(rule) = self.rules.engine(Engine::NamedToken) else {
            return;
        };
        let fits = (limits::SHORTEST_SECRET..=LONGEST_NAMED).contains(&bytes.len())
            && unmarked(value, bytes)
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"+/=_-.~:%!|".contains(b))
            && bytes.iter().filter(|&&b| b == b':').count() <= 1
            && quiet::is_chance(bytes)
            || quiet::is_keyboard_noise(bytes);
        let fits = fits && value.sure && quiet::is_random(bytes, floor_for(bytes));
        // It may also be the second half of a pair: `token = "…"` beside an id.
        if !fits && chosen::has_mark(bytes) && says(value.path, "secret") {
            self.password(bytes, found, value, out);
        } else if fits {
            found.rules = self.fitting(bytes, Half::Secret);
            found.rules.push(rule);
            found.part = Part::Single;
            found.kind = Some(Kind::Token);
            // `Token` beside a temporary pair is its session token.
            if bytes.len() >= SHORTEST_SESSION {
                found.part = Part::Token;
                found.rules = vec![rule];
            }
            out.push(found);
        }
    }

    fn password(
        &self,
        bytes: &[u8],
        mut found: Candidate,
        value: &Value<'_>,
        out: &mut Vec<Candidate>,
    ) {
        let Some(rule) = self.rules.engine(Engine::NamedPassword) else {
            return;
        };
        let fits = if value.loose {
            quiet::is_loose_password(bytes)
        } else {
            quiet::is_password(bytes)
        };
        // What its looks do not make one, its place may.
        if !fits && !value.loose {
            let place = self.weigh(bytes, value);
            found.doubt = place.map(|weight| weight.saturating_add((value.spoken)()));
        }
        if value.sure && (fits || found.doubt.is_some()) {
            found.part = Part::Single;
            found.rules = vec![rule];
            found.kind = Some(Kind::Password);
            out.push(found);
        }
    }

    /// What its place says for a word as a password.
    fn weigh(&self, bytes: &[u8], value: &Value<'_>) -> Option<i8> {
        let place = || chosen::of_file(self.format, value.member);
        chosen::weigh(bytes, value.path, *self.place.get_or_init(place))
    }

    /// What a system keeps instead of a password: information, below the default.
    fn password_hash(
        &self,
        value: &Value<'_>,
        bytes: &[u8],
        offset: usize,
        out: &mut Vec<Candidate>,
    ) {
        if let Some(rule) = self.rules.engine(Engine::PasswordHash) {
            let mut found = self.candidate(value, Part::Single, bytes, offset);
            found.rules = vec![rule];
            found.kind = Some(Kind::Password);
            found.confidence = Confidence::Unknown;
            out.push(found);
        }
    }

    /// Pair rules of which `half` may be `bytes`, by shapes that have no beginning of their own.
    fn fitting(&self, bytes: &[u8], half: Half) -> Vec<u16> {
        let fits = |rule: &Rule| {
            let mut patterns = rule.shape(half).patterns.iter();
            patterns.any(|pattern| pattern.anchor().is_empty() && pattern.is_whole(bytes))
        };
        let bare = self.rules.bare(half).filter(|(_, rule)| fits(rule));
        bare.map(|(number, _)| number).collect()
    }

    /// Whether a value without a telling name has the form of a secret half and was drawn by chance.
    fn is_drawn(&self, bytes: &[u8]) -> bool {
        bytes.iter().all(u8::is_ascii_graphic)
            && !quiet::is_hex(bytes)
            && !self.fitting(bytes, Half::Secret).is_empty()
            && quiet::is_random(bytes, 3.8)
    }

    /// Pair rules whose words stand in the value's path or are all that is left of its name.
    fn spoken(&self, value: &Value<'_>) -> Vec<u16> {
        let mut spoken = Vec::new();
        self.rules.words().within(value.path, &mut spoken);
        let last = value.path.rsplit(|&b| b == b'.').next().unwrap_or_default();
        if let Some(named) = self.rules.names().role_of(last) {
            let stem = named.stem.as_slice();
            // `setQiniuaccesskey(…)`.
            let bare = stem.strip_prefix(b"set").unwrap_or(stem);
            self.rules.words().exactly(bare, &mut spoken);
        }
        spoken.retain(|&rule| self.rules.rule(rule).is_pair());
        spoken
    }

    /// Whether decoding `bytes` gives text that is worth judging instead; the text, if so.
    pub(crate) fn unwrapped(&self, bytes: &[u8]) -> Option<(Encoding, Vec<u8>)> {
        let bytes = bytes.trim_ascii();
        if bytes.len() < limits::SHORTEST_SECRET || bytes.len() > 1 << 20 {
            return None;
        }
        // Some tokens decode to text: they are tokens all the same.
        let is_token = |bytes: &[u8]| {
            let mut tokens = sieve::tokens(bytes, self.rules).into_iter();
            tokens.any(|token| token.start == 0 && token.end == bytes.len())
        };
        // A token that travels escaped is the same token without its escapes.
        Self::decoded(bytes).filter(|(encoding, decoded)| {
            !is_token(bytes) || (*encoding == Encoding::Url && is_token(decoded))
        })
    }

    fn decoded(bytes: &[u8]) -> Option<(Encoding, Vec<u8>)> {
        if memchr::memchr(b'%', bytes).is_some() {
            // Nobody escapes a letter: `%57` in a password is three characters of it.
            let escaped = |at: usize| {
                let digits = bytes
                    .get(at + 1..at + 3)
                    .and_then(|d| std::str::from_utf8(d).ok());
                digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())
            };
            let found: Vec<u8> = memchr::memchr_iter(b'%', bytes)
                .filter_map(escaped)
                .collect();
            let plain = found.iter().filter(|b| b.is_ascii_alphanumeric()).count();
            let decoded = inline::percent(bytes).filter(|_| plain * 2 < found.len())?;
            return Some((Encoding::Url, decoded));
        }
        // A secret's random bytes begin like some container once in many thousands.
        let large = |decoded: &[u8]| decoded.len() >= LARGE && stream::is_container(decoded);
        let holds = |decoded: &[u8]| {
            inline::is_texty(decoded) || inline::is_container(decoded) || large(decoded)
        };
        if quiet::is_hex(bytes) && bytes.len() >= 32 {
            return inline::hex(bytes)
                .filter(|decoded| holds(decoded))
                .map(|decoded| (Encoding::Hex, decoded));
        }
        let alphabet = |b: &u8| b.is_ascii_alphanumeric() || b"+/=_-\r\n ".contains(b);
        if !bytes.iter().all(alphabet) {
            return None;
        }
        inline::base64(bytes)
            .filter(|decoded| decoded.len() >= 8 && holds(decoded))
            // A dozen random bytes are text in some script too often.
            .filter(|decoded| decoded.len() >= 24 || decoded.is_ascii())
            .filter(|decoded| !proof::is_volcengine_half(decoded))
            .map(|decoded| (Encoding::Base64, decoded))
    }
}

/// Whether a name says with its first word that a secret follows, and the value can be nothing else.
fn is_led(value: &Value<'_>, bytes: &[u8]) -> bool {
    value.sure && Names::leads(value.path) && quiet::is_strong_secret(bytes)
}

/// The value with the marks that an address escapes, and only an address, as marks that a token has too.
fn unmarked<'b>(value: &Value<'_>, bytes: &'b [u8]) -> Cow<'b, [u8]> {
    let escaped = value.encoding.last() == Some(&Encoding::Url) && !bytes.contains(&b'=');
    if !escaped || !bytes.contains(&b'&') {
        return Cow::Borrowed(bytes);
    }
    let plain = |&byte: &u8| if byte == b'&' { b'/' } else { byte };
    bytes.iter().map(plain).collect()
}

/// Bits of entropy a byte that a named value needs. A few hexadecimal digits repeat by chance: of sixteen
/// every seventh is below what longer values need, and none below this.
fn floor_for(bytes: &[u8]) -> f32 {
    if quiet::is_hex(bytes) && bytes.len() < 24 {
        2.3
    } else {
        3.0
    }
}

/// `AWS::ApiGateway::ApiKey`: the name of a kind of thing, as schemas have it, and what stands beside it
/// is about the kind.
fn is_type_name(path: &[u8]) -> bool {
    memchr::memchr(b':', path).is_some() && memchr::memmem::find_iter(path, b"::").nth(1).is_some()
}

/// Whether a name says that its value is a digest: some of them begin like a token by chance.
fn says_digest(path: &[u8]) -> bool {
    [
        &b"sha256"[..],
        b"sha384",
        b"sha512",
        b"sha1",
        b"md5",
        b"integrity",
        b"digest",
        b"checksum",
    ]
    .iter()
    .any(|word| {
        let start = path.len().saturating_sub(word.len());
        path[start..].eq_ignore_ascii_case(word)
    })
}

/// `MYSQL_ROOT_PASSWORD`: what is too short to be a key's half may be a password.
fn role_for(role: Option<Role>, path: &[u8], bytes: &[u8]) -> Option<Role> {
    let secret = matches!(role, Some(Role::Secret | Role::Bearer));
    let short = secret && bytes.len() < limits::SHORTEST_SECRET;
    let path = name::unqualified(path);
    if short && (says(path, "password") || says(path, "secret")) {
        Some(Role::Password)
    } else {
        role
    }
}

/// Whether a name that mostly says nothing by itself ends like a key's.
fn says_key(path: &[u8]) -> bool {
    says_credential(path) || ["key", "auth", "api"].iter().any(|word| says(path, word))
}

fn says_credential(path: &[u8]) -> bool {
    ["credential", "credentials", "cred", "creds"]
        .iter()
        .any(|word| says(path, word))
}

fn says(path: &[u8], word: &str) -> bool {
    let start = path.len().saturating_sub(word.len());
    path[start..].eq_ignore_ascii_case(word.as_bytes())
}
