//! Blocks of code in people's texts: Markdown's fences, and commands that are indented.
//!
//! A fence says the language of what it holds, or the block's own lines do. What the lines around a hit
//! tell is read by [`text`](super::text) all the same; here is what only the language tells: a command's
//! words, the names and values of a manifest, a Makefile's recipes.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{Fields, ScopeId, parse, shell, sniff};
use crate::content::Format;

/// Bytes of a line that may open or close a block.
const LONGEST_FENCE: usize = 256;
/// Blocks of one text. Stops: a megabyte of fences.
const MOST: usize = 4096;

/// Whether a text may have such blocks: most have none.
pub(crate) fn has(text: &[u8]) -> bool {
    static FENCES: LazyLock<[Finder<'static>; 2]> =
        LazyLock::new(|| [Finder::new(b"```"), Finder::new(b"~~~")]);
    FENCES.iter().any(|fence| fence.find(text).is_some()) || has_indented(text)
}

/// Whether a command is set apart by blanks before it.
fn has_indented(text: &[u8]) -> bool {
    static INDENTS: LazyLock<[Finder<'static>; 2]> =
        LazyLock::new(|| [Finder::new(b"\n    "), Finder::new(b"\n\t")]);
    INDENTS.iter().any(|indent| {
        indent.find_iter(text).any(|at| {
            let rest = &text[at + 1..];
            let blanks = rest
                .iter()
                .take(32)
                .take_while(|b| matches!(b, b' ' | b'\t'));
            let blanks = blanks.count();
            let line = &rest[blanks..rest.len().min(blanks + LONGEST_FENCE)];
            is_command(line)
        })
    })
}

/// Whether a line begins with a program that the table knows, perhaps behind a prompt.
fn is_command(line: &[u8]) -> bool {
    let line = line
        .strip_prefix(b"$ ")
        .or(line.strip_prefix(b"# "))
        .unwrap_or(line);
    let line = line.strip_prefix(b"sudo ").unwrap_or(line);
    let program = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
    let length = line.iter().take(40).take_while(|b| program(b)).count();
    matches!(line.get(length), Some(b' ')) && shell::is_program(&line[..length])
}

/// A fence that is open.
struct Fence {
    mark: u8,
    length: usize,
    /// What its block is written in, if it says so.
    format: Option<Format>,
    start: usize,
}

/// Reads the blocks of `text[range]`.
pub(crate) fn parse_all(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    if !has(&text[range.clone()]) {
        return;
    }
    let mut fence: Option<Fence> = None;
    // Where a block of indented lines begins.
    let mut indented: Option<usize> = None;
    let mut blank = true;
    let mut blocks = 0;
    let mut at = range.start;
    while at < range.end && blocks < MOST {
        let end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
        let line = &text[at..end];
        let mark = fence_mark(line);
        if let Some(open) = &fence {
            if mark.is_some_and(|(mark, length, info)| {
                mark == open.mark && length >= open.length && info.is_empty()
            }) {
                block(text, open.start..at, open.format, root, fields);
                blocks += 1;
                fence = None;
            }
        } else if let Some((mark, length, info)) = mark {
            fence = Some(Fence {
                mark,
                length,
                format: language(info),
                start: (end + 1).min(range.end),
            });
        } else if line.starts_with(b"    ") || line.starts_with(b"\t") {
            if indented.is_none() && blank {
                indented = Some(at);
            }
        } else if !line.trim_ascii().is_empty()
            && let Some(start) = indented.take()
        {
            commands(text, start..at, root, fields);
            blocks += 1;
        }
        blank = line.trim_ascii().is_empty();
        at = end + 1;
    }
    fields.scopes.note_cut(blocks == MOST && at < range.end);
    // A text may end before its block does.
    if let Some(open) = fence {
        block(text, open.start..range.end, open.format, root, fields);
    } else if let Some(start) = indented {
        commands(text, start..range.end, root, fields);
    }
}

/// The mark of a fence, how long it is and what stands behind it.
fn fence_mark(line: &[u8]) -> Option<(u8, usize, &[u8])> {
    let line = line.get(..LONGEST_FENCE).unwrap_or(line).trim_ascii();
    let mark = *line.first().filter(|mark| matches!(mark, b'`' | b'~'))?;
    let length = line.iter().take_while(|&&byte| byte == mark).count();
    let info = line[length..].trim_ascii();
    (length >= 3 && !info.contains(&mark)).then_some((mark, length, info))
}

/// What the word behind a fence says, in the words that highlighters know.
fn language(info: &[u8]) -> Option<Format> {
    let info = info.strip_prefix(b"{").unwrap_or(info);
    let info = info.strip_prefix(b".").unwrap_or(info);
    let part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'#');
    let length = info.iter().take_while(part).count();
    let word = info[..length].to_ascii_lowercase();
    Some(match &word[..] {
        b"sh" | b"bash" | b"shell" | b"zsh" | b"ksh" | b"fish" | b"console" | b"terminal"
        | b"shell-session" | b"shellsession" | b"sh-session" | b"bash-session" | b"command" => {
            Format::Shell
        }
        b"powershell" | b"ps1" | b"pwsh" | b"ps" => Format::PowerShell,
        b"yaml" | b"yml" => Format::Yaml,
        b"json" | b"jsonc" | b"json5" => Format::Json,
        b"toml" => Format::Toml,
        b"ini" => Format::Ini,
        b"conf" | b"cfg" => Format::Conf,
        b"nginx" | b"apache" | b"haproxy" => Format::Directives,
        b"properties" => Format::Properties,
        b"env" | b"dotenv" => Format::Dotenv,
        b"xml" => Format::Xml,
        b"sql" | b"mysql" | b"postgresql" | b"postgres" | b"plsql" | b"pgsql" | b"tsql" => {
            Format::Sql
        }
        b"dockerfile" | b"docker" => Format::Dockerfile,
        b"hcl" | b"terraform" | b"tf" => Format::Hcl,
        b"makefile" | b"make" => Format::Makefile,
        b"csv" => Format::Csv,
        b"netrc" => Format::Netrc,
        b"cron" | b"crontab" => Format::Crontab,
        b"systemd" => Format::Unit,
        _ => return None,
    })
}

/// A block between fences. What has no language is a file if it looks like one, or commands.
fn block(
    text: &[u8],
    range: Range<usize>,
    format: Option<Format>,
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    if range.is_empty() || fields.scopes.depth() > 0 {
        return;
    }
    let format = format.unwrap_or_else(|| sniff(&text[range.clone()]));
    if matches!(format, Format::Text | Format::Guess) {
        return commands(text, range, root, fields);
    }
    let scope = fields.scopes.child(root);
    parse(text, range, format, scope, fields);
}

/// A block of lines, if any of them begins like a command.
fn commands(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let begins = |line: &[u8]| is_command(line.trim_ascii_start());
    if text[range.clone()].split(|&b| b == b'\n').any(begins) {
        shell::script(text, range, root, fields);
    }
}
