//! Which groups the process at the other end of a unix socket belonged to when it connected.
//!
//! `SO_PEERGROUPS` answers of the connection itself (Linux 4.13, `net/core/sock.c`). What
//! `/proc/PID/status` says is another process's by the time that it is read, if the one that connected has
//! ended and its number was given away: a stranger could be answered as a member.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

use crate::SysError;

/// Groups that a process may have at most (`NGROUPS_MAX`, `include/uapi/linux/limits.h`).
const MOST: usize = 65_536;
/// Groups for which there is room at the first call.
const USUAL: usize = 64;

/// The further groups of who connected `socket`, as they were then.
///
/// # Errors
/// When it is no unix socket that somebody connected, or the kernel is older than 4.13.
pub fn groups(socket: impl AsFd) -> Result<Vec<u32>, SysError> {
    let mut groups: Vec<u32> = vec![0; USUAL];
    loop {
        match ask(&socket, &mut groups) {
            (Ok(()), there) => {
                groups.truncate(there);
                return Ok(groups);
            }
            // It says how many there are; a process cannot change what the connection remembers.
            (Err(Errno::ERANGE), there) if there > groups.len() && there <= MOST => {
                groups.resize(there, 0);
            }
            (Err(errno), _) => return Err(SysError::of("getsockopt(SO_PEERGROUPS)", errno)),
        }
    }
}

/// One call: fills `groups` and gives how many there are, also where there are more than it takes.
fn ask(socket: &impl AsFd, groups: &mut [u32]) -> (Result<(), Errno>, usize) {
    let bytes = size_of_val(groups);
    let Ok(mut bytes) = libc::socklen_t::try_from(bytes) else {
        return (Err(Errno::EINVAL), 0);
    };
    // SAFETY: the descriptor is borrowed and so open; `groups` is writable for `bytes` bytes, which the
    // kernel respects and then overwrites with what it wrote, or needs; any bytes are a valid u32.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    let there = usize::try_from(bytes).unwrap_or(0) / size_of::<u32>();
    (Errno::result(result).map(drop), there)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    /// What a thread becomes for one connection; the groups of the other threads stay.
    fn connected_with(own: &[u32]) -> (UnixStream, UnixStream) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let own = own.to_vec();
        let there = std::thread::spawn(move || {
            // SAFETY: the bare call changes this thread alone; the list is alive and that long.
            let result = unsafe { libc::syscall(libc::SYS_setgroups, own.len(), own.as_ptr()) };
            assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
            UnixStream::connect(path).unwrap()
        });
        (listener.accept().unwrap().0, there.join().unwrap())
    }

    #[test]
    fn the_groups_are_those_of_who_connected_however_many() {
        if !nix::unistd::geteuid().is_root() {
            return; // only root may choose its groups
        }
        let many: Vec<u32> = (70_000..71_000).collect();
        for own in [&[][..], &[4242], &many] {
            // The thread that connected has ended, as a process may have: its groups are known.
            let (accepted, _connection) = connected_with(own);
            assert_eq!(groups(&accepted).unwrap(), own);
        }
    }

    #[test]
    fn what_is_no_connection_has_none() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(groups(&file).unwrap_err().errno(), Some(libc::ENOTSOCK));
    }
}
