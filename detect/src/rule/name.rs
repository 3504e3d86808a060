//! What a name says about the value beside it.
//!
//! Names are folded (lower case; `-`, `_`, `.`, spaces and brackets ignored), and the longest known
//! ending decides: `PROD_ALIYUN_ACCESS_KEY_SECRET` is a secret, and what is left, `prodaliyun`, is
//! its *stem*, by which it finds its id. A name alone never makes a finding.

mod which;

use serde::Deserialize;

use crate::sieve::Gate;
pub(crate) use which::unqualified;
use which::{
    PLACES, QUALIFIERS, QUALIFIERS_LAST, SOUGHT, SOUGHT_ENDINGS, ends_with_any, is_qualified,
    last_words, may_be_qualified,
};

/// What a value is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// The public half.
    Id,
    /// The secret half.
    Secret,
    /// `access_key`, which some vendors use for the id and some for the secret.
    IdOrSecret,
    /// A temporary credential's session token.
    Token,
    /// A bearer token or API key.
    Bearer,
    /// When a temporary credential ends.
    Expiry,
    /// A password.
    Password,
    /// A service's word alone: `cloudflare = …`.
    Vendor,
}

/// What a name was found to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) role: Role,
    /// The folded name without the words that say its role.
    pub(crate) stem: Vec<u8>,
    /// Bytes of the words that said it: the longer, the surer.
    pub(crate) weight: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNames {
    id: Vec<String>,
    secret: Vec<String>,
    token: Vec<String>,
    bearer: Vec<String>,
    expiry: Vec<String>,
    password: Vec<String>,
    vendor: Vec<String>,
    not: Vec<String>,
}

/// One known name.
#[derive(Debug)]
struct Known {
    name: Vec<u8>,
    role: Option<Role>,
    /// How many of its last bytes say the role: what is before them belongs to the stem.
    weight: usize,
    /// Its last eight bytes, the last the highest, and which of them it has.
    last: u64,
    mask: u64,
}

impl Known {
    fn new(name: Vec<u8>, role: Option<Role>, weight: usize) -> Known {
        let (mut last, mut mask) = (0, 0);
        for (place, &byte) in name.iter().rev().take(8).enumerate() {
            last |= u64::from(byte) << (56 - 8 * place);
            mask |= 0xff << (56 - 8 * place);
        }
        Known {
            name,
            role,
            weight,
            last,
            mask,
        }
    }

    /// `log_host` does not speak of Ghost.
    fn needs_boundary(&self) -> bool {
        let short = self.name.len() <= SHORT || self.role == Some(Role::Vendor);
        self.role.is_some() && short && self.name.is_ascii()
    }
}

/// The known names, by the last four bytes of their folded text, fewer where they have fewer.
#[derive(Debug)]
pub(crate) struct Names {
    /// By the hash of an ending, the next free place taken: the ending, and its bucket. What is asked
    /// for every few hundred bytes of text.
    slots: Vec<Option<([u8; 4], u16)>>,
    /// Names with one ending, longest first; without a role those that say nothing.
    buckets: Vec<Vec<Known>>,
    /// Last two bytes of names of fewer than four.
    short: Gate,
    /// Last three bytes of names.
    triples: Gate,
    /// The same of names that say a secret follows; and their last four bytes.
    speaking: Gate,
    /// Holds both, the three with a zero before them.
    speaking_four: Gate,
    /// The same of those with fewer than six letters; and the last six of the others.
    speaking_short: Gate,
    speaking_six: Gate,
}

/// What people write right before a short word for password: `MYSQLPASS`, `rootpwd`.
const LOGINS: [&str; 64] = [
    "account", "admin", "app", "auth", "backup", "bind", "cert", "client", "db", "default",
    "docker", "elastic", "email", "es", "ftp", "git", "harbor", "http", "imap", "jdbc", "jenkins",
    "kafka", "key", "ldap", "local", "login", "mail", "mariadb", "master", "mongo", "mq", "mssql",
    "my", "mysql", "nacos", "new", "old", "oracle", "pg", "postgres", "proxy", "rabbit",
    "rabbitmq", "redis", "registry", "remote", "repl", "root", "sa", "server", "sftp", "smtp",
    "sql", "ssh", "store", "svn", "sys", "test", "user", "vpn", "web", "wifi", "wlan", "zk",
];

