//! Whether what was found in Git repositories has left the host: when that is asked, and of which.
//!
//! A repository with findings is asked about when one of them was read, when its refs or their logs
//! change, and from time to time, since not everywhere is every change seen. The detector answers,
//! after everything else that it has to do, and is given the repository's files one by one as it asks
//! for them. What it says becomes an attribute of findings that the ledger holds already: nothing
//! waits for it, and no finding depends on it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use akwatch_detect::repository::{ASKS, Ask, ObjectId, Wanted};
use akwatch_ledger::Query;
use akwatch_proto::coverage::Rung;
use akwatch_proto::finding::{Finding, FindingKey, PresenceState};
use akwatch_proto::git::{Git, UntracedWhy};
use akwatch_proto::place::{Place, SafeText};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Watcher;
use super::answer::is_cleaned;
use super::known::plain_path;
use crate::host::Root;
use crate::host::repository::{Inside, Location, Repository, around, may_say_what_was_pushed};
use crate::job::JobId;
use crate::link::ToDetector;
use crate::trace::{Order, PATHS, Sought, Told, WANTED, untraced};

/// How long a repository is left to settle: a push changes several files.
const SETTLE: Duration = Duration::from_millis(200);
/// Time between two looks at a repository without any sign of a change.
const LOOK_AGAIN: Duration = Duration::from_secs(15 * 60);
/// Bytes of work a second that one repository may cost in the long run, as a file that changes all the
/// time: after an answer it is left alone for so long.
const BYTES_PER_SECOND: u64 = 4 << 20;
/// How many times as long while the host is under pressure.
const UNDER_PRESSURE: u32 = 4;
/// The longest that it is.
const LONGEST_REST: Duration = Duration::from_secs(120);
/// How long it is left alone for each file and entry that was looked up, which is the watcher's own
/// work.
const REST_PER_FILE: Duration = Duration::from_millis(1);
/// How many times as long as a look at one repository took no other is looked at: looking is done in
/// the loop, and anybody can have many repositories.
const LOOK_SHARE: u32 = 9;
/// How long the detector may say nothing at all while it has an order: it is idle-class.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long one order may take, whatever is said meanwhile. Stops: a detector that asks without end, and
/// so keeps every other repository waiting.
const ORDER: Duration = Duration::from_secs(3600);
/// How long it may take to accept a message.
const ACCEPT: Duration = Duration::from_secs(30);
/// Files whose repository is looked up in one turn of the loop.
const AT_ONCE: usize = 32;
/// Files that wait for that. When these were looked up, those behind them are.
const STIRRED: usize = 65_536;
/// Repositories that are asked about. Stops: a tree of them.
const REPOSITORIES: usize = 4096;
/// Those among them that belong to one user other than root. Stops: one user whose repositories keep
/// everybody else's out.
const OF_ONE_OWNER: usize = 1024;
/// Whose a repository is that cannot be looked at.
const NOBODY: u32 = u32::MAX;
/// Files whose names hold a secret. Stops: a tree of them.
const UNPLAIN: usize = 1024;
/// How often a repository may end the detector before nobody asks it again until it changes.
const DEATHS: u32 = 2;

/// What is known of repositories, and the one that is being asked.
#[derive(Default)]
pub(super) struct Pushed {
    /// Files with findings, of which nobody has looked where they lie.
    stirred: BTreeSet<PathBuf>,
    /// The first of those that there was no room for.
    left_out: Option<PathBuf>,
    /// There was no room for a repository.
    refused: bool,
    /// Files with findings whose names hold a secret: what is known of those is known by their clean
    /// names, so the raw ones are kept here, in memory only.
    unplain: BTreeSet<PathBuf>,
    due: BTreeMap<Location, Instant>,
    seen: HashMap<Location, Seen>,
    out: Option<Out>,
    looked_again: Option<Instant>,
    /// Until when none is looked at, because one was.
    rests: Option<Instant>,
}

