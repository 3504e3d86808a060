//! Passwords that people made of words, weighed by where they stand.
//!
//! `blooberry` is a password in a `.env` file, a label in a translation, a type in a schema and a
//! variable in a program: the value cannot tell. What [`quiet`] lets pass by its looks is told as it is;
//! what it turns down for being a word comes here, where the place has to speak for it: the format, the
//! file's name, the key, what stands beside it. Each says a little, and it takes several of them. Below
//! trees of packages and texts for people nothing is enough; below tests it takes more.

use std::collections::HashMap;

use akwatch_proto::limits;

use super::{Candidate, MemberName, quiet};
use crate::content::Format;
use crate::documentation;
use crate::rule::name;
use crate::syntax::{Field, ScopeId, literal, shell};

/// What it takes to tell a word.
const ENOUGH: i8 = 3;
/// What speaks for itself: a sentence, a driver's string.
pub(crate) const SPOKEN: i8 = 3;
/// A program compares what is given to it with the value: even two words joined by a dash are no name.
pub(crate) const COMPARED: i8 = 5;
/// A setting that is commented out is more often its author's default than one that was in force.
pub(crate) const REMARK: i8 = -3;
/// Where nothing is enough.
const NEVER: i8 = -100;
/// The longest word that people type.
const LONGEST: usize = 64;

/// Words beside a password's name that say what it is or what becomes of it, and the word for password
/// itself, as forms are labelled. Folded.
const VOCABULARY: [&str; 89] = [
    "adgangskode",
    "anonymous",
    "argument",
    "attribute",
    "authenticate",
    "authentication",
    "authorization",
    "autogenerate",
    "automatic",
    "bytearray",
    "callable",
    "character",
    "characters",
    "charfield",
    "confirmation",
    "contrasena",
    "credential",
    "credentials",
    "cryptography",
    "current",
    "deprecated",
    "description",
    "encrypted",
    "existing",
    "expired",
    "external",
    "forgotten",
    "function",
    "generate",
    "generated",
    "hostname",
    "identifier",
    "ignored",
    "incorrect",
    "inherited",
    "integer",
    "interactive",
    "internal",
    "invalid",
    "jelszo",
    "kennwort",
    "kerberos",
    "keychain",
    "keyring",
    "localhost",
    "losenord",
    "lozinka",
    "mandatory",
    "missing",
    "motdepasse",
    "notempty",
    "nullable",
    "object",
    "original",
    "parameter",
    "passord",
    "passphrase",
    "passwort",
    "permission",
    "plaintext",
    "previous",
    "private",
    "property",
    "protected",
    "publickey",
    "randomized",
    "recovery",
    "register",
    "requisite",
    "restricted",
    "salasana",
    "secretstr",
    "securestring",
    "sensitive",
    "strength",
    "sufficient",
    "template",
    "temporary",
    "textfield",
    "textinput",
    "unchanged",
    "unencrypted",
    "unlimited",
    "uppercase",
    "validate",
    "validation",
    "validator",
    "variable",
    "wachtwoord",
];

/// Words of a key path that say that what follows is about a password, not one.
const ABOUT: [&str; 49] = [
    "column",
    "columns",
    "confirm",
    "description",
    "error",
    "errors",
    "example",
    "examples",
    "field",
    "fields",
    "forgot",
    "form",
    "format",
    "forms",
    "help",
    "hide",
    "hint",
    "i18n",
    "icon",
    "incorrect",
    "invalid",
    "label",
    "labels",
    "lang",
    "locale",
    "mapping",
    "max",
    "message",
    "messages",
    "min",
    "mode",
    "placeholder",
    "placeholders",
    "policy",
    "prompt",
    "properties",
    "reset",
    "retype",
    "rule",
    "rules",
    "schema",
    "show",
    "title",
    "tooltip",
    "translation",
    "translations",
    "type",
    "validation",
    "wrong",
];

