//! A made corpus: 20,000 small configuration files, 100 MB, 200 planted pairs. The same for a seed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// A small generator of numbers that is the same everywhere (SplitMix64, public domain).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Starts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

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

    /// One of `all`.
    pub fn one<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// `length` characters of `alphabet`.
    pub fn text(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet = alphabet.as_bytes();
        (0..length)
            .map(|_| char::from(alphabet[self.below(alphabet.len())]))
            .collect()
    }
}

/// What made files speak of.
pub const WORDS: &[&str] = &[
    "server",
    "port",
    "host",
    "timeout",
    "cache",
    "pool",
    "size",
    "max",
    "min",
    "retry",
    "log",
    "level",
    "path",
    "name",
    "user",
    "group",
    "mode",
    "region",
    "zone",
    "bucket",
    "endpoint",
    "queue",
    "topic",
    "index",
    "shard",
    "replica",
    "batch",
    "window",
    "interval",
    "enabled",
    "disabled",
    "default",
    "primary",
    "secondary",
    "backup",
    "restore",
    "metrics",
    "trace",
    "span",
    "format",
    "encoding",
    "charset",
    "locale",
    "theme",
    "color",
    "width",
    "height",
    "version",
    "schema",
    "table",
    "column",
    "driver",
    "url",
    "proxy",
    "header",
    "cookie",
    "session",
    "domain",
    "service",
    "worker",
    "thread",
    "memory",
    "limit",
    "request",
    "response",
    "filter",
    "rule",
];
const SENSITIVE: &[&str] = &[
    "password",
    "secret",
    "token",
    "apiKey",
    "access_key",
    "credential",
];
/// Letters and digits.
pub const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Makes the corpus below `directory` unless it is there; gives its path.
///
/// # Errors
/// When it cannot be written.
pub fn small_files(directory: &Path) -> Result<PathBuf> {
    let corpus = directory.join("etc-like");
    let complete = directory.join("etc-like.complete");
    if complete.exists() {
        return Ok(corpus);
    }
    let mut numbers = Numbers::new(20_261_121);
    for number in 0..20_000 {
        let folder = corpus.join(format!("{:03}", number / 100));
        fs::create_dir_all(&folder)?;
        // Sizes are log-uniform from 64 B to 32 KB.
        let size = 64_usize << numbers.below(9);
        let size = size + numbers.below(size);
        let (extension, text) = file(&mut numbers, size, number % 100 == 7);
        fs::write(folder.join(format!("{number}.{extension}")), text)?;
    }
    fs::write(complete, "")?;
    Ok(corpus)
}

fn file(numbers: &mut Numbers, size: usize, planted: bool) -> (&'static str, String) {
    let mut text = String::with_capacity(size + 256);
    let kind = numbers.below(6);
    let extension = ["yaml", "ini", "json", "properties", "env", "sh_history"][kind];
    if kind == 2 {
        text.push_str("{\n");
    }
    let at = if planted {
        numbers.below(size)
    } else {
        usize::MAX
    };
    let mut done = false;
    while text.len() < size {
        if !done && text.len() >= at {
            pair(numbers, kind, &mut text);
            done = true;
        }
        let sensitive = numbers.below(45) == 0;
        let key = if sensitive {
            numbers.one(SENSITIVE)
        } else {
            numbers.one(WORDS)
        };
        let other = numbers.one(WORDS);
        let value = value(numbers, sensitive);
        line(kind, &mut text, &format!("{other}_{key}"), &value);
    }
    if kind == 2 {
        text.push_str("  \"end\": true\n}\n");
    }
    (extension, text)
}

fn line(kind: usize, text: &mut String, key: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = match kind {
        0 => writeln!(text, "  {key}: {value}"),
        1 => writeln!(text, "{key} = {value}"),
        2 => writeln!(text, "  \"{key}\": \"{value}\","),
        3 => writeln!(text, "app.{}={value}", key.replace('_', ".")),
        4 => writeln!(text, "{}={value}", key.to_uppercase()),
        _ => writeln!(text, "deploy --{key} {value}"),
    };
}

fn value(numbers: &mut Numbers, sensitive: bool) -> String {
    match numbers.below(if sensitive { 3 } else { 8 }) {
        0 => format!("${{{}}}", numbers.one(WORDS).to_uppercase()),
        1 => numbers.one(WORDS).to_owned(),
        2 => "changeme".to_owned(),
        3 => numbers.below(100_000).to_string(),
        4 => format!("/var/lib/{}/{}", numbers.one(WORDS), numbers.one(WORDS)),
        5 => format!(
            "https://{}.example.com/{}",
            numbers.one(WORDS),
            numbers.one(WORDS)
        ),
        6 => numbers.text("0123456789abcdef", 32),
        _ => format!("{} {}", numbers.one(WORDS), numbers.one(WORDS)),
    }
}

fn pair(numbers: &mut Numbers, kind: usize, text: &mut String) {
    let (id_key, secret_key, id, secret) = match numbers.below(3) {
        0 => (
            "alibaba_access_key_id",
            "alibaba_access_key_secret",
            format!("LTAI5t{}", numbers.text(ALNUM, 18)),
            numbers.text(ALNUM, 30),
        ),
        1 => (
            "tencent_secret_id",
            "tencent_secret_key",
            format!("AKID{}", numbers.text(ALNUM, 32)),
            numbers.text(ALNUM, 32),
        ),
        _ => (
            "aws_access_key_id",
            "aws_secret_access_key",
            format!(
                "AKIA{}",
                numbers.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)
            ),
            numbers.text(&format!("{ALNUM}/+"), 40),
        ),
    };
    if kind == 5 {
        let _ = writeln!(
            text,
            "export {}={id} {}={secret}",
            id_key.to_uppercase(),
            secret_key.to_uppercase()
        );
        return;
    }
    line(kind, text, id_key, &id);
    line(kind, text, secret_key, &secret);
}
