//! One place, opened: what the watcher hands to the detector and what comes back.
//!
//! A [`Target`] says that something may have changed; [`Job`] is that place opened, with its
//! descriptors or captures. The detector answers with an [`Examined`], which names only the job: the
//! watcher alone says which place that was, and bounds everything that it takes from the answer.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use akwatch_ledger::reading::{FileState, ProcessInstance};
use akwatch_proto::credential::{Confidence, CredentialId, Kind, Preview, Provider, RuleId};
use akwatch_proto::finding::{Proof, Subject, UnknownWhy, WhyNew};
use akwatch_proto::place::{
    Capture, Origin, Place, Pod, Reach, SafeText, Spot, Workload, WrittenBy,
};
use serde::{Deserialize, Serialize};

use crate::host::Accounts;
use crate::host::packages::Sums;
use crate::host::runtime::Container;
use crate::host::writer::Writer;

/// Something that may have changed, as a sensor says it: unparsed, unopened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What.
    pub what: TargetPlace,
    /// Why it is looked at, which is also its urgency.
    pub urgency: Urgency,
}

/// A place by its raw name on this host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetPlace {
    /// A file, or a history where `akwatch_detect::places` says so.
    File(PathBuf),
    /// A process.
    Process(ProcessInstance),
}

/// Urgencies, most urgent first: live events outrank everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Urgency {
    /// The kernel just said that it changed.
    Live,
    /// A known finding's place is to be read again.
    Revisit,
    /// A person asked.
    Hunt,
    /// The periodic rescan, or one after an overflow.
    Rescan,
    /// The first scan of a newly watched place.
    FirstScan,
}

impl Urgency {
    /// Why a finding that this read makes is new.
    #[must_use]
    pub fn why_new(self) -> WhyNew {
        match self {
            Urgency::Live | Urgency::Revisit | Urgency::Rescan => WhyNew::PlaceChanged,
            Urgency::Hunt | Urgency::FirstScan => WhyNew::HostNew,
        }
    }
}

/// Numbers a job within one run of the watcher.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct JobId(pub u64);

/// One place, opened.
#[derive(Debug)]
pub struct Job {
    /// What is said of it to the detector.
    pub header: JobHeader,
    /// Its content, one for each of the header's parts and then of its companions, in order.
    pub contents: Vec<Content>,
}

/// A part's bytes.
#[derive(Debug)]
pub enum Content {
    /// An open file, read by the detector itself from the descriptor.
    File(OwnedFd),
    /// A capture of /proc, unparsed, in locked memory at both ends.
    Captured(Captured),
}

/// Raw bytes of an environ or cmdline: wiped when dropped, never printed.
pub struct Captured(pub zeroize::Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Captured({} bytes)", self.0.len())
    }
}

/// What the detector needs to know of a job. Raw names are in it, so its `Debug` says only how many
/// and it is only ever written to the link between watcher and detector.
#[derive(Clone, Serialize, Deserialize)]
pub struct JobHeader {
    /// Which job.
    pub id: JobId,
    /// Whether it may wait for whatever else wants the processor: a scan's, on a host that is calm.
    #[serde(default)]
    pub idle: bool,
    /// Its parts.
    pub parts: Vec<PartHeader>,
    /// What lies beside it and is asked for the passwords of keystores in it: no place of this job.
    #[serde(default)]
    pub companions: Vec<CompanionHeader>,
    /// Names that will be stored or shown with what is found, raw; they come back cleaned, in the
    /// same order ([`Examined::names`]).
    pub names: Vec<Vec<u8>>,
}

impl std::fmt::Debug for JobHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "JobHeader({:?}, {} parts, {} names)",
            self.id,
            self.parts.len(),
            self.names.len()
        )
    }
}

/// A file beside a job's place. Its raw name is in it, so nothing prints it.
#[derive(Clone, Serialize, Deserialize)]
pub struct CompanionHeader {
    /// Its raw path, which may say its format. It does not come back.
    pub name: Vec<u8>,
    /// Its bytes when it was opened.
    pub bytes: u64,
    /// Whether it lies in the directory above.
    pub above: bool,
}

