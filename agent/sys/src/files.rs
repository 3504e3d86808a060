//! Reading files without taking the page cache away from those who need it.
//!
//! A scan reads everything once; the kernel would keep all of it and throw out what the host's own
//! work had there. `RWF_DONTCACHE` (Linux 6.14) drops only the pages that the read itself brought in;
//! `POSIX_FADV_DONTNEED` would drop everybody's, so it is not the fallback: plain reads are.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this kernel or the last filesystem has refused `RWF_DONTCACHE`.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Reads up to `into.len()` bytes at `at`, leaving no page behind where the kernel can; 0 at the end.
///
/// # Errors
/// Whatever the read gives.
pub fn read_once(file: BorrowedFd<'_>, at: u64, into: &mut [u8]) -> io::Result<usize> {
    let Ok(at) = libc::off_t::try_from(at) else {
        return Ok(0); // no file is longer
    };
    if !REFUSED.load(Ordering::Relaxed) {
        match read_with(file, at, into, libc::RWF_DONTCACHE) {
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS)
                ) =>
            {
                // A filesystem without it beside one that has it costs its cache only.
                REFUSED.store(true, Ordering::Relaxed);
            }
            read => return read,
        }
    }
    read_with(file, at, into, 0)
}

fn read_with(
    file: BorrowedFd<'_>,
    at: libc::off_t,
    into: &mut [u8],
    flags: libc::c_int,
) -> io::Result<usize> {
    let slice = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    loop {
        // SAFETY: one iovec over `into`, which is live and exclusively borrowed for the call.
        let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const slice, 1, at, flags) };
        match usize::try_from(read) {
            Ok(read) => return Ok(read),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn reads_are_reads_on_every_filesystem() {
        for directory in ["/tmp", "/dev/shm"] {
            let Ok(mut file) = tempfile::tempfile_in(directory) else {
                continue;
            };
            file.write_all(b"0123456789").unwrap();
            let mut into = [0; 4];
            assert_eq!(read_once(file.as_fd(), 3, &mut into).unwrap(), 4);
            assert_eq!(&into, b"3456");
            assert_eq!(read_once(file.as_fd(), 8, &mut into).unwrap(), 2);
            assert_eq!(read_once(file.as_fd(), 10, &mut into).unwrap(), 0);
            assert_eq!(read_once(file.as_fd(), u64::MAX, &mut into).unwrap(), 0);
        }
        let directory = std::fs::File::open("/").unwrap();
        assert!(read_once(directory.as_fd(), 0, &mut [0; 4]).is_err());
    }
}
