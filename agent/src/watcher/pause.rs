//! Pauses: reading stops, heartbeats go on, and each ends by itself.
//!
//! Root of this host may ask for one, and so may its collector, unless `deny.pauses` refuses it. They
//! stand beside each other: nothing is read until the later end, and each ends only its own, so that
//! neither can take the other's away or shorten it.
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

/// Who asked for a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Root of this host.
    Here,
    /// Its collector.
    Above,
}

impl Asked {
    /// Holds the end of such a pause in the watcher's directory: milliseconds since the epoch.
    fn file(self) -> &'static str {
        match self {
            Asked::Here => "paused-until",
            Asked::Above => "paused-until-from-above",
        }
    }

    /// As people are told.
    fn word(self) -> &'static str {
        match self {
            Asked::Here => "as somebody on this host asked",
            Asked::Above => "as its collector asked",
        }
    }
}

/// The pauses of both who may ask for one.
#[derive(Debug)]
pub(super) struct Pauses {
    here: Pause,
    above: Pause,
}

impl Pauses {
    /// Those that an earlier run was in, if they are not over. One that the collector asked for is none
    /// where this host does not take any more of them.
    pub(super) fn load(directory: &Path, takes_any: bool, now: Instant) -> Pauses {
        let here = Pause::load(directory.join(Asked::Here.file()), now);
        let mut above = Pause::load(directory.join(Asked::Above.file()), now);
        if !takes_any && above.end() {
            tracing::warn!("the collector's pause is over: `deny.pauses` refuses it");
        }
        Pauses { here, above }
    }

    /// When it will be read again, if it is not now, and who asked for that.
    pub(super) fn until(&self) -> Option<(Time, Asked)> {
        let ends = [Asked::Here, Asked::Above].map(|asked| {
            let until = self.of(asked).until?.0;
            Some((until, asked))
        });
        ends.into_iter().flatten().max_by_key(|(until, _)| *until)
    }

    fn of(&self, asked: Asked) -> &Pause {
        match asked {
            Asked::Here => &self.here,
            Asked::Above => &self.above,
        }
    }

    fn of_mut(&mut self, asked: Asked) -> &mut Pause {
        match asked {
            Asked::Here => &mut self.here,
            Asked::Above => &mut self.above,
        }
    }
}

/// A pause, or none.
#[derive(Debug)]
struct Pause {
    file: PathBuf,
    until: Option<(Time, Instant)>,
}

impl Pause {
    fn load(file: PathBuf, now: Instant) -> Pause {
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

    fn begin(&mut self, length: Duration, now: Instant) {
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

/// What is said of a pause.
pub(super) fn told((until, asked): (Time, Asked)) -> String {
    let instant = jiff::Timestamp::from_second(until.seconds()).unwrap_or_default();
    format!("until {instant}, {}", asked.word())
}

impl Watcher {
    /// Stops reading for a while; says until when, which is later where another pause goes on.
    pub(super) fn pause(&mut self, asked: Asked, length: Duration, now: Instant) -> Option<Time> {
        self.pauses.of_mut(asked).begin(length, now);
        self.interest.pause(true);
        let until = self.pauses.until();
        if let Some(until) = until {
            tracing::warn!("paused: nothing is read {}", told(until));
        }
        self.courier.hasten(now);
        until.map(|(until, _)| until)
    }

    /// Takes up the pauses of an earlier run.
    pub(super) fn take_up_pauses(&mut self) {
        if let Some(until) = self.pauses.until() {
            self.interest.pause(true);
            tracing::warn!("still paused: nothing is read {}", told(until));
        }
    }

    /// Ends the pause that this one asked for, if there is one, and says whether there was; reads again
    /// unless the other's goes on.
    pub(super) fn resume(&mut self, asked: Asked, now: Instant) -> bool {
        if !self.pauses.of_mut(asked).end() {
            return false;
        }
        self.courier.hasten(now);
        if let Some(until) = self.pauses.until() {
            tracing::warn!("a pause is over, and nothing is read {}", told(until));
            return true;
        }
        self.interest.pause(false);
        self.interest.sweep(); // what was started meanwhile was not captured
        tracing::info!("the pause is over");
        true
    }

    pub(super) fn resume_when_due(&mut self, now: Instant) {
        for asked in [Asked::Here, Asked::Above] {
            if self.pauses.of(asked).is_over(now) {
                self.resume(asked, now);
            }
        }
    }

    /// Whether a person wants nothing read.
    pub(super) fn is_paused(&self) -> bool {
        self.pauses.until().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn load(directory: &Path, now: Instant) -> Pause {
        Pause::load(directory.join(Asked::Here.file()), now)
    }

    #[test]
    fn a_pause_ends_by_itself_and_outlasts_a_restart() {
        let (directory, now) = (tempfile::tempdir().unwrap(), Instant::now());
        let mut pause = load(directory.path(), now);
        assert_eq!(pause.until, None);
        pause.begin(HOUR, now);
        assert!(!pause.is_over(now) && pause.is_over(now + HOUR));
        let mut again = load(directory.path(), now);
        assert_eq!(
            again.until.map(|(until, _)| until),
            pause.until.map(|(until, _)| until)
        );
        assert!(again.is_over(now + HOUR));
        assert!(again.end() && !again.end());
        assert_eq!(load(directory.path(), now).until, None);
    }

    #[test]
    fn no_pause_is_longer_than_the_longest() {
        let (directory, now) = (tempfile::tempdir().unwrap(), Instant::now());
        let mut pause = load(directory.path(), now);
        pause.begin(HOUR * 1000, now);
        assert!(pause.is_over(now + longest()));
        // The clock was set back by a month since it was noted.
        let month = 30 * 24 * 3_600_000;
        for text in [
            crate::sense::now().plus(month).0.to_string(),
            crate::sense::now().plus(-month).0.to_string(),
            "soon".to_owned(),
        ] {
            std::fs::write(directory.path().join(Asked::Here.file()), &text).unwrap();
            assert_eq!(load(directory.path(), now).until, None, "{text}");
        }
    }

    #[test]
    fn each_has_a_pause_of_its_own_and_the_later_end_holds() {
        let (directory, now) = (tempfile::tempdir().unwrap(), Instant::now());
        let load = |takes_any| Pauses::load(directory.path(), takes_any, now);
        let mut pauses = load(true);
        let who = |pauses: &Pauses| pauses.until().map(|(_, asked)| asked);
        assert_eq!(who(&pauses), None);
        pauses.of_mut(Asked::Here).begin(4 * HOUR, now);
        let until = pauses.until();
        // A shorter one takes nothing away from it.
        pauses
            .of_mut(Asked::Above)
            .begin(Duration::from_secs(1), now);
        assert_eq!(pauses.until(), until);
        assert!(pauses.of_mut(Asked::Above).end());
        assert_eq!(pauses.until(), until);
        pauses.of_mut(Asked::Above).begin(5 * HOUR, now);
        assert_eq!(who(&pauses), Some(Asked::Above));
        assert_eq!(who(&load(true)), Some(Asked::Above), "both are noted");
        assert!(pauses.of_mut(Asked::Here).end());
        assert_eq!(who(&pauses), Some(Asked::Above));
        // The host takes none any more: it is over, and stays so.
        assert_eq!(who(&load(false)), None);
        assert_eq!(who(&load(true)), None);
    }
}
