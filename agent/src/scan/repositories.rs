//! What Git says of findings, asked by hand: in one process, one file after another.

use std::path::Path;
use std::sync::Arc;

use akwatch_detect::Detector;
use akwatch_detect::repository::{ObjectId, Wanted};
use akwatch_proto::git::{Git, UntracedWhy};
use akwatch_proto::place::SafeText;

use crate::config::GlobSet;
use crate::host::Root;
use crate::host::repository::{Inside, Location, Repository, around};
use crate::job::{Found, JobId};
use crate::open::Opener;
use crate::redact::{FingerprintKey, Redactor};
use crate::trace::{Order, Progress, Sought, Tracing, WANTED, untraced};

/// Bytes of work for one repository, whatever is found in it; then the rest is unknown.
const WORK: u64 = 1 << 30;

/// The repository that was last asked.
pub(super) struct Repositories {
    opener: Opener,
    last: Option<Last>,
}

struct Last {
    location: Location,
    repository: Result<Repository, UntracedWhy>,
    work: u64,
}

impl Repositories {
    pub(super) fn new(root: Arc<Root>) -> Repositories {
        let nothing = GlobSet::new([], &[]).expect("invariant: no pattern compiles");
        Repositories {
            opener: Opener::new(root, nothing),
            last: None,
        }
    }

    /// What Git says of each of the findings in a file, in their order; nothing where it lies in no
    /// repository.
    pub(super) fn ask<'a>(
        &mut self,
        file: &Path,
        found: impl Iterator<Item = &'a Found> + Clone,
        detector: &mut Detector,
        key: &FingerprintKey,
    ) -> Vec<Option<Git>> {
        // What cannot be looked at has no name to be unknown under.
        let Ok(Some((location, inside))) = around(self.opener.root(), file) else {
            return Vec::new();
        };
        let top = location.top.as_os_str().as_encoded_bytes().to_vec();
        let name = Redactor::new(detector, key, &[]).name(&top);
        let (wanted, among) = wanted(&inside, found.clone());
        let gits = self.answers(location, &name, top, wanted, detector, key);
        among
            .iter()
            .zip(found)
            .map(|(at, _)| {
                let (sought, subject) = (*at)?;
                gits.get(sought)?.get(subject).cloned()
            })
            .collect()
    }

    fn answers(
        &mut self,
        location: Location,
        name: &SafeText,
        top: Vec<u8>,
        wanted: Vec<Sought>,
        detector: &mut Detector,
        key: &FingerprintKey,
    ) -> Vec<Vec<Git>> {
        if self
            .last
            .as_ref()
            .is_none_or(|last| last.location != location)
        {
            self.last = Some(Last {
                repository: Repository::open(&self.opener, &location),
                location,
                work: 0,
            });
        }
        let last = self.last.as_mut().expect("invariant: it was just set");
        let repository = match &last.repository {
            Ok(repository) if last.work < WORK => repository,
            other => {
                let why = other.as_ref().err().copied().unwrap_or(UntracedWhy::Limit);
                let of_one = |sought: &Sought| {
                    let subjects = sought.subjects.iter();
                    subjects.map(|_| untraced(name.clone(), why)).collect()
                };
                return wanted.iter().map(of_one).collect();
            }
        };
        let mut tracing = Tracing::begin(Order {
            id: JobId(0),
            top,
            files: repository.files(),
            whole: repository.whole,
            wanted,
        });
        loop {
            let before = tracing.work();
            match tracing.step(detector, key) {
                Progress::More => {}
                Progress::Ask(ask) => tracing.give(repository.give(&self.opener, ask)),
                Progress::Told(told) => return told.gits,
                Progress::Waiting => return Vec::new(),
            }
            last.work += tracing.work().saturating_sub(before);
        }
    }
}

/// What is asked, and for each finding which of the answers is its own.
fn wanted<'a>(
    inside: &Inside,
    found: impl Iterator<Item = &'a Found>,
) -> (Vec<Sought>, Vec<Option<(usize, usize)>>) {
    let mut wanted: Vec<Sought> = Vec::new();
    let mut count = 0;
    let among = found.map(|one| {
        let what = match inside {
            Inside::WorkTree(path) => Wanted::Path {
                path: path.clone(),
                secrets: 0,
            },
            Inside::Object(id) => Wanted::Object(*id),
            Inside::Pack => {
                let (_, id) = one.inside.first()?.as_str().split_once(' ')?;
                Wanted::Object(ObjectId::parse(id.as_bytes())?)
            }
        };
        let known = wanted.iter().position(|sought| sought.what == what);
        let at = known.unwrap_or(wanted.len());
        if known.is_none() {
            let subjects = Vec::new();
            wanted.push(Sought { what, subjects });
        }
        let subjects = &mut wanted[at].subjects;
        if let Some(subject) = subjects.iter().position(|known| *known == one.subject) {
            return Some((at, subject));
        }
        count += 1;
        if count > WANTED {
            return None;
        }
        subjects.push(one.subject.clone());
        Some((at, subjects.len() - 1))
    });
    let among = among.collect();
    (wanted, among)
}
