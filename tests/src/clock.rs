//! A wall clock that a test sets: for the shipped programs as they are, without a word to them.
//!
//! The programs have no switch for their clock, and must not: whoever could move it could move what
//! certificates and directives are judged by. So the clock is moved beneath them, by a library between
//! them and libc (`clock.c`), built when a test asks for it. A collector loads it by its
//! environment. An agent gives its roles an environment of their own, so it is started in a mount
//! namespace whose `/etc` names the library for every program. Files keep the kernel's times.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// A clock that can be set while programs run by it.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    offset: File,
    /// Where an agent's namespace keeps what it lays over `/etc`.
    over: PathBuf,
}

impl Clock {
    /// A clock that is right, whose files lie in `directory`, which every role can reach.
    ///
    /// # Errors
    /// When the C compiler, which the build needs too, does not make the library.
    pub fn make(directory: &Path) -> Result<Clock> {
        let over = directory.join("over");
        std::fs::create_dir_all(&over)?;
        let directory = directory.canonicalize()?;
        let (library, at) = (directory.join("clock.so"), directory.join("offset"));
        std::fs::write(&at, [0; 4096])?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/clock.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(format!("-DOFFSET_FILE=\"{}\"", at.display()))
            .arg(&source)
            .arg("-ldl")
            .status()
            .context("starting the C compiler")?;
        ensure!(built.success(), "{} did not compile", source.display());
        for file in [&library, &at] {
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644))?;
        }
        let offset = File::options().write(true).open(&at)?;
        Ok(Clock {
            library,
            offset,
            over,
        })
    }

    /// Sets it so many milliseconds ahead of the kernel's.
    ///
    /// # Errors
    /// When it cannot be set.
    pub fn set(&self, ahead_ms: i64) -> Result<()> {
        self.offset.write_all_at(&ahead_ms.to_ne_bytes(), 0)?;
        Ok(())
    }

    /// What a program's environment names to run by this clock.
    #[must_use]
    pub fn environment(&self) -> (&'static str, &Path) {
        ("LD_PRELOAD", &self.library)
    }

    /// The words before a command line whose programs, and all that they start, run by this clock.
    #[must_use]
    pub fn around(&self) -> Vec<String> {
        let script = "mount -t tmpfs tmpfs \"$1\" && mkdir \"$1/new\" \"$1/work\" \
             && echo \"$2\" > \"$1/new/ld.so.preload\" \
             && mount -t overlay -o \"lowerdir=/etc,upperdir=$1/new,workdir=$1/work\" overlay /etc \
             && shift 2 && exec \"$@\"";
        let words = ["unshare", "--mount", "sh", "-c", script, "sh"];
        let own = [&self.over, &self.library].map(|path| path.display().to_string());
        words.map(str::to_owned).into_iter().chain(own).collect()
    }
}