/// One part of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartHeader {
    /// Which of [`JobHeader::names`] is its name, which may say its format.
    pub name: usize,
    /// How it is written, where the watcher knows: a history's shell, a capture.
    pub form: PartForm,
    /// For a file that is appended to: what is remembered of its last reading.
    pub appended: Option<Appended>,
    /// Where its end lies, from the file's or capture's own start: a file's size, a capture's
    /// expected length. It was read to its end when [`Examined::began`] + [`Examined::read`] reaches
    /// this.
    pub expected: u64,
}

/// Up to where a file that is appended to was read before. What came since is enough, if the bytes
/// before it still have the mark: the detector, which alone reads content, decides that, and reads the
/// whole where they have not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    /// Where that reading ended; 0 when there was none.
    pub from: u64,
    /// Line breaks before that.
    pub lines: u32,
    /// The mark of the bytes before that.
    pub mark: u64,
}

/// What the watcher knows of a part's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartForm {
    /// By name and content.
    Guess,
    /// A captured environment.
    Environ,
    /// A captured command line.
    Cmdline,
    /// bash's history.
    BashHistory,
    /// zsh's history.
    ZshHistory,
    /// fish's history.
    FishHistory,
}

/// The detector's answer about one job: hostile input to the watcher.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Examined {
    /// Which job.
    pub id: JobId,
    /// What was found.
    pub found: Vec<Found>,
    /// The job's names, cleaned, in the header's order.
    pub names: Vec<SafeText>,
    /// For each part, the offset at which reading began: 0, but for a tail.
    pub began: Vec<u64>,
    /// For each part, the bytes read from there without a gap.
    pub read: Vec<u64>,
    /// For each part, the line breaks before its end, so that the next tail knows its line.
    pub lines: Vec<u32>,
    /// For each part that is appended to, the mark of its end, for the next tail; else 0.
    pub marks: Vec<u64>,
    /// For each part, the sums of a file in which something was found and which a package may own, by
    /// its name: to be compared with the package's record.
    pub sums: Vec<Option<Sums>>,
    /// More was there than is kept.
    pub too_many: bool,
    /// Something inside could not be read, and why.
    pub unread_inside: Option<UnknownWhy>,
    /// Bytes looked at, unwrapped ones included.
    pub work: u64,
}

/// One redacted match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Which part.
    pub part: usize,
    /// Members' names, outer to inner, cleaned.
    pub inside: Vec<SafeText>,
    /// The secret's fingerprint, or the lone id.
    pub subject: Subject,
    /// The rule.
    pub rule: RuleId,
    /// Who issues it.
    pub provider: Provider,
    /// What sort.
    pub kind: Kind,
    /// The public half.
    pub credential_id: Option<CredentialId>,
    /// How sure.
    pub confidence: Confidence,
    /// What may be shown.
    pub preview: Option<Preview>,
    /// What was established offline.
    pub proof: Vec<Proof>,
    /// Where in the part.
    pub spot: Spot,
}

/// One of a job's names, by its index in [`JobHeader::names`]: raw before the detector, clean after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameAt(pub usize);

/// What the watcher keeps of a job while the detector has it: everything that it knows of the place
/// but its names, which come back clean in [`Examined::names`].
#[derive(Clone, Debug)]
pub struct Pending {
    /// What was opened.
    pub target: Target,
    /// Which place that is.
    pub place: PendingPlace,
    /// The file's state when it was opened; compared with its state after the answer.
    pub before: Option<FileState>,
    /// It had changed so shortly before that another change need not show in its state: the kernel's
    /// clock for files has a grain.
    pub fresh: bool,
    /// Who can read it.
    pub reach: PendingReach,
    /// The process, where there is one.
    pub origin: PendingOrigin,
    /// Handed over by a secret store.
    pub delivered: bool,
    /// For each part, the bytes that must have been read for the place to count as read whole.
    pub expected: Vec<u64>,
    /// Who wrote what is new in it, where that is known.
    pub writer: Option<PendingWriter>,
}

/// Who wrote a file, before the names are clean.
#[derive(Clone, Copy, Debug)]
pub struct PendingWriter {
    exe: NameAt,
    script: Option<NameAt>,
    user: NameAt,
    login: Option<NameAt>,
    unit: Option<NameAt>,
    container: Option<NameAt>,
}