#[derive(Default)]
struct Seen {
    /// The directory of its refs; where it could not be opened, its top.
    path: PathBuf,
    /// Of its files and of what was asked about.
    stamp: u64,
    /// How many of the findings were asked about by that stamp.
    done: usize,
    /// Whose its top is.
    owner: u32,
    rest: Option<Instant>,
    /// How long it is left alone at least, for what looking at it takes.
    looking: Duration,
    deaths: u32,
}

/// An order that the detector has.
struct Out {
    order: Order,
    location: Location,
    repository: Repository,
    findings: Vec<Vec<FindingKey>>,
    since: Instant,
    heard: Instant,
    /// Files that were asked for.
    asks: u32,
}

impl Pushed {
    /// Such a file has no findings any more: there is room for another.
    pub(super) fn forget_unplain(&mut self, file: &Path) {
        self.unplain.remove(file);
    }

    /// A file with findings was read, whose name is shown with replacements.
    pub(super) fn stir_unplain(&mut self, file: &Path) {
        if self.unplain.len() < UNPLAIN {
            self.unplain.insert(file.to_owned());
        }
        self.stir(file);
    }

    /// A file with findings was read, or may lie in a repository that it did not lie in before.
    pub(super) fn stir(&mut self, file: &Path) {
        self.stirred.insert(file.to_owned());
        if self.stirred.len() > STIRRED
            && let Some(last) = self.stirred.pop_last()
            && self.left_out.as_ref().is_none_or(|first| last < *first)
        {
            self.left_out = Some(last);
        }
    }

    /// The next file to be looked up, while there is room for what that may bring.
    fn take_stirred(&mut self) -> Option<PathBuf> {
        if self.due.len() >= REPOSITORIES {
            return None;
        }
        self.stirred.pop_first()
    }

    /// Whether one more repository of this owner may be asked about.
    fn has_room(&self, owner: u32) -> bool {
        let of_owner = || self.seen.values().filter(|seen| seen.owner == owner);
        self.seen.len() < REPOSITORIES && (owner == 0 || of_owner().count() < OF_ONE_OWNER)
    }

    fn wants(&mut self, location: Location, now: Instant) {
        let rest = self.seen.get(&location).and_then(|seen| seen.rest);
        let at = (now + SETTLE).max(rest.unwrap_or(now));
        // Those that are known always have room, so that none of them is forgotten.
        if self.due.len() < REPOSITORIES || self.seen.contains_key(&location) {
            self.due.entry(location).or_insert(at);
        }
    }

    fn has_stirred(&self) -> bool {
        !self.stirred.is_empty() || self.left_out.is_some()
    }

    /// When something is to be done: a repository to be asked about, or given up.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        match &self.out {
            Some(out) => Some((out.heard + PATIENCE).min(out.since + ORDER)),
            None if self.due.len() < REPOSITORIES && self.has_stirred() => Some(now),
            None => {
                let due = self.due.values().min().copied()?;
                Some(self.rests.map_or(due, |rests| due.max(rests)))
            }
        }
    }

    /// The repositories whose refs lie above a file. One without a path is none: every path begins with
    /// that.
    fn around(&self, file: &Path) -> Vec<Location> {
        let seen = self.seen.iter();
        seen.filter(|(_, seen)| !seen.path.as_os_str().is_empty() && file.starts_with(&seen.path))
            .map(|(location, _)| location.clone())
            .collect()
    }

    /// The next repository that may be looked at now.
    fn take_due(&mut self, now: Instant) -> Option<Location> {
        if self.rests.is_some_and(|rests| now < rests) {
            return None;
        }
        let due = self.due.iter().find(|(_, at)| **at <= now);
        let location = due.map(|(location, _)| location.clone())?;
        self.due.remove(&location);
        Some(location)
    }

    /// The detector answered a job. Those go before the order, so it may come to that much later.
    pub(super) fn hear(&mut self, now: Instant) {
        if let Some(out) = &mut self.out {
            out.heard = now;
        }
    }

    /// The order takes too long, though the detector lives: it is not waited for. Twice, and its
    /// repository is not asked again until it changes.
    fn give_up(&mut self, now: Instant) {
        if let Some(out) = &self.out {
            let seen = self.seen.entry(out.location.clone()).or_default();
            seen.rest = Some(now + LONGEST_REST);
        }
        self.lose(true, now);
    }

    /// The detector is no more. An order that it had alone may have ended it.
    pub(super) fn lose(&mut self, suspect: bool, now: Instant) {
        if let Some(out) = self.out.take() {
            let seen = self.seen.entry(out.location.clone()).or_default();
            seen.deaths += u32::from(suspect);
            self.wants(out.location, now);
        }
    }
}

