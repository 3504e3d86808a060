//! What is not a credential although it stands where one would: references, placeholders,
//! ciphertexts, vendors' examples, words.

use super::ngram;
use crate::rule::Fnv;
use crate::unwrap::inline;

/// FNV-1a of values that vendors publish in their documents and samples and that do not say EXAMPLE:
/// the Huawei Cloud signing example's two halves, the keys of Google's and Firebase's sample projects,
/// those of Azure's storage and Cosmos emulators.
const PUBLISHED: [u64; 20] = [
    0x6ff2_63e1_7aa4_4992,
    0x4d46_5e90_6ad6_28ad,
    0x539d_0568_c89b_6c42,
    0xfdd1_6cf1_3f70_eddd,
    0x7a2a_ecc0_df75_1eca,
    0x96b7_fb1d_f6e1_a28d,
    0xf2bb_04be_e8ab_e895,
    0x2d3d_fadd_3a3a_d4a8,
    0xab1b_716d_7d34_0a11,
    0xbeaa_17d0_7ddd_36e8,
    0x640c_8319_e853_dc57,
    0xc5ba_055e_7347_a1ca,
    0x0f9e_3662_b2b7_91c6,
    0x9f79_4605_b03c_e723,
    0xa882_b22a_d4a9_2c1c,
    0x4fe4_93fa_ddf5_cda9,
    0x7b61_5d14_1376_9648,
    0xcc22_33b1_0520_54ef,
    0x7a03_30b6_9099_b348,
    0x9ffa_9cce_d1d2_3451,
];

/// Beginnings of values that name a secret kept elsewhere, or hold one that is encrypted.
const REFERENCES: [&[u8]; 53] = [
    b"secretKeyRef",
    b"configMapKeyRef",
    b"$",
    b"{{",
    b"<",
    b"%(",
    b"%{",
    b"#{",
    b"@@",
    b"ENC(",
    b"ENC[",
    b"DEC(",
    b"vault:",
    b"vault(",
    b"arn:",
    b"AQICAH",
    b"AQECAH",
    b"ref+",
    b"op://",
    b"ssm:",
    b"secretsmanager:",
    b"projects/",
    b"env.",
    b"env:",
    b"env(",
    b"process.env",
    b"os.environ",
    b"os.getenv",
    b"os.Getenv",
    b"getenv",
    b"ENV[",
    b"System.getenv",
    b"config.",
    b"self.",
    b"this.",
    b"!Ref",
    b"!Sub",
    b"!vault",
    b"{cipher}",
    b"{AES}",
    b"{aes}",
    b"{3DES}",
    b"{3des}",
    b"kms:",
    b"ENC:",
    b"enc:",
    b"{encrypted}",
    b"age1",
    b"gcp:secretmanager",
    b"azurekeyvault",
    b"file:",
    b"lookup(",
    b"var.",
];

/// Pieces of values that people put where a key will be, lower case.
const PLACEHOLDERS: [&[u8]; 22] = [
    b"example",
    b"xxxxx",
    b"****",
    b"placeholder",
    b"changeme",
    b"change-me",
    b"change_me",
    b"replaceme",
    b"replace-me",
    b"replace_me",
    b"replace_with",
    b"dummy",
    b"redacted",
    b"insert-",
    b"insert_",
    b"notreal",
    b"not-a-real",
    b"goes-here",
    b"goes_here",
    b"......",
    b"${",
    b"{{",
];

/// Whole passwords and tokens that are no secret, folded.
const WORDS: [&[u8]; 44] = [
    b"password",
    b"passwd",
    b"secret",
    b"changeit",
    b"changeme",
    b"none",
    b"null",
    b"undefined",
    b"required",
    b"optional",
    b"disabled",
    b"enabled",
    b"string",
    b"hidden",
    b"masked",
    b"default",
    b"testtest",
    b"testpassword",
    b"mypassword",
    b"mysecret",
    b"mysecretkey",
    b"mytoken",
    b"mysecretpassword",
    b"secretpassword",
    b"secretkey",
    b"accesskey",
    b"apikey",
    b"token",
    b"password1",
    b"passw0rd",
    b"password123",
    b"username",
    b"examplepassword",
    b"foobar",
    b"foobarbaz",
    b"foobared",
    b"notasecret",
    b"supersecret",
    b"topsecret",
    b"somepassword",
    b"unspecified",
    b"scramsha256",
    b"scramsha1",
    b"cleartext",
];

