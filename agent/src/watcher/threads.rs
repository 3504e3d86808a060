//! The threads beside the loop: each waits for one thing and speaks into a channel.
//!
//! None of them decides anything, and each ends when the loop is gone or the stop is asked for.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::samples::Samples;
use super::{Event, Options, WatcherError};
use crate::control;
use crate::host::Root;
use crate::link::{Inlet, MarkerLink, Message, TalkError};
use crate::open::Opener;
use crate::role::Arrivals;
use crate::sense::captured::Captured;
use crate::sense::execs::Execs;
use crate::sense::files::Files;
use crate::sense::marked::{Marked, Marks};
use crate::sense::processes::{Interest, Processes};
use crate::sense::scan::{Ask, Scan, Walked};
use crate::sense::strict::{Held, Strict};
use crate::sense::watch_set::WatchSet;
use crate::sense::{Sensed, Stop, Woken};

/// What sensors are made of.
pub(super) struct Parts<'a> {
    pub(super) host: &'a Arc<Root>,
    pub(super) opener: &'a Arc<Opener>,
    pub(super) set: &'a WatchSet,
    pub(super) marks: &'a Marks,
    pub(super) strict: &'a Strict,
    pub(super) options: &'a Options,
    pub(super) stop: &'a Stop,
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), WatcherError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(WatcherError::Thread)
}

pub(super) fn sensors(
    parts: &Parts<'_>,
    interest: &Interest,
    out: Sender<Sensed>,
) -> Result<(), WatcherError> {
    files(parts, out.clone())?;
    if parts.options.processes {
        let captured = Captured::default();
        let heard = execs(parts, interest, &captured, out.clone())?;
        if parts.strict.is_configured() {
            held(parts, interest, captured, heard, out.clone())?;
        }
        processes(parts, interest.clone(), heard, out)?;
    }
    Ok(())
}

fn files(parts: &Parts<'_>, out: Sender<Sensed>) -> Result<(), WatcherError> {
    let (host, set) = (Arc::clone(parts.host), parts.set.clone());
    let (marks, watches) = (parts.marks.clone(), parts.options.watches);
    let files = Files::new(host, set, marks, watches, out, parts.stop.clone())?;
    spawn("files", move || files.run())
}

/// Starts the fanotify rung on a marker's link.
pub(super) fn marked(
    host: Arc<Root>,
    link: MarkerLink,
    set: WatchSet,
    shared: (Marks, Strict),
    out: Sender<Sensed>,
    stop: Stop,
) -> Result<(), WatcherError> {
    let (outlet, inlet) = link.split();
    let marked = Marked::new(host, inlet, set, shared, out, stop);
    spawn("marked", move || {
        marked.run();
        outlet.close();
    })
}

/// Starts the exec rung where the kernel gives it; says whether it does.
fn execs(
    parts: &Parts<'_>,
    interest: &Interest,
    captured: &Captured,
    out: Sender<Sensed>,
) -> Result<bool, WatcherError> {
    let with = (Arc::clone(parts.opener), captured.clone());
    let (strict, stop) = (parts.strict.clone(), parts.stop.clone());
    match Execs::new(with, interest.clone(), strict, out, stop) {
        Ok(execs) => crate::role::hurried::spawn("execs", move || execs.run())
            .map(|()| true)
            .map_err(WatcherError::Thread),
        Err(why) => {
            tracing::info!(%why, "executions are not heard here; processes are swept");
            Ok(false)
        }
    }
}

/// Starts the strict rung, which waits for a gate.
fn held(
    parts: &Parts<'_>,
    interest: &Interest,
    captured: Captured,
    exec_events: bool,
    out: Sender<Sensed>,
) -> Result<(), WatcherError> {
    let (strict, stop) = (parts.strict.clone(), parts.stop.clone());
    let with = (Arc::clone(parts.opener), captured);
    let held = Held::new(strict, with, interest.clone(), exec_events, out, stop);
    spawn("held", move || held.run())
}

fn processes(
    parts: &Parts<'_>,
    interest: Interest,
    exec_events: bool,
    out: Sender<Sensed>,
) -> Result<(), WatcherError> {
    let begins = parts.strict.status(exec_events, 0);
    let processes = Processes::new(interest, begins, out, parts.stop.clone());
    spawn("processes", move || processes.run())
}

pub(super) fn scan(
    parts: &Parts<'_>,
    asks: (Receiver<Ask>, Receiver<PathBuf>),
    out: Sender<Walked>,
) -> Result<(), WatcherError> {
    let scan = Scan::new(Arc::clone(parts.host), parts.set.clone(), asks, out);
    spawn("scan", move || scan.run())
}

/// What tells the loop of roles that link, of the end, and of packages' files.
pub(super) fn told(
    parts: &Parts<'_>,
    links: Arrivals,
    say: &Sender<Event>,
) -> Result<Samples, WatcherError> {
    let samples = samples(parts, say.clone())?;
    arrivals(links, say.clone())?;
    stop(parts.stop.clone(), say.clone())?;
    Ok(samples)
}

/// Asks the packages' record, which may take a while to read.
fn samples(parts: &Parts<'_>, say: Sender<Event>) -> Result<Samples, WatcherError> {
    let (host, (samples, questions)) = (Arc::clone(parts.host), Samples::new());
    spawn("samples", move || {
        super::samples::answer(&host, &questions, &say);
    })?;
    Ok(samples)
}

fn arrivals(mut arrivals: Arrivals, say: Sender<Event>) -> Result<(), WatcherError> {
    spawn("arrivals", move || {
        loop {
            let event = match arrivals.next(None) {
                Ok(Some(linked)) => Event::Linked(linked),
                Ok(None) => continue,
                Err(why) => {
                    tracing::warn!(%why, "no role can be linked any more");
                    let _ = say.send(Event::Unlinked);
                    return;
                }
            };
            let last = matches!(event, Event::Linked(crate::role::Linked::End));
            if say.send(event).is_err() || last {
                return;
            }
        }
    })
}

fn stop(stop: Stop, say: Sender<Event>) -> Result<(), WatcherError> {
    spawn("stop", move || {
        while stop.wait(None, None) != Woken::Stop {}
        let _ = say.send(Event::Stop);
    })
}

/// Answers people on this host. What is given back is disconnected once the socket is free: whoever ends
/// the watcher waits for that.
pub(super) fn control(
    listener: Option<control::Listener>,
    stop: &Stop,
    say: &Sender<Event>,
) -> Result<Option<Receiver<()>>, WatcherError> {
    let (stop, say) = (stop.clone(), say.clone());
    let Some(listener) = listener else {
        return Ok(None);
    };
    let (answers, ended) = bounded(0);
    spawn("control", move || {
        let _until_then: Sender<()> = answers;
        listener.serve(&stop, |request| say.send(Event::Control(request)).is_ok());
    })?;
    Ok(Some(ended))
}

/// Hears one link until it ends; `event` says whose it is.
pub(super) fn hear<R: Message + Send + 'static>(
    name: &str,
    mut inlet: Inlet<R>,
    say: Sender<Event>,
    event: impl Fn(Result<R, TalkError>) -> Event + Send + 'static,
) -> Result<(), WatcherError> {
    spawn(name, move || {
        loop {
            let heard = match inlet.hear(None) {
                Ok(Some(message)) => Ok(message),
                Ok(None) => continue,
                Err(why) => Err(why),
            };
            let last = heard.is_err();
            if say.send(event(heard)).is_err() || last {
                return;
            }
        }
    })
}
