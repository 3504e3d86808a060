//! What a repository says of findings in it, asked in the detector: it alone reads content.
//!
//! [`Tracing`] drives the [`Tracer`] and is what a file's earlier versions are looked into with: a
//! version holds a finding's secret when the same detector finds the same fingerprint in it. What
//! leaves is redacted as everything else: a branch's, a remote's or a file's name may hold a secret.

use std::os::fd::OwnedFd;

use akwatch_detect::repository::{Ask, RemoteName, Step, Trace, Traced, Tracer, Wanted};
use akwatch_detect::{Detector, Part, Position, Source, Unreadable, places};
use akwatch_proto::finding::Subject;
use akwatch_proto::git::{CommitId, Git, PushState, Remote};
use akwatch_proto::limits;
use akwatch_proto::place::SafeText;
use akwatch_proto::time::Time;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::examine::format_of;
use crate::job::JobId;
use crate::open::form_of;
use crate::redact::{FingerprintKey, Redactor};

/// Findings of one order. Stops: an order that is larger than what it asks for.
pub const WANTED: usize = 512;
/// Bytes of the paths in one order. Stops: five hundred paths as long as they may be.
pub const PATHS: usize = 256 << 10;

/// Bytes of a remote's name and of an address, cleaned. Stops: a configuration that fills a report.
const NAME: usize = 64;
const ADDRESS: usize = 256;
/// What a remote is called whose name is a URL that may not be shown.
const NAMELESS: &str = "‹url›";

/// A question about the findings in one repository. Raw names are in it: its `Debug` says only how
/// many.
#[derive(Clone, Serialize, Deserialize)]
pub struct Order {
    /// Which.
    pub id: JobId,
    /// The work tree, or the repository's own directory; comes back cleaned.
    pub top: Vec<u8>,
    /// The repository's files; see [`Tracer::new`].
    #[serde(with = "names")]
    pub files: Vec<Vec<u8>>,
    /// Whether those are all.
    pub whole: bool,
    /// What is asked about.
    pub wanted: Vec<Sought>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Order({:?}, {} files, {} wanted)",
            self.id,
            self.files.len(),
            self.wanted.len()
        )
    }
}

/// A list of names as one text. As JSON has it, a byte would be a number of up to four digits, and there
/// may be a mebibyte of them.
mod names {
    use data_encoding::BASE64;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(names: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        // No name of a file holds a NUL.
        let ended: Vec<u8> = names
            .iter()
            .flat_map(|name| name.iter().chain(&[0]))
            .copied()
            .collect();
        to.serialize_str(&BASE64.encode(&ended))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let text = String::deserialize(from)?;
        let ended = BASE64.decode(text.as_bytes());
        let ended = ended.map_err(|_| D::Error::custom("no list of names"))?;
        let Some(names) = ended.strip_suffix(&[0]) else {
            return Ok(Vec::new());
        };
        let names = names.split(|&byte| byte == 0);
        Ok(names.map(<[u8]>::to_vec).collect())
    }
}

/// A file or an object, and the findings in it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Sought {
    /// Which.
    pub what: Wanted,
    /// The findings; of an object all have the same answer.
    pub subjects: Vec<Subject>,
}

/// The answer to an [`Order`]: hostile input to the watcher.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Which order.
    pub id: JobId,
    /// For each of its wanted, one for each subject.
    pub gits: Vec<Vec<Git>>,
    /// The work that it took, in bytes.
    pub work: u64,
}

impl Told {
    /// Whether counts are within the bounds that hold for any order.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let findings: usize = self.gits.iter().map(Vec::len).sum();
        let mut gits = self.gits.iter().flatten();
        let remotes = |git: &Git| {
            git.remotes.len() <= limits::GIT_REMOTES && git.remotes.iter().all(is_short)
        };
        self.gits.len() <= WANTED && findings <= WANTED && gits.all(remotes)
    }

    /// Whether it answers `order`: of a file, whose path is known, no other is told.
    #[must_use]
    pub fn fits(&self, order: &Order) -> bool {
        self.id == order.id
            && self.gits.len() == order.wanted.len()
            && self.gits.iter().zip(&order.wanted).all(|(gits, sought)| {
                gits.len() == sought.subjects.len()
                    && (matches!(sought.what, Wanted::Object(_))
                        || gits.iter().all(|git| git.path.is_none()))
            })
    }
}