/// Names up to this length need a word boundary before them.
const SHORT: usize = 4;
/// Bytes of a key that are looked at, from its end.
const LONGEST_KEY: usize = 160;

/// A key without separators and in lower case, and where its words begin. On the stack: most values of a
/// file that is parsed have their names folded.
struct Folded {
    bytes: [u8; LONGEST_KEY],
    starts: [bool; LONGEST_KEY],
    length: usize,
}

impl Folded {
    fn of(key: &[u8]) -> Folded {
        let mut folded = Folded {
            bytes: [0; LONGEST_KEY],
            starts: [false; LONGEST_KEY],
            length: 0,
        };
        let mut previous = b' ';
        for &byte in &key[key.len().saturating_sub(LONGEST_KEY)..] {
            if !is_separator(byte) {
                folded.bytes[folded.length] = byte.to_ascii_lowercase();
                folded.starts[folded.length] = begins_word(previous, byte);
                folded.length += 1;
            }
            previous = byte;
        }
        folded
    }

    fn text(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Names {
    pub(super) fn new(raw: &RawNames) -> Names {
        let mut names = Names {
            slots: vec![None; 64],
            buckets: Vec::new(),
            short: Gate::new(),
            triples: Gate::new(),
            speaking: Gate::new(),
            speaking_four: Gate::new(),
            speaking_short: Gate::new(),
            speaking_six: Gate::new(),
        };
        // What the sieve asks for beside names: `value: …` beside a name that says secret.
        names.mark(b"value", true);
        for word in &QUALIFIERS[..SOUGHT] {
            names.mark(word, true);
        }
        names.extend(Role::Id, &raw.id);
        names.extend(Role::Secret, &raw.secret);
        names.extend(Role::Token, &raw.token);
        names.extend(Role::Bearer, &raw.bearer);
        names.extend(Role::Expiry, &raw.expiry);
        names.extend(Role::Password, &raw.password);
        names.extend(Role::Vendor, &raw.vendor);
        let logins = LOGINS.map(str::to_owned);
        for half in ["pass", "pwd", "pw", "psw"] {
            names.extend_glued(Role::Password, &logins, half);
        }
        for name in &raw.not {
            let name = fold(name.as_bytes());
            let weight = name.len();
            names.insert(name, None, weight);
        }
        names
    }

    pub(super) fn extend(&mut self, role: Role, names: &[String]) {
        for name in names {
            let name = fold(name.as_bytes());
            let weight = name.len();
            self.mark(&name, !matches!(role, Role::Id | Role::Expiry));
            self.insert(name, Some(role), weight);
        }
    }

    /// Adds `half`, too short to be told inside a word, right behind each of `words`: `ossak`.
    pub(super) fn extend_glued(&mut self, role: Role, words: &[String], half: &str) {
        for word in words.iter().filter(|word| word.is_ascii()) {
            let name = fold(format!("{word}{half}").as_bytes());
            self.mark(&name, role != Role::Id);
            self.insert(name, Some(role), half.len());
        }
    }

    fn insert(&mut self, name: Vec<u8>, role: Option<Role>, weight: usize) {
        if name.len() < 2 {
            return;
        }
        if let [c, d] | [_, c, d] = *name {
            self.short.mark([0, 0, c, d]);
        }
        let bucket = self.bucket_for(last_four(&name));
        let bucket = &mut self.buckets[bucket];
        match bucket.iter_mut().find(|known| known.name == name) {
            Some(known) => {
                known.role = match (known.role, role) {
                    (Some(Role::Id), Some(Role::Secret)) | (Some(Role::Secret), Some(Role::Id)) => {
                        Some(Role::IdOrSecret)
                    }
                    // Where a rule says that it is half of its pair.
                    (Some(Role::Bearer), Some(Role::Secret)) => Some(Role::Secret),
                    (known, _) => known,
                };
            }
            None => bucket.push(Known::new(name, role, weight)),
        }
        bucket.sort_by_key(|known| std::cmp::Reverse(known.name.len()));
    }

    /// The bucket of names that end so, a new one if there is none.
    fn bucket_for(&mut self, ending: [u8; 4]) -> usize {
        if self.buckets.len() * 2 >= self.slots.len() {
            let length = self.slots.len() * 2;
            let known = std::mem::replace(&mut self.slots, vec![None; length]);
            for slot in known.into_iter().flatten() {
                let place = self.place(slot.0);
                self.slots[place] = Some(slot);
            }
        }
        let place = self.place(ending);
        if let Some((_, bucket)) = self.slots[place] {
            return usize::from(bucket);
        }
        let Ok(bucket) = u16::try_from(self.buckets.len()) else {
            return 0;
        };
        self.slots[place] = Some((ending, bucket));
        self.buckets.push(Vec::new());
        usize::from(bucket)
    }

    /// Where `ending` is, or would be: some place is always free.
    fn place(&self, ending: [u8; 4]) -> usize {
        let mask = self.slots.len() - 1;
        let hash = u32::from_le_bytes(ending).wrapping_mul(0x9E37_79B1);
        let mut at = (hash >> 12) as usize & mask;
        while matches!(self.slots[at], Some((known, _)) if known != ending) {
            at = (at + 1) & mask;
        }
        at
    }

    /// The names that end so, longest first.
    fn ending_so(&self, ending: [u8; 4]) -> &[Known] {
        match self.slots[self.place(ending)] {
            Some((_, bucket)) => &self.buckets[usize::from(bucket)],
            None => &[],
        }
    }

    fn mark(&mut self, name: &[u8], speaks: bool) {
        let mut gates = vec![&mut self.triples];
        if speaks {
            gates.extend([&mut self.speaking, &mut self.speaking_four]);
        }
        for gate in gates {
            match *name {
                [.., a, b, c] => gate.mark([0, a, b, c]),
                // A name of two bytes may follow anything.
                [a, b] => (0..=255).for_each(|byte| gate.mark([0, byte, a, b])),
                _ => {}
            }
        }
        if !speaks {
            return;
        }
        let mut gates = vec![&mut self.speaking_four];
        match name.last_chunk() {
            Some(&six) => self.speaking_six.mark(mixed(six)),
            None => gates.push(&mut self.speaking_short),
        }
        let letters = || b'a'..=b'z';
        for gate in gates {
            match *name {
                [.., a, b, c, d] => gate.mark([a, b, c, d]),
                [a, b, c] => letters().for_each(|x| gate.mark([x, a, b, c])),
                [a, b] => letters().for_each(|x| {
                    letters().for_each(|y| gate.mark([x, y, a, b]));
                }),
                _ => {}
            }
        }
    }

    /// Whether a name may end with these three folded bytes.
    pub(crate) fn may_end(&self, [a, b, c]: [u8; 3]) -> bool {
        self.triples.has(u32::from_le_bytes([0, a, b, c]))
    }

    /// Whether a name that ends with these three folded bytes may say that a secret follows; `before`
    /// is the text up to the name's end, whose fourth letter tells more where it is one.
    pub(crate) fn may_speak(&self, [a, b, c]: [u8; 3], before: &[u8]) -> bool {
        let four = before
            .last_chunk()
            .map_or(0, |&four| u32::from_le_bytes(four) | 0x2020_2020);
        if !self.speaking.has(u32::from_le_bytes([0, a, b, c])) {
            return false;
        }
        !crate::sieve::are_letters(four)
            || self
                .speaking_four
                .has(four & 0xff | u32::from_le_bytes([0, a, b, c]))
    }

    /// The same of three letters in lower case alone, the last the highest, zeros for what is not there.
    #[inline(always)]
    pub(crate) fn may_speak_three(&self, ending: u32) -> bool {
        self.speaking.has(ending)
    }

    /// The same, asked more quickly, of a name's last eight bytes in lower case, the last the highest, of
    /// which those are `letters` whose highest bit is set; the last three are.
    #[inline(always)]
    pub(crate) fn may_speak_word(&self, word: u64, letters: u64) -> bool {
        let four = (word >> 32) as u32;
        let fourth = (letters >> 39 & 1) as u32 * 0xff;
        let six = letters & SIX == SIX;
        let [_, _, last @ ..] = word.to_le_bytes();
        self.speaking_four.has(four & (0xffff_ff00 | fourth))
            & (!six
                | self.speaking_short.has(four)
                | self.speaking_six.has(u32::from_le_bytes(mixed(last))))
    }

    /// Whether [`role_of`](Names::role_of) or [`role_within`](Names::role_within) may answer for
    /// `key`, by last letters alone; of what is written as one word with another behind it only what the
    /// sieve asks for.
    pub(crate) fn may_say(&self, key: &[u8]) -> bool {
        any_end(key, |name, last| {
            self.may_end(last) && (!self.says_nothing(name, |_| true) || is_qualified(name))
        })
    }

    /// The same of all that they may answer for.
    fn may_have_role(&self, key: &[u8]) -> bool {
        any_end(key, |name, last| {
            may_be_qualified(last) || self.may_end(last) && !self.says_nothing(name, |_| true)
        })
    }

    /// What `key` says by all of itself or, when a qualifier follows, by the words before that.
    pub(crate) fn named(&self, key: &[u8]) -> Option<Named> {
        if !self.may_have_role(key) {
            return None;
        }
        self.role_of(key).or_else(|| self.role_within(key))
    }

    /// Whether a column or a field of that name may hold a secret; an id alone is none.
    pub(crate) fn may_hold_secret(&self, key: &[u8]) -> bool {
        let named = self.role_of(key).or_else(|| self.role_within(key));
        named.is_some_and(|named| match named.role {
            Role::Id | Role::Expiry | Role::Vendor => false,
            Role::Secret | Role::IdOrSecret | Role::Token | Role::Bearer | Role::Password => true,
        })
    }

    /// What `key`, a name or a key path, says. Its last component decides; the whole path is its
    /// stem.
    pub(crate) fn role_of(&self, key: &[u8]) -> Option<Named> {
        let folded = Folded::of(key);
        let (role, start, weight) = self.find(&folded)?;
        let text = folded.text();
        let mut stem = text[..start].to_vec();
        stem.extend_from_slice(&text[start + weight..]);
        Some(Named { role, stem, weight })
    }

    /// The role alone, for the sieve: of the name that ends with `text` and begins where `part` says no,
    /// or with `text` itself. Nothing is folded but what is compared.
    pub(crate) fn says(&self, text: &[u8], part: impl Fn(u8) -> bool) -> Option<Role> {
        match self.says_nothing(text, &part) {
            true => None,
            false => self.read_backwards(text, part),
        }
    }

    fn read_backwards(&self, text: &[u8], part: impl Fn(u8) -> bool) -> Option<Role> {
        let text = &text[text.len().saturating_sub(LONGEST_KEY)..];
        let mut end = Backwards {
            text,
            at: text.len(),
            part: &part,
        };
        // Without its number.
        loop {
            let mut before = end;
            match before.next() {
                Some(byte) if byte.is_ascii_digit() => end = before,
                Some(_) => break,
                None => return None,
            }
        }
        let (mut letters, mut word, mut count) = (end, 0, 0);
        while count < 8
            && let Some(byte) = letters.next()
        {
            word |= u64::from(byte) << (56 - 8 * count);
            count += 1;
        }
        let is = |known: &&Known| {
            (known.last ^ word) & known.mask == 0 && {
                let mut before = end;
                let name = known.name.iter().rev();
                name.copied().all(|byte| before.next() == Some(byte))
                    && (!known.needs_boundary() || before.is_at_boundary())
            }
        };
        let [_, _, _, _, a, b, c, d] = word.to_le_bytes();
        let longer = match count {
            ..4 => &[],
            _ => self.ending_so([a, b, c, d]),
        };
        if let Some(known) = longer.iter().find(is) {
            return known.role;
        }
        if !self.short.has(u32::from_le_bytes([0, 0, c, d])) {
            return None;
        }
        let three = self.ending_so([0, b, c, d]).iter();
        three
            .chain(self.ending_so([0, 0, c, d]))
            .find(is)
            .and_then(|known| known.role)
    }

    /// The same of a name behind which a word says which one it is: `DB_PASSWORD_PROD`.
    pub(crate) fn says_which(&self, text: &[u8], part: impl Fn(u8) -> bool) -> Option<Role> {
        let text = text.trim_ascii_end();
        let text =
            &text[..text.len() - text.iter().rev().take_while(|b| b.is_ascii_digit()).count()];
        let &[.., a, b] = text else { return None };
        if SOUGHT_ENDINGS[usize::from(a & 31)] >> (b & 31) & 1 == 0 {
            return None;
        }
        if !ends_with_any(text, &QUALIFIERS_LAST[..SOUGHT]) {
            return None;
        }
        let begins = last_words(text);
        let rest = QUALIFIERS[..SOUGHT].iter().find_map(|word| {
            if begins >> word.len() & 1 == 0 {
                return None;
            }
            let (rest, last) = text.split_at(text.len() - word.len());
            last.eq_ignore_ascii_case(word).then_some(rest)
        })?;
        self.says(rest, part)
    }

    /// Whether no known name ends like the letters at the end of `text`, of which one separator is left
    /// out: told in one comparison for each name with the same last four, since most words that share
    /// those are others. A name ends where `part` says no.
    #[inline]
    fn says_nothing(&self, text: &[u8], part: impl Fn(u8) -> bool) -> bool {
        let mut padded = [b'!'; 9];
        let [first, last @ ..] = match text.last_chunk::<9>() {
            Some(nine) => nine,
            None => {
                padded[9 - text.len()..].copy_from_slice(text);
                &padded
            }
        };
        let lower = |word| word | 0x2020_2020_2020_2020;
        let word = lower(u64::from_le_bytes(*last));
        let letters = letters_at_end(word);
        // What is before a separator stands one byte further on.
        let before = word << 8 | u64::from(*first | 0x20);
        let ahead = u64::MAX.checked_shr(letters).unwrap_or(0);
        let connects = matches!(
            (word << (letters & 63) >> 56) as u8,
            0x7f | b'-' | b'.' | b' '
        );
        let folded = word & !ahead | before & ahead;
        let known = if connects {
            letters_at_end(folded)
        } else {
            letters
        };
        let [_, _, _, _, a, b, c, d] = folded.to_le_bytes();
        if known < 32 {
            return false;
        }
        // Names of two and three letters are told where a word begins with them.
        let [.., x, y, z, _] = *last;
        let begins_short = letters < 32 || begins_word(y, z) || begins_word(x, y);
        if begins_short && self.short.has(u32::from_le_bytes([0, 0, c, d])) {
            return false;
        }
        // Where the name begins with these letters, a longer one differs in what is before them.
        let before = last.iter().rev().nth((known / 8) as usize);
        let whole = text.len() <= (known / 8) as usize;
        let begins = !connects && (whole || before.is_some_and(|&byte| !part(byte)));
        let known = if begins { u64::BITS } else { known };
        let differs = |name: &Known| ((name.last ^ folded) & name.mask).leading_zeros() < known;
        self.ending_so([a, b, c, d]).iter().all(differs)
    }

    /// The names that may be the end of one that ends with these bytes, longest first; zeros stand for
    /// what is not there.
    fn candidates(&self, [a, b, c, d]: [u8; 4]) -> impl Iterator<Item = &Known> {
        [[a, b, c, d], [0, b, c, d], [0, 0, c, d]]
            .into_iter()
            .enumerate()
            // What is not there ends nothing.
            .filter(move |&(less, _)| [a, b, c][less] != 0)
            .filter(move |&(less, _)| less == 0 || self.short.has(u32::from_le_bytes([0, 0, c, d])))
            .flat_map(|(_, ending)| self.ending_so(ending))
    }

    /// The longest known ending of the name: its role, where it begins, how long it is. A word that says
    /// which one of several may follow: `DB_PASSWORD_PROD`, `tokenValue`.
    fn find(&self, folded: &Folded) -> Option<(Role, usize, usize)> {
        let name = strip_number(folded.text());
        if let Some(found) = self.ending(folded, name) {
            return Some(found);
        }
        let (number, which) = QUALIFIERS.iter().enumerate().find(|(_, word)| {
            let at = name.len().saturating_sub(word.len());
            at > 1 && name.ends_with(word) && folded.starts[at]
        })?;
        let rest = strip_number(&name[..name.len() - which.len()]);
        self.ending(folded, rest).filter(|(role, _, weight)| {
            let long = *weight > SHORT && matches!(role, Role::Bearer | Role::Secret);
            long || *role == Role::Password && (*weight > SHORT || number < PLACES)
        })
    }

    fn ending(&self, folded: &Folded, name: &[u8]) -> Option<(Role, usize, usize)> {
        for known in self.candidates(last_four(name)) {
            if !name.ends_with(&known.name) {
                continue;
            }
            let start = name.len() - known.name.len();
            if known.needs_boundary() && !folded.starts[start] {
                continue;
            }
            let weight = known.weight;
            return known.role.map(|role| (role, name.len() - weight, weight));
        }
        None
    }

    /// Whether `key` says with its first word that a secret follows and with its last nothing else:
    /// `key_wrap`, and not `key_id`. What cannot be machine-made is no secret beside such a name.
    pub(crate) fn leads(key: &[u8]) -> bool {
        const FIRST: [&[u8]; 6] = [
            b"secret",
            b"key",
            b"token",
            b"password",
            b"passwd",
            b"credential",
        ];
        const LAST: [&[u8]; 24] = [
            b"id",
            b"ids",
            b"name",
            b"hash",
            b"digest",
            b"fingerprint",
            b"sum",
            b"checksum",
            b"sha",
            b"sha256",
            b"md5",
            b"uri",
            b"url",
            b"ref",
            b"type",
            b"version",
            b"arn",
            b"public",
            b"pub",
            b"signature",
            b"salt",
            b"iv",
            b"nonce",
            b"example",
        ];
        let key = key.rsplit(|&b| b == b'.').next().unwrap_or_default();
        let mut words = key.split(|b| matches!(b, b'_' | b'-'));
        let is = |word: &[u8], known: &[&[u8]]| {
            known.iter().any(|known| word.eq_ignore_ascii_case(known))
        };
        words.next().is_some_and(|first| is(first, &FIRST))
            && words.next_back().is_some_and(|last| !is(last, &LAST))
    }

    /// What `key` says when a qualifier follows the known words: `SECRET_KEY_PROD`.
    pub(crate) fn role_within(&self, key: &[u8]) -> Option<Named> {
        let key = &key[key.len().saturating_sub(LONGEST_KEY)..];
        let last = key.iter().rposition(|&b| b == b'.').map_or(0, |at| at + 1);
        let words: Vec<usize> = (last..key.len())
            .filter(|&at| at > last && matches!(key[at], b'_' | b'-'))
            .collect();
        words.into_iter().rev().take(3).find_map(|end| {
            let mut named = self.role_of(&key[..end])?;
            let strong = matches!(named.role, Role::Id | Role::Secret | Role::IdOrSecret);
            if !strong || named.weight < 8 {
                return None;
            }
            named.stem.extend(fold(&key[end..]));
            Some(named)
        })
    }
}

/// The highest bits of six bytes of eight.
const SIX: u64 = 0x8080_8080_8080_0000;

/// Six letters as four bytes; a few others come to the same.
#[inline(always)]
const fn mixed([a, b, c, d, e, f]: [u8; 6]) -> [u8; 4] {
    let first = u32::from_le_bytes([a, b, 0, 0]).wrapping_mul(0x85eb_ca6b);
    (first ^ u32::from_le_bytes([c, d, e, f])).to_le_bytes()
}

/// Bits of the last bytes that are letters, all in lower case.
fn letters_at_end(word: u64) -> u32 {
    (!crate::sieve::letters(word) & 0x8080_8080_8080_8080).leading_zeros() & !7
}

/// A name read from its end: in lower case, without separators.
struct Backwards<'a, P> {
    text: &'a [u8],
    /// What is before this is not read yet.
    at: usize,
    part: &'a P,
}

impl<P> Clone for Backwards<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Backwards<'_, P> {}

impl<P: Fn(u8) -> bool> Backwards<'_, P> {
    /// The next byte towards the name's beginning.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        while let Some(byte) = self.before()
            && (self.part)(byte)
        {
            self.at -= 1;
            if !is_separator(byte) {
                return Some(byte.to_ascii_lowercase());
            }
        }
        None
    }

    fn before(&self) -> Option<u8> {
        self.text.get(self.at.checked_sub(1)?).copied()
    }

    /// Whether a word begins with what was read last, as [`Folded::starts`] says.
    fn is_at_boundary(&self) -> bool {
        match self.before() {
            Some(before) if (self.part)(before) => {
                begins_word(before, self.text.get(self.at).copied().unwrap_or(0))
            }
            _ => true,
        }
    }
}