impl PendingWriter {
    /// From what was seen of the process.
    #[must_use]
    pub fn of(writer: &Writer, accounts: &Accounts, names: &mut Names) -> PendingWriter {
        let mut name = |raw: &Option<Vec<u8>>| raw.as_deref().map(|raw| names.add(raw));
        let (script, unit) = (name(&writer.script), name(&writer.unit));
        let container = name(&writer.container);
        PendingWriter {
            exe: names.add(&writer.exe),
            script,
            user: names.add(&accounts.user(writer.uid)),
            login: (writer.login).map(|login| names.add(&accounts.user(login))),
            unit,
            container,
        }
    }
}

/// A place before its names are clean.
#[derive(Clone, Debug)]
pub enum PendingPlace {
    /// A file.
    File {
        /// Its path.
        path: NameAt,
    },
    /// A history.
    History {
        /// Its path.
        path: NameAt,
        /// Whose.
        user: NameAt,
    },
    /// A process.
    Process {
        /// What it belongs to.
        workload: PendingWorkload,
        /// Its user.
        user: NameAt,
        /// Which one.
        instance: ProcessInstance,
        /// The sensors' naming of it that this answers.
        naming: u64,
        /// For each part, which capture it is.
        captures: Vec<Capture>,
    },
}

/// A workload before its names are clean.
#[derive(Clone, Copy, Debug)]
pub enum PendingWorkload {
    /// A systemd unit.
    Unit(NameAt),
    /// A container.
    Container(NameAt),
    /// An executable and its script.
    Executable(NameAt, Option<NameAt>),
}

/// A reach before its names are clean.
#[derive(Clone, Debug, Default)]
pub struct PendingReach {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub owner: Option<NameAt>,
    /// Group.
    pub group: Option<NameAt>,
    /// Anyone, directories above included.
    pub world_readable: bool,
    /// The group.
    pub group_readable: bool,
    /// An access control list widens the mode.
    pub acl: bool,
}

/// An origin before its names are clean.
#[derive(Clone, Debug, Default)]
pub struct PendingOrigin {
    /// The process.
    pub pid: Option<i32>,
    /// Its executable.
    pub exe: Option<NameAt>,
    /// Its user.
    pub user: Option<NameAt>,
    /// Its unit.
    pub unit: Option<NameAt>,
    /// The unit's files and the files that it names.
    pub unit_files: Vec<NameAt>,
    /// Its container.
    pub container: Option<NameAt>,
    /// The script that it runs.
    pub script: Option<NameAt>,
    /// Its control group.
    pub cgroup: Option<NameAt>,
    /// The container's id.
    pub container_id: Option<NameAt>,
    /// The container's image.
    pub image: Option<NameAt>,
    /// The container's pod: namespace, name, and the container in it.
    pub pod: Option<(NameAt, NameAt, Option<NameAt>)>,
    /// Of a file in a container's layer: its path inside.
    pub path_inside: Option<NameAt>,
}

impl PendingOrigin {
    /// Adds what is known of the container.
    pub fn put_in(&mut self, container: &Container, names: &mut Names) {
        self.container = Some(names.add(&container.name));
        self.container_id = Some(names.add(&container.id));
        self.image = container.image.as_deref().map(|image| names.add(image));
        self.pod = container.pod.as_ref().map(|pod| {
            let own = pod.container.as_deref().map(|own| names.add(own));
            (names.add(&pod.namespace), names.add(&pod.name), own)
        });
    }
}

impl Pending {
    /// The place of what was found in `part`, inside the members `inside`, with `names` as the
    /// detector cleaned them; `None` when the answer does not fit the job, which is then hostile.
    #[must_use]
    pub fn place(&self, part: usize, inside: &[SafeText], names: &[SafeText]) -> Option<Place> {
        Some(match &self.place {
            PendingPlace::File { path } => Place::File {
                path: names.get(path.0)?.clone(),
                inside: inside.to_vec(),
            },
            PendingPlace::History { path, user } => Place::History {
                path: names.get(path.0)?.clone(),
                user: names.get(user.0)?.clone(),
            },
            PendingPlace::Process { user, captures, .. } => Place::Process {
                workload: self.workload(names)?,
                user: names.get(user.0)?.clone(),
                capture: *captures.get(part)?,
            },
        })
    }