impl Watcher {
    /// Something happened to a file: perhaps a commit, a fetch or a push.
    pub(super) fn note_refs(&mut self, file: &Path, now: Instant) {
        if !may_say_what_was_pushed(file) {
            return;
        }
        for location in self.detecting.pushed.around(file) {
            self.detecting.pushed.wants(location, now);
        }
        let above = file.parent().filter(|above| above.ends_with(".git"));
        if let Some(top) = above.and_then(Path::parent)
            && file.file_name().is_some_and(|name| name == "HEAD")
        {
            for path in self.known.below(top) {
                self.detecting.pushed.stir(&path); // a repository that may be new
            }
        }
    }

    /// What is held from before this run is looked up once.
    pub(super) fn stir_all(&mut self) {
        self.stir_from(Path::new("/"));
    }

    fn stir_from(&mut self, first: &Path) {
        let pushed = &mut self.detecting.pushed;
        let unplain = pushed.unplain.iter().cloned();
        let mut files: Vec<PathBuf> = unplain.collect();
        files.extend(self.known.below(Path::new("/")));
        for file in files.iter().filter(|file| file.as_path() >= first) {
            pushed.stir(file);
        }
    }

    pub(super) fn may_trace(&self) -> bool {
        self.detecting.is_ready()
            && !self.ending
            && !self.is_paused()
            && self.governor.rung() != Rung::HeartbeatOnly
    }

    /// Asks about the next repository, when nothing else is asked.
    pub(super) fn trace_next(&mut self, now: Instant) {
        if let Some(out) = &self.detecting.pushed.out {
            if now >= out.heard + PATIENCE {
                tracing::error!("a repository is past its deadline: the detector is replaced");
                self.lose_detector(now, true);
            } else if now >= out.since + ORDER {
                tracing::warn!("a repository takes too long, and is left for later");
                self.detecting.pushed.give_up(now);
            }
            return;
        }
        if !self.may_trace() {
            return;
        }
        self.look_up(now);
        let again = self.detecting.pushed.looked_again.get_or_insert(now);
        if now.saturating_duration_since(*again) >= LOOK_AGAIN {
            *again = now;
            let all: Vec<Location> = self.detecting.pushed.seen.keys().cloned().collect();
            for location in all {
                self.detecting.pushed.wants(location, now);
            }
            if std::mem::take(&mut self.detecting.pushed.refused) {
                self.stir_all(); // there may be room now
            }
        }
        if let Some(location) = self.detecting.pushed.take_due(now) {
            let began = Instant::now();
            self.trace(&location, now);
            self.detecting.pushed.rests = Some(now + began.elapsed() * LOOK_SHARE);
        }
    }

    /// Looks up where files lie that have findings.
    fn look_up(&mut self, now: Instant) {
        for _ in 0..AT_ONCE {
            let Some(file) = self.detecting.pushed.take_stirred() else {
                break;
            };
            match around(&self.host, &file) {
                Ok(Some((location, _))) => self.detecting.pushed.wants(location, now),
                Ok(None) => self.forget_repository_of(&file),
                Err(_) => self.doubt_repository_of(&file),
            }
        }
        if self.detecting.pushed.stirred.is_empty()
            && let Some(first) = self.detecting.pushed.left_out.take()
        {
            self.stir_from(&first);
        }
    }