/// Whether a folded word stands where a password would and is known to be none.
pub(crate) fn is_common_word(folded: &[u8]) -> bool {
    WORDS.contains(&folded)
}

/// Whether the value only says where a secret is.
pub(crate) fn is_reference(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    // What a machine draws from all characters may begin with any of them.
    let drawn = matches!(value.first(), Some(b'$' | b'<'))
        && value.iter().any(|b| b"!@#%^&*?~".contains(b))
        && is_mixed(value);
    let begins = |start: &&[u8]| start.first() == value.first() && value.starts_with(start);
    (!drawn && REFERENCES.iter().any(begins))
        || super::sealed::is_sealed(value)
        || holds(value, b"${")
        || holds(value, b"{{")
        || holds(value, b"$(")
}

/// Whether a machine-made value is a stand-in.
pub(crate) fn is_placeholder(value: &[u8]) -> bool {
    is_stand_in(value) || is_monotone(value)
}

/// Whether a value says in words that it is none, or is one that its vendor publishes.
pub(crate) fn is_stand_in(value: &[u8]) -> bool {
    PLACEHOLDERS.iter().any(|word| holds_folded(value, word))
        || holds(value, b"xxxx")
        || holds(value, b"XXXX")
        || says_your(value)
        || PUBLISHED.contains(&Fnv::of(value))
}

/// `your-key`, `YOUR_KEY`, `yourKey`: four letters that stand by chance in one random key of thousands
/// are a word only where something bounds them.
fn says_your(value: &[u8]) -> bool {
    value.windows(4).enumerate().any(|(at, four)| {
        let bounds = |byte: Option<&u8>| byte.is_none_or(|b| !b.is_ascii_alphanumeric());
        let before = at.checked_sub(1).and_then(|n| value.get(n));
        let after = value.get(at + 4);
        let cased = four == b"your" && after.is_some_and(u8::is_ascii_uppercase);
        four.eq_ignore_ascii_case(b"your")
            && ((after.is_some() && bounds(after))
                || (bounds(before) && (bounds(after) || cased || value.len() < 24)))
    })
}

/// Whether `text` holds `word`: values are too short to be worth preparing a search.
fn holds(text: &[u8], word: &[u8]) -> bool {
    let Some((&first, rest)) = word.split_first() else {
        return true;
    };
    memchr::memchr_iter(first, text).any(|at| text[at + 1..].starts_with(rest))
}

/// The same for a `word` in lower case and a text in any.
fn holds_folded(text: &[u8], word: &[u8]) -> bool {
    let Some((&first, rest)) = word.split_first() else {
        return true;
    };
    memchr::memchr2_iter(first, first.to_ascii_uppercase(), text).any(|at| {
        text[at + 1..]
            .get(..rest.len())
            .is_some_and(|here| here.eq_ignore_ascii_case(rest))
    })
}

/// One byte repeated, a counting-up, or an alphabet of a few characters.
fn is_monotone(value: &[u8]) -> bool {
    let mut seen = [false; 256];
    let mut distinct = 0;
    for &byte in value {
        if !std::mem::replace(&mut seen[usize::from(byte)], true) {
            distinct += 1;
        }
    }
    let pairs = || value.windows(2);
    let same = pairs().filter(|pair| pair[0] == pair[1]).count();
    let up = pairs()
        .filter(|pair| pair[1] == pair[0].wrapping_add(1))
        .count();
    let longest = value
        .chunk_by(|a, b| a == b)
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0);
    (value.len() >= 16 && distinct < 6)
        || counts_up(value)
        || longest >= 8
        || (value.len() >= 8 && (same + up) * 5 >= value.len() * 4)
}

/// `abc123def456ghi789`, `AbCdEfGhIjKl0123456789`: letters and digits that each follow their own order.
fn counts_up(value: &[u8]) -> bool {
    let rising = |is: fn(&u8) -> bool| -> bool {
        let own: Vec<u8> = value
            .iter()
            .filter(|b| is(b))
            .map(u8::to_ascii_lowercase)
            .collect();
        let up = own
            .windows(2)
            .filter(|pair| pair[1] == pair[0] + 1 || pair == b"90" || pair == b"za")
            .count();
        own.len() >= 8 && up * 5 >= (own.len() - 1) * 4
    };
    let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    rising(u8::is_ascii_alphabetic)
        && (digits < 8 || rising(u8::is_ascii_digit) || letters > 3 * digits)
}

