//! Until when everything that changed was seen: a note that outlasts the run.
//!
//! A restarted agent has to look at what changed while none ran. Where the host was read as a whole,
//! the read-index says what did; where it never was, because it is configured so, this note does. It
//! moves only while nothing is owed: no walk under way, nothing waiting, nothing uncommitted. What a
//! crash leaves behind is therefore an older note, and more is looked at.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use akwatch_proto::time::Time;

use super::Watcher;

/// Holds the note in the watcher's directory: milliseconds since the epoch.
const FILE: &str = "watched-until";

/// Time between two notes.
const EVERY: Duration = Duration::from_secs(30);

/// How much older than the moment itself the note is, in milliseconds: what the kernel has told and
/// no sensor has read yet, and small steps of the clock.
const MARGIN_MS: i64 = 60_000;

/// The note.
#[derive(Debug)]
pub(super) struct Until {
    file: PathBuf,
    before: Option<Time>,
    noted: Option<Instant>,
}

impl Until {
    /// What an earlier run noted in `directory`.
    pub(super) fn load(directory: &Path) -> Until {
        let file = directory.join(FILE);
        // One that cannot be understood says that there was a run, and not until when.
        let before = match std::fs::read_to_string(&file) {
            Ok(text) => Some(Time(text.trim().parse().unwrap_or(i64::MIN))),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => None,
            Err(_) => Some(Time(i64::MIN)),
        };
        // A clock that was set back since makes what is new look old. What changed is told by the
        // clock of files, and the note is a file: it is no younger than that says.
        let written = written(&file).unwrap_or(Time(i64::MIN));
        let before = before.map(|before| {
            let ahead = before > crate::sense::now();
            if ahead {
                Time(i64::MIN)
            } else {
                before.min(written.plus(-MARGIN_MS))
            }
        });
        Until {
            file,
            before,
            noted: None,
        }
    }

    /// Until when an earlier run saw everything; none when there was none.
    pub(super) fn before_this_run(&self) -> Option<Time> {
        self.before
    }

    fn note(&mut self, at: Time, now: Instant) {
        self.noted = Some(now);
        let next = self.file.with_extension("next");
        let written = std::fs::write(&next, at.0.to_string())
            .and_then(|()| std::fs::rename(&next, &self.file));
        if let Err(why) = written {
            tracing::warn!(%why, "until when this host was watched could not be noted");
        }
    }
}

impl Watcher {
    /// A host's first run notes that it began: what is older is the first scan's business.
    pub(super) fn note_beginning(&mut self) {
        if self.until.before.is_none() {
            self.until.note(crate::sense::now(), self.began);
        }
    }

    /// Moves the note, if nothing is owed.
    pub(super) fn note_watched(&mut self, now: Instant, ending: bool) {
        let due = |noted| now.saturating_duration_since(noted) >= EVERY;
        if self.until.noted.is_some_and(|noted| !due(noted) && !ending) || !self.owes_nothing() {
            return;
        }
        let at = crate::sense::now().plus(-MARGIN_MS);
        // The run itself may be younger than the margin.
        let began = crate::sense::now().plus(-millis(now.saturating_duration_since(self.began)));
        let at = match self.until.before {
            Some(before) => at.max(before),
            None => at.max(began),
        };
        self.until.note(at, now);
    }

    fn owes_nothing(&self) -> bool {
        self.detecting.is_ready()
            && !self.scans.owes()
            && !self.detecting.failing
            && self.agenda.is_empty()
            && !self.agenda.keeps_back()
            && self.detecting.flights.is_empty()
            && self.detecting.done.is_empty()
            && self.samples.len() == 0
            && self.channels.sensed.is_empty()
    }
}

/// When a file was written, by the kernel's clock for files.
fn written(file: &Path) -> Option<Time> {
    let meta = std::fs::metadata(file).ok()?;
    Some(Time(meta.ctime().saturating_mul(1000)))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a run that finds `text` in its note takes it for.
    fn check(text: Option<&str>, expected: Option<Time>) {
        let directory = tempfile::tempdir().unwrap();
        if let Some(text) = text {
            std::fs::write(directory.path().join(FILE), text).unwrap();
        }
        let until = Until::load(directory.path());
        assert_eq!(until.before_this_run(), expected, "{text:?}");
    }

    #[test]
    fn what_cannot_be_believed_means_looking_at_everything() {
        check(None, None);
        check(Some("1700000000000"), Some(Time(1_700_000_000_000)));
        check(Some(""), Some(Time(i64::MIN)));
        check(Some("17x"), Some(Time(i64::MIN)));
        check(Some("99999999999999"), Some(Time(i64::MIN)));
    }

    #[test]
    fn a_note_is_no_younger_than_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut until = Until::load(directory.path());
        let ahead = crate::sense::now();
        until.note(ahead, Instant::now());
        let before = Until::load(directory.path()).before_this_run().unwrap();
        assert!(ahead.since(before) >= MARGIN_MS, "{before:?}");
    }

    #[test]
    fn a_note_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut until = Until::load(directory.path());
        until.note(Time(7), Instant::now());
        assert_eq!(
            Until::load(directory.path()).before_this_run(),
            Some(Time(7))
        );
    }
}
