//! What time it is, by the collector's clock once it is known.
//!
//! A host whose clock is wrong could neither trust the collector's certificate nor see that its own
//! has ended. The offset is learned over TLS from a collector that the known authorities vouch for,
//! and is used for nothing but the validity of certificates.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use akwatch_proto::time::Time;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// Differences up to this are the network's, not the clock's: one minute.
const TOLERATED_MS: i64 = 60_000;

/// The host's clock, moved by what is known of its error.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    /// Now.
    pub(crate) fn now(&self) -> Time {
        own_now().plus(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Takes over the collector's time; gives the error in milliseconds when it is more than the
    /// network's.
    pub(crate) fn learn(&self, collector: Time) -> Option<i64> {
        let offset = collector.since(own_now());
        let wrong = offset
            .checked_abs()
            .is_none_or(|error| error > TOLERATED_MS);
        let offset = if wrong { offset } else { 0 };
        self.offset_ms.store(offset, Ordering::Relaxed);
        wrong.then_some(offset)
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.now().seconds()).unwrap_or(0);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

fn own_now() -> Time {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Time(millis(since)),
        Err(before) => Time(-millis(before.duration())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_put_right_and_a_right_one_left_alone() {
        let clock = Clock::default();
        let month = 30 * 24 * 3600 * 1000;
        assert!(clock.learn(own_now().plus(500)).is_none());
        assert!(clock.now().since(own_now()).abs() < 1000);
        let wrong = clock.learn(own_now().plus(-month)).unwrap();
        assert!((wrong + month).abs() < 1000);
        assert!((clock.now().since(own_now()) + month).abs() < 1000);
        assert!(clock.learn(Time(i64::MIN)).is_some());
    }
}