    /// Where a file lies cannot be looked at: what its repository said holds no longer, and nothing else
    /// does.
    fn doubt_repository_of(&mut self, file: &Path) {
        let held = self.held_in(file).into_iter();
        let said: Vec<(FindingKey, Option<Git>)> = held
            .filter_map(|finding| {
                let top = finding.git?.repository;
                Some((finding.key, Some(untraced(top, UntracedWhy::Unreadable))))
            })
            .collect();
        self.note_git(&said);
        for (location, seen) in &mut self.detecting.pushed.seen {
            if file.starts_with(&location.top) {
                seen.stamp = 0; // so that it is asked again when it can be
            }
        }
    }

    /// A file that lies in no repository says nothing of one, whatever it said before.
    fn forget_repository_of(&mut self, file: &Path) {
        let held = self.held_in(file);
        let said: Vec<(FindingKey, Option<Git>)> = held
            .into_iter()
            .filter(|finding| finding.git.is_some())
            .map(|finding| (finding.key, None))
            .collect();
        self.note_git(&said);
    }

    fn held_in(&mut self, file: &Path) -> Vec<Finding> {
        let Some(place) = self.known.place(file).cloned() else {
            return Vec::new();
        };
        let query = Query {
            place: Some(place),
            ..Query::default()
        };
        let mut held = self.ledger.holding(&query).unwrap_or_default();
        held.retain(|finding| finding.presence.state() != PresenceState::Gone);
        held
    }

    fn note_git(&mut self, said: &[(FindingKey, Option<Git>)]) {
        if !said.is_empty()
            && let Err(why) = self.ledger.note_git(said)
        {
            tracing::error!(%why, "what a repository said could not be noted");
        }
    }

    /// The findings in a repository, by what is to be asked.
    fn sought_in(&mut self, location: &Location) -> Vec<(Wanted, Vec<FindingKey>)> {
        let below = if location.work_tree {
            location.top.clone()
        } else {
            location.top.join("objects")
        };
        let mut files = self.known.below(&below);
        let unplain = self.detecting.pushed.unplain.iter();
        files.extend(unplain.filter(|file| file.starts_with(&below)).cloned());
        files.sort();
        let mut sought: Vec<(Wanted, Vec<FindingKey>)> = Vec::new();
        let mut known: HashMap<PathBuf, bool> = HashMap::new();
        for file in files {
            let inside = match inside(&self.host, location, &file, &mut known) {
                Ok(Some(inside)) => inside,
                Ok(None) => continue,
                Err(_) => {
                    self.detecting.pushed.stir(&file);
                    continue;
                }
            };
            let keys = self.held_in(&file).into_iter().map(|finding| finding.key);
            match inside {
                Inside::WorkTree(path) => {
                    let keys: Vec<FindingKey> = keys.collect();
                    let secrets = keys.len();
                    sought.push((Wanted::Path { path, secrets }, keys));
                }
                Inside::Object(id) => sought.push((Wanted::Object(id), keys.collect())),
                Inside::Pack => {
                    let mut objects: BTreeMap<ObjectId, Vec<FindingKey>> = BTreeMap::new();
                    for key in keys {
                        if let Some(id) = object_of(&key.place) {
                            objects.entry(id).or_default().push(key);
                        }
                    }
                    let objects = objects.into_iter();
                    sought.extend(objects.map(|(id, keys)| (Wanted::Object(id), keys)));
                }
            }
        }
        sought.retain(|(_, keys)| !keys.is_empty());
        sought
    }