/// What happens next.
#[derive(Debug)]
pub enum Progress {
    /// Another step can be done.
    More,
    /// [`Tracing::give`] this first; said once.
    Ask(Ask),
    /// It waits for what it asked for.
    Waiting,
    /// The answer.
    Told(Told),
}

/// An order that is being answered.
pub struct Tracing {
    order: Order,
    tracer: Option<Tracer>,
    waiting: bool,
}

impl Tracing {
    /// Begins.
    #[must_use]
    pub fn begin(mut order: Order) -> Tracing {
        let wanted: Vec<Wanted> = order
            .wanted
            .iter()
            .map(|sought| match &sought.what {
                Wanted::Path { path, .. } => Wanted::Path {
                    path: path.clone(),
                    secrets: sought.subjects.len(),
                },
                object @ Wanted::Object(_) => object.clone(),
            })
            .collect();
        let files = std::mem::take(&mut order.files);
        let tracer = Tracer::new(files, order.whole, &wanted);
        Tracing {
            order,
            tracer: Some(tracer),
            waiting: false,
        }
    }

    /// Which order this is.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.order.id
    }

    /// The work so far, in bytes.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.tracer.as_ref().map_or(0, Tracer::work)
    }

    /// Whether a step can be done.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        !self.waiting
    }

    /// Takes what was asked for: an open file and its size.
    pub fn give(&mut self, file: Option<(OwnedFd, u64)>) {
        self.waiting = false;
        if let Some(tracer) = &mut self.tracer {
            tracer.give(file.map(|(file, size)| Box::new(Given { file, size }) as Box<dyn Source>));
        }
    }

    /// Does a little.
    pub fn step(&mut self, detector: &mut Detector, key: &FingerprintKey) -> Progress {
        if self.waiting {
            return Progress::Waiting;
        }
        let Some(tracer) = &mut self.tracer else {
            return Progress::Waiting;
        };
        match tracer.step() {
            Step::More => Progress::More,
            Step::Ask(ask) => {
                self.waiting = true;
                Progress::Ask(ask)
            }
            Step::Scan { wanted, content } => {
                let holds = held(&self.order, wanted, &content, detector, key);
                tracer.scanned(holds);
                Progress::More
            }
            Step::Done => {
                self.waiting = true;
                let work = self.work();
                let traced = self.tracer.take().map(Tracer::finish).unwrap_or_default();
                let gits = told(&self.order, traced, detector, key);
                let id = self.order.id;
                Progress::Told(Told { id, gits, work })
            }
        }
    }
}

/// Which of the findings a version of their file holds.
fn held(
    order: &Order,
    wanted: usize,
    content: &Vec<u8>,
    detector: &mut Detector,
    key: &FingerprintKey,
) -> Vec<bool> {
    let Some(sought) = order.wanted.get(wanted) else {
        return Vec::new();
    };
    let mut name = order.top.clone();
    if let Wanted::Path { path, .. } = &sought.what {
        name.push(b'/');
        name.extend_from_slice(path);
    }
    let scan = detector.scan(&[Part {
        name: &name,
        format: format_of(form_of(places::is_history(&name))),
        start: Position::default(),
        source: content,
    }]);
    let mut redactor = Redactor::new(detector, key, &scan.matches);
    let subjects: Vec<Subject> = scan
        .matches
        .iter()
        .filter_map(|found| redactor.found(found))
        .map(|found| found.subject)
        .collect();
    let wanted = sought.subjects.iter();
    wanted.map(|one| subjects.contains(one)).collect()
}

fn told(
    order: &Order,
    traced: Traced,
    detector: &mut Detector,
    key: &FingerprintKey,
) -> Vec<Vec<Git>> {
    let mut redactor = Redactor::new(detector, key, &[]);
    let top = redactor.name(&order.top);
    let remotes: Vec<Remote> = traced
        .remotes
        .iter()
        .map(|remote: &RemoteName| Remote {
            name: remote
                .name
                .as_ref()
                .map_or(SafeText::from_program(NAMELESS), |name| {
                    cut(&redactor.name(name), NAME)
                }),
            address: remote
                .address
                .as_ref()
                .map(|address| cut(&redactor.name(address), ADDRESS)),
            reached: false,
        })
        .collect();
    order
        .wanted
        .iter()
        .zip(traced.traces)
        .map(|(sought, traces)| {
            let gits: Vec<Git> = traces
                .into_iter()
                .map(|trace| git(trace, &top, &remotes, &mut redactor))
                .collect();
            match &sought.what {
                Wanted::Path { .. } => gits,
                Wanted::Object(_) => gits
                    .iter()
                    .cycle()
                    .take(sought.subjects.len())
                    .cloned()
                    .collect(),
            }
        })
        .collect()
}

