//! Walk, open, read, close and nothing else: what no scanner of a tree can be faster than.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::Result;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::read;

/// Bytes read at once.
const BUFFER: usize = 512 << 10;

/// Reads every regular file below `start`, or `start` itself; answers how many files and bytes.
///
/// # Errors
/// When `start` cannot be read.
pub fn walk(start: &Path) -> Result<(u64, u64)> {
    let mut buffer = vec![0; BUFFER];
    let mut counted = (0, 0);
    let directory = nix::fcntl::open(start, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    if start.is_dir() {
        descend(directory, &mut buffer, &mut counted)?;
    } else {
        file(&directory, &mut buffer, &mut counted)?;
    }
    Ok(counted)
}

fn descend(directory: OwnedFd, buffer: &mut [u8], counted: &mut (u64, u64)) -> Result<()> {
    let own = directory.try_clone()?;
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    for entry in Dir::from_fd(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        match entry.file_type() {
            Some(Type::Directory) if !matches!(name.to_bytes(), b"." | b"..") => {
                let below = openat(&own, name, flags | OFlag::O_DIRECTORY, Mode::empty())?;
                descend(below, buffer, counted)?;
            }
            Some(Type::File) => match openat(own.as_fd(), name, flags, Mode::empty()) {
                Ok(open) => file(&open, buffer, counted)?,
                Err(Errno::ENOENT | Errno::EACCES) => {}
                Err(errno) => return Err(errno.into()),
            },
            _ => {}
        }
    }
    Ok(())
}

fn file(open: &OwnedFd, buffer: &mut [u8], counted: &mut (u64, u64)) -> Result<()> {
    counted.0 += 1;
    loop {
        let count = read(open, buffer)?;
        counted.1 += count as u64;
        // A regular file that reads short has ended.
        if count < buffer.len() {
            return Ok(());
        }
    }
}
