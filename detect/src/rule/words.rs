//! The words that name providers, found in one pass however many rules there are.
//!
//! A word says whose a value may be, never that it is one: it decides between rules that a value's
//! shape fits, and nothing else. Short words count only as words of their own, where `-`, `_`, `.` or a
//! change of case bounds them; `ossAccessKeyId` speaks of `oss`, `across` does not.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

use super::Rule;

/// Words of fewer bytes stand by themselves only; words in other scripts have no boundaries.
const LONG: usize = 5;

/// Bytes of a name that are looked at, its last ones.
const LONGEST_NAME: usize = 4096;

/// All rules' words, compiled.
#[derive(Debug)]
pub(crate) struct Words {
    automaton: Option<AhoCorasick>,
    /// For each word its length where it must be bounded, else 0, and the rules that have it.
    known: Vec<(usize, Vec<u16>)>,
    /// Whether a rule of two halves has the word.
    pairs: Vec<bool>,
}

impl Words {
    pub(super) fn new(rules: &[Rule]) -> Words {
        let mut texts: Vec<String> = Vec::new();
        let mut known: Vec<(usize, Vec<u16>)> = Vec::new();
        for (number, rule) in (0_u16..).zip(rules) {
            for word in rule.words.iter().flat_map(|word| spellings(word)) {
                match texts.iter().position(|text| *text == word) {
                    Some(at) if known[at].1.contains(&number) => {}
                    Some(at) => known[at].1.push(number),
                    None => {
                        let bounded = word.len() < LONG && word.is_ascii();
                        known.push((if bounded { word.len() } else { 0 }, vec![number]));
                        texts.push(word);
                    }
                }
            }
        }
        let automaton = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&texts)
            .ok();
        let is_pair = |&rule: &u16| rules[usize::from(rule)].is_pair();
        let pairs = known.iter().map(|(_, of)| of.iter().any(is_pair)).collect();
        Words {
            automaton,
            known,
            pairs,
        }
    }

    /// Adds the rules whose words stand in `text`, a name, each once, in no order.
    pub(crate) fn within(&self, text: &[u8], found: &mut Vec<u16>) {
        self.add(
            &text[text.len().saturating_sub(LONGEST_NAME)..],
            is_bounded,
            found,
        );
    }

    /// Calls `found` with each place of a word in `text`, a name, and each rule that has the word.
    pub(crate) fn each_within(&self, text: &[u8], mut found: impl FnMut(Range<usize>, u16)) {
        self.each(text, is_bounded, |range, word| {
            for &rule in &self.known[word].1 {
                found(range.clone(), rule);
            }
        });
    }

    /// The same for a text that is no name: random values in it change case as they like, so that only
    /// what stands apart is a word.
    pub(crate) fn apart(&self, text: &[u8], found: &mut Vec<u16>) {
        let stands = |text: &[u8], start: usize, end: usize| {
            let bounds = |byte: Option<&u8>| byte.is_none_or(|b| !b.is_ascii_alphanumeric());
            let before = start.checked_sub(1).and_then(|at| text.get(at));
            bounds(before) && bounds(text.get(end))
        };
        self.add(text, stands, found);
    }

    fn add(&self, text: &[u8], is: impl Fn(&[u8], usize, usize) -> bool, found: &mut Vec<u16>) {
        // Of pairs' words the last that none of the others holds: `cucloud` does not speak of `ucloud`.
        let mut open: Vec<(Range<usize>, usize)> = Vec::new();
        let mut add = |word: usize| {
            for &rule in &self.known[word].1 {
                if !found.contains(&rule) {
                    found.push(rule);
                }
            }
        };
        self.each(text, is, |range, word| {
            if !self.pairs[word] {
                return add(word);
            }
            // Hits come in the order of their ends: what is inside another one came before it, or ends
            // with it; what ends before this one begins is inside none.
            let over = open.iter().rposition(|(known, _)| known.end <= range.start);
            for (_, word) in open.drain(..over.map_or(0, |last| last + 1)) {
                add(word);
            }
            let holds = |a: &Range<usize>, b: &Range<usize>| {
                a.start <= b.start && b.end <= a.end && a.len() > b.len()
            };
            if open.iter().any(|(known, _)| holds(known, &range)) {
                return;
            }
            open.retain(|(known, _)| !holds(&range, known));
            open.push((range, word));
        });
        for (_, word) in open {
            add(word);
        }
    }

    fn each(
        &self,
        text: &[u8],
        is: impl Fn(&[u8], usize, usize) -> bool,
        mut found: impl FnMut(Range<usize>, usize),
    ) {
        let Some(automaton) = &self.automaton else {
            return;
        };
        for hit in automaton.find_overlapping_iter(text) {
            let word = hit.pattern().as_usize();
            if self.known[word].0 == 0 || is(text, hit.start(), hit.end()) {
                found(hit.start()..hit.end(), word);
            }
        }
    }

    /// The same for a whole word: what is left of a name once the words that say its role are gone.
    pub(crate) fn exactly(&self, word: &[u8], found: &mut Vec<u16>) {
        let Some(automaton) = &self.automaton else {
            return;
        };
        let whole = automaton
            .find_overlapping_iter(word)
            .filter(|hit| hit.start() == 0 && hit.end() == word.len());
        for hit in whole {
            for &rule in &self.known[hit.pattern().as_usize()].1 {
                if !found.contains(&rule) {
                    found.push(rule);
                }
            }
        }
    }
}

