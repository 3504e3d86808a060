//! The table of programs: which of their words carry a secret, and what those words are.
//!
//! It is data (`commands.toml`). A flag whose own name says what follows needs no row; here are
//! those that do not say it, and the positions behind sub-commands.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde::Deserialize;

use crate::syntax::calls::RawCall;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Meaning {
    /// Nothing, and what follows is no value of it.
    Nothing,
    /// A position that does not matter, or a flag's value that does not.
    Skip,
    Password,
    /// A file with a password, which another command may write: `-f <(echo …)`.
    PasswordFile,
    SecretKey,
    AccessKeyId,
    SecretId,
    SessionToken,
    Token,
    /// Key and secret, `AK:SK`.
    KeyPair,
    /// A connection string or URL.
    Url,
    /// `user:password`.
    UserPassword,
    /// `domain\user%password`.
    SmbUser,
    /// `user,password`.
    CommaUser,
    /// `user/password@service`.
    Oracle,
    /// `pass:password`, as openssl writes it.
    PassArgument,
    /// A password alone, or a user and then a password.
    UserThenPassword,
    /// `Name: value`.
    Header,
    /// `name=value`, or several with `,`, `&`, `;` or blanks between.
    Pairs,
    /// A command line.
    Shell,
    /// Statements of SQL.
    Sql,
    /// A line of a programming language.
    Code,
    /// Editing commands of sed: what they put in.
    Sed,
    /// Percona's `h=host,u=user,p=password`.
    Percona,
    /// A value that stands beside the name before it.
    Value,
    /// A name for the value behind it.
    Name,
}

impl Meaning {
    /// Whether the word itself is nothing that is told.
    pub(crate) fn is_no_value(self) -> bool {
        matches!(
            self,
            Meaning::Nothing
                | Meaning::Skip
                | Meaning::Value
                | Meaning::Name
                | Meaning::PasswordFile
        )
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    command: Vec<RawCommand>,
    call: Vec<RawCall>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCommand {
    programs: Vec<String>,
    #[serde(default)]
    flags: HashMap<String, Meaning>,
    #[serde(default)]
    attached: Vec<String>,
    #[serde(default)]
    letters: String,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    when: Vec<String>,
    #[serde(default)]
    positional: BTreeMap<String, Vec<Meaning>>,
    #[serde(default)]
    stdin: BTreeMap<String, Meaning>,
    #[serde(default)]
    inner: Option<Meaning>,
}

/// One row, as its programs are read.
#[derive(Debug)]
pub(crate) struct Row {
    flags: HashMap<Vec<u8>, Meaning>,
    /// Flags whose value must be attached.
    attached: Vec<Vec<u8>>,
    /// Letters of flags without a value, which may stand before another in one word.
    letters: Vec<u8>,
    /// Flags that take a value that does not matter.
    values: Vec<Vec<u8>>,
    when: Vec<Vec<u8>>,
    /// Words of a sub-command, and what comes after.
    pub(crate) positional: Vec<(Vec<Vec<u8>>, Vec<Meaning>)>,
    /// The flag with which it reads standard input, and what it reads there.
    pub(crate) stdin: Vec<(Vec<u8>, Meaning)>,
    /// What a word with blanks is.
    pub(crate) inner: Option<Meaning>,
}

/// What a flag carries and how many bytes of its word come before the value; all of them when the
/// value is the next word.
pub(crate) struct Carried {
    pub(crate) meaning: Meaning,
    pub(crate) skip: usize,
    pub(crate) next: bool,
}

impl Row {
    /// Whether the row holds for a command with these words.
    pub(crate) fn is_due<'w>(&self, words: impl Iterator<Item = &'w [u8]>) -> bool {
        self.when.is_empty()
            || words
                .into_iter()
                .any(|word| self.when.iter().any(|when| when == word))
    }

    /// What the flag `word` carries, if the row knows it.
    pub(crate) fn flag(&self, word: &[u8]) -> Option<Carried> {
        let equals = memchr::memchr(b'=', &word[..word.len().min(64)]);
        let name = &word[..equals.unwrap_or(word.len())];
        if let Some(&meaning) = self.flags.get(name) {
            return Some(match equals {
                Some(at) => Carried {
                    meaning,
                    skip: at + 1,
                    next: false,
                },
                None if self.attached.iter().any(|flag| flag == name) => Carried {
                    meaning: Meaning::Nothing,
                    skip: word.len(),
                    next: false,
                },
                None => Carried {
                    meaning,
                    skip: word.len(),
                    next: meaning != Meaning::Nothing,
                },
            });
        }
        self.cluster(word).or_else(|| self.prefixed(word))
    }

    /// What a long flag carries whose value must be attached, where it is not.
    pub(crate) fn parted(&self, word: &[u8]) -> Option<Meaning> {
        let long = word.starts_with(b"--") && self.attached.iter().any(|flag| flag == word);
        self.flags.get(word).copied().filter(|_| long)
    }

    /// `-sSu user:password`, `-pPASSWORD`.
    fn cluster(&self, word: &[u8]) -> Option<Carried> {
        // `-hpPASSWORD`: a flag of two letters.
        let pair = word
            .get(..3)
            .filter(|flag| self.attached.iter().any(|known| known == flag));
        if let Some((flag, &meaning)) = pair.and_then(|flag| self.flags.get_key_value(flag)) {
            return (word.len() > flag.len()).then_some(Carried {
                meaning,
                skip: flag.len(),
                next: false,
            });
        }
        // `-password` is one flag by its own name.
        let named = word.starts_with(b"-pass");
        if word.len() < 3 || word[0] != b'-' || word[1] == b'-' || named {
            return None;
        }
        for (at, &letter) in word.iter().enumerate().skip(1).take(16) {
            if let Some(&meaning) = self.flags.get(&[b'-', letter][..]) {
                let next = at + 1 == word.len();
                let alone = self.attached.iter().any(|flag| flag[..] == [b'-', letter]);
                return (!(next && alone)).then_some(Carried {
                    meaning,
                    skip: at + 1,
                    next,
                });
            }
            if !self.letters.contains(&letter) {
                return None;
            }
        }
        None
    }

    /// Flags that end with their own separator: `/p:PASSWORD`.
    fn prefixed(&self, word: &[u8]) -> Option<Carried> {
        let colon = memchr::memchr(b':', &word[..word.len().min(16)])?;
        let meaning = *self.flags.get(&word[..=colon])?;
        Some(Carried {
            meaning,
            skip: colon + 1,
            next: false,
        })
    }

    /// Whether `word` is a flag whose value is the next word, so that that one is no position.
    pub(crate) fn takes_value(&self, word: &[u8]) -> bool {
        self.values.iter().any(|flag| flag == word)
            || (self
                .flags
                .get(word)
                .is_some_and(|&meaning| meaning != Meaning::Nothing)
                && !self.attached.iter().any(|flag| flag == word))
    }
}

/// The rows of the program called `name`, a path or a bare name in any case.
pub(crate) fn rows_of(name: &[u8]) -> &'static [Row] {
    let name = name
        .rsplit(|&b| b == b'/' || b == b'\\')
        .next()
        .unwrap_or_default();
    if name.is_empty() || name.len() > LONGEST_NAME {
        return &[];
    }
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(b".exe").unwrap_or(&name);
    let table = table();
    let at = table.by_name.get(name).or_else(|| {
        // `mysql8`, `psql-15`, `python3.11`: a version behind the name.
        let end = name.iter().rposition(u8::is_ascii_alphabetic)? + 1;
        table.by_name.get(&name[..end])
    });
    at.map_or(&[], |&at| table.rows[at].as_slice())
}