    fn trace(&mut self, location: &Location, now: Instant) {
        let sought = self.sought_in(location);
        if sought.is_empty() {
            self.detecting.pushed.seen.remove(location);
            return;
        }
        if !self.has_room(location) {
            self.detecting.pushed.refused = true;
            let keys = sought.into_iter().flat_map(|(_, keys)| keys).collect();
            return self.say_untraced(location, keys, UntracedWhy::Limit);
        }
        let repository = Repository::open(&self.opener, location);
        let mut stamp = DefaultHasher::new();
        match &repository {
            Ok(repository) => (repository.stamp, repository.whole).hash(&mut stamp),
            Err(why) => why.hash(&mut stamp),
        }
        for (_, keys) in &sought {
            keys.hash(&mut stamp);
        }
        let stamp = stamp.finish();
        let seen = self
            .detecting
            .pushed
            .seen
            .entry(location.clone())
            .or_default();
        if seen.stamp != stamp {
            *seen = Seen {
                stamp,
                owner: seen.owner,
                ..Seen::default()
            };
        }
        let path = repository.as_ref().map_or(&location.top, |open| &open.path);
        seen.path.clone_from(path);
        let entries = repository.as_ref().map_or(0, |open| open.entries);
        let looked = u32::try_from(sought.len() + entries).unwrap_or(u32::MAX);
        seen.looking = REST_PER_FILE.saturating_mul(looked).min(LONGEST_REST);
        seen.rest = Some(now + seen.looking);
        if seen.done >= sought.len() {
            return; // nothing has changed
        }
        let skipped = sought.into_iter().skip(seen.done);
        match repository {
            Ok(repository) if seen.deaths < DEATHS => {
                self.send_order(location, repository, skipped, now);
            }
            other => {
                let why = other.err().unwrap_or(UntracedWhy::Limit);
                seen.done = usize::MAX;
                let said: Vec<_> = skipped.flat_map(|(_, keys)| keys).collect();
                self.say_untraced(location, said, why);
            }
        }
    }