/// Words of a key path that name a service with logins.
const SERVICES: [&str; 46] = [
    "admin",
    "broker",
    "cache",
    "clickhouse",
    "database",
    "datasource",
    "db",
    "elastic",
    "elasticsearch",
    "email",
    "ftp",
    "imap",
    "jdbc",
    "jenkins",
    "jwt",
    "kafka",
    "keystore",
    "ldap",
    "login",
    "mail",
    "mariadb",
    "master",
    "masterauth",
    "minio",
    "mongo",
    "mongodb",
    "mq",
    "mssql",
    "mysql",
    "nacos",
    "oracle",
    "pg",
    "postgres",
    "postgresql",
    "proxy",
    "rabbitmq",
    "redis",
    "registry",
    "requirepass",
    "root",
    "smtp",
    "sql",
    "ssh",
    "truststore",
    "vpn",
    "wifi",
];

/// Words of a file's name that say settings.
const SETTINGS: [&str; 27] = [
    "ansible",
    "app",
    "application",
    "bootstrap",
    "cfg",
    "cnf",
    "compose",
    "conf",
    "config",
    "configuration",
    "connection",
    "credential",
    "credentials",
    "datasource",
    "db",
    "env",
    "hosts",
    "ini",
    "inventory",
    "local",
    "prod",
    "properties",
    "secret",
    "secrets",
    "settings",
    "values",
    "vars",
];

/// Words of a file's path that say translations, examples and descriptions.
const DESCRIBING: [&str; 23] = [
    "demo",
    "doc",
    "docs",
    "example",
    "examples",
    "i18n",
    "l10n",
    "lang",
    "language",
    "languages",
    "locale",
    "locales",
    "messages",
    "openapi",
    "sample",
    "samples",
    "schema",
    "schemas",
    "strings",
    "swagger",
    "template",
    "translation",
    "translations",
];

/// Words of a file's path that say tests. People run them against real servers too: what
/// stands there needs more to speak for it, and is not out of the question.
const TRYING: [&str; 9] = [
    "fixture", "fixtures", "mock", "mocks", "spec", "specs", "test", "testdata", "tests",
];
/// What such a path takes.
const TRIED: i8 = -2;

/// Whether a value that looks like no password may still be one that a person chose, whatever the
/// place: what the sieve asks of the bytes behind a password's name.
pub(crate) fn may_be(value: &[u8]) -> bool {
    looks(value).is_some()
}

/// Whether the line up to `start` is commented out.
pub(crate) fn is_remark(text: &[u8], start: usize) -> bool {
    let before = &text[start.saturating_sub(LONGEST * 2)..start];
    let Some(line) = memchr::memrchr(b'\n', before).map(|n| &before[n + 1..]) else {
        return start <= LONGEST * 2 && begins_remark(before);
    };
    begins_remark(line)
}

fn begins_remark(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    [&b"#"[..], b";", b"//", b"-- "]
        .iter()
        .any(|mark| line.starts_with(mark))
}

/// Whether the string at `start` is what a program compares the value of a name with.
pub(crate) fn is_compared(text: &[u8], start: usize) -> bool {
    let before = &text[start.saturating_sub(8)..start];
    let quote = before
        .iter()
        .rev()
        .take_while(|&&b| literal::is_quote(b))
        .count();
    let before = before[..before.len() - quote].trim_ascii_end();
    before.ends_with(b"==") || before.ends_with(b"!=")
}

/// Whether the first string behind the separator at `at` is a word that somebody may have chosen.
pub(crate) fn may_follow(text: &[u8], at: usize, end: usize) -> bool {
    let rest = &text[at..end.min(at + 128)];
    let Some(quote) = rest.iter().take(8).position(|&b| literal::is_quote(b)) else {
        return false;
    };
    let inner = &rest[quote + 1..];
    let length = memchr::memchr(rest[quote], inner);
    length.is_some_and(|length| may_be(&inner[..length]))
}

/// Whether a mark stands in the value that no name of a thing has: `development#stage`.
pub(crate) fn has_mark(value: &[u8]) -> bool {
    value.iter().any(|b| b"@#!$%^&*+?~".contains(b)) && may_be(value)
}

