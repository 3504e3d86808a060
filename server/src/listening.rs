//! How long this collector has listened: by a clock that nobody sets, and only while it ran.
//!
//! The wall clock is set by people, by NTP and by hypervisors, in steps of any size; a collector that
//! took such a step for time that passed would call its whole fleet silent and retire what is made to
//! come and go. The steady clock is not set, but some hypervisors let it jump over a pause, and a
//! process that is stopped or starved hears nobody while it goes on: so no more than
//! [`LONGEST_GAP`] is counted between two looks at it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use akwatch_proto::time::Time;
use akwatch_store::hosts::Listened;

/// The most that counts between two counts, which are seconds apart: beyond it the collector did not
/// run.
pub const LONGEST_GAP: Duration = Duration::from_secs(20);

/// How far wall and steady clock may part between two counts: NTP slews by half a millisecond a second.
const SAME: Duration = Duration::from_secs(2);

/// Counts; shared by those who ask.
#[derive(Debug, Default)]
pub struct Listening(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<(Instant, Time)>,
    listened: Listened,
}

impl Listening {
    /// How long it has been, as of these two clocks' moment. The first count is zero.
    #[must_use]
    pub fn count(&self, steady: Instant, wall: Time) -> Listened {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, wall_before) = *state.last.get_or_insert((steady, wall));
        let passed = steady.saturating_duration_since(before);
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        state.listened.ms += ms(passed.min(LONGEST_GAP));
        let apart = wall.since(wall_before).abs_diff(ms(passed));
        if passed > LONGEST_GAP || u128::from(apart) > SAME.as_millis() {
            state.listened.unbroken_since = state.listened.ms;
        }
        state.last = Some((steady, wall));
        state.listened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts after so many seconds of the steady and of the wall clock; the last answer, in seconds.
    fn check(steps: &[(u64, i64)], expected: (i64, i64)) {
        let (listening, begin) = (Listening::default(), Instant::now());
        let (mut steady, mut wall) = (begin, Time::from_seconds(1_772_600_000));
        assert_eq!(listening.count(steady, wall), Listened::default());
        let mut last = Listened::default();
        for (seconds, walls) in steps {
            steady += Duration::from_secs(*seconds);
            wall = wall.plus(walls * 1000);
            last = listening.count(steady, wall);
        }
        assert_eq!((last.ms / 1000, last.unbroken_since / 1000), expected);
    }

    #[test]
    fn time_counts_by_the_clock_that_nobody_sets_while_the_collector_runs() {
        check(&[(5, 5), (5, 6), (5, 4)], (15, 0));
        // The wall clock is set, either way.
        check(&[(5, 5), (5, 3605), (5, 5)], (15, 10));
        check(&[(5, 5), (5, -86_400), (5, 5)], (15, 10));
        // A virtual machine that was paused: its steady clock stood still, or jumped as well.
        check(&[(5, 5), (5, 3660), (5, 5)], (15, 10));
        check(&[(5, 5), (3660, 3660), (5, 5)], (30, 25));
    }
}
