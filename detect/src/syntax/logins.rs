//! Logins that are written as one: `user/pass: admin/…`, `账号密码：admin/…`, `connect app/…@db`,
//! `jdbc:oracle:thin:app/…@db`.

use std::ops::Range;
use std::sync::LazyLock;

use akwatch_proto::limits;
use memchr::memmem::Finder;

use super::text::Blocks;
use super::{Fields, ScopeId};

/// Words for who logs in, as they stand before a word for the password.
const USERS: [&[u8]; 9] = [
    b"user",
    b"username",
    b"user name",
    b"login",
    b"account",
    b"usr",
    b"uname",
    b"userid",
    b"name",
];
const WIDE_USERS: [&str; 7] = ["账号", "帐号", "账户", "用户名", "用户", "登录名", "账"];
/// What stands between the two words.
const BETWEEN: [&str; 9] = ["/", "、", "和", "与", "及", "，", ":", "：", "|"];

/// Whether what stands right before a word for the password, `user/`, says that a user's name comes before
/// it in the value too.
fn is_behind_user(before: &[u8]) -> bool {
    let before = before.trim_ascii_end();
    let mark = BETWEEN
        .iter()
        .find_map(|mark| before.strip_suffix(mark.as_bytes()));
    let wide = |before: &[u8]| {
        WIDE_USERS
            .iter()
            .any(|user| before.ends_with(user.as_bytes()))
    };
    let Some(before) = mark.map(<[u8]>::trim_ascii_end) else {
        // `账号密码` is both words and no mark.
        return wide(before);
    };
    let latin = |user: &&[u8]| {
        let from = before.len().checked_sub(user.len());
        from.is_some_and(|from| {
            let apart = from == 0 || !before[from - 1].is_ascii_alphanumeric();
            apart && before[from..].eq_ignore_ascii_case(user)
        })
    };
    USERS.iter().any(latin) || wide(before)
}

/// Bytes behind the nouns that are looked at.
const LONGEST: usize = 1024;

/// The password in `admin/…`, the value that begins at `at` behind two nouns, of which the second begins
/// at `noun`; none if they are no such nouns or it is no such value.
pub(super) fn paired(text: &[u8], noun: usize, at: usize, end: usize) -> Option<Range<usize>> {
    if !is_behind_user(&text[noun.saturating_sub(32)..noun]) {
        return None;
    }
    let rest = &text[at..end.min(at + LONGEST)];
    let start = rest.len() - rest.trim_ascii_start().len();
    let part = |b: &&u8| b.is_ascii_alphanumeric() || b"_.@\\-".contains(b);
    let user = rest[start..].iter().take(64).take_while(part).count();
    let behind = &rest[start + user..];
    let blanks = behind.len() - behind.trim_ascii_start().len();
    let mark = ["/", ":", "：", "、", "|"]
        .iter()
        .find(|mark| behind[blanks..].starts_with(mark.as_bytes()))?;
    let value = &behind[blanks + mark.len()..];
    let skip = value.len() - value.trim_ascii_start().len();
    let from = start + user + blanks + mark.len() + skip;
    let stop = |b: &u8| !b.is_ascii_graphic() || b"\"'`<>".contains(b);
    let length = rest[from..]
        .iter()
        .position(stop)
        // One that goes on behind what is looked at would be told cut, as another.
        .or_else(|| (rest.len() < LONGEST).then_some(rest.len() - from))?;
    let marks = |b: &&u8| b".,;)]}".contains(b);
    let length = length
        - rest[from..from + length]
            .iter()
            .rev()
            .take_while(marks)
            .count();
    // A path has more of them, and an address two.
    let plain = !rest[from..from + length].contains(&b'/');
    (user > 0 && plain && length >= limits::SHORTEST_PASSWORD)
        .then_some(at + from..at + from + length)
}

/// The password of `user/pass: admin/…`, told by the second noun; where it ends.
pub(super) fn told(
    text: &[u8],
    name: &Range<usize>,
    separator: usize,
    end: usize,
    blocks: &mut Blocks,
    fields: &mut Fields<'_>,
) -> Option<usize> {
    if !matches!(text[separator], b'=' | b':') {
        return None;
    }
    let password = paired(text, name.start, separator + 1, end)?;
    let end = password.end;
    let scope = blocks.scope_for(&text[name.clone()], fields);
    fields.add(&text[name.clone()], password, scope, true);
    Some(end)
}

