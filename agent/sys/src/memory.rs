//! Memory that leaves no copy behind: no core dumps, no swap, nothing for a debugger.
//!
//! Each wall may be refused by a host's limits; a refusal is an error for the caller to report as a
//! missing wall, never silently ignored.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use zeroize::Zeroize;

use crate::{SysError, checked};

/// Makes this process undumpable: no core, no ptrace by its own user, /proc/PID owned by root. An
/// exec undoes it, so each role calls it first thing.
///
/// # Errors
/// Names the call that the kernel refused.
pub fn forbid_dumps() -> Result<(), SysError> {
    prctl::set_dumpable(false).map_err(|errno| SysError::of("prctl(PR_SET_DUMPABLE)", errno))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
        .map_err(|errno| SysError::of("setrlimit(RLIMIT_CORE)", errno))
}

/// Keeps every page of this process, present and future, out of swap from when it is first
/// touched.
///
/// It is asked for only where the limit on locked memory is *unlimited*: under a finite one, the
/// first allocation beyond it would fail and end the process.
///
/// # Errors
/// `ENOMEM` where the limit is finite; else what the kernel refused.
pub fn lock_all() -> Result<(), SysError> {
    let (soft, _) = getrlimit(Resource::RLIMIT_MEMLOCK)
        .map_err(|errno| SysError::of("getrlimit(RLIMIT_MEMLOCK)", errno))?;
    if soft != libc::RLIM_INFINITY {
        return Err(SysError::of("mlockall", nix::errno::Errno::ENOMEM));
    }
    let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: mlockall takes flags only; it changes no memory's content or validity.
    checked("mlockall", unsafe { libc::mlockall(flags) }).map(drop)
}

/// Heaps of the allocator, by default one for each of up to 16 threads on 2 processors. What one
/// thread allocates and another frees would otherwise stay with the first one's, and a role has many
/// threads that all do little.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 1;

/// Bytes from which a buffer has pages of its own, which go back to the host when it is freed. Set,
/// because else the allocator raises it to 32 MiB once a large buffer was freed, and keeps such
/// buffers in its heap from then on: 9 MiB for each slow hash, none of which fits the hole of another.
#[cfg(target_env = "gnu")]
const OWN_PAGES: libc::c_int = 128 * 1024;

/// Keeps what this process holds close to what it uses. To be called before there are other threads.
pub fn keep_little() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [
        (libc::M_ARENA_MAX, ARENAS),
        (libc::M_MMAP_THRESHOLD, OWN_PAGES),
        (libc::M_TRIM_THRESHOLD, OWN_PAGES),
    ] {
        // SAFETY: takes integers only; it changes where later allocations come from, and no memory.
        // A refusal leaves the default.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Gives back to the host what this process does not use just now: memory that the allocator keeps
/// for the next burst of work, and the pages of the program that only a start or a burst needed. What
/// is needed again comes from the page cache, 64 KiB at a time. Costs a walk over the free lists and
/// some hundred page faults: for every minute, not for every event.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: touches only what the allocator holds as free, under its own locks.
    unsafe {
        libc::malloc_trim(0);
    }
    // SAFETY: the callback has the signature that is asked for, keeps nothing, and does not unwind.
    unsafe {
        libc::dl_iterate_phdr(Some(unmap_program), std::ptr::null_mut());
    }
}

/// Unmaps the code and constants of the first object that the loader names, which is the program.
///
/// # Safety
/// For the loader to call: `object` must be its own.
unsafe extern "C" fn unmap_program(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    _nothing: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the loader hands a valid object, which lives at least as long as this call.
    let object = unsafe { &*object };
    let count = usize::from(object.dlpi_phnum);
    // SAFETY: the loader's own table, of so many headers, of a program that stays loaded.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, count) };
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue; // what may have been written, relocated addresses too, is nowhere else
        }
        // Whole pages only: what shares one with another segment stays.
        let start = (object.dlpi_addr + header.p_vaddr).next_multiple_of(PAGE);
        let end = (object.dlpi_addr + header.p_vaddr + header.p_memsz) / PAGE * PAGE;
        let (Ok(from), Ok(length)) = (
            usize::try_from(start),
            usize::try_from(end.saturating_sub(start)),
        ) else {
            continue;
        };
        let from = std::ptr::with_exposed_provenance_mut::<libc::c_void>(from);
        // SAFETY: takes the lock off pages that hold no secret; their content does not change.
        unsafe { libc::munlock(from, length) };
        // SAFETY: pages of a file, mapped privately and never written: they come back from the file
        // with the same bytes when they are touched, also while another thread executes them.
        unsafe { libc::madvise(from, length, libc::MADV_DONTNEED) };
    }
    1 // the program was the first
}

/// Bytes to whose multiples memory is unmapped: the largest page that Linux has on the supported
/// architectures.
const PAGE: u64 = 64 * 1024;

/// Bytes on pages of their own: locked, left out of core dumps, empty in a forked child, wiped when
/// dropped. For keys; each costs at least a page.
pub struct Locked {
    start: NonNull<u8>,
    length: usize,
    mapped: usize,
}