/// Bits of Shannon entropy per byte.
pub(crate) fn entropy(value: &[u8]) -> f32 {
    let mut counts = [0_u16; 256];
    for &byte in value.iter().take(4096) {
        counts[usize::from(byte)] += 1;
    }
    let total = value.len().clamp(1, 4096) as f32;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let share = f32::from(count) / total;
            -share * share.log2()
        })
        .sum()
}

/// Whether a value beside a secret's name looks made by a machine.
pub(crate) fn is_random(value: &[u8], floor: f32) -> bool {
    entropy(value) >= floor && !is_placeholder(value) && !is_wordy(value)
}

/// Whether every byte is a lower-case or upper-case hexadecimal digit.
pub(crate) fn is_hex(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_hexdigit)
}

/// Whether a value that begins with a slash is a path: one in sixty-four keys of base64 begins so, and
/// has both cases and digits all over.
pub(crate) fn is_path(value: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| value.iter().filter(|b| is(b)).count();
    let mixed = count(u8::is_ascii_digit) >= 2
        && count(u8::is_ascii_uppercase) >= 3
        && count(u8::is_ascii_lowercase) >= 3
        && !value.contains(&b'.');
    value.starts_with(b"/") && !mixed
}

/// Identifiers, paths and sentences: letters that stand beside each other as in words, or in runs with
/// few changes of kind.
pub(crate) fn is_wordy(value: &[u8]) -> bool {
    let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    match ngram::wordiness(value) {
        Some(score) => {
            letters * 10 >= value.len() * 6
                && digits * 6 < value.len()
                && changes(value) * 2 < value.len()
                && (score > 0 || (digits == 0 && score > -40))
        }
        None => digits == 0 && changes(value) * 4 < value.len(),
    }
}

/// The same for what stands behind a token's own beginning, which is evidence by itself.
pub(crate) fn is_wordy_body(value: &[u8]) -> bool {
    let digits = value.iter().any(u8::is_ascii_digit);
    let floor = if digits { 60 } else { 20 };
    is_wordy(value) && ngram::wordiness(value).is_none_or(|score| score > floor)
}

/// Whether a value is letters that stand beside each other as in words: what is called like a service's
/// key is a setting's name then.
pub(crate) fn is_name(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_alphabetic)
        && is_wordy(value)
        && ngram::wordiness(value).is_some_and(|score| score > 40)
}

/// Whether digits or capitals inside words make a body more than a name.
pub(crate) fn is_varied(value: &[u8]) -> bool {
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let upper = value.iter().filter(|b| b.is_ascii_uppercase()).count();
    let lower = value.iter().filter(|b| b.is_ascii_lowercase()).count();
    digits >= 2 && (upper == 0 || lower == 0 || upper * 16 >= lower) && value.len() >= 16
        || (digits >= 1 && upper >= 2 && lower >= 2 && value.len() >= 20)
}

/// How often letters, capitals, digits and others take turns.
fn changes(value: &[u8]) -> usize {
    let kind = |b: u8| match b {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let pairs = value.windows(2);
    pairs.filter(|pair| kind(pair[0]) != kind(pair[1])).count()
}

/// Whether a machine may have made the value: digits among letters, or letters that no word puts side by
/// side.
pub(crate) fn is_chance(value: &[u8]) -> bool {
    let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let mixed = match digits {
        // A word with one digit is a word; letters alone must be unlike all words.
        0 | 1 => ngram::wordiness(value).is_some_and(|score| score < -60),
        _ => letters >= 2 && !is_identifier(value),
    };
    mixed && !is_wordy(value)
}

/// Whether the value can be nothing but machine-made: what a name such as `key` needs, which has other
/// uses.
pub(crate) fn is_strong_secret(value: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| value.iter().filter(|b| is(b)).count();
    (20..=200).contains(&value.len())
        && value
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"+/=_-".contains(b))
        && count(u8::is_ascii_digit) >= 2
        && count(u8::is_ascii_uppercase) >= 3
        && count(u8::is_ascii_lowercase) >= 3
        // SSH's public keys, and the base64 of an ASN.1 sequence: certificates and public keys.
        && !value.starts_with(b"AAAA")
        && !matches!(value, [b'M', b'C'..=b'I', ..])
        && !is_path(value)
        && entropy(value) >= 3.6
}

