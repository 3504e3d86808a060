//! The only unsafe code and the only libc of akwatch: what the kernel offers and no safe crate does.
//!
//! Every module gives a safe, typed API over a few system calls; each `unsafe` block carries its
//! proof. Nothing in here decides anything: which role may do what is written in the agent's
//! `role.rs`, and the tables in [`seccomp`] are data. Nothing in here logs.

#![allow(unsafe_code, reason = "this crate exists to hold it")]
#![deny(unsafe_op_in_unsafe_fn)]

pub mod branch;
pub mod capability;
pub mod fanotify;
pub mod landlock;
pub mod launch;
pub mod link;
pub mod memory;
pub mod peer;
pub mod proc_events;
pub mod process;
pub mod seccomp;
pub mod watchdog;
pub mod wiping;

use std::io;

/// A system call that failed, by name. The source says with what.
#[derive(Debug, thiserror::Error)]
#[error("{call} failed")]
pub struct SysError {
    /// The call as its manual page names it, with the request where one call does many things.
    pub call: &'static str,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

impl SysError {
    /// The last error of the C library, which the call named `call` has just set.
    fn last(call: &'static str) -> SysError {
        SysError {
            call,
            source: io::Error::last_os_error(),
        }
    }

    /// From a safe wrapper's error.
    fn of(call: &'static str, errno: nix::errno::Errno) -> SysError {
        SysError {
            call,
            source: errno.into(),
        }
    }

    /// The error number, where the kernel gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }
}

/// Turns C's −1 into an error that names its call.
fn checked(call: &'static str, result: libc::c_int) -> Result<libc::c_int, SysError> {
    if result < 0 {
        Err(SysError::last(call))
    } else {
        Ok(result)
    }
}