/// Whether `byte` begins a word behind `previous`.
fn begins_word(previous: u8, byte: u8) -> bool {
    let camel = byte.is_ascii_uppercase() && !previous.is_ascii_uppercase();
    is_separator(previous) || camel || previous.is_ascii_digit()
}

/// Lower case; separators dropped; other bytes kept, for names in Chinese.
pub(crate) fn fold(name: &[u8]) -> Vec<u8> {
    name.iter()
        .filter(|byte| !is_separator(**byte))
        .map(u8::to_ascii_lowercase)
        .collect()
}

/// Whether `is` holds of `key` or of what is left of it without up to three words behind it, and of the
/// last three bytes of that.
fn any_end(key: &[u8], is: impl Fn(&[u8], [u8; 3]) -> bool) -> bool {
    let mut name = key;
    for _ in 0..4 {
        if is(name, last_three(name)) {
            return true;
        }
        let separator = |b: &u8| matches!(b, b'_' | b'-' | b'.');
        match name.iter().rposition(separator) {
            Some(at) if name[at] != b'.' => name = &name[..at],
            _ => return false,
        }
    }
    false
}

/// The last three bytes of the folded name without its number; 0 where there are fewer.
fn last_three(key: &[u8]) -> [u8; 3] {
    let mut last = [0; 3];
    let letters = key
        .iter()
        .rev()
        .filter(|byte| !is_separator(**byte))
        .skip_while(|byte| byte.is_ascii_digit());
    for (place, byte) in last.iter_mut().rev().zip(letters) {
        *place = byte.to_ascii_lowercase();
    }
    last
}