/// The same with one digit, where letters change as no word's do.
pub(crate) fn is_scattered_secret(value: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| value.iter().filter(|b| is(b)).count();
    (16..=200).contains(&value.len())
        && value
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && count(u8::is_ascii_digit) >= 1
        && count(u8::is_ascii_uppercase) >= 4
        && count(u8::is_ascii_lowercase) >= 4
        && changes(value) * 5 >= value.len() * 2
        && entropy(value) >= 3.6
        && is_chance(value)
        && !value.starts_with(b"AAAA")
}

/// Letters, digits and marks in no order, as a generator of passwords strings them together: what
/// stands in an expression or a pattern has words, calls or ranges in it.
pub(crate) fn is_keyboard_noise(value: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| value.iter().filter(|b| is(b)).count();
    let kinds = [
        count(u8::is_ascii_lowercase),
        count(u8::is_ascii_uppercase),
        count(u8::is_ascii_digit),
    ];
    let expression = value
        .windows(4)
        .any(|four| four[3] == b'(' && four[..3].iter().all(u8::is_ascii_alphabetic));
    let pattern = [
        &b"..."[..],
        b"a-z",
        b"A-Z",
        b"0-9",
        b"://",
        b"</",
        b"=>",
        b".*",
        b".+",
    ];
    // What encodings are made of, and what escapes it, is no noise.
    let marks = value
        .iter()
        .filter(|b| b.is_ascii_punctuation() && !b"+/=_-\\".contains(b))
        .count();
    // An address's query, a connection string, attributes.
    let pairs = value
        .windows(3)
        .filter(|three| three[1] == b'=' && three[0].is_ascii_alphanumeric() && three[2] != b'=')
        .count();
    (16..=256).contains(&value.len())
        && pairs < 2
        && value.iter().all(u8::is_ascii_graphic)
        && marks >= 3
        && kinds.iter().filter(|&&count| count >= 2).count() >= 2
        && changes(value) * 5 >= value.len() * 2
        && entropy(value) >= 3.6
        && !expression
        && !pattern.iter().any(|piece| holds(value, piece))
        && !is_placeholder(value)
}

/// Whether what stands unquoted in source code can be no expression of any language: files are named
/// for one language and hold the settings of another, and notes are kept beside code.
pub(crate) fn is_no_expression(value: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| value.iter().filter(|b| is(b)).count();
    let (upper, lower, digits) = (
        count(u8::is_ascii_uppercase),
        count(u8::is_ascii_lowercase),
        count(u8::is_ascii_digit),
    );
    let plain = value
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || b"+/=_-".contains(b));
    let marked = value.windows(3).any(|three| {
        b"!@#%^~".contains(&three[1])
            && three[0].is_ascii_alphanumeric()
            && three[2].is_ascii_alphanumeric()
    }) || value.last().is_some_and(|last| b"!@#%^~".contains(last));
    let numeral = value.first().is_some_and(u8::is_ascii_digit)
        && !value.starts_with(b"0x")
        && upper + lower >= 3
        && digits >= 2
        && changes(value) >= 4;
    let scattered = plain
        && value.len() >= 16
        && upper >= 3
        && lower >= 3
        && digits >= 3
        && changes(value) * 3 >= value.len();
    let digest = value.len() >= 32 && is_hex(value) && digits >= 8 && upper + lower >= 6;
    let short = value.len() < akwatch_proto::limits::SHORTEST_PASSWORD;
    let mixed = upper >= 1 && lower >= 1 && digits >= 1;
    !short
        && value.iter().all(u8::is_ascii_graphic)
        && ((marked && mixed && !value.contains(&b'.'))
            || (plain && numeral)
            || scattered
            || digest)
        && !is_wordy(value)
}

/// A value of fewer than sixteen bytes beside a name such as `token`: three kinds of characters, and no
/// word.
pub(crate) fn is_short_secret(value: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| value.iter().any(is);
    value
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || b"!@#$%^&*_".contains(b))
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && changes(value) >= 3
        && !is_wordy(value)
}

