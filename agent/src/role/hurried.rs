//! The one thread that runs at once, kept from the moment at which the watcher begins.
//!
//! Where the limit on real-time priority cannot be raised (a container, an old systemd), the
//! supervisor starts the watcher as a real-time process. Its first act is to start this thread, which
//! inherits that, and to become ordinary itself; the exec sensor then does its work on it. Everywhere
//! else the sensor's thread asks for itself.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread::Builder;

use akwatch_sys::process;

type Work = Box<dyn FnOnce() + Send>;

/// To the thread that waits, until somebody has work for it.
static WAITING: Mutex<Option<Sender<Work>>> = Mutex::new(None);

/// Keeps a thread if this process began at once, and makes this one ordinary. To be called first
/// thing, before there are other threads.
///
/// # Errors
/// When no thread can be started, or the process cannot become ordinary: it must not go on then.
pub(super) fn keep() -> io::Result<()> {
    if !process::runs_at_once() {
        return Ok(());
    }
    let (sender, work) = channel::<Work>();
    Builder::new().name("execs".to_owned()).spawn(move || {
        if let Ok(work) = work.recv() {
            work();
        }
    })?;
    process::run_ordinarily().map_err(|error| error.source)?;
    if let Ok(mut waiting) = WAITING.lock() {
        *waiting = Some(sender);
    }
    Ok(())
}

/// Runs `work` on the kept thread, or on a new one called `name` where none was kept.
///
/// # Errors
/// When no thread can be started.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut work: Work = Box::new(work);
    let kept = WAITING.lock().ok().and_then(|mut waiting| waiting.take());
    if let Some(kept) = kept {
        match kept.send(work) {
            Ok(()) => return Ok(()),
            Err(unsent) => work = unsent.0,
        }
    }
    Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_on_the_kept_thread_and_then_on_others() {
        let (said, hear) = channel();
        let (kept, waiting) = channel::<Work>();
        *WAITING.lock().unwrap() = Some(kept);
        for _ in 0..2 {
            let said = said.clone();
            spawn("test", move || said.send(()).unwrap()).unwrap();
        }
        waiting.recv().unwrap()();
        hear.recv().unwrap();
        hear.recv().unwrap();
    }
}
