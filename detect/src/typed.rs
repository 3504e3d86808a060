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

/// Notes of each match in a history when its line was typed. The history is read once more for that, only
/// where something was found in it, as far as the last line of those and no further than `bytes`.
pub(crate) fn note(parts: &[Part<'_>], matches: &mut [Match], bytes: u64) {
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
        let times = read(part.source, bytes, format, part.start.lines, lines);
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

/// The times of the lines that are asked for, in the first `bytes` of a source before whose first line
/// there are `above`.
fn read(
    source: &dyn Source,
    bytes: u64,
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
    let last = asked.last_key_value().map_or(0, |(line, _)| *line);
    let (mut chunk, mut at) = (Zeroizing::new(vec![0; CHUNK]), 0_u64);
    loop {
        let room = usize::try_from(bytes - at).map_or(CHUNK, |left| left.min(CHUNK));
        let Ok(count @ 1..) = source.read_at(at, &mut chunk[..room]) else {
            break;
        };
        at += count.min(room) as u64;
        let mut rest = &chunk[..count];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            line.push(&rest[..end]);
            clock.line(format, number, &line, &mut asked);
            line.clear();
            if number >= last && clock.command.is_none_or(|command| command > last) {
                return asked;
            }
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
    use crate::content::Unreadable;

    #[track_caller]
    fn check(format: Format, text: &str, expected: &[(u32, Option<i64>)]) {
        let asked = expected.iter().map(|(line, _)| (*line, None)).collect();
        let times = read(&text.as_bytes().to_vec(), u64::MAX, format, 0, asked);
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

    /// What is behind the last line that is asked for, and behind the bound, is not read again.
    #[test]
    fn a_history_is_read_as_far_as_it_is_asked_for() {
        use std::cell::Cell;

        struct Counted(Vec<u8>, Cell<u64>);
        impl Source for Counted {
            fn len(&self) -> Option<u64> {
                None
            }

            fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Unreadable> {
                let count = self.0.read_at(at, into)?;
                self.1.set(at + count as u64);
                Ok(count)
            }
        }

        let fish = "- cmd: export A=b\n  paths:\n    - x\n  when: 1700000000\n";
        let bash = "#1700000000\nexport A=b\n";
        for (format, head, line) in [
            (Format::FishHistory, fish, 1),
            (Format::BashHistory, bash, 2),
        ] {
            for (front, bytes, time) in [
                (0, u64::MAX, Some(1_700_000_000)),
                (2 * CHUNK, u64::MAX, Some(1_700_000_000)),
                (2 * CHUNK, CHUNK as u64, None),
            ] {
                let filler = "\n".repeat(front);
                let line = line + u32::try_from(front).unwrap();
                let text = format!("{filler}{head}{}", "more of it\n".repeat(40_000));
                let source = Counted(text.into_bytes(), Cell::new(0));
                let times = read(&source, bytes, format, 0, [(line, None)].into());
                assert_eq!(times[&line], time.map(Time::from_seconds));
                let most = bytes.min((front + CHUNK) as u64);
                assert!(source.1.get() <= most, "{} of {most}", source.1.get());
            }
        }
    }

    #[test]
    fn a_time_that_a_chunk_ends_in_is_still_read() {
        let long = "x".repeat(CHUNK - 6);
        let text = format!("{long}\n#1700000000\ncommand\n");
        check(Format::BashHistory, &text, &[(3, Some(1_700_000_000))]);
    }
}
