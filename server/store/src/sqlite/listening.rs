//! How long each host has been silent, in time that this collector listened.
//!
//! How long something lasted is no question for the wall clock: it is set, it jumps when a virtual
//! machine is resumed, and it was wrong when a collector started. So what is stored is when a host was
//! last heard, for people to read, and how long ago that was is counted here, in memory, by the
//! [`Listened`] that the caller hands in. A collector that starts has itself heard nobody and begins
//! anew: hosts are then called silent, and retired, later, never sooner.
//!
//! A word counts from the question after it, so that nobody is called silent a moment early.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::hosts::Listened;

/// What is known of hosts' silence.
#[derive(Default)]
pub(crate) struct Listening(Mutex<State>);

#[derive(Default)]
struct State {
    /// Whether the hosts are known that were live when this collector started.
    begun: bool,
    /// Live hosts: the last word of each.
    live: HashMap<i64, Word>,
    /// Heard since silence was last looked for: seconds between heartbeats.
    fresh: HashMap<i64, u32>,
    /// When somebody was last heard.
    last_word: i64,
    /// Time in which somebody was heard, whoever it was: while nobody is, it is the collector that is
    /// cut off.
    in_company: i64,
    /// Hosts that are silent: how much of that time there was when they were first asked about.
    silent: HashMap<i64, i64>,
    /// When they were last asked about.
    asked: i64,
}

#[derive(Clone, Copy)]
struct Word {
    at: i64,
    heartbeat_seconds: u32,
}

impl Listening {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host said something.
    pub(crate) fn heard(&self, host: i64, heartbeat_seconds: u32) {
        let mut state = self.state();
        state.silent.remove(&host);
        state.fresh.insert(host, heartbeat_seconds);
    }

    /// Whether the live hosts are still to be [told](Listening::begin).
    pub(crate) fn is_to_begin(&self) -> bool {
        !self.state().begun
    }

    /// The hosts that are live, by seconds between their heartbeats: their silence counts from here.
    pub(crate) fn begin(&self, live: &[(i64, u32)], listened: Listened) {
        let mut state = self.state();
        for &(host, heartbeat_seconds) in live {
            let at = listened.ms;
            let word = Word {
                at,
                heartbeat_seconds,
            };
            state.live.insert(host, word);
        }
        state.last_word = listened.ms;
        state.asked = listened.ms;
        state.begun = true;
    }

    /// Takes what was heard into account; gives at most `limit` live hosts that missed more than
    /// `missed` heartbeats.
    pub(crate) fn overdue(&self, missed: u32, listened: Listened, limit: usize) -> Vec<i64> {
        let mut state = self.state();
        let state = &mut *state;
        let patience =
            |heartbeat_seconds: u32| i64::from(missed) * i64::from(heartbeat_seconds) * 1000;
        // What lies between two words counts, but no more than any host may leave between its own.
        if let Some(longest) = state.fresh.values().copied().max() {
            let between = listened.ms - state.last_word;
            state.in_company += between.clamp(0, patience(longest));
            state.last_word = listened.ms;
        }
        for (host, heartbeat_seconds) in state.fresh.drain() {
            let at = listened.ms;
            state.live.insert(
                host,
                Word {
                    at,
                    heartbeat_seconds,
                },
            );
        }
        let overdue = state
            .live
            .iter()
            .filter(|(_, word)| listened.ms - word.at > patience(word.heartbeat_seconds));
        overdue.map(|(host, _)| *host).take(limit).collect()
    }

    /// Whether a host that was overdue has said nothing since.
    pub(crate) fn is_still_overdue(&self, host: i64) -> bool {
        !self.state().fresh.contains_key(&host)
    }

    /// These are no longer live: silent, or retired.
    pub(crate) fn ended(&self, hosts: &[i64]) {
        let mut state = self.state();
        for host in hosts {
            state.live.remove(host);
        }
    }

    /// Which of the silent hosts have been so for `silent_ms`, by their places in the list. A host that
    /// is named for the first time has been for no time at all; so has each of them after the clocks
    /// broke, and none has while nobody else is heard.
    pub(crate) fn long_silent(
        &self,
        silent: &[i64],
        silent_ms: i64,
        listened: Listened,
    ) -> Vec<usize> {
        let mut state = self.state();
        let state = &mut *state;
        if listened.unbroken_since > state.asked {
            state.silent.clear();
        }
        state.asked = listened.ms;
        let now = state.in_company;
        let known = std::mem::take(&mut state.silent);
        let mut long = Vec::new();
        for (place, host) in silent.iter().enumerate() {
            let since = known.get(host).copied().unwrap_or(now);
            state.silent.insert(*host, since);
            if now - since > silent_ms {
                long.push(place);
            }
        }
        long
    }
}
