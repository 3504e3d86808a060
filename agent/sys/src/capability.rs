//! Capabilities: the few that roles keep, as a set, and the calls that set and read them.
//!
//! Only names that some role or the supervisor needs are here. Numbers are those of
//! `linux/capability.h`.

use std::fmt;

use crate::{SysError, checked};

/// One capability, by its number in the kernel's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Capability {
    /// Read any file and list any directory: the watcher's.
    DacReadSearch = 2,
    /// Become another group: the supervisor's.
    SetGid = 6,
    /// Become another user: the supervisor's.
    SetUid = 7,
    /// Subscribe to process events before Linux 6.6: the watcher's.
    NetAdmin = 12,
    /// Read another user's environment: the watcher's.
    SysPtrace = 19,
    /// Mark a filesystem: the marker's.
    SysAdmin = 21,
}

impl Capability {
    /// All that are named here.
    pub const ALL: [Capability; 6] = [
        Capability::DacReadSearch,
        Capability::SetGid,
        Capability::SetUid,
        Capability::NetAdmin,
        Capability::SysPtrace,
        Capability::SysAdmin,
    ];

    /// Its bit in a set.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// A set of capabilities, also of ones that have no name here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// None.
    pub const NONE: Capabilities = Capabilities(0);

    /// Those of a list.
    #[must_use]
    pub const fn of(list: &[Capability]) -> Capabilities {
        let mut bits = 0;
        let mut at = 0;
        while at < list.len() {
            bits |= list[at].bit();
            at += 1;
        }
        Capabilities(bits)
    }

    /// Whether `capability` is in it.
    #[must_use]
    pub const fn holds(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & other.0)
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capabilities({:#x})", self.0)
    }
}

/// Header of `capget` and `capset`: version 3, which has 64 bits, and this thread.
#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// This thread's effective capabilities.
///
/// # Errors
/// When the kernel does not say.
pub fn effective() -> Result<Capabilities, SysError> {
    let mut header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut halves = [Half::default(); 2];
    // SAFETY: version 3 writes exactly two halves, and both pointers are to live, exclusive memory
    // of the layout that `linux/capability.h` gives.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) };
    if result < 0 {
        return Err(SysError::last("capget"));
    }
    Ok(Capabilities(
        u64::from(halves[0].effective) | u64::from(halves[1].effective) << 32,
    ))
}

/// Sets this thread's effective, permitted and inheritable sets to exactly `set`. Makes no other
/// call, so that it may be used between fork and exec.
///
/// # Errors
/// `EPERM` when `set` holds more than is permitted.
pub fn restrict(set: Capabilities) -> Result<(), SysError> {
    let mut header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let half = |bits: u64| {
        let bits = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Half {
            effective: bits,
            permitted: bits,
            inheritable: bits,
        }
    };
    let halves = [half(set.0), half(set.0 >> 32)];
    // SAFETY: as in `effective`; the kernel only reads the halves.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) };
    if result < 0 {
        return Err(SysError::last("capset"));
    }
    Ok(())
}

/// Sets the ambient set, which survives exec as an ordinary user, to exactly `set`.
///
/// # Errors
/// `EPERM` when one of them is not both permitted and inheritable.
pub fn set_ambient(set: Capabilities) -> Result<(), SysError> {
    let cap_ambient = |request: libc::c_int, number: u32| {
        // SAFETY: this request of prctl takes integers only and touches no memory.
        let result = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, request, number, 0, 0) };
        checked("prctl(PR_CAP_AMBIENT)", result).map(drop)
    };
    cap_ambient(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0)?;
    for number in (0..64).filter(|number| set.0 >> number & 1 == 1) {
        cap_ambient(libc::PR_CAP_AMBIENT_RAISE, number)?;
    }
    Ok(())
}

/// Takes every capability outside `set` out of the bounding set, so that no later exec can gain it.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`.
pub fn bound(set: Capabilities) -> Result<(), SysError> {
    for number in (0..64u32).filter(|number| set.0 >> number & 1 == 0) {
        // SAFETY: this request of prctl takes integers only and touches no memory.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
        let result = checked("prctl(PR_CAPBSET_DROP)", result);
        match result {
            // The first number that this kernel does not know: the rest are unknown too.
            Err(error) if error.errno() == Some(libc::EINVAL) => return Ok(()),
            other => other?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_made_of_bits() {
        let set = Capabilities::of(&[Capability::DacReadSearch, Capability::SysPtrace]);
        assert_eq!(set.0, 1 << 2 | 1 << 19);
        assert!(set.holds(Capability::SysPtrace) && !set.holds(Capability::SysAdmin));
        assert!(set.and(Capabilities::of(&[Capability::SysAdmin])).is_none());
    }

    #[test]
    fn what_the_kernel_says_is_what_proc_says() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .unwrap();
        let proc = u64::from_str_radix(line.trim(), 16).unwrap();
        assert_eq!(effective().unwrap().0, proc);
    }

    #[test]
    fn a_thread_can_give_everything_up_for_good() {
        std::thread::spawn(|| {
            restrict(Capabilities::NONE).unwrap();
            assert!(effective().unwrap().is_none());
            let gained = restrict(Capabilities::of(&[Capability::SysAdmin]));
            assert_eq!(gained.unwrap_err().errno(), Some(libc::EPERM));
        })
        .join()
        .unwrap();
    }
}