    /// Says which naming of a process this answers.
    pub fn answer_naming(&mut self, of: u64) {
        if let PendingPlace::Process { naming, .. } = &mut self.place {
            *naming = of;
        }
    }

    /// Which naming of a process this answers; 0 for other places.
    #[must_use]
    pub fn naming(&self) -> u64 {
        match &self.place {
            PendingPlace::Process { naming, .. } => *naming,
            PendingPlace::File { .. } | PendingPlace::History { .. } => 0,
        }
    }

    /// What a process belongs to; `None` for other places, or when the answer does not fit.
    #[must_use]
    pub fn workload(&self, names: &[SafeText]) -> Option<Workload> {
        let PendingPlace::Process { workload, .. } = &self.place else {
            return None;
        };
        Some(match workload {
            PendingWorkload::Unit(name) => Workload::Unit {
                name: names.get(name.0)?.clone(),
            },
            PendingWorkload::Container(name) => Workload::Container {
                name: names.get(name.0)?.clone(),
            },
            PendingWorkload::Executable(path, script) => Workload::Executable {
                path: names.get(path.0)?.clone(),
                script: script.and_then(|script| names.get(script.0).cloned()),
            },
        })
    }

    /// Who can read the place.
    #[must_use]
    pub fn reach(&self, names: &[SafeText]) -> Reach {
        let name = |at: Option<NameAt>| at.and_then(|at| names.get(at.0).cloned());
        Reach {
            mode: self.reach.mode.map(|mode| format!("{:04o}", mode & 0o7777)),
            owner: name(self.reach.owner),
            group: name(self.reach.group),
            world_readable: self.reach.world_readable,
            group_readable: self.reach.group_readable,
            acl: self.reach.acl,
        }
    }

    /// Who wrote what is new.
    #[must_use]
    pub fn written_by(&self, names: &[SafeText]) -> Option<WrittenBy> {
        let writer = self.writer?;
        let name = |at: Option<NameAt>| at.and_then(|at| names.get(at.0).cloned());
        Some(WrittenBy {
            exe: name(Some(writer.exe))?,
            script: name(writer.script),
            user: name(Some(writer.user))?,
            login: name(writer.login),
            unit: name(writer.unit),
            container: name(writer.container),
        })
    }

    /// Which process, unit, container.
    #[must_use]
    pub fn origin(&self, names: &[SafeText]) -> Origin {
        let name = |at: Option<NameAt>| at.and_then(|at| names.get(at.0).cloned());
        Origin {
            pid: self.origin.pid,
            exe: name(self.origin.exe),
            user: name(self.origin.user),
            unit: name(self.origin.unit),
            unit_files: self
                .origin
                .unit_files
                .iter()
                .filter_map(|at| names.get(at.0).cloned())
                .collect(),
            container: name(self.origin.container),
            script: name(self.origin.script),
            cgroup: name(self.origin.cgroup),
            container_id: name(self.origin.container_id),
            image: name(self.origin.image),
            pod: self.origin.pod.and_then(|(namespace, pod, container)| {
                Some(Pod {
                    namespace: name(Some(namespace))?,
                    name: name(Some(pod))?,
                    container: name(container),
                })
            }),
            path_inside: name(self.origin.path_inside),
        }
    }
}

/// Collects a job's raw names, each once.
#[derive(Default)]
pub struct Names(Vec<Vec<u8>>);

impl Names {
    /// More names after those of a job that was opened.
    #[must_use]
    pub fn after(raw: Vec<Vec<u8>>) -> Names {
        Names(raw)
    }

    /// Adds a name, or finds it.
    pub fn add(&mut self, name: &[u8]) -> NameAt {
        if let Some(at) = self.0.iter().position(|known| known == name) {
            return NameAt(at);
        }
        self.0.push(name.to_vec());
        NameAt(self.0.len() - 1)
    }

    /// The names, for a [`JobHeader`].
    #[must_use]
    pub fn into_raw(self) -> Vec<Vec<u8>> {
        self.0
    }
}
