//! Fields that one program's files have and whose names alone do not say what they hold: AppRole's
//! `secret_id`, cloud-init's lists of logins, what Terraform's state marks as sensitive.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{Fields, ScopeId, parse};
use crate::content::Format;
use crate::unwrap::container;

/// Refines the fields from `first` on.
pub(super) fn refine(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    approle(first, fields);
    chpasswd(text, first, fields);
    state(text, first, fields);
}

/// The last name of a path, without the index of a list.
fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|&b| b == b'.').next().unwrap_or_default()
}

/// Whether the last name of a path is `name`, whatever stands between its words; it is in lower case.
fn is_called(path: &[u8], name: &[u8]) -> bool {
    let own = last(path);
    let letters = own.iter().filter(|b| !matches!(b, b'_' | b'-'));
    own.len() <= name.len() + 2 && letters.map(u8::to_ascii_lowercase).eq(name.iter().copied())
}

/// `role_id` beside `secret_id`: whose id that is, is said by the first.
fn approle(first: usize, fields: &mut Fields<'_>) {
    let roles: HashSet<ScopeId> = fields.fields[first..]
        .iter()
        .filter(|field| matches!(field.path.last(), Some(b'd' | b'D')))
        .filter(|field| is_called(&field.path, b"roleid"))
        .map(|field| field.scope)
        .collect();
    if roles.is_empty() {
        return;
    }
    for field in &mut fields.fields[first..] {
        if roles.contains(&field.scope) && is_called(&field.path, b"secretid") {
            field.path = [b"vault.", &field.path[..]].concat();
        }
    }
}

/// Whether all of a value is a UUID.
pub(crate) fn is_uuid(value: &[u8]) -> bool {
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    let fits = |(at, byte): (usize, &u8)| match DASHES.contains(&at) {
        true => *byte == b'-',
        false => byte.is_ascii_hexdigit(),
    };
    value.len() == 36 && value.iter().enumerate().all(fits)
}

/// cloud-init's `chpasswd: list:`, lines of `user:password`, as a block or as a list.
fn chpasswd(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    let mut found: Vec<(Range<usize>, ScopeId)> = Vec::new();
    for field in &mut fields.fields[first..] {
        let list = match field.path.last() {
            Some(b']') => {
                memchr::memrchr(b'[', &field.path).map_or(&[][..], |at| &field.path[..at])
            }
            Some(b't') => &field.path,
            _ => continue,
        };
        if !list.ends_with(b"chpasswd.list") || field.decoded.is_some() {
            continue;
        }
        let mut at = field.raw.start;
        for line in text[field.raw.clone()].split(|&b| b == b'\n') {
            let end = at + line.trim_ascii_end().len();
            if let Some(colon) = memchr::memchr(b':', line) {
                found.push((at + colon + 1..end.max(at + colon + 1), field.scope));
            }
            at += line.len() + 1;
        }
        // It is no value as a whole, and no file.
        field.raw.end = field.raw.start;
    }
    for (raw, scope) in found {
        fields.add(b"chpasswd.password", raw, scope, true);
    }
}

/// The parts of what cloud-init is given that are its own language, where that is a message of several.
pub(super) fn cloud_parts(
    text: &[u8],
    range: Range<usize>,
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    const FIRST: &[u8] = b"\n#cloud-config";
    if !container::begins_message(&text[range.clone()]) {
        return;
    }
    let mut at = range.start;
    for _ in 0..MOST_PARTS {
        let Some(found) = memchr::memmem::find(&text[at..range.end], FIRST) else {
            return;
        };
        let start = at + found + 1;
        let end = memchr::memmem::find(&text[start..range.end], b"\n--");
        at = end.map_or(range.end, |end| start + end);
        let scope = fields.scopes.child(root);
        parse(text, start..at, Format::Yaml, scope, fields);
    }
    fields.scopes.note_cut(true);
}

/// Parts of one message that are read.
const MOST_PARTS: usize = 64;

/// Whether a text may be a state of Terraform's that marks something as sensitive.
pub(super) fn may_be_state(text: &[u8]) -> bool {
    static SAYS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"sensitive"));
    SAYS.find(text).is_some()
}

/// A state's attributes and outputs that it says are sensitive, and what its random passwords are.
fn state(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    let owned = |path: &[u8]| path.starts_with(b"resources[") || path.starts_with(b"outputs.");
    if !fields.fields[first..]
        .iter()
        .any(|field| owned(&field.path))
        || !may_be_state(text)
    {
        return;
    }
    let mut random: HashSet<Vec<u8>> = HashSet::new();
    let mut marked: HashSet<Vec<u8>> = HashSet::new();
    for field in &fields.fields[first..] {
        let path = &field.path[..];
        let value = field.value(text);
        if let Some(resource) = path.strip_suffix(b".type") {
            if resource.ends_with(b"]") && value == b"random_password" {
                random.insert(resource.to_vec());
            }
        } else if let Some(output) = path.strip_suffix(b".sensitive") {
            if output.starts_with(b"outputs.") && value == b"true" {
                marked.insert(output.to_vec());
            }
        } else if let Some(at) = memchr::memmem::find(path, b".sensitive_attributes[") {
            // `sensitive_attributes[0][0].value` names what lies below the same instance.
            marked.insert([&path[..at], b".attributes.", value].concat());
        }
    }
    let generated = |path: &[u8]| {
        let resource = memchr::memmem::find(path, b".instances[").map(|at| &path[..at]);
        path.ends_with(b".attributes.result") && resource.is_some_and(|own| random.contains(own))
    };
    for field in &mut fields.fields[first..] {
        if generated(&field.path) {
            field.path = b"random_password".to_vec();
        } else if is_uuid(field.value(text)) {
            // What it names is seen elsewhere: an id.
        } else if marked.contains(field.path.strip_suffix(b".value").unwrap_or(&field.path)) {
            let own = field
                .path
                .strip_suffix(b".value")
                .map_or(field.path.len(), <[u8]>::len);
            field.path.truncate(own);
            field.path = [last(&field.path), b".secret"].concat();
        }
    }
}