/// What key and `place` say for a word beside the name `path`; none if it can be no password there.
pub(crate) fn weigh(value: &[u8], path: &[u8], place: i8) -> Option<i8> {
    let looks = looks(value)?;
    let weight = looks.saturating_add(of_key(path)?).saturating_add(place);
    (weight > NEVER / 2).then_some(weight)
}

/// What the value's own looks add or take.
fn looks(value: &[u8]) -> Option<i8> {
    let typed = |b: &u8| b.is_ascii_alphanumeric() || b"-_.@#!$%^&*+=?~".contains(b);
    if !(limits::SHORTEST_PASSWORD..=LONGEST).contains(&value.len()) || !value.iter().all(typed) {
        return None;
    }
    let count = |is: fn(&u8) -> bool| value.iter().filter(|b| is(b)).count();
    let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
    let marks = count(|b| b"@#!$%^&*+?~".contains(b));
    if digits == value.len() {
        // People do choose a number; nothing but one figure is no choice.
        return value.iter().any(|&b| b != b'0').then_some(-1);
    }
    let folded = name::fold(value);
    let word = std::str::from_utf8(&folded).unwrap_or_default();
    let known = VOCABULARY.binary_search(&word).is_ok() || quiet::is_common_word(&folded);
    let weak = digits + marks > 0;
    // `@SECRET_KEY@`, `***REMOVED***`: what a build puts in, or took out.
    let framed = value.first() == value.last() && !value[0].is_ascii_alphanumeric();
    if letters < 3
        || framed
        || quiet::hides_placeholder(value)
        || quiet::is_reference(value)
        || quiet::is_stand_in(value)
        || (known && !weak)
    {
        return None;
    }
    let varied = value.iter().any(|b| *b != value[0]);
    let named = says_password(&folded, weak)?;
    let joints = value
        .windows(3)
        .filter(|three| matches!(three[1], b'-' | b'_' | b'.' | b'='))
        .count();
    let dashes = count(|b| *b == b'-');
    // Names of variables, files, properties: a word of marks or figures among them is no name.
    if !varied || (marks == 0 && digits < 2 && joints > dashes) || dashes > 3 {
        return None;
    }
    let humps = value
        .windows(2)
        .filter(|two| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase())
        .count();
    let shouted = value.iter().all(|b| !b.is_ascii_lowercase());
    let titled = value[0].is_ascii_uppercase() && humps == 0 && !shouted;
    let mut weight = named;
    if marks == 0 && digits < 2 {
        weight -= i8::from(titled || shouted) + 2 * i8::from(dashes > 0 || humps > 0);
    } else {
        weight += 1;
    }
    Some(weight)
}

/// What the words for a password take inside one: `dbpassword` is a variable, `thisismypassword` is
/// somebody's idea, `Password2019` as well.
fn says_password(folded: &[u8], weak: bool) -> Option<i8> {
    const WORDS: [&[u8]; 8] = [
        b"password",
        b"passwd",
        b"passphrase",
        b"passwort",
        b"username",
        b"credential",
        b"secret",
        b"token",
    ];
    let Some(word) = WORDS
        .iter()
        .find(|word| memchr::memmem::find(folded, word).is_some())
    else {
        return Some(0);
    };
    let own = !word.starts_with(b"pass");
    match folded.len() - word.len() {
        _ if weak => Some(-1),
        _ if own => None,
        0..8 => None,
        _ => Some(0),
    }
}

/// What the key path adds or takes.
fn of_key(path: &[u8]) -> Option<i8> {
    let path = &path[path.len().saturating_sub(LONGEST * 2)..];
    let words = words(path);
    let has = |list: &[&str]| {
        words
            .iter()
            .any(|word| list.binary_search(&word.as_str()).is_ok())
    };
    if has(&ABOUT) {
        return None;
    }
    let last = words.last().map_or("", String::as_str);
    let mut weight = i8::from(has(&SERVICES));
    // `pass` counts tests, and `secret` names objects of clusters.
    weight -= i8::from(matches!(last, "pass" | "secret"));
    let program = path.split(|&b| b == b'.').next().unwrap_or_default();
    if program.len() < path.len() && shell::is_program(program) {
        weight += 2;
    }
    Some(weight)
}

