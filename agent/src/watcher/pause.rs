//! A pause that a person asked for: reading stops, heartbeats go on, and it ends by itself.
//!
//! Sensors go on naming what changes, and the agenda keeps that, so that what happened meanwhile is
//! looked at afterwards; what does not fit owes a rescan, as always. What lived and ended meanwhile is
//! never known: coverage says *unknown* for as long as it lasts. A pause outlasts a restart of the agent,
//! or a crash would end it; its end is the earlier one of two clocks, so that neither a suspended host
//! nor a clock that was set back makes it longer.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use akwatch_proto::agent::LONGEST_PAUSE_SECONDS;
use akwatch_proto::time::Time;

use super::Watcher;

/// Holds the end of a pause in the watcher's directory: milliseconds since the epoch.
const FILE: &str = "paused-until";

/// A pause, or none.
#[derive(Debug)]
pub(super) struct Pause {
    file: PathBuf,
    until: Option<(Time, Instant)>,
}

impl Pause {
    /// The pause that an earlier run was in, if it is not over.
    pub(super) fn load(directory: &Path, now: Instant) -> Pause {
        let file = directory.join(FILE);
        let noted = std::fs::read_to_string(&file).ok();
        let noted: Option<i64> = noted.and_then(|text| text.trim().parse().ok());
        let left = noted.map(|until| Time(until).since(crate::sense::now()));
        let left = left.and_then(|left| u64::try_from(left).ok());
        // One that would be longer than any is of a clock that was set back since.
        let left = left.map(Duration::from_millis);
        let left = left.filter(|left| (Duration::from_secs(1)..=longest()).contains(left));
        let until = noted.map(Time).zip(left.map(|left| now + left));
        Pause { file, until }
    }

    /// When it ends, if there is one.
    pub(super) fn until(&self) -> Option<Time> {
        self.until.map(|(until, _)| until)
    }

    fn begin(&mut self, length: Duration, now: Instant) -> Time {
        let length = length.clamp(Duration::from_secs(1), longest());
        let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        let until = crate::sense::now().plus(millis);
        self.until = Some((until, now + length));
        let next = self.file.with_extension("next");
        let written = std::fs::write(&next, until.0.to_string())
            .and_then(|()| std::fs::rename(&next, &self.file));
        if let Err(why) = written {
            tracing::warn!(%why, "the pause could not be noted: it ends with this run at the latest");
        }
        until
    }

    fn end(&mut self) -> bool {
        let _ = std::fs::remove_file(&self.file); // an old one is over by itself
        self.until.take().is_some()
    }

    fn is_over(&self, now: Instant) -> bool {
        let over = |(wall, steady): (Time, Instant)| now >= steady || crate::sense::now() >= wall;
        self.until.is_some_and(over)
    }
}

fn longest() -> Duration {
    Duration::from_secs(LONGEST_PAUSE_SECONDS.into())
}

impl Watcher {
    /// Stops reading for a while; says until when.
    pub(super) fn pause(&mut self, length: Duration, now: Instant) -> Time {
        let until = self.pause.begin(length, now);
        self.interest.pause(true);
        tracing::warn!(
            until = until.seconds(),
            "paused: nothing is read until then"
        );
        self.courier.hasten(now);
        until
    }

    /// Takes up a pause of an earlier run.
    pub(super) fn take_up_pause(&mut self) {
        if let Some(until) = self.pause.until() {
            self.interest.pause(true);
            tracing::warn!(until = until.seconds(), "still paused");
        }
    }

    /// Reads again, if there is a pause; says whether there was.
    pub(super) fn resume(&mut self, now: Instant) -> bool {
        if !self.pause.end() {
            return false;
        }
        self.interest.pause(false);
        self.interest.sweep(); // what was started meanwhile was not captured
        tracing::info!("the pause is over");
        self.courier.hasten(now);
        true
    }

    pub(super) fn resume_when_due(&mut self, now: Instant) {
        if self.pause.is_over(now) {
            self.resume(now);
        }
    }

    /// Whether a person wants nothing read.
    pub(super) fn is_paused(&self) -> bool {
        self.pause.until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_pause_ends_by_itself_and_outlasts_a_restart() {
        let (directory, now) = (tempfile::tempdir().unwrap(), Instant::now());
        let mut pause = Pause::load(directory.path(), now);
        assert_eq!(pause.until(), None);
        let until = pause.begin(HOUR, now);
        assert!(!pause.is_over(now) && pause.is_over(now + HOUR));
        let mut again = Pause::load(directory.path(), now);
        assert_eq!(again.until(), Some(until));
        assert!(again.is_over(now + HOUR));
        assert!(again.end() && !again.end());
        assert_eq!(Pause::load(directory.path(), now).until(), None);
    }

    #[test]
    fn no_pause_is_longer_than_the_longest() {
        let (directory, now) = (tempfile::tempdir().unwrap(), Instant::now());
        let mut pause = Pause::load(directory.path(), now);
        pause.begin(HOUR * 1000, now);
        assert!(pause.is_over(now + longest()));
        // The clock was set back by a month since it was noted.
        let month = 30 * 24 * 3_600_000;
        for text in [
            crate::sense::now().plus(month).0.to_string(),
            crate::sense::now().plus(-month).0.to_string(),
            "soon".to_owned(),
        ] {
            std::fs::write(directory.path().join(FILE), &text).unwrap();
            assert_eq!(Pause::load(directory.path(), now).until(), None, "{text}");
        }
    }
}