// SAFETY: the mapping belongs to this value alone; it is reached only through `&self` and
// `&mut self`, and no thread-local state is attached to it.
unsafe impl Send for Locked {}
// SAFETY: `&Locked` gives only shared reads of plain bytes.
unsafe impl Sync for Locked {}

/// What a [`Locked`] could not have, in the order in which it was asked for.
pub type Refusals = Vec<SysError>;

impl Locked {
    /// `length` zero bytes, and which protections the host refused.
    ///
    /// # Errors
    /// When no memory can be mapped at all.
    pub fn zeroed(length: usize) -> Result<(Locked, Refusals), SysError> {
        let mapped = length.max(1);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous mapping, placed by the kernel: no existing memory is touched.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), mapped, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(SysError::last("mmap"));
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or_else(|| SysError::last("mmap"))?;
        let locked = Locked {
            start,
            length,
            mapped,
        };
        let mut refusals = Vec::new();
        // SAFETY: exactly the mapping made above, alive; locking changes no content.
        let result = unsafe { libc::mlock(start.as_ptr().cast(), mapped) };
        refusals.extend(checked("mlock", result).err());
        for (call, advice) in [
            ("madvise(MADV_DONTDUMP)", libc::MADV_DONTDUMP),
            ("madvise(MADV_WIPEONFORK)", libc::MADV_WIPEONFORK),
        ] {
            // SAFETY: as above; neither advice changes this process's view of the pages.
            let result = unsafe { libc::madvise(start.as_ptr().cast(), mapped, advice) };
            refusals.extend(checked(call, result).err());
        }
        Ok((locked, refusals))
    }

    /// Moves `bytes` in and wipes where they were.
    ///
    /// # Errors
    /// As [`Locked::zeroed`]; `bytes` are wiped all the same.
    pub fn taken(bytes: &mut [u8]) -> Result<(Locked, Refusals), SysError> {
        let made = Locked::zeroed(bytes.len()).map(|(mut locked, refusals)| {
            locked.copy_from_slice(bytes);
            (locked, refusals)
        });
        bytes.zeroize();
        made
    }
}

impl Deref for Locked {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `start` is the begin of a live mapping of at least `length` initialised (zeroed by
        // the kernel) bytes, borrowed for as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes the borrow exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.zeroize_bytes();
        // SAFETY: the mapping was made by `zeroed` with this length and nobody can borrow it any
        // more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.mapped) };
    }
}

impl Locked {
    fn zeroize_bytes(&mut self) {
        self.deref_mut().zeroize();
    }
}

impl std::fmt::Debug for Locked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Locked({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags of the mapping that holds `address`, as /proc says them.
    fn flags_at(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in maps.lines() {
            if let Some((range, _)) = line.split_once(' ')
                && let Some((from, to)) = range.split_once('-')
                && let (Ok(from), Ok(to)) = (
                    usize::from_str_radix(from, 16),
                    usize::from_str_radix(to, 16),
                )
            {
                inside = (from..to).contains(&address);
            }
            if inside && let Some(flags) = line.strip_prefix("VmFlags: ") {
                return flags.to_owned();
            }
        }
        panic!("no mapping holds it");
    }

    #[test]
    fn a_locked_buffer_is_what_it_says() {
        let mut secret = *b"0123456789abcdef";
        let (locked, refusals) = Locked::taken(&mut secret).unwrap();
        assert_eq!(secret, [0; 16]);
        assert_eq!(&locked[..], b"0123456789abcdef");
        assert_eq!(format!("{locked:?}"), "Locked(16 bytes)");
        let flags = flags_at(locked.as_ptr() as usize);
        let refused = |call: &str| refusals.iter().any(|refusal| refusal.call == call);
        for (flag, call) in [
            ("lo", "mlock"),
            ("dd", "madvise(MADV_DONTDUMP)"),
            ("wf", "madvise(MADV_WIPEONFORK)"),
        ] {
            let has = flags.split(' ').any(|word| word == flag);
            assert!(
                has != refused(call),
                "{flag} in {flags}, refusals {refusals:?}"
            );
        }
    }

    /// KiB of this program's file that are mapped in now.
    fn program_kib() -> u64 {
        let program = std::fs::read_link("/proc/self/exe").unwrap();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (mut inside, mut sum) = (false, 0);
        for line in maps.lines() {
            if line.contains('-') && line.split(' ').nth(1).is_some_and(|word| word.len() == 4) {
                inside = line.ends_with(program.to_str().unwrap());
            } else if inside && let Some(rss) = line.strip_prefix("Rss:") {
                let kib = rss.trim().trim_end_matches(" kB");
                sum += kib.parse::<u64>().unwrap();
            }
        }
        sum
    }

    #[test]
    fn what_is_given_back_is_less_to_hold_and_works_as_before() {
        let list: Vec<Vec<u8>> = (0..1000).map(|n| vec![0; n]).collect();
        let before = program_kib();
        drop(list);
        give_back();
        let after = program_kib();
        assert!(after < before, "{after} of {before}");
        assert_eq!(format!("{}", 1.5_f64), "1.5"); // code and constants are there again
    }

    #[test]
    fn an_empty_buffer_is_one() {
        let (locked, _) = Locked::zeroed(0).unwrap();
        assert!(locked.is_empty());
    }
}
