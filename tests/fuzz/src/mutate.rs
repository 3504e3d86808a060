//! Inputs from a seed: pieces of formats, known words, and what mutation makes of them.
//!
//! For machines without a fuzzer, and for a smoke run that is the same every time. It knows nothing of
//! coverage; where libFuzzer runs, it is better.

use crate::encode;

/// A source of numbers (SplitMix64, public domain).
#[derive(Clone, Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next_number() % bound.max(1) as u64).unwrap_or(0)
    }
}

/// What formats are made of.
const WORDS: &[&str] = &[
    "\n",
    "\r\n",
    "\0",
    "=",
    ":",
    ": ",
    " = ",
    "\"",
    "'",
    "`",
    "\\",
    "\\\n",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    "</",
    "/>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "---\n",
    "- ",
    "&a ",
    "*a",
    "|\n  ",
    ">-\n  ",
    "#",
    "//",
    "/*",
    "*/",
    "; ",
    "<<EOF\n",
    "EOF\n",
    "$(",
    "${X}",
    "$((",
    "&&",
    "|",
    "export ",
    "set -x\n",
    "- cmd: ",
    "\n  when: 1\n",
    ": 1709000000:0;",
    "#1709000000\n",
    "\u{83}",
    "[section]\n",
    "[[table]]\n",
    "\"\"\"",
    "'''",
    "\\u0041",
    "\\101",
    "%41",
    "=41",
    "=\r\n",
    "\\x41",
    "\\040",
    "&amp;",
    "&#65;",
    "<key>a</key><string>",
    "<property><name>",
    "access_key_id",
    "secret_access_key",
    "password",
    "aliyun",
    "qcloud",
    "aws",
    "token",
    "secretId",
    "ak",
    "sk",
    "Authorization: Bearer ",
    "postgres://u:",
    "@h/d",
    "jdbc:mysql://h?password=",
    "AccountKey=",
    "mysql -p",
    "curl -u u:",
    "sshpass -p ",
    "-----BEGIN ",
    "PRIVATE KEY-----",
    "-----END ",
    "ENC(",
    "$ANSIBLE_VAULT;1.1;AES256\n",
    "data:\n  k: ",
    "kind: Secret\n",
    "{\"auths\":{\"h\":{\"auth\":\"",
    "\u{feff}",
    "\u{4e2d}\u{6587}",
    "\u{ff1a}",
    "PK\x03\x04",
    "\x1f\u{8b}\x08",
    "BZh9",
    "\u{fd}7zXZ\0",
    "ustar",
    "SQLite format 3\0",
    "!<arch>\n",
    "PACK\0\0\0\x02",
    "%PDF-1.4\n",
    "stream\n",
    "endstream",
    "tree 5\0",
    "blob 9\0",
    "eyJhbGciOiJIUzI1NiJ9.",
    "_HiStOrY_V2_\n",
];

/// Beginnings of credentials, each followed by characters drawn here: none is a key.
const STARTS: &[(&str, usize)] = &[
    ("AKIA", 16),
    ("ASIA", 16),
    ("LTAI5t", 18),
    ("AKID", 32),
    ("AKLT", 43),
    ("ALTAK", 21),
    ("JDC_", 30),
    ("HPUA", 16),
    ("ghp_", 36),
    ("glpat-", 20),
    ("xoxb-", 40),
    ("sk-", 48),
    ("AIza", 35),
    ("npm_", 36),
    ("hvs.", 92),
    ("dop_v1_", 64),
    ("", 40),
    ("", 32),
    ("", 20),
    ("", 16),
];

const TOKEN: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-";

/// Makes an input: from `seeds` if there are any and chance wills, else from words alone; then mutated.
pub fn input(numbers: &mut Numbers, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = if seeds.is_empty() || numbers.below(3) == 0 {
        composed(numbers)
    } else {
        seeds[numbers.below(seeds.len())].clone()
    };
    for _ in 0..numbers.below(8) {
        mutate(&mut bytes, numbers, seeds);
    }
    bytes.truncate(1 << 14);
    bytes
}

fn composed(numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..numbers.below(40) {
        piece(&mut bytes, numbers);
    }
    bytes
}

/// Appends a word, a credential's form, or both in an encoding.
fn piece(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    match numbers.below(8) {
        0..=4 => bytes.extend(WORDS[numbers.below(WORDS.len())].bytes()),
        5 | 6 => drawn(bytes, numbers),
        _ => {
            let mut inner = Vec::new();
            drawn(&mut inner, numbers);
            inner.extend(WORDS[numbers.below(WORDS.len())].bytes());
            let text = match numbers.below(4) {
                0 => encode::base64(&inner),
                1 => encode::hex(&inner),
                2 => encode::percent(&inner),
                _ => encode::unicode(&inner),
            };
            bytes.extend(text.bytes());
        }
    }
}

fn drawn(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    let (start, length) = STARTS[numbers.below(STARTS.len())];
    bytes.extend(start.bytes());
    for _ in 0..length {
        bytes.push(TOKEN[numbers.below(TOKEN.len())]);
    }
}

fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers, seeds: &[Vec<u8>]) {
    let at = numbers.below(bytes.len() + 1);
    let low = numbers.next_number().to_le_bytes()[0];
    match numbers.below(9) {
        0 if at < bytes.len() => bytes[at] = low,
        1 if at < bytes.len() => bytes[at] ^= 1 << (low & 7),
        2 => bytes.truncate(at),
        3 => bytes.insert(at, low),
        4 => {
            let end = (at + numbers.below(64)).min(bytes.len());
            bytes.drain(at..end);
        }
        5 => {
            let mut new = Vec::new();
            piece(&mut new, numbers);
            bytes.splice(at..at, new);
        }
        6 => {
            let end = (at + numbers.below(200)).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            let to = numbers.below(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
        7 if !seeds.is_empty() => {
            let other = &seeds[numbers.below(seeds.len())];
            bytes.truncate(at);
            bytes.extend_from_slice(&other[numbers.below(other.len() + 1)..]);
        }
        _ => {
            // A field of a container's head set to an extreme.
            let value = [0_u32, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff][numbers.below(7)];
            let four = if low & 1 == 0 {
                value.to_le_bytes()
            } else {
                value.to_be_bytes()
            };
            for (to, from) in bytes.iter_mut().skip(at).zip(four) {
                *to = from;
            }
        }
    }
}