/// The last four bytes, behind zeros where there are fewer.
fn last_four(name: &[u8]) -> [u8; 4] {
    match *name {
        [.., a, b, c, d] => [a, b, c, d],
        [b, c, d] => [0, b, c, d],
        [c, d] => [0, 0, c, d],
        [d] => [0, 0, 0, d],
        [] => [0; 4],
    }
}

fn is_separator(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric()
}

fn strip_number(folded: &[u8]) -> &[u8] {
    let end = folded
        .iter()
        .rposition(|byte| !byte.is_ascii_digit())
        .map_or(0, |at| at + 1);
    &folded[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::RuleSet;

    fn check(key: &str, role: Option<Role>, stem: &str) {
        let set = RuleSet::builtin();
        let named = set.names().role_of(key.as_bytes());
        assert_eq!(named.as_ref().map(|named| named.role), role, "{key}");
        if let Some(named) = named {
            assert_eq!(String::from_utf8_lossy(&named.stem), stem, "{key}");
        }
    }

    #[test]
    fn names_say_roles_and_leave_stems() {
        check(
            "ALIBABA_CLOUD_ACCESS_KEY_ID",
            Some(Role::Id),
            "alibabacloud",
        );
        check(
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            Some(Role::Secret),
            "alibabacloud",
        );
        check("cos.secretKey", Some(Role::Secret), "cos");
        check("cos.secretId", Some(Role::Id), "cos");
        check("AWS_SECRET_ACCESS_KEY", Some(Role::Secret), "aws");
        check("aws.access_key", Some(Role::IdOrSecret), "aws");
        check("AWS_SESSION_TOKEN", Some(Role::Token), "");
        check("volc.ak", Some(Role::Id), "volc");
        check("HUAWEICLOUD_SDK_SK", Some(Role::Secret), "huaweicloudsdk");
        check("task", None, "");
        check("disk", None, "");
        check("db.password", Some(Role::Password), "db");
        check("secret_key_2", Some(Role::Secret), "2");
        check("tokenUrl", None, "");
        check("数据库密码", Some(Role::Password), "数据库");
        check("expired_time", Some(Role::Expiry), "");
        check("SMTP_PASS_PROD", Some(Role::Password), "smtpprod");
        check("rootPwdLive", Some(Role::Password), "rootlive");
        check("REDIS_PW_TEST", Some(Role::Password), "redistest");
        check("PASS_DEV", Some(Role::Password), "dev");
        check("compass_prod", None, "");
        check("pass_value", None, "");
        check("sk_prod", None, "");
    }

    /// What names are made of, between bars.
    const PIECES: &str = "secret|Secret|SECRET|key|Key|token|pass|pwd|sk|ak|id|db|session|service|host|ghost\
        |default|min|encoding|bucket|text|value|prod|Test|primary|_|-|.| |__|[|]|\"|@|2|12|x|A|密码|\\n";

    #[test]
    fn what_is_told_from_last_letters_says_nothing() {
        let set = RuleSet::builtin();
        let names = set.names();
        let pieces: Vec<&str> = PIECES.split('|').collect();
        let mut numbers = 3_u64;
        let mut below = |bound: usize| {
            numbers = numbers
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(numbers >> 33).unwrap() % bound
        };
        let part = |byte: u8| crate::rule::pattern::NAME_PART.has(byte);
        let (mut silent, mut telling) = (0, 0);
        for _ in 0..40_000 {
            let text: String = (0..=below(6))
                .map(|_| pieces[below(pieces.len())])
                .collect();
            let key = text.as_bytes();
            for (nothing, role) in [
                (
                    names.says_nothing(key, part),
                    names.read_backwards(key, part),
                ),
                (
                    names.says_nothing(key, |_| true),
                    names.read_backwards(key, |_| true),
                ),
            ] {
                assert!(!(nothing && role.is_some()), "{text}: {role:?}");
                silent += usize::from(nothing);
                telling += usize::from(role.is_some());
            }
            let named = names.role_of(key).or_else(|| names.role_within(key));
            assert!(
                names.may_have_role(key) || named.is_none(),
                "{text}: {named:?}"
            );
        }
        assert!(silent > 5000 && telling > 5000, "{silent} {telling}");
    }

    #[test]
    fn words_that_say_which_one_are_taken_off() {
        for (name, rest) in [
            ("client_secret_prod", "client_secret"),
            ("clientSecretLive", "clientSecret"),
            ("client-secret.test ", "client-secret"),
            ("secret", "secret"),
            ("secretprod", "secretprod"),
            ("prod", "prod"),
            ("latest", "latest"),
        ] {
            assert_eq!(unqualified(name.as_bytes()), rest.as_bytes(), "{name}");
        }
    }
}
