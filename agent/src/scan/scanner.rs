//! One opened place after another through the engine, and what it says to the output.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use akwatch_detect::{
    Companion, Detector, Format, Match, Part, Position, Scan, Source, Unread, UnreadWhy, places,
};
use akwatch_proto::credential::{Confidence, CredentialId, Kind};
use akwatch_proto::finding::Subject;
use akwatch_proto::git::Git;
use akwatch_proto::place::{Location, Origin, Place, Reach, SafeText};
use rustix::fs::Stat;

use super::output::Output;
use super::repositories::Repositories;
use super::sparse::Sparse;
use super::tally::Tally;
use crate::cli::MinConfidence;
use crate::examine::{Bytes, companion_of, format_of, sum_of};
use crate::host::{Root, packages, reach};
use crate::job::{Content, Found, Job, Names, Pending, PendingPlace, Target, TargetPlace, Urgency};
use crate::open::{companions, is_delivered, layer_of};
use crate::redact::{FingerprintKey, Redactor};

/// The engine, what it has counted, and where it writes.
pub(super) struct Scanner<'a> {
    root: Arc<Root>,
    detector: Detector,
    key: FingerprintKey,
    output: Output<'a>,
    tally: Tally<'a>,
    lowest: Confidence,
    repositories: Repositories,
    /// Processes' findings said already: workers of one service share an environment.
    said: HashSet<(Place, Subject)>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(
        root: Arc<Root>,
        detector: Detector,
        key: FingerprintKey,
        output: Output<'a>,
        tally: Tally<'a>,
        lowest: MinConfidence,
    ) -> Scanner<'a> {
        Scanner {
            repositories: Repositories::new(Arc::clone(&root)),
            root,
            detector,
            key,
            output,
            tally,
            lowest: match lowest {
                MinConfidence::Unknown => Confidence::Unknown,
                MinConfidence::Contextual => Confidence::Contextual,
                MinConfidence::Strong => Confidence::Strong,
                MinConfidence::Paired => Confidence::Paired,
                MinConfidence::Proven => Confidence::Proven,
            },
            said: HashSet::new(),
        }
    }

    /// A name as it may be shown.
    pub(super) fn clean(&mut self, name: &[u8]) -> SafeText {
        Redactor::new(&mut self.detector, &self.key, &[]).name(name)
    }

    /// Counts something that is not read.
    pub(super) fn refused(&mut self, path: &[u8], slug: &'static str) {
        let (detector, key) = (&mut self.detector, &self.key);
        self.tally
            .not_read(slug, || Redactor::new(detector, key, &[]).name(path));
    }

    /// Examines an open file, with what lies beside a keystore. Nothing is allocated for one in which
    /// nothing is found.
    pub(super) fn file(
        &mut self,
        path: &[u8],
        file: BorrowedFd<'_>,
        stat: &Stat,
        beside: &[companions::Companion],
    ) -> anyhow::Result<()> {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.tally.files += 1;
        self.tally.show();
        if size == 0 {
            return Ok(());
        }
        let sparse = Sparse::of(file, stat);
        let whole;
        let source: &dyn Source = if let Some(sparse) = &sparse {
            sparse
        } else {
            whole = Bytes::file(file, 0, size);
            &whole
        };
        let part = Part {
            name: path,
            format: Format::Guess,
            start: Position::default(),
            source,
        };
        let sources: Vec<(&[u8], Bytes<'_>, bool)> = beside
            .iter()
            .map(|one| {
                let source = Bytes::file(one.file.as_fd(), 0, one.size);
                (one.path.as_os_str().as_bytes(), source, one.above)
            })
            .collect();
        let companions: Vec<Companion<'_>> = sources
            .iter()
            .map(|(name, source, above)| companion_of(name, source, *above))
            .collect();
        let parts = std::slice::from_ref(&part);
        let scan = self.detector.scan_beside(parts, &companions);
        let read = scan.read.first().copied().unwrap_or(0);
        self.tally.bytes += read;
        let expected = source.len().unwrap_or(size);
        let short = read < expected || sparse.is_some_and(|sparse| !sparse.whole);
        if short {
            self.refused(path, short_because(&scan));
        }
        self.count_unread(path, &scan, short);
        if scan.matches.is_empty() {
            return Ok(());
        }
        let host_path = Path::new(OsStr::from_bytes(path));
        let sample = size <= packages::LARGEST
            && packages::recorded(&self.root, &[host_path])
                .pop()
                .flatten()
                .is_some_and(|recorded| {
                    let sums = sum_of(&Bytes::file(file, 0, size));
                    sums.is_some_and(|sums| recorded.fits(&sums))
                });
        let (pending, names) = self.pending_file(path, file, stat);
        self.say(&scan, &pending, &names, sample)
    }

    fn pending_file(
        &self,
        path: &[u8],
        file: BorrowedFd<'_>,
        stat: &Stat,
    ) -> (Pending, Vec<Vec<u8>>) {
        let host_path = Path::new(OsStr::from_bytes(path));
        let accounts = self.root.accounts();
        let mut names = Names::default();
        let name = names.add(path);
        let place = if places::is_history(path).is_some() {
            let user = accounts
                .home_of(host_path)
                .map_or_else(|| accounts.user(stat.st_uid), |home| home.user.clone());
            PendingPlace::History {
                path: name,
                user: names.add(&user),
            }
        } else {
            PendingPlace::File { path: name }
        };
        let reach = reach::of_file(&self.root, host_path, stat, Some(file), &mut names);
        let pending = Pending {
            target: Target {
                what: TargetPlace::File(host_path.to_owned()),
                urgency: Urgency::FirstScan,
            },
            place,
            before: None,
            fresh: false,
            reach,
            origin: layer_of(&self.root, host_path, &mut names),
            delivered: is_delivered(host_path),
            expected: Vec::new(),
            writer: None,
        };
        (pending, names.into_raw())
    }

    /// Examines a process's captures.
    pub(super) fn process(&mut self, job: &Job, pending: &Pending) -> anyhow::Result<()> {
        self.tally.processes += 1;
        self.tally.show();
        let sources: Vec<Bytes<'_>> = job
            .header
            .parts
            .iter()
            .zip(&job.contents)
            .map(|(part, content)| Bytes::of(part, content, 0))
            .collect();
        let parts: Vec<Part<'_>> = job
            .header
            .parts
            .iter()
            .zip(&sources)
            .map(|(part, source)| Part {
                name: job.header.names.get(part.name).map_or(b"", Vec::as_slice),
                format: format_of(part.form),
                start: Position::default(),
                source,
            })
            .collect();
        let scan = self.detector.scan(&parts);
        for ((part, content), expected) in job
            .header
            .parts
            .iter()
            .zip(&job.contents)
            .zip(&pending.expected)
        {
            let Content::Captured(captured) = content else {
                continue;
            };
            let read = captured.0.len() as u64;
            self.tally.bytes += read;
            if read < *expected {
                let slug = if read == 0 {
                    "permission-denied"
                } else {
                    "read-short"
                };
                let name = job
                    .header
                    .names
                    .get(part.name)
                    .map_or(&b""[..], Vec::as_slice);
                self.refused(name, slug);
            }
        }
        if scan.matches.is_empty() {
            return Ok(());
        }
        self.say(&scan, pending, &job.header.names, false)
    }

    /// Counts what the scan of a file left out; of one that was read `short` that is said already, but for
    /// its members.
    fn count_unread(&mut self, path: &[u8], scan: &Scan, short: bool) {
        let unread = scan.unread.iter();
        for unread in unread.filter(|unread| !(short && unread.inside.is_empty())) {
            self.refused(path, slug_of(unread));
        }
        if scan.too_many {
            self.refused(path, "too-many-matches");
        }
    }

    /// Says what was found; of a `sample`, an OS package's untouched file, as less than sure.
    fn say(
        &mut self,
        scan: &Scan,
        pending: &Pending,
        raw: &[Vec<u8>],
        sample: bool,
    ) -> anyhow::Result<()> {
        let mut redactor = Redactor::new(&mut self.detector, &self.key, &scan.matches);
        let names: Vec<SafeText> = raw.iter().map(|name| redactor.name(name)).collect();
        let found: Vec<(Found, &Match)> = scan
            .matches
            .iter()
            .filter_map(|one| redactor.found(one).map(|found| (found, one)))
            .map(|(mut found, one)| {
                if sample {
                    found.confidence = Confidence::Unknown;
                }
                (found, one)
            })
            .collect();
        let exhausted = redactor.exhausted;
        let reach = pending.reach(&names);
        let origin = pending.origin(&names);
        if exhausted && let Some(path) = raw.first() {
            self.refused(path, "too-many-passwords");
        }
        let paired: HashSet<_> = found
            .iter()
            .filter(|(one, _)| matches!(one.subject, Subject::Secret(_)))
            .filter_map(|(one, _)| one.credential_id.as_ref())
            .collect();
        let gits = match &pending.target.what {
            TargetPlace::File(path) if !found.is_empty() => {
                let found = found.iter().map(|(one, _)| one);
                let (detector, key) = (&mut self.detector, &self.key);
                self.repositories.ask(path, found, detector, key)
            }
            _ => Vec::new(),
        };
        let mut said = HashSet::new();
        for (at, (one, matched)) in found.iter().enumerate() {
            let Some(place) = pending.place(one.part, &one.inside, &names) else {
                continue;
            };
            let key = (place, one.subject.clone());
            let process = matches!(key.0, Place::Process { .. });
            let again = if process {
                self.said.contains(&key)
            } else {
                said.contains(&key)
            };
            if again || !self.wanted(one) || is_explained(one, &paired) {
                continue;
            }
            let git = gits.get(at).cloned().flatten();
            self.line(&key.0, one, matched, (&reach, git), &origin)?;
            if process {
                self.said.insert(key);
            } else {
                said.insert(key);
            }
        }
        Ok(())
    }

    fn wanted(&self, found: &Found) -> bool {
        // A lone id is an inventory of use: it is not less sure for being harmless.
        let confidence = match found.kind {
            Kind::Reference => found.confidence.max(Confidence::Contextual),
            _ => found.confidence,
        };
        confidence >= self.lowest
    }

    fn line(
        &mut self,
        place: &Place,
        found: &Found,
        matched: &Match,
        (reach, git): (&Reach, Option<Git>),
        origin: &Origin,
    ) -> anyhow::Result<()> {
        if found.kind == Kind::Reference {
            self.tally.references += 1;
        } else {
            self.tally.findings += 1;
        }
        let location = Location::of(place, &found.spot, origin);
        let secret = matched.secret.as_ref();
        self.output.write(found, location, (reach, git), secret)
    }

    /// Ends the output; gives the summary and the number of findings.
    pub(super) fn finish(self) -> anyhow::Result<(String, u64)> {
        self.output.finish()?;
        let findings = self.tally.findings;
        Ok((self.tally.finish(), findings))
    }
}

/// A lone id beside the same id's pair in one place says nothing more.
fn is_explained(one: &Found, paired: &HashSet<&CredentialId>) -> bool {
    matches!(&one.subject, Subject::Reference(id) if paired.contains(id))
}

fn short_because(scan: &Scan) -> &'static str {
    scan.unread
        .iter()
        .find(|unread| unread.inside.is_empty())
        .map_or("changed-while-read", slug_of)
}

fn slug_of(unread: &Unread) -> &'static str {
    match unread.why {
        UnreadWhy::Unreadable => "input-output-error",
        UnreadWhy::Limit => "over-the-limit",
        UnreadWhy::Encrypted => "encrypted",
        UnreadWhy::Damaged => "damaged",
        _ => "unsupported",
    }
}