/// The same where both nouns are one name: `账号密码 admin/…`.
pub(super) fn split(
    text: &[u8],
    name: &Range<usize>,
    value: &Range<usize>,
) -> Option<Range<usize>> {
    const NOUNS: [&str; 2] = ["密码", "口令"];
    let own = &text[name.clone()];
    let noun = NOUNS
        .iter()
        .find_map(|noun| own.strip_suffix(noun.as_bytes()))?;
    paired(text, name.start + noun.len(), value.start, value.end)
}

/// The password of `jdbc:oracle:thin:user/password@…`.
pub(super) fn oracle(value: &[u8]) -> Option<Range<usize>> {
    let rest = value.strip_prefix(b"jdbc:oracle:")?;
    let kind = memchr::memchr(b':', rest)?;
    let from = value.len() - rest.len() + kind + 1;
    slashed(value, from)
}

/// The password of `user/password@…`, which begins at `from`.
fn slashed(value: &[u8], from: usize) -> Option<Range<usize>> {
    let slash = memchr::memchr2(b'/', b'@', &value[from..]).filter(|&at| at > 0)?;
    let start = from + slash + 1;
    if value[start - 1] == b'@' {
        return None;
    }
    let quoted = value[start..].starts_with(b"\"");
    let start = start + usize::from(quoted);
    let mark = if quoted { b'"' } else { b'@' };
    let end = start + memchr::memchr(mark, &value[start..])?;
    (start < end).then_some(start..end)
}

/// Whether a text has lines of SQL*Plus that log in.
pub(super) fn connects(text: &[u8]) -> bool {
    static WORDS: LazyLock<[Finder<'static>; 3]> =
        LazyLock::new(|| [&b"conn"[..], b"CONN", b"Conn"].map(Finder::new));
    WORDS.iter().any(|word| connection(text, word).is_some())
}

/// The line that connects, from the first place of `word` that begins one.
fn connection(text: &[u8], word: &Finder<'_>) -> Option<usize> {
    word.find_iter(text).find(|&at| {
        let line = memchr::memrchr(b'\n', &text[at.saturating_sub(16)..at]);
        let from = line.map_or(at.saturating_sub(16), |n| at.saturating_sub(16) + n + 1);
        let begins = line.is_some() || from == 0;
        begins && text[from..at].trim_ascii().is_empty() && login_of(text, at).is_some()
    })
}

/// The password of `connect user/password@…` at `at`.
fn login_of(text: &[u8], at: usize) -> Option<Range<usize>> {
    let end = text.len().min(at + 256);
    let end = memchr::memchr(b'\n', &text[at..end]).map_or(end, |n| at + n);
    let line = &text[..end];
    let word = line[at..]
        .iter()
        .take_while(|b| b.is_ascii_alphabetic())
        .count();
    let name = &line[at..at + word];
    if !name.eq_ignore_ascii_case(b"connect") && !name.eq_ignore_ascii_case(b"conn") {
        return None;
    }
    let rest = &line[at + word..];
    let from = at + word + rest.len() - rest.trim_ascii_start().len();
    let user = |b: &&u8| b.is_ascii_alphanumeric() || b"_$#.".contains(b);
    let length = line[from..].iter().take_while(user).count();
    if length == 0 || from == at + word || line.get(from + length) != Some(&b'/') {
        return None;
    }
    slashed(line, from).or_else(|| {
        let start = from + length + 1;
        let stop = |b: &u8| b.is_ascii_whitespace() || *b == b';';
        let length = line[start..].iter().position(stop).unwrap_or(end - start);
        (length > 0).then_some(start..start + length)
    })
}

/// Logins of a text's lines `connect user/password@…`.
pub(super) fn connections(
    text: &[u8],
    range: Range<usize>,
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    if !connects(&text[range.clone()]) {
        return;
    }
    let mut at = range.start;
    for line in text[range].split(|&b| b == b'\n') {
        let start = at + line.len() - line.trim_ascii_start().len();
        let begins = matches!(text.get(start), Some(b'c' | b'C'));
        if let Some(value) = login_of(text, start).filter(|_| begins) {
            let scope = fields.scopes.child(root);
            fields.add(b"connect.password", value, scope, true);
        }
        at += line.len() + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_told_whole_or_not_at_all() {
        for (length, told) in [(12, true), (300, true), (2000, false)] {
            let password = "k7Qz".repeat(length / 4);
            for behind in ["\n", ""] {
                let text = format!("user/pass: admin/{password}{behind}");
                let noun = "user/".len();
                let at = "user/pass:".len();
                let found = paired(text.as_bytes(), noun, at, text.len());
                let found = found.map(|range| &text[range]);
                assert_eq!(found, told.then_some(password.as_str()), "{length}");
            }
        }
    }
}