/// What the file's format and name add or take.
pub(crate) fn of_file(format: Format, member: &MemberName) -> i8 {
    let names = || std::iter::once(&member.name).chain(&member.inside);
    let mut tried = 0;
    for name in names() {
        let short = &name[name.len().saturating_sub(512)..];
        let told = words(short);
        let describes = |word: &String| DESCRIBING.binary_search(&word.as_str()).is_ok();
        if documentation::is_documentation(name)
            || documentation::is_packaged(name)
            || told.iter().any(describes)
        {
            return NEVER;
        }
        let tries = |word: &String| TRYING.binary_search(&word.as_str()).is_ok();
        if told.iter().any(tries) {
            tried = TRIED;
        }
    }
    let innermost = member.inside.last().unwrap_or(&member.name);
    let file = innermost.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let settings = words(file)
        .iter()
        .any(|word| SETTINGS.binary_search(&word.as_str()).is_ok());
    i8::from(settings) + of_format(format) + tried
}

fn of_format(format: Format) -> i8 {
    match format {
        Format::Environ
        | Format::Argv
        | Format::BashHistory
        | Format::ZshHistory
        | Format::FishHistory
        | Format::PowerShell
        | Format::SqlHistory
        | Format::RedisHistory
        | Format::Sql
        | Format::Unit
        | Format::Netrc
        | Format::PgPass
        | Format::ChapSecrets
        | Format::KeyPairs
        | Format::Logins
        | Format::IpsecSecrets
        | Format::UserList
        | Format::CurlRc
        | Format::PipedKeys => 3,
        Format::Dotenv
        | Format::Ini
        | Format::Properties
        | Format::Toml
        | Format::Shell
        | Format::Viminfo
        | Format::Crontab
        | Format::Dockerfile
        | Format::Makefile
        | Format::Directives
        | Format::Conf => 2,
        Format::Yaml | Format::Json | Format::Xml | Format::Hcl | Format::Csv | Format::Notes => 1,
        Format::CodeHistory | Format::Guess | Format::Text => 0,
    }
}

