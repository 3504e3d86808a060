//! Files that hold keys: written whole or not at all, readable by their owner alone.
//!
//! A key file with wider permissions than 0600 is refused rather than repaired: whoever widened it
//! should learn that the key may have been read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Bytes of the largest file that is read here. Stops: a device or a wrong path read into memory.
const LARGEST: u64 = 64 * 1024;

/// Why a file of the state directory could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// `read`, `write`, `create`, …
        step: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than the owner may read a key.
    #[error(
        "{} has mode {mode:04o}: others may have read the key in it. If nobody did, run \
         `chmod 600 {}`; else replace the key", path.display(), path.display()
    )]
    TooOpen {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Larger than any file that belongs here.
    #[error("{} is larger than {LARGEST} bytes and cannot be what its name says", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
}

fn io_error(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { step, path, source }
}

/// Makes the state directory, mode 0700, when it is not there.
///
/// # Errors
/// When it cannot be made.
pub fn prepare_directory(path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io_error("create the directory", path))
}

/// Takes the lock under which keys are made, so that two programs never make two authorities.
///
/// # Errors
/// When the lock file cannot be opened or locked.
pub fn lock(directory: &Path) -> Result<File, FileError> {
    let path = directory.join("keys.lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(io_error("open", &path))?;
    file.lock().map_err(io_error("lock", &path))?;
    Ok(file)
}

/// Reads a public file; `None` when there is none.
///
/// # Errors
/// When it is there and cannot be read, or is too large.
pub fn read_public(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match File::open(path) {
        Ok(file) => read(&file, path).map(|bytes| Some(bytes.to_vec())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// Reads a key; `None` when there is none.
///
/// # Errors
/// When it is there and cannot be read, is too large, or others than its owner may read it.
pub fn read_key(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path)(error)),
    };
    let mode = file
        .metadata()
        .map_err(io_error("read", path))?
        .permissions()
        .mode()
        & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::TooOpen {
            path: path.to_owned(),
            mode,
        });
    }
    read(&file, path).map(Some)
}

/// Reads a credential that the service manager hands over, whose access it decides itself.
///
/// # Errors
/// When it is there and cannot be read, or is too large.
pub fn read_credential(name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
    let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
        return Ok(None);
    };
    let path = Path::new(&directory).join(name);
    match File::open(&path) {
        Ok(file) => read(&file, &path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", &path)(error)),
    }
}

fn read(file: &File, path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // Allocated once, so that no outgrown copy of a key stays behind.
    let size = usize::try_from(LARGEST + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(io_error("read", path))?;
    if bytes.len() >= size {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

/// Writes a file whole or not at all: a temporary file beside it, synced, renamed over it.
///
/// # Errors
/// When any step fails; the file at `path` is then as it was.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    // The parent of a bare name is the empty path, which nothing can open.
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = directory.join(name);
    let result = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&temporary)
            .map_err(io_error("create", &temporary))?;
        // Not subject to the umask: a public file must be readable although everything else is not.
        file.set_permissions(fs::Permissions::from_mode(mode))
            .map_err(io_error("create", &temporary))?;
        file.write_all(bytes)
            .map_err(io_error("write", &temporary))?;
        file.sync_all().map_err(io_error("write", &temporary))?;
        fs::rename(&temporary, path).map_err(io_error("write", path))?;
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(io_error("write", directory))
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.key");
        assert!(read_key(&path).unwrap().is_none());
        write_atomic(&path, b"key", 0o600).unwrap();
        assert_eq!(read_key(&path).unwrap().unwrap().as_slice(), b"key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_key(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn an_oversized_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.key");
        write_atomic(&path, &vec![0; 64 * 1024 + 1], 0o600).unwrap();
        assert!(matches!(read_key(&path), Err(FileError::TooLarge { .. })));
    }
}
