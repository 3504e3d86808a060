//! The courier: takes what the watcher wants said to the collector, brings back the answer.
//!
//! It knows no finding's meaning: messages of `proto` pass through it as they are. It holds the
//! host's certificate, renews it, and finds a collector that answers; it never sees a secret, nor the
//! fingerprint key. Report, heartbeat and check-in proceed side by side, one of each at a time; a
//! newer message of a sort replaces one that has not got through. What goes wrong is told to the
//! watcher as an [`Outage`], in words and without content.
//!
//! Every call tries the collectors in the configured order, beginning with the one that last
//! answered, then waits with full jitter ([`Patience`]), never less than a `Retry-After` says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use akwatch_proto::agent::Heartbeat;
use tokio::sync::mpsc;

use crate::config::Collector;
use crate::identity::IdentityError;
use crate::link::{Answer, FromReporter, Inlet, Link, Outage, Outgoing, Outlet, ToReporter};

mod call;
mod clock;
mod patience;
mod renewal;
mod session;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod trust;

pub use call::CallError;
pub(crate) use call::{Caller, Carried, address};
pub(crate) use clock::Clock;
pub use patience::Patience;
use session::Session;
pub(crate) use trust::{Roots, Seen, as_anybody, as_host};

/// For a report or heartbeat, answer included.
const CALL_TIME: Duration = Duration::from_secs(60);
/// Beyond what a check-in may be held, for its answer to travel.
const HELD_TIME: Duration = Duration::from_secs(30);
/// How long the watcher may take to accept one message.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages of one sort that may wait: a newer one replaces an older one.
const WAITING: usize = 4;

