//! Words behind a name that say which one of several it is: `DB_PASSWORD_PROD`, `tokenValue`.

use super::is_separator;

/// Words behind a name that say which one it is, and nothing of what it holds. The sieve asks for the
/// first [`SOUGHT`]; the others end too many names of source code to be worth a look by themselves.
pub(super) const QUALIFIERS: [&[u8]; 30] = [
    b"test",
    b"prod",
    b"production",
    b"prd",
    b"dev",
    b"development",
    b"staging",
    b"stage",
    b"stg",
    b"uat",
    b"qa",
    b"local",
    b"live",
    b"primary",
    b"secondary",
    b"backup",
    b"master",
    b"slave",
    b"value",
    b"val",
    b"string",
    b"str",
    b"text",
    b"plain",
    b"testing",
    b"default",
    b"new",
    b"old",
    b"current",
    b"internal",
];
pub(super) const SOUGHT: usize = 19;
/// By the letter before the last, a bit for each last letter that they end with.
pub(super) const SOUGHT_ENDINGS: [u32; 32] = endings(SOUGHT);
const ENDINGS: [u32; 32] = endings(QUALIFIERS.len());

/// Those of the first so many.
const fn endings(count: usize) -> [u32; 32] {
    let (mut endings, mut at) = ([0; 32], 0);
    while at < count {
        if let [.., a, b] = QUALIFIERS[at] {
            endings[(*a & 31) as usize] |= 1 << (*b & 31);
        }
        at += 1;
    }
    endings
}

/// The longest of them.
pub(super) const LONGEST_SOUGHT: u32 = 11;
/// Of all of them the last eight bytes, the last the highest, and which of these they have: words of
/// sources end like them all the time, `description` and `element`, and few are one.
pub(super) const QUALIFIERS_LAST: [(u64, u64); QUALIFIERS.len()] = {
    let (mut all, mut at) = ([(0, 0); QUALIFIERS.len()], 0);
    while at < QUALIFIERS.len() {
        let word = QUALIFIERS[at];
        let (mut last, mut mask, mut place) = (0, 0, 0);
        while place < 8 && place < word.len() {
            last |= (word[word.len() - 1 - place] as u64) << (56 - 8 * place);
            mask |= 0xff << (56 - 8 * place);
            place += 1;
        }
        all[at] = (last, mask);
        at += 1;
    }
    all
};

/// Of these the ones that say where a thing is used: `PASS_PROD`. The others follow too many names that
/// only begin like a short word for a password: `pass_value`, `pw_string`.
pub(super) const PLACES: usize = 18;

/// `name` without the word behind it that says which one it is: `client_secret_prod`.
pub(crate) fn unqualified(name: &[u8]) -> &[u8] {
    let name = name.trim_ascii_end();
    if !is_qualified(name) {
        return name;
    }
    let begins = last_words(name);
    let rest = QUALIFIERS.iter().find_map(|word| {
        let (rest, last) = name.split_at_checked(name.len().checked_sub(word.len())?)?;
        let whole = begins >> word.len() & 1 == 1 && last.eq_ignore_ascii_case(word);
        whole.then_some(rest)
    });
    let rest = rest.unwrap_or(name);
    let end = rest.iter().rposition(|b| !is_separator(*b));
    &rest[..end.map_or(0, |end| end + 1)]
}

/// Whether a name ends like a word that says which one it is.
pub(super) fn is_qualified(name: &[u8]) -> bool {
    ends_with_any(name, &QUALIFIERS_LAST)
}

/// Whether a folded name that ends with these three letters may end with such a word.
pub(super) fn may_be_qualified([_, a, b]: [u8; 3]) -> bool {
    ENDINGS[usize::from(a & 31)] >> (b & 31) & 1 == 1
}

/// Whether `text` ends like one of `words`, told from their last eight bytes.
pub(super) fn ends_with_any(text: &[u8], words: &[(u64, u64)]) -> bool {
    let mut last = [0; 8];
    let length = text.len().min(8);
    last[8 - length..].copy_from_slice(&text[text.len() - length..]);
    let last = u64::from_le_bytes(last) | 0x2020_2020_2020_2020;
    let is = |&(known, mask): &(u64, u64)| (known ^ last) & mask == 0;
    words.iter().any(is)
}

/// Where a last word of letters may begin in a name: a bit for each length that it may have.
pub(super) fn last_words(name: &[u8]) -> u32 {
    let mut begins = 0;
    for (length, two) in (1..=LONGEST_SOUGHT).zip(name.windows(2).rev()) {
        let &[before, first] = two else { break };
        if !first.is_ascii_alphabetic() {
            break;
        }
        let hump = first.is_ascii_uppercase() && before.is_ascii_lowercase();
        begins |= u32::from(hump || is_separator(before)) << length;
    }
    begins
}