/// The ways in which people write a word of several parts: `data.gov`, `DATA_GOV`, `dataGov`.
fn spellings(word: &str) -> Vec<String> {
    let word = word.to_ascii_lowercase();
    let between = |c: char| matches!(c, '.' | '-' | '_' | ' ');
    let parts: Vec<&str> = word
        .split(between)
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() < 2 {
        return vec![word];
    }
    let mut all: Vec<String> = ["_", "-", ".", " ", ""]
        .iter()
        .map(|between| parts.join(between))
        .filter(|spelling| spelling.len() >= LONG)
        .collect();
    if !all.contains(&word) {
        all.push(word);
    }
    all
}

/// Whether `text[start..end]` is a word of its own.
fn is_bounded(text: &[u8], start: usize, end: usize) -> bool {
    let before = start == 0
        || !text[start - 1].is_ascii_alphanumeric()
        || (text[start].is_ascii_uppercase() && text[start - 1].is_ascii_lowercase());
    let after = text.get(end).is_none_or(|&next| {
        !next.is_ascii_alphabetic()
            || (next.is_ascii_uppercase() && !text[end - 1].is_ascii_uppercase())
    });
    before && after
}

#[cfg(test)]
mod tests {
    use crate::rule::RuleSet;

    fn check(text: &str, provider: &str, stands: bool) {
        let set = RuleSet::builtin();
        let mut found = Vec::new();
        set.words().within(text.as_bytes(), &mut found);
        let told = found
            .iter()
            .any(|&rule| set.rule(rule).provider.as_str() == provider);
        assert_eq!(told, stands, "{text} {provider}");
    }

    #[test]
    fn short_words_are_bounded() {
        check("oss.accessKey", "alibaba", true);
        check("ossAccessKey", "alibaba", true);
        check("OSS_ACCESS_KEY", "alibaba", true);
        check("appOssKey", "alibaba", true);
        check("across", "alibaba", false);
        check("BOSS_KEY", "alibaba", false);
        check("obs2.key", "huawei", true);
        check("myhuaweicloud.com", "huawei", true);
        check("阿里云账号", "alibaba", true);
    }

    #[test]
    fn a_word_inside_a_longer_one_says_nothing() {
        check("CUCLOUD_AK", "cucloud", true);
        check("CUCLOUD_AK", "ucloud", false);
        check("ucloud.cucloud", "ucloud", true);
        check("cucloud_ucloud_key", "ucloud", true);
        check("cucloud_cucloud", "ucloud", false);
        check("cucloud_cucloud", "cucloud", true);
    }

    #[test]
    fn words_of_several_parts_are_known_in_every_spelling() {
        let set = RuleSet::builtin();
        let mut checked = 0;
        for rule in set.rules() {
            for word in rule.words.iter().filter(|word| word.len() > 6) {
                let parts: Vec<&str> = word
                    .split(['.', '-', '_', ' '])
                    .filter(|part| !part.is_empty())
                    .collect();
                if parts.len() < 2 {
                    continue;
                }
                checked += 1;
                for between in ["_", "-", ".", ""] {
                    let name = parts.join(between);
                    check(&format!("{name}_KEY"), rule.provider.as_str(), true);
                    check(&name.to_ascii_uppercase(), rule.provider.as_str(), true);
                }
            }
        }
        assert!(checked > 20, "{checked}");
    }
}