/// Words that somebody put together to be a secret: in both cases and with a number, as names of
/// resources never are.
pub(crate) fn is_passphrase(value: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| value.iter().filter(|b| is(b)).count();
    value
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.@#!$%&*+=".contains(b))
        && count(u8::is_ascii_uppercase) >= 2
        && count(u8::is_ascii_lowercase) >= 3
        && count(u8::is_ascii_digit) >= 2
        && !is_monotone(value)
}

/// The value without the quotes, escapes and separators that a log or a half-edited line leaves around
/// it, and how many bytes went before it.
pub(crate) fn core(value: &[u8]) -> (usize, &[u8]) {
    let odd =
        |byte: u8| byte.is_ascii_whitespace() || matches!(byte, 0x0b | b'"' | b'\'' | b'`' | b'\\');
    let quoted = value.first().is_some_and(|&b| odd(b));
    let start = value
        .iter()
        .take(8)
        .take_while(|&&b| odd(b) || (quoted && b == b'='))
        .count();
    let mut end = value.len();
    while end > start + 2 {
        let escape = value[end - 2] == b'\\' && matches!(value[end - 1], b'n' | b'r' | b't');
        if escape {
            end -= 2;
        } else if odd(value[end - 1]) || matches!(value[end - 1], b';' | b',') {
            end -= 1;
        } else {
            break;
        }
    }
    (start, &value[start..end.max(start)])
}

/// Whether a password that a client sends is worth telling: that it is one is beyond doubt.
pub(crate) fn is_sent_password(value: &[u8]) -> bool {
    let folded: Vec<u8> = value
        .iter()
        .filter(|b| b.is_ascii_alphanumeric())
        .map(u8::to_ascii_lowercase)
        .collect();
    (akwatch_proto::limits::SHORTEST_PASSWORD..=256).contains(&value.len())
        && value.iter().all(|b| b.is_ascii_graphic() || *b == b' ')
        && !WORDS.contains(&folded.as_slice())
        && !is_reference(value)
        && !is_placeholder(value)
}

/// A key that its service publishes with every page: `pk_live_…`, `STRIPE_PUBLISHABLE_KEY`.
pub(crate) fn is_published(path: &[u8], value: &[u8]) -> bool {
    let path = path.to_ascii_lowercase();
    value.starts_with(b"pk_") || holds(&path, b"publishable") || holds(&path, b"public")
}

/// The name of a secret in a store, not the secret: `prod/db-a1B2c3`. AWS Secrets Manager adds a dash
/// and six characters to the names that it gives out.
fn is_stored_name(value: &[u8]) -> bool {
    let Some((name, tail)) = value.len().checked_sub(7).map(|at| value.split_at(at)) else {
        return false;
    };
    let words = name.split(|&b| b == b'/');
    tail[0] == b'-'
        && tail[1..].iter().all(u8::is_ascii_alphanumeric)
        && name.contains(&b'/')
        && words.into_iter().all(|word| {
            word.len() >= 2
                && word
                    .iter()
                    .all(|b| b.is_ascii_lowercase() || matches!(b, b'-' | b'_'))
        })
}

/// What frameworks check a password with: `required|min:8`.
fn is_validator(value: &[u8]) -> bool {
    let check = |piece: &[u8]| {
        let name = piece.split(|&b| b == b':').next().unwrap_or_default();
        name.len() >= 3 && name.iter().all(|b| b.is_ascii_lowercase() || *b == b'_')
    };
    value.contains(&b'|') && value.split(|&b| b == b'|').all(check)
}

/// Base64 of a placeholder, as manifests of examples hold it.
pub(crate) fn hides_placeholder(value: &[u8]) -> bool {
    let Some(decoded) = inline::base64(value).filter(|_| value.len().is_multiple_of(4)) else {
        return false;
    };
    let Ok(text) = std::str::from_utf8(&decoded) else {
        return false;
    };
    let plain = !text.chars().any(char::is_control);
    let known =
        is_placeholder(&decoded) || WORDS.contains(&decoded.to_ascii_lowercase().as_slice());
    let words = text.chars().all(|c| c.is_ascii_lowercase())
        || text.chars().any(|c| !c.is_ascii() && c.is_alphabetic());
    plain && (known || words)
}