/// The words of a name, in lower case: `spring.dataSource-pw2` has four.
pub(crate) fn words(name: &[u8]) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = 0_u8;
    for &byte in name {
        let hump = byte.is_ascii_uppercase() && before.is_ascii_lowercase();
        if !byte.is_ascii_alphanumeric() || hump {
            words.push(String::new());
        }
        if byte.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
        before = byte;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The last of the [`words`] of a name, as it is written.
fn last_word(name: &[u8]) -> Option<&[u8]> {
    let end = name.iter().rposition(u8::is_ascii_alphanumeric)? + 1;
    let begins = |at: &usize| {
        let Some(before) = at.checked_sub(1).map(|before| name[before]) else {
            return true;
        };
        let hump = name[*at].is_ascii_uppercase() && before.is_ascii_lowercase();
        hump || !before.is_ascii_alphanumeric()
    };
    let start = (0..end).rev().find(begins)?;
    Some(&name[start..end])
}

/// What stands beside a value in its scope.
#[derive(Default)]
struct Beside {
    /// One bit for each kind of setting that goes with a password.
    kinds: u8,
    /// A value says what its own key says: labels.
    labels: bool,
}

impl Beside {
    fn weight(&self) -> i8 {
        match self.kinds.count_ones() {
            _ if self.labels => -4,
            0 => 0,
            1 => 2,
            _ => 3,
        }
    }
}

/// Decides about the words among `found`, candidates of `text` whose `fields` were read: what stands
/// beside each has its say.
pub(crate) fn settle(
    found: &mut Vec<Candidate>,
    from: usize,
    text: &[u8],
    fields: &[Field],
    code: bool,
) {
    let mut scopes: HashMap<ScopeId, Beside> = HashMap::new();
    for candidate in found[from..].iter().filter(|found| found.doubt.is_some()) {
        scopes.entry(candidate.scope).or_default();
    }
    if scopes.is_empty() {
        return;
    }
    for field in fields {
        if let Some(beside) = scopes.get_mut(&field.scope)
            && (field.quoted || !code)
        {
            hear(field, text, beside);
        }
    }
    let mut at = 0;
    found.retain_mut(|candidate| {
        at += 1;
        let doubt = candidate.doubt.take();
        at <= from
            || doubt.is_none_or(|weight| {
                let beside = scopes.get(&candidate.scope).map_or(0, Beside::weight);
                weight.saturating_add(beside) >= ENOUGH
            })
    });
}

/// Names of what goes with a password: who, where, which.
const KINDS: [&[&str]; 4] = [
    &[
        "account", "login", "uid", "user", "userid", "username", "usr",
    ],
    &[
        "addr", "address", "endpoint", "host", "hostname", "ip", "server", "uri", "url",
    ],
    &["port"],
    &["database", "db", "dbname", "dialect", "driver", "engine"],
];

fn hear(field: &Field, text: &[u8], beside: &mut Beside) {
    let value = field.value(text).trim_ascii();
    if value.is_empty() || value.len() > 256 {
        return;
    }
    let key = field.path.rsplit(|&b| b == b'.').next().unwrap_or_default();
    let Some(last) = last_word(key) else {
        return;
    };
    let own = name::fold(key);
    let Some(kind) = KINDS.iter().position(|kind| {
        let says =
            |word: &&str| last.eq_ignore_ascii_case(word.as_bytes()) || own == word.as_bytes();
        kind.iter().any(says)
    }) else {
        return;
    };
    let folded = name::fold(value);
    let spoken = value[0].is_ascii_uppercase() && value.contains(&b' ');
    if folded == own || spoken {
        beside.labels = true;
        return;
    }
    let blank = value.iter().any(u8::is_ascii_whitespace);
    let word = std::str::from_utf8(&folded).unwrap_or_default();
    let vague = VOCABULARY.binary_search(&word).is_ok() || quiet::is_common_word(&folded);
    let odd = value
        .iter()
        .any(|b| b.is_ascii_digit() || b".@:$/_\\".contains(b));
    let plain = value[0].is_ascii_lowercase() || folded == b"administrator";
    let fits = match kind {
        2 => value.iter().all(u8::is_ascii_digit) || value.starts_with(b"$"),
        1 if folded == b"localhost" => true,
        _ => !blank && !vague && (odd || (plain && value.len() <= 32)),
    };
    beside.kinds |= u8::from(fits) << kind;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<i8>) {
        assert_eq!(looks(value.as_bytes()), expected, "{value}");
    }

    #[test]
    fn lists_are_in_order() {
        for list in [
            &VOCABULARY[..],
            &ABOUT,
            &SERVICES,
            &SETTINGS,
            &DESCRIBING,
            &TRYING,
        ] {
            assert!(list.is_sorted(), "{list:?}");
        }
    }

    #[test]
    fn the_last_word_is_that_of_all() {
        for name in [
            "",
            "-",
            "user",
            "dbUser",
            "DB_USER_",
            "a.b-userName2",
            "HTTPServer",
            "x1Y",
            "é_u",
        ] {
            let all = words(name.as_bytes());
            let last = last_word(name.as_bytes()).map(<[u8]>::to_ascii_lowercase);
            assert_eq!(last.as_deref(), all.last().map(String::as_bytes), "{name}");
        }
    }

    #[test]
    fn words_are_told_from_names() {
        check("gooseberry", Some(0));
        check("thisisourpassword", Some(0));
        check("Summertime", Some(-1));
        check("sesame-street", Some(-2));
        check("Gooseberry$", Some(1));
        check("Password2019", Some(0));
        check("20190817", Some(-1));
        check("00000000", None);
        check("short", None);
        check("db_password", None);
        check("user_password", None);
        check("dbpassword", None);
        check("AccessKeySecret", None);
        check("@SECRET_KEY@", None);
        check("***REMOVED***", None);
        check("c2VjcmV0S2V5", None);
        check("self.password", None);
        check("getSecretValue", None);
        check("Kennwort", None);
        check("required", None);
        check("one-two-three-four-five", None);
        check("Enter your password", None);
    }
}