/// Why the reporter cannot work at all.
#[derive(Debug, thiserror::Error)]
pub enum ReporterError {
    /// This host has no usable identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// TLS cannot be set up with the host's certificate.
    #[error("this host's certificate and key do not serve for TLS; enroll anew")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("cannot set up the client; check `collector.proxy`")]
    Client(#[source] reqwest::Error),
    /// The system gives no event loop or thread.
    #[error("cannot start: {step}")]
    Start {
        /// What was started.
        step: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What a reporter works with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where the collectors are and how to get there.
    pub collector: Collector,
    /// The directory of the identity.
    pub identity: PathBuf,
    /// How long it waits between attempts.
    pub patience: Patience,
}

impl Setup {
    /// A reporter of this configuration and identity directory, which may be `.`.
    #[must_use]
    pub fn new(collector: Collector, identity: &Path) -> Setup {
        Setup {
            collector,
            identity: identity.to_owned(),
            patience: Patience::default(),
        }
    }
}

/// Serves the watcher over `link` until it ends the link. The first message says which walls this
/// process lacks.
///
/// # Errors
/// When this host is not enrolled or the system refuses what is needed; what goes wrong later is
/// told over the link.
pub fn run(
    link: Link<FromReporter, ToReporter>,
    missing_walls: Vec<String>,
    setup: Setup,
) -> Result<(), ReporterError> {
    let (outlet, inlet) = link.split();
    let (say, said) = mpsc::unbounded_channel();
    let (ask, asked) = mpsc::channel(WAITING);
    let start = |step| move |source| ReporterError::Start { step, source };
    // Nobody listens yet whom a failure could be told; the next step finds out.
    let _ = say.send(FromReporter::Started { missing_walls });
    let telling = thread("tell", move || tell(outlet, said)).map_err(start("a thread"))?;
    let reporter = Reporter::open(setup, say)?;
    thread("hear", move || hear(inlet, &ask)).map_err(start("a thread"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2) // names are resolved on them
        .build()
        .map_err(start("an event loop"))?;
    runtime.block_on(reporter.serve(asked));
    // A name that is being resolved may take longer than anybody waits.
    runtime.shutdown_background();
    // What was answered last still reaches the watcher, if it listens.
    let _ = telling.join();
    Ok(())
}

fn thread(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
}

/// Says everything to the watcher, until there is nothing more to say or it does not listen.
fn tell(mut outlet: Outlet<FromReporter>, mut said: mpsc::UnboundedReceiver<FromReporter>) {
    while let Some(message) = said.blocking_recv() {
        if let Err(why) = outlet.say(&message, PATIENCE) {
            tracing::warn!(%why, "the watcher does not listen");
            outlet.close();
            return;
        }
    }
}

/// Hears the watcher until it ends the link.
fn hear(mut inlet: Inlet<ToReporter>, ask: &mpsc::Sender<Outgoing>) {
    loop {
        match inlet.hear(None) {
            Ok(None) => {}
            Ok(Some(ToReporter::Send(message))) => {
                if ask.blocking_send(message).is_err() {
                    return;
                }
            }
            Err(why) => {
                if !why.is_end() {
                    tracing::error!(%why, "the watcher's link is of no use any more");
                }
                return;
            }
        }
    }
}

/// A reporter that is ready to serve.
#[derive(Debug)]
pub struct Reporter {
    session: Session,
    patience: Patience,
    say: mpsc::UnboundedSender<FromReporter>,
}

impl Reporter {
    /// Opens the identity and sets up TLS; what is answered goes to `say`.
    ///
    /// # Errors
    /// When this host is not enrolled, or its identity is of no use.
    pub fn open(
        setup: Setup,
        say: mpsc::UnboundedSender<FromReporter>,
    ) -> Result<Reporter, ReporterError> {
        let patience = setup.patience;
        let session = Session::open(setup)?;
        let not_after = session.current().identity.not_after;
        // Nobody listens only where the reporter is about to end.
        let _ = say.send(FromReporter::Certified { not_after });
        Ok(Reporter {
            session,
            patience,
            say,
        })
    }

    /// Serves until `requests` has ended.
    pub async fn serve(self, mut requests: mpsc::Receiver<Outgoing>) {
        let (report, reports) = mpsc::channel(WAITING);
        let (beat, beats) = mpsc::channel(WAITING);
        let (check, checks) = mpsc::channel(WAITING);
        let sort = async move {
            while let Some(request) = requests.recv().await {
                let queue = match &request {
                    Outgoing::Report(_) => &report,
                    Outgoing::Heartbeat(_) => &beat,
                    Outgoing::CheckIn(_) => &check,
                };
                // A full queue means that the watcher asked again and again without an answer; the
                // newest of what waits is sent, so this one is as good as those.
                let _ = queue.try_send(request);
            }
        };
        tokio::select! {
            () = sort => {}
            () = self.carry_all(reports) => {}
            () = self.carry_all(beats) => {}
            () = self.carry_all(checks) => {}
            () = renewal::keep(&self) => {}
        }
    }

    /// Carries messages of one sort, the newest of those that wait, one at a time.
    async fn carry_all(&self, mut queue: mpsc::Receiver<Outgoing>) {
        while let Some(mut message) = queue.recv().await {
            let mut failures = 0;
            loop {
                while let Ok(newer) = queue.try_recv() {
                    message = newer;
                }
                match self.carry(&message).await {
                    Ok(answer) => {
                        self.say(FromReporter::Answered(answer));
                        self.say_carried();
                        if queue.is_empty() {
                            akwatch_sys::memory::give_back();
                        }
                        break;
                    }
                    Err(error) => {
                        failures += 1;
                        self.say_carried();
                        match self.outage(call_of(&message), &error, failures) {
                            Some(wait) => tokio::time::sleep(wait).await,
                            None => break,
                        }
                    }
                }
            }
        }
    }

    async fn carry(&self, message: &Outgoing) -> Result<Answer, CallError> {
        let session = &self.session;
        match message {
            Outgoing::Report(report) => session
                .post("/v1/report", report, CALL_TIME)
                .await
                .map(Answer::Report),
            Outgoing::Heartbeat(heartbeat) => self.beat(heartbeat).await,
            Outgoing::CheckIn(check_in) => {
                let held = Duration::from_secs(check_in.wait_seconds.into());
                let answer = session.post("/v1/check-in", check_in, held + HELD_TIME);
                answer.await.map(Answer::CheckIn)
            }
        }
    }

    async fn beat(&self, heartbeat: &Heartbeat) -> Result<Answer, CallError> {
        let answer: akwatch_proto::agent::HeartbeatAnswer = self
            .session
            .post("/v1/heartbeat", heartbeat, CALL_TIME)
            .await?;
        self.session.learn_time(answer.time);
        Ok(Answer::Heartbeat(answer))
    }

    /// Tells the watcher and the log, and how long to wait; nothing when trying again is of no use.
    fn outage(&self, call: &'static str, error: &CallError, failures: u32) -> Option<Duration> {
        let wait = error.later().then(|| {
            self.patience
                .wait(failures, error.retry_after(), patience::random())
        });
        tracing::warn!(call, failures, retry_ms = ?wait.map(millis), "{error}");
        self.say(FromReporter::Outage(Outage {
            call: call.to_owned(),
            why: error.to_string(),
            refused: error.refused().cloned(),
            retry_ms: wait.map(millis),
        }));
        wait
    }

    fn say_carried(&self) {
        let bytes = self.session.carried.take();
        self.say(FromReporter::Carried { bytes });
    }

    fn say(&self, message: FromReporter) {
        // Nobody listens any more only while the reporter is ending.
        let _ = self.say.send(message);
    }
}

fn call_of(message: &Outgoing) -> &'static str {
    match message {
        Outgoing::Report(_) => "report",
        Outgoing::Heartbeat(_) => "heartbeat",
        Outgoing::CheckIn(_) => "check-in",
    }
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