/// Whether a password beside its name is worth telling.
pub(crate) fn is_password(value: &[u8]) -> bool {
    // What stands between quotes that a page has escaped is read without them.
    let escaped = value.starts_with(b"&quot;") || value.starts_with(b"&#34;");
    if escaped || is_stored_name(value) || hides_placeholder(value) || is_validator(value) {
        return false;
    }
    if value.len() < akwatch_proto::limits::SHORTEST_PASSWORD || value.len() > 256 {
        return false;
    }
    let folded: Vec<u8> = value
        .iter()
        .filter(|b| b.is_ascii_alphanumeric())
        .map(u8::to_ascii_lowercase)
        .collect();
    let lower = value.to_ascii_lowercase();
    let odd = value
        .iter()
        .any(|&b| b.is_ascii_whitespace() || b.is_ascii_control());
    let noise = is_keyboard_noise(value);
    let code = value.starts_with(b"/")
        || value.starts_with(b"-")
        || value.ends_with(b":")
        || value.contains(&b'\\')
        || value.iter().filter(|&&b| b == b'/' || b == b':').count() > 2
        || value.ends_with(b"()")
        || value.ends_with(b";")
        || value.contains(&b'(');
    // A sentence in another script: nobody types a password in one.
    let spoken = value.iter().filter(|b| !b.is_ascii()).count() * 3 > value.len();
    let letters = value.iter().any(u8::is_ascii_alphabetic);
    // `Schlüsselkennwort` is as much a word as one without an umlaut.
    let others = match std::str::from_utf8(value) {
        Ok(text) if !text.is_ascii() => text.chars().any(|c| !c.is_alphabetic() && c != '-'),
        _ => value.iter().any(|b| !b.is_ascii_alphabetic()),
    };
    let crypt = value.starts_with(b"$2")
        || value.starts_with(b"{SSHA}")
        || value.starts_with(b"*") && is_hex(&value[1..]);
    !(odd
        || (code && !noise && !is_mixed(value))
        || spoken
        || crypt
        || WORDS.contains(&folded.as_slice())
        || is_placeholder(value)
        || (names_itself(&lower) && !is_dressed(value))
        || holds(&lower, b"://"))
        && letters
        && ((others && !is_identifier(value))
            || ngram::wordiness(value).is_some_and(|score| score < -60))
        && (entropy(value) >= 2.5 || is_uneven(value))
}

/// Different letters and digits of a password with a digit that need not be evenly strewn: `hunter22222` has
/// seven.
const FEWEST_DISTINCT: usize = 7;

/// Whether a value has that many.
fn is_uneven(value: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in value.iter().filter(|b| b.is_ascii_alphanumeric()) {
        seen[usize::from(*byte)] = true;
    }
    let distinct = seen.iter().filter(|seen| **seen).count();
    distinct >= FEWEST_DISTINCT && value.iter().any(u8::is_ascii_digit)
}

fn names_itself(lower: &[u8]) -> bool {
    holds(lower, b"password") || holds(lower, b"passwd")
}

/// Whether the word for a password was made into one, as rules for passwords demand: `Acme_Passwd_2024!`.
/// Names of fields, selectors and stand-ins have no such marks, or brackets.
fn is_dressed(value: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| value.iter().any(is);
    has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(|b| b"!@#$%^&*?".contains(b))
        && !has(|b| b"[](){}<>=\"'` /\\:;".contains(b))
        && !value.starts_with(b"#")
        && !value.starts_with(b"$")
}

/// Whether a value with the marks of code or of a path is a password that a machine drew from all
/// printable characters: letters of both cases, digits and marks, and nothing of a word, a call or a
/// pattern in it.
fn is_mixed(value: &[u8]) -> bool {
    const PATTERNS: [&[u8]; 16] = [
        b"...", b"a-z", b"A-Z", b"0-9", b"://", b"</", b"=>", b".*", b".+", b"[^", b"(?", b"\\d",
        b"\\w", b"\\s", b"\\b", b"()",
    ];
    let count = |is: fn(&u8) -> bool| value.iter().filter(|b| is(b)).count();
    let cases = [count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase)];
    let digits = count(u8::is_ascii_digit);
    let marks = count(u8::is_ascii_punctuation);
    let kinds = [cases[0], cases[1], digits, marks]
        .iter()
        .filter(|&&count| count > 0)
        .count();
    let called = value
        .windows(4)
        .any(|four| four[3] == b'(' && four[..3].iter().all(u8::is_ascii_alphabetic));
    // An escape that was left has one mark.
    let escape = value.contains(&b'\\') && marks < 3;
    let worded = value
        .split(|b| !b.is_ascii_lowercase())
        .any(|run| run.len() >= 4);
    let words = match ngram::wordiness(value) {
        Some(score) => score > -20,
        None => worded,
    };
    (8..=64).contains(&value.len())
        && value.iter().all(u8::is_ascii_graphic)
        && kinds >= 3
        && !escape
        && cases.iter().all(|&count| count > 0)
        && changes(value) * 5 >= value.len() * 2
        && !called
        && !words
        && !PATTERNS.iter().any(|piece| holds(value, piece))
}

