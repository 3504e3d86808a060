//! The state directory's own number, and ceilings for everything that must only rise.
//!
//! They live in a file of their own so that they outlast a damaged ledger: a new number would make
//! the collector take this host for a clone, and a revision or counter that starts again would make
//! it ignore what it is told. Ceilings are reserved in blocks, so the file is written rarely:
//!
//! ```text
//! akwatch-instance 1
//! UUID
//! counter CEILING
//! revision CEILING
//! generation OPENINGS
//! ```
//!
//! The last line tells a ledger that was put back alone from a copy: it has been opened fewer times. A
//! file of an older program has none.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::LedgerError;

const NAME: &str = "instance";
const HEAD: &str = "akwatch-instance 1";
/// Counters reserved at once: half of them, at which the next are reserved, is a year of heartbeats a
/// minute, so that a disk that stays full silences no host.
pub(crate) const COUNTER_BLOCK: u64 = 1_000_000;
/// Revisions reserved at once.
pub(crate) const REVISION_BLOCK: u64 = 1_000_000;
/// Bytes of the file that are read at most.
const LIMIT: u64 = 4096;

/// The file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) instance: Uuid,
    pub(crate) counter_ceiling: u64,
    pub(crate) revision_ceiling: u64,
    /// The ledger's generation when it was last opened; 0 when that is not known.
    pub(crate) generation: u64,
}

/// The file.
#[derive(Debug)]
pub(crate) struct InstanceFile {
    path: PathBuf,
    pub(crate) numbers: Numbers,
}

impl InstanceFile {
    /// Reads the file; one that is missing or unreadable as text is made anew by the first
    /// [`raise`](InstanceFile::raise), with a fresh number.
    pub(crate) fn open(directory: &Path) -> Result<(InstanceFile, bool), LedgerError> {
        let path = directory.join(NAME);
        let known = match read(&path) {
            Ok(text) => parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => {
                return Err(LedgerError::Directory {
                    step: "reading",
                    path,
                    source,
                });
            }
        };
        let numbers = known.unwrap_or_else(|| Numbers {
            instance: Uuid::new_v4(),
            counter_ceiling: 0,
            revision_ceiling: 0,
            generation: 0,
        });
        Ok((InstanceFile { path, numbers }, known.is_some()))
    }

    /// Notes the ledger's generation, once it is written.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn opened(&mut self, generation: u64) -> Result<(), LedgerError> {
        self.raise(Numbers {
            generation,
            ..self.numbers
        })
    }

    /// Makes higher ceilings durable.
    pub(crate) fn raise(&mut self, numbers: Numbers) -> Result<(), LedgerError> {
        if numbers == self.numbers && self.path.exists() {
            return Ok(());
        }
        let text = format!(
            "{HEAD}\n{}\ncounter {}\nrevision {}\ngeneration {}\n",
            numbers.instance, numbers.counter_ceiling, numbers.revision_ceiling, numbers.generation
        );
        replace(&self.path, text.as_bytes()).map_err(|source| LedgerError::Directory {
            step: "writing",
            path: self.path.clone(),
            source,
        })?;
        self.numbers = numbers;
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    File::open(path)?.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse(text: &str) -> Option<Numbers> {
    let mut lines = text.lines();
    if lines.next()? != HEAD {
        return None;
    }
    Some(Numbers {
        instance: lines.next()?.parse().ok()?,
        counter_ceiling: lines.next()?.strip_prefix("counter ")?.parse().ok()?,
        revision_ceiling: lines.next()?.strip_prefix("revision ")?.parse().ok()?,
        generation: match lines.next() {
            None => 0,
            Some(line) => line.strip_prefix("generation ")?.parse().ok()?,
        },
    })
}

/// Writes a file so that after a crash it holds either its old content or its new one.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let next = path.with_extension("new");
    let mut file = File::create(&next)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&next, path)?;
    sync_directory_of(path)
}

/// Makes a rename or a new file durable.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outlast_the_program_and_a_torn_file_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, known) = InstanceFile::open(directory.path()).unwrap();
        assert!(!known);
        let numbers = Numbers {
            counter_ceiling: 7,
            revision_ceiling: 9,
            generation: 3,
            ..file.numbers
        };
        file.raise(numbers).unwrap();
        let (again, known) = InstanceFile::open(directory.path()).unwrap();
        assert!(known);
        assert_eq!(again.numbers, numbers);
        let text = std::fs::read_to_string(directory.path().join(NAME)).unwrap();
        let older = text.trim_end().rsplit_once('\n').unwrap().0;
        assert_eq!(parse(older).unwrap().generation, 0, "of an older program");
        std::fs::write(directory.path().join(NAME), "akwatch-instance 1\n12").unwrap();
        let (torn, known) = InstanceFile::open(directory.path()).unwrap();
        assert!(!known);
        assert_ne!(torn.numbers.instance, numbers.instance);
    }
}
