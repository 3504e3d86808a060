//! Joins the reporter, which lives in an event loop, to its link, which blocks: one thread hears,
//! one says, and the loop ends when the link does.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::config::Collector;
use crate::link::{FromReporter, Inlet, Link, Outlet, ToReporter};
use crate::reporter::{Patience, Reporter, ReporterError, Setup};

/// How long the watcher may take to accept one answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that may wait for the loop; the watcher has one of each kind under way.
const WAITING: usize = 8;

/// Carries messages until the link ends.
///
/// # Errors
/// When the host is not enrolled or its identity is of no use.
pub(super) fn run(
    link: Link<FromReporter, ToReporter>,
    collector: Collector,
    missing_walls: Vec<String>,
) -> Result<(), ReporterError> {
    let (outlet, inlet) = link.split();
    let (say, answers) = mpsc::unbounded_channel();
    let (ask, requests) = mpsc::channel(WAITING);
    let _ = say.send(FromReporter::Started { missing_walls });
    // The role has made its identity directory the current one.
    let setup = Setup {
        collector,
        identity: PathBuf::from("."),
        patience: Patience::default(),
    };
    let event_loop = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| ReporterError::Start {
            step: "an event loop",
            source,
        })?;
    let reporter = event_loop.block_on(async { Reporter::open(setup, say) })?;
    let hearing = spawn("hear", move || hear(inlet, &ask))?;
    let saying = spawn("say", move || tell(outlet, answers))?;
    event_loop.block_on(reporter.serve(requests));
    drop(event_loop);
    // Both end with the link; neither can fail in a way that somebody could still be told.
    let _ = (saying.join(), hearing.join());
    Ok(())
}

fn spawn(
    name: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, ReporterError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|source| ReporterError::Start {
            step: "a thread",
            source,
        })
}

fn hear(mut inlet: Inlet<ToReporter>, ask: &mpsc::Sender<crate::link::Outgoing>) {
    loop {
        match inlet.hear(None) {
            Ok(Some(ToReporter::Send(message))) => {
                if ask.blocking_send(message).is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(error) if error.is_end() => return,
            Err(error) => {
                tracing::error!("the watcher's link broke: {error}");
                return;
            }
        }
    }
}

fn tell(mut outlet: Outlet<FromReporter>, mut answers: mpsc::UnboundedReceiver<FromReporter>) {
    while let Some(answer) = answers.blocking_recv() {
        if let Err(error) = outlet.say(&answer, PATIENCE) {
            if !error.is_end() {
                tracing::error!("the watcher's link broke: {error}");
            }
            break;
        }
    }
    outlet.close();
}