/// Whether the value of a name in a text without a syntax may be a password: logs and prose hold
/// `PASS: module/test-7a` and the like, so paths, words with a number and other scripts are not.
pub(crate) fn is_loose_password(value: &[u8]) -> bool {
    let pathlike = value.iter().any(|b| matches!(b, b'/' | b'\\' | b',')) || !value.is_ascii();
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let worded = value
        .split(|b| matches!(b, b'-' | b'_' | b'.'))
        .all(|word| {
            word.iter().all(u8::is_ascii_lowercase)
                || word
                    .iter()
                    .rev()
                    .skip_while(|b| b.is_ascii_digit())
                    .all(u8::is_ascii_lowercase)
        });
    is_password(value) && !pathlike && digits >= 1 && !(worded && value.contains(&b'-'))
}

/// `some_variable`, `some.property.name`, `SomeType::Name`, `a-flag-name`, `file.ext`: words.
pub(crate) fn is_identifier(value: &[u8]) -> bool {
    value
        .split(|b| {
            matches!(
                b,
                b'_' | b'.' | b'-' | b':' | b'/' | b',' | b'[' | b']' | b'>' | b'@' | b'='
            )
        })
        .all(|word| {
            word.len() <= 2 || (word.iter().all(u8::is_ascii_alphabetic) && !is_scrambled(word))
        })
}

/// Whether letters change their case as no name does: one random key in two hundred has no digit.
fn is_scrambled(word: &[u8]) -> bool {
    let upper = word.iter().filter(|b| b.is_ascii_uppercase()).count();
    let changes = word
        .windows(2)
        .filter(|pair| pair[0].is_ascii_uppercase() != pair[1].is_ascii_uppercase())
        .count();
    word.len() >= 16 && (upper * 10 / word.len()).abs_diff(5) <= 2 && changes * 3 >= word.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_known() {
        for value in [
            "AKIAIOSFODNN7EXAMPLE",
            "your-access-key",
            "xxxxxxxxxxxxxxxxxxxx",
            "12345678901234567890",
            "abcdefghijklmnopqrstuvwxyz",
            "aaaaaaaaaaaaaaaaaaaaend",
        ] {
            assert!(is_placeholder(value.as_bytes()), "{value}");
        }
        for value in [
            "${KEY}",
            "{{ key }}",
            "ENC(abc)",
            "vault:secret/x",
            "arn:aws:x",
            "pre${x}",
        ] {
            assert!(is_reference(value.as_bytes()), "{value}");
        }
        for value in ["$Db_Pass1", "$this->pw1", "<Password1>", "<your!Pass1>"] {
            assert!(is_reference(value.as_bytes()), "{value}");
        }
        assert!(!is_reference(b"$t7Qz!p9Lw@2x"));
        for value in [
            "Tr0ub4dor&3x",
            "hunter2222",
            "k9!sPq2z",
            "k9Xm2Qp4Lr8(",
            "/q9Zt2Vw8:Lk/",
            "B4t#;m9Q\\x:z7",
            "Acme_Passwd_2024!",
        ] {
            assert!(is_password(value.as_bytes()), "{value}");
        }
        for value in [
            "changeme",
            "some_variable",
            "get_password()",
            "short1",
            "/etc/pass.txt",
            "com.acme.Type",
            "get_value(Key1)",
            "C:\\Users\\Acme1",
            "^[A-Za-z0-9]{8,}$",
            "\\u00E9a1B2c3d",
            "00:1A:2b:3C:4d:5E",
            "input[type=Password1]",
            "dbPassword1",
            "Zielschlüsselwort",
            "key-ﬁle",
        ] {
            assert!(!is_password(value.as_bytes()), "{value}");
        }
    }
}