/// Whether a remote is as short as [`cut`] makes it.
fn is_short(remote: &Remote) -> bool {
    let address = remote.address.as_ref().map_or("", SafeText::as_str);
    remote.name.as_str().len() <= NAME && address.len() <= ADDRESS
}

/// Cuts what was cleaned. Never the other way round: half a token is none that a rule knows, and still
/// half a token.
fn cut(clean: &SafeText, most: usize) -> SafeText {
    SafeText::try_from(akwatch_proto::text::cut(clean.as_str(), most))
        .expect("invariant: a part of a SafeText, and an ellipsis")
}

fn git(trace: Trace, top: &SafeText, remotes: &[Remote], redactor: &mut Redactor<'_>) -> Git {
    let mut remotes: Vec<Remote> = remotes.to_vec();
    for number in trace.reached {
        if let Some(remote) = remotes.get_mut(number) {
            remote.reached = true;
        }
    }
    // Those that have it first: there may be more than are named.
    remotes.sort_by_key(|remote| !remote.reached);
    remotes.truncate(limits::GIT_REMOTES);
    Git {
        repository: top.clone(),
        commit: trace
            .commit
            .and_then(|id| CommitId::parse(&id.to_hex()).ok()),
        authored: trace.authored.map(Time::from_seconds),
        path: trace.path.map(|path| redactor.name(&path)),
        state: trace.state,
        why: trace.why,
        remotes,
    }
}

/// What may be said where nothing could be asked.
#[must_use]
pub fn untraced(top: SafeText, why: akwatch_proto::git::UntracedWhy) -> Git {
    Git {
        repository: top,
        commit: None,
        authored: None,
        path: None,
        state: PushState::Unknown,
        why: Some(why),
        remotes: Vec::new(),
    }
}

/// A file that was given. Its pages stay in the cache, since they are read in no order and again.
struct Given {
    file: OwnedFd,
    size: u64,
}

impl Source for Given {
    fn len(&self) -> Option<u64> {
        Some(self.size)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Unreadable> {
        let room = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX);
        let count = into.len().min(room);
        loop {
            match rustix::io::pread(&self.file, &mut into[..count], at) {
                Ok(count) => return Ok(count),
                Err(Errno::INTR) => {}
                Err(_) => return Err(Unreadable),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> SafeText {
        SafeText::try_from("x".repeat(length)).unwrap()
    }

    fn told(name: usize, address: usize, path: Option<SafeText>) -> Told {
        let remote = Remote {
            name: text(name),
            address: Some(text(address)),
            reached: true,
        };
        let git = Git {
            remotes: vec![remote],
            path,
            ..untraced(text(1), akwatch_proto::git::UntracedWhy::Limit)
        };
        Told {
            id: JobId(1),
            gits: vec![vec![git]],
            work: 0,
        }
    }

    #[test]
    fn remotes_are_as_short_as_they_are_told() {
        assert!(told(NAME, ADDRESS, None).is_bounded());
        assert!(!told(NAME + 1, ADDRESS, None).is_bounded());
        assert!(!told(NAME, ADDRESS + 1, None).is_bounded());
        // What is escaped or replaced grows, and is cut behind that.
        assert_eq!(cut(&text(4096), NAME).as_str().len(), NAME);
    }

    #[test]
    fn a_path_is_told_of_objects_only() {
        let order = |what| Order {
            id: JobId(1),
            top: Vec::new(),
            files: Vec::new(),
            whole: true,
            wanted: vec![Sought {
                what,
                subjects: vec![Subject::Reference(
                    akwatch_proto::credential::CredentialId::parse("x1").unwrap(),
                )],
            }],
        };
        let object = Wanted::Object(akwatch_detect::repository::ObjectId::default());
        let file = Wanted::Path {
            path: b".env".to_vec(),
            secrets: 1,
        };
        let told = |path| told(1, 1, path);
        assert!(told(Some(text(1))).fits(&order(object)));
        assert!(told(None).fits(&order(file.clone())));
        assert!(!told(Some(text(1))).fits(&order(file)));
    }
}
