//! When a history's line was typed, where the history itself says so.
//!
//! | history | how a time is written | source |
//! |---|---|---|
//! | bash, with `HISTTIMEFORMAT` | a line `#1700000000` before the command | bash's `lib/readline/histfile.c` |
//! | tcsh | the same with a sign: `#+1700000000` | tcsh's `sh.hist.c` |
//! | zsh, with `EXTENDED_HISTORY` | `: 1700000000:0;command` | zsh's `Src/hist.c` |
//! | fish | `  when: 1700000000` below `- cmd: command` | fish's `history/file.rs` |
//!
//! Only a line's own time counts: what lies further above or below is another command's, and a line
//! without one was typed at a time that nobody knows. Other histories have none, or one without a zone.

use std::collections::BTreeMap;

use akwatch_proto::time::Time;
use zeroize::Zeroizing;

use crate::content::{Format, Part, Source};
use crate::places;
use crate::scan::Match;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Bytes of a line's head that may say a time: the longest way to write one is shorter.
const HEAD: usize = 48;

/// Notes of each match in a history when its line was typed. The history is read once more for that,
/// and only where something was found in it.
pub(crate) fn note(parts: &[Part<'_>], matches: &mut [Match]) {
    if matches.is_empty() {
        return;
    }
    for (number, part) in parts.iter().enumerate() {
        let format = match part.format {
            Format::Guess => places::format_of(part.name),
            known => known,
        };
        let timed = matches!(
            format,
            Format::BashHistory | Format::ZshHistory | Format::FishHistory
        );
        let of_part = |one: &&mut Match| one.part == number && one.spot.inside.is_empty();
        let mut found: Vec<&mut Match> = matches.iter_mut().filter(of_part).collect();
        if !timed || found.is_empty() {
            continue;
        }
        let lines = found.iter().map(|one| (one.spot.line, None)).collect();
        let times = read(part.source, format, part.start.lines, lines);
        for one in &mut found {
            one.spot.typed = times.get(&one.spot.line).copied().flatten();
        }
    }
}

/// A line that is read: its first bytes, how long it is, how it ends.
struct Line {
    head: Zeroizing<Vec<u8>>,
    length: usize,
    last: u8,
}

impl Line {
    fn clear(&mut self) {
        self.head.clear();
        self.length = 0;
        self.last = 0;
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.length += bytes.len();
        self.last = bytes.last().copied().unwrap_or(self.last);
    }
}

/// The times of the lines that are asked for, in a source before whose first line there are `above`.
fn read(
    source: &dyn Source,
    format: Format,
    above: u32,
    mut asked: BTreeMap<u32, Option<Time>>,
) -> BTreeMap<u32, Option<Time>> {
    let mut clock = Clock::default();
    let mut line = Line {
        head: Zeroizing::new(Vec::with_capacity(HEAD)),
        length: 0,
        last: 0,
    };
    let mut number = above.saturating_add(1);
    let (mut chunk, mut at) = (Zeroizing::new(vec![0; CHUNK]), 0_u64);
    while let Ok(count @ 1..) = source.read_at(at, &mut chunk) {
        at += count as u64;
        let mut rest = &chunk[..count];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            line.push(&rest[..end]);
            clock.line(format, number, &line, &mut asked);
            line.clear();
            rest = &rest[end + 1..];
            number = number.saturating_add(1);
        }
        line.push(rest);
    }
    clock.line(format, number, &line, &mut asked);
    asked
}

/// What the lines so far say of the next.
#[derive(Default)]
struct Clock {
    /// bash: the line before was a time. zsh: the time of the entry that goes on.
    time: Option<Time>,
    /// zsh: the line before ends with a backslash.
    goes_on: bool,
    /// fish: the command whose particulars follow.
    command: Option<u32>,
}

impl Clock {
    fn line(
        &mut self,
        format: Format,
        number: u32,
        line: &Line,
        asked: &mut BTreeMap<u32, Option<Time>>,
    ) {
        let head = line.head.as_slice();
        let mut say = |number, time| {
            if let Some(said) = asked.get_mut(&number) {
                *said = time;
            }
        };
        match format {
            Format::BashHistory => {
                say(number, self.time);
                let digits = head.strip_prefix(b"#");
                let digits = digits.map(|digits| digits.strip_prefix(b"+").unwrap_or(digits));
                let whole = line.length == head.len();
                self.time = digits.filter(|_| whole).and_then(seconds);
            }
            Format::ZshHistory => {
                if !self.goes_on {
                    let digits = head.strip_prefix(b": ").map(<[u8]>::trim_ascii_start);
                    let digits = digits.and_then(|rest| rest.split(|&byte| byte == b':').next());
                    self.time = digits.and_then(seconds);
                }
                say(number, self.time);
                self.goes_on = line.last == b'\\';
            }
            _ => {
                if head.starts_with(b"- cmd: ") {
                    self.command = Some(number);
                } else if let Some(digits) = head.strip_prefix(b"  when: ") {
                    if let Some(command) = self.command.take() {
                        say(command, seconds(digits));
                    }
                } else if !head.starts_with(b"  ") {
                    self.command = None;
                }
            }
        }
    }
}

/// Seconds since the epoch, in digits alone.
fn seconds(digits: &[u8]) -> Option<Time> {
    let plain = (1..=12).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| plain)?;
    digits.parse().ok().map(Time::from_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: Format, text: &str, expected: &[(u32, Option<i64>)]) {
        let asked = expected.iter().map(|(line, _)| (*line, None)).collect();
        let times = read(&text.as_bytes().to_vec(), format, 0, asked);
        let expected = expected
            .iter()
            .map(|(line, time)| (*line, time.map(Time::from_seconds)));
        assert_eq!(times, expected.collect());
    }

    #[test]
    fn bash_writes_the_time_above_the_command() {
        check(
            Format::BashHistory,
            "ls\n#1700000000\nexport A=b\nexport C=d\n#1700000100 \nx\n# 17\ny\n#+1700000200\nz",
            &[
                (1, None),
                (3, Some(1_700_000_000)),
                (4, None),
                (6, None),
                (8, None),
                (10, Some(1_700_000_200)),
            ],
        );
    }

    #[test]
    fn zsh_writes_it_before_the_command_whose_lines_share_it() {
        check(
            Format::ZshHistory,
            ": 1700000000:0;export A=b\n: 1700000100:3;curl \\\n -u a:b \\\n x\nplain\n: now:0;z\n",
            &[
                (1, Some(1_700_000_000)),
                (2, Some(1_700_000_100)),
                (3, Some(1_700_000_100)),
                (4, Some(1_700_000_100)),
                (5, None),
                (6, None),
            ],
        );
    }

    #[test]
    fn fish_writes_it_below() {
        check(
            Format::FishHistory,
            "- cmd: export A=b\n  when: 1700000000\n  paths:\n    - x\n- cmd: no time\n- cmd: z\n  paths:\n    - y\n  when: 1700000100\n",
            &[
                (1, Some(1_700_000_000)),
                (5, None),
                (6, Some(1_700_000_100)),
            ],
        );
    }

    #[test]
    fn a_time_that_a_chunk_ends_in_is_still_read() {
        let long = "x".repeat(CHUNK - 6);
        let text = format!("{long}\n#1700000000\ncommand\n");
        check(Format::BashHistory, &text, &[(3, Some(1_700_000_000))]);
    }
}
