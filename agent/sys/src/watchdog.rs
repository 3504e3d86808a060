//! The kernel ends this process unless it says in time that it is alive.
//!
//! A timer of the kernel sends `SIGKILL`, which no state of the process holds up: one that loops, waits
//! for a lock, is stopped by `SIGSTOP` or a debugger, or is never scheduled, ends all the same, and its
//! descriptors are closed. No thread and no other process has a part in it that could hang as well.
//! What it does not end is a process that waits for a device (`D`), and one that a control group of
//! the first version has frozen.

use std::time::Duration;

use nix::errno::Errno;

use crate::{SysError, checked};

/// A timer that ends this process. Dropping it takes it away.
#[derive(Debug)]
pub struct Watchdog {
    timer: libc::timer_t,
    limit: Duration,
}

impl Watchdog {
    /// Ends this process `limit` from now, and from each word of being alive. Time that the host is
    /// suspended does not count. A child of a fork has none.
    ///
    /// # Errors
    /// When the kernel gives no timer.
    pub fn start(limit: Duration) -> Result<Watchdog, SysError> {
        let mut timer: libc::timer_t = std::ptr::null_mut();
        // SAFETY: all zeroes are a valid `sigevent`: integers and pointers that are not looked at.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGKILL;
        // SAFETY: both pointers are to live memory of their types, exclusive for this call.
        let result =
            unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) };
        checked("timer_create", result)?;
        let watchdog = Watchdog { timer, limit };
        watchdog.alive()?;
        Ok(watchdog)
    }

    /// This process is alive: the time begins anew.
    ///
    /// # Errors
    /// When the kernel refuses; the process then ends when the time is over.
    pub fn alive(&self) -> Result<(), SysError> {
        let seconds = libc::time_t::try_from(self.limit.as_secs());
        let when = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: libc::timespec {
                tv_sec: seconds.map_err(|_| SysError::of("timer_settime", Errno::EINVAL))?,
                tv_nsec: self.limit.subsec_nanos().into(),
            },
        };
        // SAFETY: the timer is this value's own and not deleted before it is dropped; the time is live
        // and whole, and the earlier one is not asked for.
        let result =
            unsafe { libc::timer_settime(self.timer, 0, &raw const when, std::ptr::null_mut()) };
        checked("timer_settime", result).map(drop)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // SAFETY: the timer is this value's own, and deleted only here.
        unsafe { libc::timer_delete(self.timer) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It would end the whole run of tests.
    #[test]
    fn who_says_that_it_is_alive_lives_and_so_does_who_needs_it_no_more() {
        let watchdog = Watchdog::start(Duration::from_secs(60)).unwrap();
        watchdog.alive().unwrap();
        drop(watchdog);
    }
}
