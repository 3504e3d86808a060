//! What the verbs write to standard output: text for people, JSON for programs.
//!
//! A name from the host never reaches a terminal raw; each verb escapes it where it makes its line.
//! A reader that closes the pipe has read enough: no panic, no message.

use std::io::{self, Write as _};

use anyhow::Context as _;
use serde::Serialize;

/// Exit code when standard output was closed: what a shell shows of a program that the kernel ended
/// for it (128 + SIGPIPE).
pub const CLOSED: u8 = 141;

/// Characters of a line before it is wrapped, where standard output is no terminal.
const WIDTH: usize = 100;

/// Writes `text` to standard output.
///
/// # Errors
/// When it cannot be written; [`is_closed`] knows a closed pipe.
pub fn write(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// Writes one JSON value and a line's end.
///
/// # Errors
/// As [`write`].
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string(value).context("writing JSON")?;
    text.push('\n');
    write(&text)
}

/// Whether an error is that the reader of standard output has gone.
#[must_use]
pub fn is_closed(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// `count` with `one` or `many` behind it.
#[must_use]
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Bytes as people say them: `512 B`, `3.4 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut tenths = count.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    if tenths < 100 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", tenths / 10, UNITS[unit])
    }
}

/// Seconds as people say them: `42 s`, `3 min`, `5 h`, `12 days`.
#[must_use]
pub fn seconds(count: u64) -> String {
    match count {
        0..120 => format!("{count} s"),
        120..7200 => format!("{} min", count / 60),
        7200..172_800 => format!("{} h", count / 3600),
        _ => format!("{} days", count / 86_400),
    }
}

/// Appends `text` as lines that begin at column `indent`, wrapped at blanks; the first continues the
/// line that `out` ends with.
pub fn wrap(out: &mut String, indent: usize, text: &str) {
    let width = WIDTH.saturating_sub(indent).max(20);
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_said_in_fitting_units() {
        for (count, said) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (64 << 20, "64 MiB"),
            (3_565_158, "3.3 MiB"),
            (u64::MAX / 16, "1048575 TiB"),
        ] {
            assert_eq!(bytes(count), said);
        }
        for (count, said) in [
            (7, "7 s"),
            (130, "2 min"),
            (7200, "2 h"),
            (864_000, "10 days"),
        ] {
            assert_eq!(seconds(count), said);
        }
        assert_eq!(counted(1, "file", "files"), "1 file");
    }

    #[test]
    fn long_lines_are_wrapped_at_blanks_and_no_word_is_lost() {
        let text = "word ".repeat(60);
        let mut out = "name  ".to_owned();
        wrap(&mut out, 6, text.trim_end());
        assert!(out.lines().all(|line| line.len() <= 100), "{out}");
        assert_eq!(out.matches("word").count(), 60);
        assert!(
            out.lines()
                .skip(1)
                .all(|line| line.starts_with("      word"))
        );
    }

    #[test]
    fn a_closed_pipe_is_known_under_its_context() {
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_closed(&anyhow::Error::new(closed).context("writing")));
        assert!(!is_closed(&anyhow::anyhow!("other")));
    }
}
