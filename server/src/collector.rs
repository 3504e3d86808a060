//! What every handler holds: the domain, and the little that lives only in memory.
//!
//! A collector may be killed at any moment, so nothing here is needed to be right after a restart:
//! nonces and throttles begin anew, and an agent that was waiting asks again.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use akwatch_proto::agent::HostId;
use akwatch_proto::time::Time;
use tokio::sync::{Notify, Semaphore, watch};

use crate::agents::nonces::Nonces;
use crate::config::Config;
use crate::domain::Domain;
use crate::throttle::Throttle;

/// Reports that are unpacked and written at once. Stops: [`BODY_DECOMPRESSED`] bytes for every
/// connection at the same time.
///
/// [`BODY_DECOMPRESSED`]: akwatch_proto::limits::BODY_DECOMPRESSED
const REPORTS_AT_ONCE: usize = 16;

/// The collector, shared by all handlers.
#[derive(Clone)]
pub struct Collector(Arc<Shared>);

/// What they share.
pub struct Shared {
    /// Decides, and remembers through the store.
    pub domain: Arc<Domain>,
    /// What people see in the top bar.
    pub name: String,
    /// Tokens that were wrong, by address.
    pub enrollments: Throttle,
    /// Sign-ins that failed, by name and by address.
    pub sign_ins: Throttle,
    /// Questions who holds a pasted secret, by person.
    pub questions: Throttle,
    /// For renewals with an expired certificate.
    pub nonces: Nonces,
    /// Who waits for directives.
    pub waiting: Waiting,
    /// Turns for unpacking reports.
    pub reports: Semaphore,
    /// Turns true when the collector is to end.
    pub drain: watch::Receiver<bool>,
}

impl Collector {
    /// Puts the parts together.
    #[must_use]
    pub fn new(config: &Config, domain: Arc<Domain>, drain: watch::Receiver<bool>) -> Collector {
        Collector(Arc::new(Shared {
            domain,
            name: config.name.clone(),
            enrollments: Throttle::new(20, Duration::from_secs(60)),
            sign_ins: Throttle::new(5, Duration::from_secs(60)),
            questions: Throttle::new(30, Duration::from_secs(60)),
            nonces: Nonces::default(),
            waiting: Waiting::default(),
            reports: Semaphore::new(REPORTS_AT_ONCE),
            drain,
        }))
    }
}

impl Deref for Collector {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The collector's clock.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Hosts whose check-in is held open, and the bell of each.
#[derive(Default)]
pub struct Waiting(Mutex<HashMap<HostId, Arc<Notify>>>);

impl Waiting {
    /// The bell of a host; ring it with [`Waiting::wake`].
    #[must_use]
    pub fn bell(&self, host: HostId) -> Arc<Notify> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain(|_, bell| Arc::strong_count(bell) > 1);
        Arc::clone(bells.entry(host).or_default())
    }

    /// Lets a host's check-in answer at once, if one is held.
    pub fn wake(&self, host: HostId) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(&host) {
            bell.notify_waiters();
        }
    }
}
