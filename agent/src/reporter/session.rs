//! The identity in use, the clients made of it, and which collector answers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use akwatch_proto::agent::ServerTime;
use akwatch_proto::time::Time;
use reqwest::Url;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{CallError, Caller, Carried, address};
use super::clock::Clock;
use super::trust::{Roots, Seen, as_anybody, as_host};
use super::{ReporterError, Setup};
use crate::config::Collector;
use crate::identity::Identity;

/// For a question of one line.
pub(crate) const SHORT: Duration = Duration::from_secs(30);

/// An identity and its clients, replaced together at each renewal.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) identity: Identity,
    /// Shows the host's certificate.
    as_host: Caller,
    /// Shows none: for a host whose certificate has ended.
    pub(crate) as_anybody: Caller,
    /// Shows none and forgives the collector's certificate its dates: for the time alone.
    at_any_time: Caller,
}

/// What every call needs.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) directory: PathBuf,
    pub(crate) clock: Arc<Clock>,
    collector: Collector,
    seen: Seen,
    /// What all clients have carried.
    pub(crate) carried: Carried,
    current: Mutex<Arc<Current>>,
    /// Index of the collector that last answered.
    preferred: AtomicUsize,
    /// One renewal at a time.
    pub(crate) renewing: tokio::sync::Mutex<()>,
}

impl Session {
    pub(crate) fn open(setup: Setup) -> Result<Session, ReporterError> {
        let (clock, seen) = (Arc::new(Clock::default()), Seen::default());
        let (identity, carried) = (Identity::open(&setup.identity)?, Carried::default());
        let current = Current::of(identity, &setup.collector, &clock, &seen, &carried)?;
        Ok(Session {
            directory: setup.identity,
            clock,
            collector: setup.collector,
            seen,
            carried,
            current: Mutex::new(Arc::new(current)),
            preferred: AtomicUsize::new(0),
            renewing: tokio::sync::Mutex::new(()),
        })
    }

    /// The identity in use now.
    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with another identity; calls under way end with the old one.
    pub(crate) fn replace(&self, identity: Identity) -> Result<(), ReporterError> {
        let current = Current::of(
            identity,
            &self.collector,
            &self.clock,
            &self.seen,
            &self.carried,
        )?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
        Ok(())
    }

    /// Whether the host's certificate has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.clock.now() >= self.current().identity.not_after
    }

    /// Whether the host's certificate does not hold now: it has ended, or was made while the
    /// collector's clock was ahead and has not begun.
    pub(crate) fn is_void(&self) -> bool {
        self.has_ended() || self.clock.now() < self.current().identity.not_before
    }

    /// The collectors in the order in which they are tried now.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (usize, Url)> + '_ {
        let urls = &self.collector.urls;
        let first = self.preferred.load(Ordering::Relaxed);
        (0..urls.len()).map(move |offset| {
            let index = (first + offset) % urls.len();
            (index, urls[index].url().clone())
        })
    }

    /// Notes that this collector answers.
    pub(crate) fn prefer(&self, index: usize) {
        self.preferred.store(index, Ordering::Relaxed);
    }

    /// Posts as this host to the first collector that answers. A certificate that has ended is
    /// renewed first; a clock that is wrong is put right.
    pub(crate) async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        time: Duration,
    ) -> Result<A, CallError> {
        let mut last = None;
        for (index, url) in self.addresses() {
            match self.post_to(&url, path, body, time).await {
                Ok(answer) => {
                    self.prefer(index);
                    return Ok(answer);
                }
                Err(error) if error.elsewhere() => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.expect("invariant: a configuration names a collector"))
    }

    async fn post_to<A: DeserializeOwned>(
        &self,
        url: &Url,
        path: &str,
        body: &(impl Serialize + Sync),
        time: Duration,
    ) -> Result<A, CallError> {
        if self.has_ended() {
            super::renewal::renew_expired(self, url).await?;
        }
        let error = match self.current().as_host.post(url, path, body, time).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        // Three failures have one cause each that can be removed here, once. Whether a certificate holds
        // is for the collector's clock to say, wherever that may be.
        match &error {
            CallError::WrongTime { .. } => {
                if !self.ask_time(url).await? {
                    return Err(error);
                }
            }
            CallError::CertificateRefused { .. } => {
                self.ask_time(url).await?;
            }
            CallError::Refused { refused, .. }
                if refused.code == akwatch_proto::agent::RefusalCode::Unauthenticated =>
            {
                self.ask_time(url).await?;
            }
            _ => return Err(error),
        }
        if self.is_void() {
            super::renewal::renew_expired(self, url).await?;
        }
        self.current().as_host.post(url, path, body, time).await
    }

    /// Asks for the collector's time; says whether this host's is wrong.
    pub(crate) async fn ask_time(&self, url: &Url) -> Result<bool, CallError> {
        let current = self.current();
        let answer: ServerTime = current.at_any_time.get(url, "/v1/time", SHORT).await?;
        let wrong = self.learn_time(answer.time);
        tracing::debug!(address = %address(url), wrong, "asked for the time");
        Ok(wrong)
    }

    /// Takes over the collector's time, and says once when the host's is wrong.
    pub(crate) fn learn_time(&self, time: Time) -> bool {
        let before = self.clock.now();
        let Some(error) = self.clock.learn(time) else {
            return false;
        };
        if self.clock.now().since(before).abs() > 60_000 {
            tracing::warn!(
                error_seconds = -(error / 1000),
                "this host's clock is wrong; the collector's is used for certificates"
            );
        }
        true
    }
}

impl Current {
    fn of(
        identity: Identity,
        collector: &Collector,
        clock: &Arc<Clock>,
        seen: &Seen,
        carried: &Carried,
    ) -> Result<Current, ReporterError> {
        let roots = || Roots::Known(identity.authorities.clone());
        let caller = |tls: Result<rustls::ClientConfig, rustls::Error>| {
            let tls = tls.map_err(ReporterError::Tls)?;
            Caller::new(tls, collector, seen, carried).map_err(ReporterError::Client)
        };
        Ok(Current {
            as_host: caller(as_host(&identity, clock, seen))?,
            as_anybody: caller(as_anybody(roots(), false, clock, seen))?,
            at_any_time: caller(as_anybody(roots(), true, clock, seen))?,
            identity,
        })
    }

    /// The client that shows the host's certificate.
    pub(crate) fn as_host(&self) -> &Caller {
        &self.as_host
    }
}