    /// Whether a repository is known, or may be.
    fn has_room(&mut self, location: &Location) -> bool {
        if self.detecting.pushed.seen.contains_key(location) {
            return true;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let top = self.host.open_guarded(&location.top, flags);
        let owner = top.and_then(rustix::fs::fstat).map(|stat| stat.st_uid);
        let owner = owner.unwrap_or(NOBODY);
        let has_room = self.detecting.pushed.has_room(owner);
        if has_room {
            let seen = Seen {
                owner,
                ..Seen::default()
            };
            self.detecting.pushed.seen.insert(location.clone(), seen);
        }
        has_room
    }

    fn say_untraced(&mut self, location: &Location, keys: Vec<FindingKey>, why: UntracedWhy) {
        // A finding whose own name is plain and begins with this one vouches for it.
        let vouches = |key: &FindingKey| {
            plain_path(&key.place).is_some_and(|path| path.starts_with(&location.top))
        };
        let top = location
            .top
            .to_str()
            .filter(|_| keys.iter().any(vouches))
            .map(|top| SafeText::try_from(top.to_owned()));
        if let Some(Ok(top)) = top {
            let said: Vec<_> = keys
                .into_iter()
                .map(|key| (key, Some(untraced(top.clone(), why))))
                .collect();
            self.note_git(&said);
        }
    }

    fn send_order(
        &mut self,
        location: &Location,
        repository: Repository,
        sought: impl Iterator<Item = (Wanted, Vec<FindingKey>)>,
        now: Instant,
    ) {
        let (mut count, mut bytes) = (0, 0);
        let (mut wanted, mut findings) = (Vec::new(), Vec::new());
        for (what, keys) in sought {
            count += keys.len();
            if let Wanted::Path { path, .. } = &what {
                bytes += path.len();
            }
            if (count > WANTED || bytes > PATHS) && !findings.is_empty() {
                break; // the rest is asked about when these are answered
            }
            wanted.push(Sought {
                what,
                subjects: keys.iter().map(|key| key.subject.clone()).collect(),
            });
            findings.push(keys);
        }
        let message = ToDetector::Trace(Order {
            id: self.detecting.next_id(),
            top: location.top.as_os_str().as_bytes().to_vec(),
            files: repository.files(),
            whole: repository.whole,
            wanted,
        });
        match self.detecting.say(&message, ACCEPT) {
            Ok(true) => {}
            Ok(false) => return self.detecting.pushed.wants(location.clone(), now),
            Err(why) if why.is_too_large() => {
                // Nobody is to blame, and it would be as large the next time.
                let seen = self.detecting.pushed.seen.entry(location.clone());
                seen.or_default().done = usize::MAX;
                let keys = findings.into_iter().flatten().collect();
                return self.say_untraced(location, keys, UntracedWhy::Limit);
            }
            Err(why) => {
                self.take_silence(&why, now);
                return self.detecting.pushed.wants(location.clone(), now);
            }
        }
        let ToDetector::Trace(mut order) = message else {
            return;
        };
        order.files = Vec::new();
        self.detecting.pushed.out = Some(Out {
            order,
            location: location.clone(),
            repository,
            findings,
            since: now,
            heard: now,
            asks: 0,
        });
    }

    /// Gives the detector a file of the repository that it is asked about, and of no other.
    pub(super) fn take_ask(&mut self, id: JobId, ask: Ask, now: Instant) {
        let Some(out) = self
            .detecting
            .pushed
            .out
            .as_mut()
            .filter(|out| out.order.id == id)
        else {
            return;
        };
        out.heard = now;
        out.asks += 1;
        if out.asks > ASKS + 1 {
            tracing::error!("the detector asks for more than any order takes; it is replaced");
            return self.lose_detector(now, true);
        }
        let file = out.repository.give(&self.opener, ask);
        self.say_to_detector(&ToDetector::Give { id, file }, ACCEPT, now);
    }

    pub(super) fn take_told(&mut self, told: Told, now: Instant) {
        let Some(out) = self
            .detecting
            .pushed
            .out
            .take_if(|out| out.order.id == told.id)
        else {
            return;
        };
        let top = &out.order.top;
        let cleaned = |git: &Git| is_cleaned(&git.repository, top);
        if !told.fits(&out.order) || !told.gits.iter().flatten().all(cleaned) {
            tracing::error!("the detector's answer does not fit its order; it is replaced");
            self.detecting.pushed.out = Some(out);
            return self.lose_detector(now, true);
        }
        let seen = self
            .detecting
            .pushed
            .seen
            .entry(out.location.clone())
            .or_default();
        seen.done = seen.done.saturating_add(out.order.wanted.len());
        seen.deaths = 0;
        let mut rest = Duration::from_millis(told.work.saturating_mul(1000) / BYTES_PER_SECOND);
        if self.governor.rung() != Rung::Full {
            rest *= UNDER_PRESSURE;
        }
        seen.rest = Some(now + rest.max(seen.looking).min(LONGEST_REST));
        let keys = out.findings.into_iter().flatten();
        let gits = told.gits.into_iter().flatten().map(Some);
        let said: Vec<_> = keys.zip(gits).collect();
        self.note_git(&said);
        // There may be more, or something may have changed meanwhile: the stamp will tell.
        self.detecting.pushed.wants(out.location, now);
    }
}

/// What a file is to a repository; none to one that it does not belong to, since another lies within.
/// What holds for a directory holds for each of its files.
fn inside(
    host: &Root,
    location: &Location,
    file: &Path,
    known: &mut HashMap<PathBuf, bool>,
) -> Result<Option<Inside>, Errno> {
    let (Some(directory), Ok(path)) = (file.parent(), file.strip_prefix(&location.top)) else {
        return Ok(None);
    };
    if location.work_tree
        && let Some(belongs) = known.get(directory)
    {
        let path = path.as_os_str().as_bytes().to_vec();
        return Ok(belongs.then_some(Inside::WorkTree(path)));
    }
    let found = around(host, file)?.filter(|(of, _)| of == location);
    known.insert(directory.to_owned(), found.is_some());
    Ok(found.map(|(_, inside)| inside))
}

/// The object of a pack that a finding lies in, by the name that the detector gave it.
fn object_of(place: &Place) -> Option<ObjectId> {
    let Place::File { inside, .. } = place else {
        return None;
    };
    let (_, id) = inside.first()?.as_str().split_once(' ')?;
    ObjectId::parse(id.as_bytes())
}

#[cfg(test)]
mod tests;
