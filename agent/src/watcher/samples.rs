//! Whether a file is an OS package's own: asked beside the loop, since the packages' record is large.
//!
//! A reading in which something was found waits here until the record has been read; its place counts as
//! being read all the while, so nothing overtakes it. Only root's files are asked about: whoever may not
//! write the record could otherwise make the agent read it again and again. What waits is bounded, and
//! what an ending agent has not asked yet is read again by the next.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use akwatch_ledger::reading::{Extent, Reading};
use akwatch_proto::credential::Confidence;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::answer::Ended;
use super::flights::{Flight, OUT};
use super::{Event, Watcher};
use crate::host::{Root, packages, rpm};
use crate::job::{Examined, TargetPlace};

/// Readings that wait at once: as many again may be with the detector meanwhile.
const WAITING: usize = OUT;

/// A question to the record.
#[derive(Debug)]
pub(super) struct Question {
    id: u64,
    path: PathBuf,
    sums: packages::Sums,
}

/// What waits for its answer.
struct Waiting {
    flight: Flight,
    examined: Examined,
    reading: Reading,
    ended: Ended,
}

/// The readings that wait.
pub(super) struct Samples {
    ask: Sender<Question>,
    waiting: BTreeMap<u64, Waiting>,
    asked: u64,
}

impl Samples {
    /// Nothing waits yet; the questions go to the other end.
    pub(super) fn new() -> (Samples, Receiver<Question>) {
        let (ask, questions) = bounded(2 * WAITING);
        let samples = Samples {
            ask,
            waiting: BTreeMap::new(),
            asked: 0,
        };
        (samples, questions)
    }

    /// Whether another file may be opened: what comes of it finds room here.
    pub(super) fn have_room(&self) -> bool {
        self.waiting.len() < WAITING
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// Answers questions until nobody asks or listens any more. Those that have come meanwhile are answered by
/// one pass over the record.
pub(super) fn answer(host: &Arc<Root>, questions: &Receiver<Question>, say: &Sender<Event>) {
    if let Some(form) = rpm::not_read(host) {
        tracing::info!(
            form,
            "rpm's record is of a form that is not read: what its packages brought counts as anybody's"
        );
    }
    while let Ok(first) = questions.recv() {
        let mut asked = vec![first];
        asked.extend(questions.try_iter().take(2 * WAITING));
        let paths: Vec<_> = asked.iter().map(|one| one.path.as_path()).collect();
        let recorded = packages::recorded(host, &paths);
        for (question, recorded) in asked.iter().zip(recorded) {
            let own = recorded.is_some_and(|recorded| recorded.fits(&question.sums));
            if say.send(Event::Sampled(question.id, own)).is_err() {
                return;
            }
        }
    }
}

impl Watcher {
    /// Takes a reading in; one in which something was found, of a file that a package may own, once the
    /// packages' record has been asked.
    pub(super) fn take_or_ask(
        &mut self,
        flight: Flight,
        examined: Examined,
        reading: Reading,
        ended: Ended,
        now: Instant,
    ) {
        let id = self.samples.asked;
        let asked = question(id, &flight, &examined, &reading)
            .is_some_and(|question| self.samples.ask.try_send(question).is_ok());
        if !asked {
            self.take_reading(&flight, &examined, reading, ended, now);
            return;
        }
        self.samples.asked += 1;
        let waiting = Waiting {
            flight,
            examined,
            reading,
            ended,
        };
        self.samples.waiting.insert(id, waiting);
    }

    /// The record has been read. What an OS package brought and nobody touched is a vendor's sample:
    /// recorded, below every level that counts.
    pub(super) fn take_sampled(&mut self, id: u64, own: bool, now: Instant) {
        let Some(mut waiting) = self.samples.waiting.remove(&id) else {
            return;
        };
        if own {
            for observed in &mut waiting.reading.observed {
                observed.confidence = Confidence::Unknown;
            }
        }
        let Waiting {
            flight,
            examined,
            reading,
            ended,
        } = waiting;
        self.take_reading(&flight, &examined, reading, ended, now);
    }
}

fn question(id: u64, flight: &Flight, examined: &Examined, reading: &Reading) -> Option<Question> {
    let TargetPlace::File(path) = &flight.pending.target.what else {
        return None;
    };
    let sums = (*examined.sums.first()?)?;
    let whole = reading.extent == Extent::Whole && !reading.observed.is_empty();
    (whole && flight.file.as_ref().is_some_and(is_roots)).then(|| Question {
        id,
        path: path.clone(),
        sums,
    })
}

fn is_roots(file: &OwnedFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| stat.st_uid == 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn questions_are_answered_in_their_order_and_by_the_record() {
        let directory = tempfile::tempdir().unwrap();
        let content = b"a vendor's key";
        let sum = packages::sum({
            let mut rest = &content[..];
            move |into| std::io::Read::read(&mut rest, into)
        })
        .unwrap();
        let info = directory.path().join("var/lib/dpkg/info");
        fs::create_dir_all(&info).unwrap();
        let hex = data_encoding::HEXLOWER.encode(&sum.md5);
        fs::write(
            info.join("tool.md5sums"),
            format!("{hex}  usr/share/tool/key\n"),
        )
        .unwrap();
        let root = Arc::new(Root::at(directory.path()).unwrap());
        let (samples, questions) = Samples::new();
        let (say, said) = bounded(8);
        let other = packages::Sums {
            md5: [0; 16],
            ..sum
        };
        let asked = [
            (7, "/usr/share/tool/key", sum),
            (8, "/usr/share/tool/key", other),
            (9, "/usr/share/tool/other", sum),
        ];
        for (id, path, sums) in asked {
            let path = PathBuf::from(path);
            samples.ask.send(Question { id, path, sums }).unwrap();
        }
        drop(samples);
        answer(&root, &questions, &say);
        drop(say);
        let answers: Vec<_> = said
            .iter()
            .map(|event| match event {
                Event::Sampled(id, own) => (id, own),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(answers, [(7, true), (8, false), (9, false)]);
    }

    #[test]
    fn only_roots_files_are_asked_about() {
        let file = OwnedFd::from(fs::File::open("/proc/version").unwrap());
        assert!(is_roots(&file), "the kernel's files are root's");
        let own = OwnedFd::from(tempfile::tempfile().unwrap());
        assert_eq!(is_roots(&own), nix::unistd::geteuid().is_root());
    }
}
