//! A FUSE filesystem whose server never answers: whoever touches what is in it waits.
//!
//! It is mounted as `fusermount` does for a user that `/etc/fuse.conf` lets share (`allow_other`):
//! without that the kernel itself turns everybody else away, root included, and nothing hangs.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Mounted until dropped.
#[derive(Debug)]
pub struct Hung {
    at: PathBuf,
    /// Closing it gives everybody who waits an error.
    server: Option<File>,
}

/// Length of the kernel's first question, and where its number and minor version stand:
/// `fuse_in_header`, `fuse_init_in` of linux/fuse.h.
const QUESTION: usize = 8192;

impl Hung {
    /// Mounts one at `point` as `uid`'s; none where this host or user may not mount.
    ///
    /// # Errors
    /// When the kernel speaks otherwise than it should.
    pub fn mounted(point: &Path, uid: u32) -> Result<Option<Hung>> {
        let server = File::options().read(true).write(true).open("/dev/fuse");
        let Ok(mut server) = server else {
            return Ok(None);
        };
        let options = format!(
            "fd={},rootmode=40000,user_id={uid},group_id={uid},allow_other",
            server.as_raw_fd()
        );
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        if mount(
            Some("hung"),
            point,
            Some("fuse"),
            flags,
            Some(options.as_str()),
        )
        .is_err()
        {
            return Ok(None);
        }
        let at = point.to_owned();
        let mut question = vec![0; QUESTION];
        let length = server.read(&mut question).context("the first question")?;
        ensure!(length >= 56, "the first question has {length} bytes");
        let mut answer = Vec::new();
        let body = 64_u32;
        answer.extend((16 + body).to_ne_bytes());
        answer.extend(0_i32.to_ne_bytes());
        answer.extend(&question[8..16]);
        // fuse_init_out: major, minor, readahead, flags, background, congestion, write, granularity.
        for field in [7, 31, 0, 0] {
            answer.extend(u32::to_ne_bytes(field));
        }
        answer.extend(12_u16.to_ne_bytes());
        answer.extend(9_u16.to_ne_bytes());
        for field in [4096_u32, 1] {
            answer.extend(field.to_ne_bytes());
        }
        answer.resize(16 + body as usize, 0);
        server.write_all(&answer).context("answering it")?;
        Ok(Some(Hung {
            at,
            server: Some(server),
        }))
    }

    /// Whether somebody waits for an answer: the kernel has a question for the server.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn somebody_waits(&self) -> Result<bool> {
        use std::os::fd::AsFd as _;
        let server = self.server.as_ref().context("invariant: it is mounted")?;
        let mut waiting = [PollFd::new(server.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut waiting, PollTimeout::ZERO)? > 0)
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.server = None;
        umount2(&self.at, MntFlags::MNT_DETACH).ok();
    }
}
