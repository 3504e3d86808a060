//! What a scan read and what it did not: the other half of "nothing found".

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::time::{Duration, Instant};

use akwatch_proto::place::SafeText;

/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(100);
/// Files between two looks at the clock.
const LOOK_EVERY: u64 = 64;

/// Counts of one scan, and its progress where somebody is watching.
pub(super) struct Tally<'a> {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) processes: u64,
    pub(super) findings: u64,
    pub(super) references: u64,
    /// Reasons, how many, and one example.
    not_read: BTreeMap<&'static str, (u64, SafeText)>,
    progress: Option<&'a mut dyn Write>,
    shown: Instant,
    began: Instant,
    looked: u64,
}

impl<'a> Tally<'a> {
    pub(super) fn new(progress: Option<&'a mut dyn Write>) -> Tally<'a> {
        let now = Instant::now();
        Tally {
            files: 0,
            bytes: 0,
            processes: 0,
            findings: 0,
            references: 0,
            not_read: BTreeMap::new(),
            progress,
            shown: now,
            began: now,
            looked: 0,
        }
    }

    /// Counts something that was not read; `example` is asked for the first of its reason only.
    pub(super) fn not_read(&mut self, slug: &'static str, example: impl FnOnce() -> SafeText) {
        self.not_read
            .entry(slug)
            .or_insert_with(|| (0, example()))
            .0 += 1;
    }

    /// Shows progress, now and then, to a terminal: counts only, since names are others' text.
    pub(super) fn show(&mut self) {
        self.looked += 1;
        let Some(progress) = &mut self.progress else {
            return;
        };
        if !self.looked.is_multiple_of(LOOK_EVERY) || self.shown.elapsed() < SHOWN_EVERY {
            return;
        }
        self.shown = Instant::now();
        let _ = write!(
            progress,
            "\r\x1b[K{} files, {}, {} processes, {} findings",
            self.files,
            size(self.bytes),
            self.processes,
            self.findings
        );
        let _ = progress.flush();
    }

    /// The summary, for people.
    pub(super) fn finish(mut self) -> String {
        if let Some(progress) = &mut self.progress {
            let _ = write!(progress, "\r\x1b[K");
        }
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} and {} in {} ({}) and {}, {:.1} s",
            counted(self.findings, "finding"),
            counted(self.references, "reference"),
            counted(self.files, "file"),
            size(self.bytes),
            counted(self.processes, "process"),
            self.began.elapsed().as_secs_f64(),
        );
        for (slug, (count, example)) in &self.not_read {
            let _ = writeln!(text, "not read: {count} {slug}, for example {example}");
        }
        text
    }
}

fn counted(number: u64, what: &str) -> String {
    match (number, what) {
        (1, what) => format!("1 {what}"),
        (number, "process") => format!("{number} processes"),
        (number, what) => format!("{number} {what}s"),
    }
}

fn size(bytes: u64) -> String {
    let mut value = bytes;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 10_000 {
            break;
        }
        value /= 1024;
        unit = larger;
    }
    format!("{value} {unit}")
}