const LONGEST_NAME: usize = 40;

struct Table {
    by_name: HashMap<Vec<u8>, usize>,
    rows: Vec<Vec<Row>>,
}

fn raw() -> RawTable {
    toml::from_str(include_str!("../../../commands.toml"))
        .expect("invariant: the embedded table is parsed by a test")
}

/// The calls of programming languages that stand in the same file.
pub(crate) fn calls() -> Vec<RawCall> {
    raw().call
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let raw = raw();
        let mut table = Table {
            by_name: HashMap::new(),
            rows: Vec::new(),
        };
        for row in &raw.command {
            for name in &row.programs {
                let next = table.rows.len();
                let at = *table
                    .by_name
                    .entry(name.to_ascii_lowercase().into_bytes())
                    .or_insert(next);
                if at == next {
                    table.rows.push(Vec::new());
                }
                table.rows[at].push(row_of(row));
            }
        }
        table
    })
}

fn row_of(raw: &RawCommand) -> Row {
    let bytes = |names: &[String]| names.iter().map(|name| name.clone().into_bytes()).collect();
    Row {
        flags: raw
            .flags
            .iter()
            .map(|(flag, &meaning)| (flag.clone().into_bytes(), meaning))
            .collect(),
        attached: bytes(&raw.attached),
        letters: raw.letters.clone().into_bytes(),
        values: bytes(&raw.values),
        when: bytes(&raw.when),
        positional: raw
            .positional
            .iter()
            .map(|(words, meanings)| {
                let words = words
                    .split_whitespace()
                    .map(|word| word.as_bytes().to_vec());
                (words.collect(), meanings.clone())
            })
            .collect(),
        stdin: raw
            .stdin
            .iter()
            .map(|(flag, &meaning)| (flag.clone().into_bytes(), meaning))
            .collect(),
        inner: raw.inner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_knows_many_programs_by_any_of_their_names() {
        assert!(table().by_name.len() >= 200, "{}", table().by_name.len());
        for name in [
            "mysql",
            "/usr/bin/mysql",
            "C:\\tools\\mysql.exe",
            "MySQL",
            "psql15",
        ] {
            assert!(!rows_of(name.as_bytes()).is_empty(), "{name}");
        }
        assert!(rows_of(b"no-such-program").is_empty() && rows_of(b"").is_empty());
    }

    #[test]
    fn flags_are_found_alone_joined_and_in_clusters() {
        for (program, word, skip) in [
            ("mysql", "-pSecret99", Some(2)),
            ("mysql", "-p", None),
            ("mysql", "--password=x", Some(11)),
            ("curl", "-u", Some(2)),
            ("curl", "-sSku", Some(5)),
            ("curl", "-sSkubob:x", Some(5)),
            ("curl", "-O", None),
            ("xfreerdp", "/p:x", Some(3)),
            ("obsutil", "-k=x", Some(3)),
        ] {
            let found = rows_of(program.as_bytes())
                .iter()
                .find_map(|row| row.flag(word.as_bytes()))
                .filter(|found| found.meaning != Meaning::Nothing)
                .map(|found| found.skip);
            assert_eq!(found, skip, "{program} {word}");
        }
    }
}
