//! What a Git repository says of secrets in it: was it committed, by which commit, and does a remote
//! have that commit.
//!
//! A [`Tracer`] is asked about files of the work tree and about objects. It walks the history from
//! every ref, newest first, in the order of what a ref says: what a remote-tracking ref reaches was
//! pushed; then tags, branches whose upstream is gone, other branches, and where branches were once.
//! A file's version counts when it holds the secret itself, not when it is merely the same file. What
//! was found is followed back to the commit that brought it.
//!
//! It opens nothing and cannot fail. It says what it needs, one thing at a time ([`Step`]), is given
//! it, and goes on where it was: a step that lacks something changes nothing and is done again. So
//! whoever drives it can do something more urgent between two steps.
//!
//! A hostile repository can lie about itself, by refs and a configuration that are its own to write,
//! and costs a bounded amount: [`WORK`] bytes, [`COMMITS`] commits, [`TREES`] trees, [`SCANS`] files.
//! Beyond that, as wherever something is missing, the answer is *unknown*, never *not pushed*.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::fmt::Write as _;
use std::rc::Rc;

use akwatch_proto::git::{PushState, UntracedWhy};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::content::Source;

mod commit;
mod config;
mod objects;
mod refs;
mod walk;

use commit::Commit;
use config::Config;
use objects::{Objects, Stop};
use refs::{Class, Refs, Tip};

/// Bytes that are inflated, with a price for every object: two seconds of work or so.
pub const WORK: u64 = 192 << 20;
/// Commits that are looked at.
pub const COMMITS: usize = 131_072;
/// Trees that are searched for an object.
pub const TREES: usize = 131_072;
/// Versions of files that are looked into.
pub const SCANS: usize = 512;
/// Things that are asked for.
pub const ASKS: u32 = 65_536;
/// Bytes of a configuration.
const CONFIG: usize = 1 << 20;
/// Files that can be listed. Stops: a list that is longer than the history.
const FILES: usize = 1 << 20;

/// An object's id.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ObjectId(pub [u8; 20]);

impl ObjectId {
    /// Reads forty hexadecimal digits.
    #[must_use]
    pub fn parse(digits: &[u8]) -> Option<ObjectId> {
        let digits: &[u8; 40] = digits.try_into().ok()?;
        let mut id = [0; 20];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
        }
        Some(ObjectId(id))
    }

    /// Forty hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// A file of the work tree, and how many secrets in it.
    Path {
        /// From the work tree's top, with `/`.
        path: Vec<u8>,
        /// How many.
        secrets: usize,
    },
    /// An object: the secret is in it, whatever it is.
    Object(ObjectId),
}

/// Something that a tracer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// A file of the list, by its number.
    File(u32),
    /// The file of a loose object.
    Loose(ObjectId),
}

/// What happens next.
pub enum Step {
    /// The next step can be done.
    More,
    /// [`Tracer::give`] this first.
    Ask(Ask),
    /// Say with [`Tracer::scanned`] which of the secrets this version of a file holds.
    Scan {
        /// Which of the wanted.
        wanted: usize,
        /// The file's bytes.
        content: Zeroizing<Vec<u8>>,
    },
    /// [`Tracer::finish`].
    Done,
}

/// What is known of one secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The commit that brought it; see [`akwatch_proto::git::Git::commit`].
    pub commit: Option<ObjectId>,
    /// Its author's date, seconds since the epoch.
    pub authored: Option<i64>,
    /// Of an object, the file that it is there.
    pub path: Option<Vec<u8>>,
    /// Whether a remote has it.
    pub state: PushState,
    /// Why nobody can say.
    pub why: Option<UntracedWhy>,
    /// The numbers of the remotes that are known to have it.
    pub reached: Vec<usize>,
}

/// A remote, raw but for what could be a credential's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteName {
    /// Its name. Of one that is a URL, as Git itself names some, what the address of that is; none
    /// where that is not understood.
    pub name: Option<Vec<u8>>,
    /// `HOST/REPO`, without anything that could be a credential's.
    pub address: Option<Vec<u8>>,
}

/// What a repository said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// For each of the wanted, for each of its secrets; an object has one.
    pub traces: Vec<Vec<Trace>>,
    /// The remotes.
    pub remotes: Vec<RemoteName>,
}

/// Where one secret was found.
#[derive(Clone)]
struct Found {
    class: Class,
    remotes: u32,
    /// Where following it back has come to.
    at: ObjectId,
    authored: Option<i64>,
    /// Its path there, for an object.
    path: Option<Vec<u8>>,
    /// The file that it is, for an object.
    blob: Option<ObjectId>,
    /// Followed to the commit that brought it.
    followed: bool,
}

/// One of the wanted, and what is known of it.
struct Want {
    /// Components of the path.
    path: Vec<Vec<u8>>,
    object: Option<ObjectId>,
    /// For an object: it is searched for in trees.
    searched: bool,
    /// A tag, or nothing that could be found.
    given_up: Option<UntracedWhy>,
    found: Vec<Option<Found>>,
    /// The trees on the way to the file in the commit before, and what they led to.
    way: Vec<(ObjectId, Option<ObjectId>)>,
    /// What versions of the file were seen to hold.
    versions: HashMap<ObjectId, Rc<[bool]>>,
}

impl Want {
    fn is_settled(&self) -> bool {
        self.given_up.is_some() || self.found.iter().all(Option::is_some)
    }
}

/// What is done next.
enum Phase {
    /// The next file of the list.
    Files(usize),
    /// What the wanted objects are.
    Kinds(usize),
    /// Walking a class of tips.
    Walk(usize),
    /// Following what was found.
    Follow,
    Done,
}

/// Finds out; see the module's text.
pub struct Tracer {
    files: Vec<Vec<u8>>,
    wants: Vec<Want>,
    phase: Phase,
    asked: Option<Ask>,
    asks: u32,
    scanning: Option<(usize, ObjectId)>,
    scans: usize,
    objects: Objects,
    config: Config,
    refs: Refs,
    tips: Vec<Tip>,
    next_tip: usize,
    remotes: Vec<Vec<u8>>,
    queue: BinaryHeap<(i64, ObjectId)>,
    /// The commit that a step has not come to the end of.
    visiting: Option<ObjectId>,
    /// Commits that were reached, and by which remotes.
    reached: HashMap<ObjectId, u32>,
    /// Trees that were searched to their end and need not be again, and what could not be seen of them.
    barren: HashMap<ObjectId, Option<UntracedWhy>>,
    /// Trees whose search was begun.
    opened: HashSet<ObjectId>,
    follows: usize,
    /// Objects that trees are searched for.
    searched: HashSet<ObjectId>,
    /// Why not every ref and setting was seen: what was not may name a remote.
    unlisted: Option<UntracedWhy>,
    /// Why not everything was seen that could say *pushed*.
    incomplete: Option<UntracedWhy>,
    /// Why not everything was seen behind that.
    late: Option<UntracedWhy>,
    unsupported: bool,
}

impl Tracer {
    /// Asks about `wanted` in the repository that has these `files`, named as within its directory:
    /// `HEAD`, `config`, `packed-refs`, `shallow`, everything below `refs` and `logs`, and of
    /// `objects/pack` each index with its pack behind it. `whole` says that none was left out.
    #[must_use]
    pub fn new(files: Vec<Vec<u8>>, whole: bool, wanted: &[Wanted]) -> Tracer {
        let cut = !whole || files.len() > FILES;
        let wants = wanted
            .iter()
            .map(|wanted| {
                let (path, object, secrets) = match wanted {
                    Wanted::Path { path, secrets } => (path.as_slice(), None, *secrets),
                    Wanted::Object(id) => (&b""[..], Some(*id), 1),
                };
                Want {
                    path: path
                        .split(|&byte| byte == b'/')
                        .map(<[u8]>::to_vec)
                        .collect(),
                    object,
                    searched: false,
                    given_up: None,
                    found: vec![None; secrets],
                    way: Vec::new(),
                    versions: HashMap::new(),
                }
            })
            .collect();
        let mut objects = Objects::default();
        for (at, pair) in files.windows(2).enumerate().take(FILES) {
            if let (Some(index), Some(pack)) = (
                pair[0].strip_suffix(b".idx"),
                pair[1].strip_suffix(b".pack"),
            ) && index == pack
                && let Ok(at) = u32::try_from(at)
            {
                objects.add_pack(at, at + 1);
            }
        }
        Tracer {
            files,
            wants,
            phase: Phase::Files(0),
            asked: None,
            asks: 0,
            scanning: None,
            scans: 0,
            objects,
            config: Config::default(),
            refs: Refs::default(),
            tips: Vec::new(),
            next_tip: 0,
            remotes: Vec::new(),
            queue: BinaryHeap::new(),
            visiting: None,
            reached: HashMap::new(),
            barren: HashMap::new(),
            opened: HashSet::new(),
            follows: 0,
            searched: HashSet::new(),
            unlisted: None,
            incomplete: cut.then_some(UntracedWhy::Limit),
            late: None,
            unsupported: false,
        }
    }

    /// Does a little, or says what that takes. What was asked for and not given is not there.
    pub fn step(&mut self) -> Step {
        if let Some(ask) = self.asked {
            return Step::Ask(ask);
        }
        let costly = self.objects.fuel.is_spent() || self.asks > ASKS;
        if costly && !matches!(self.phase, Phase::Done) {
            let _ = self.unread(UntracedWhy::Limit);
        }
        let done = match self.phase {
            Phase::Files(at) => self.read_file(at),
            Phase::Kinds(at) => self.learn_kind(at),
            Phase::Walk(class) => self.walk(class),
            Phase::Follow => self.follow(),
            Phase::Done => return Step::Done,
        };
        match done {
            Ok(()) | Err(Stop::Pause) => Step::More,
            Err(Stop::Ask(ask)) => {
                self.asks += 1;
                self.asked = Some(ask);
                Step::Ask(ask)
            }
            Err(Stop::Scan { wanted, blob }) => match self.objects.object(blob) {
                Ok(object) => {
                    self.scanning = Some((wanted, blob));
                    Step::Scan {
                        wanted,
                        content: object.content.clone(),
                    }
                }
                Err(_) => self.unread(UntracedWhy::Missing),
            },
            Err(Stop::Missing) => self.unread(UntracedWhy::Missing),
            Err(Stop::Limit) => self.unread(UntracedWhy::Limit),
        }
    }

    /// A step that stopped for good where none may: nothing more will be known.
    fn unread(&mut self, why: UntracedWhy) -> Step {
        self.lacks(why);
        if matches!(self.phase, Phase::Files(_)) {
            self.unlisted = self.incomplete;
        }
        self.phase = Phase::Done;
        Step::More
    }

    /// Gives what was asked for; nothing where it is not there or cannot be read.
    pub fn give(&mut self, source: Option<Box<dyn Source>>) {
        match self.asked.take() {
            Some(Ask::Loose(id)) => self.objects.give_loose(id, source.as_deref()),
            Some(Ask::File(file)) => self.take_file(file, source),
            None => {}
        }
    }

    /// Says which of the secrets a version of a file holds.
    pub fn scanned(&mut self, holds: Vec<bool>) {
        if let Some((wanted, blob)) = self.scanning.take() {
            self.scans += 1;
            self.objects.fuel.burn(1 << 16);
            self.wants[wanted].versions.insert(blob, holds.into());
        }
    }

    /// The work so far, in bytes.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.objects.fuel.burnt()
    }

    fn read_file(&mut self, at: usize) -> Result<(), Stop> {
        let Some(name) = self.files.get(at) else {
            self.begin_walk();
            return Ok(());
        };
        self.phase = Phase::Files(at + 1);
        let number = u32::try_from(at).map_err(|_| Stop::Limit)?;
        if name.starts_with(b"objects/") {
            return Ok(());
        }
        Err(Stop::Ask(Ask::File(number)))
    }

    fn take_file(&mut self, file: u32, source: Option<Box<dyn Source>>) {
        let name = usize::try_from(file)
            .ok()
            .and_then(|file| self.files.get(file))
            .cloned()
            .unwrap_or_default();
        if name.starts_with(b"objects/") {
            return self.objects.give_file(file, source);
        }
        let Some(source) = source else {
            // Who knows what it said; a ref that was removed meanwhile has us asked again.
            self.incomplete.get_or_insert(UntracedWhy::Unreadable);
            return;
        };
        let source = source.as_ref();
        match name.as_slice() {
            b"config" => {
                let text = beginning(source, CONFIG);
                self.config = Config::parse(&text);
                self.unsupported |= self.config.unsupported;
                if self.config.cut || text.len() == CONFIG {
                    self.incomplete.get_or_insert(UntracedWhy::Limit);
                }
            }
            b"packed-refs" => self.refs.take_packed(source),
            b"shallow" => self.refs.take_shallow(source),
            name => match name.strip_prefix(b"logs/") {
                Some(name) => self.refs.take_log(name, source),
                None => self.refs.take_loose(name, &beginning(source, 64)),
            },
        }
    }

    fn begin_walk(&mut self) {
        if self.refs.cut {
            self.incomplete.get_or_insert(UntracedWhy::Limit);
        }
        self.unlisted = self.incomplete;
        (self.tips, self.remotes) = self.refs.tips(&self.config);
        self.phase = if self.unsupported {
            Phase::Done
        } else {
            Phase::Kinds(0)
        };
    }

    /// What is known by now.
    #[must_use]
    pub fn finish(self) -> Traced {
        let mut traces = Vec::with_capacity(self.wants.len());
        for want in &self.wants {
            let found = want.found.iter();
            traces.push(
                found
                    .map(|found| self.trace(want, found.as_ref()))
                    .collect(),
            );
        }
        let addresses = |name: &[u8]| {
            let known = self
                .config
                .remotes
                .iter()
                .find(|remote| remote.name == name);
            known.and_then(|remote| remote.address.clone())
        };
        let remotes = self
            .remotes
            .iter()
            .map(|name| RemoteName {
                name: config::shown_name(name),
                address: addresses(name),
            })
            .collect();
        Traced { traces, remotes }
    }

    fn trace(&self, want: &Want, found: Option<&Found>) -> Trace {
        let (state, why) = self.state(want, found);
        let remotes = found.map_or(0, |found| found.remotes);
        Trace {
            commit: found.map(|found| found.at),
            authored: found.and_then(|found| found.authored),
            path: found.and_then(|found| found.path.clone()),
            state,
            why,
            reached: (0..self.remotes.len().min(32))
                .filter(|number| remotes & 1 << number != 0)
                .collect(),
        }
    }

    /// What may be said of one secret.
    fn state(&self, want: &Want, found: Option<&Found>) -> (PushState, Option<UntracedWhy>) {
        let unknown = |why| (PushState::Unknown, Some(why));
        let not_pushed = (PushState::NotPushed, None);
        let class = found.map(|found| found.class);
        if self.unsupported {
            return unknown(UntracedWhy::Unsupported);
        }
        if class == Some(Class::Remote) {
            return (PushState::Pushed, None);
        }
        let tracked = self.refs.any_tracking(&self.config);
        if self.config.remotes.is_empty() && !tracked {
            // There is nowhere that it could have gone by itself; but to a bare repository it came.
            return match self.unlisted {
                Some(why) => unknown(why),
                None if self.config.bare => unknown(UntracedWhy::Untracked),
                None => not_pushed,
            };
        }
        let traceless = self.config.remotes.iter().any(|one| one.fetch.is_empty());
        if traceless || (self.config.bare && !tracked) {
            return unknown(UntracedWhy::Untracked);
        }
        if let Some(why) = want.given_up.or(self.incomplete) {
            return unknown(why);
        }
        match class {
            Some(Class::Other) => unknown(UntracedWhy::OtherRef),
            Some(Class::UpstreamGone) => unknown(UntracedWhy::UpstreamGone),
            Some(Class::Unreferenced) => unknown(UntracedWhy::Unreferenced),
            None if want.object.is_some() => {
                unknown(self.late.unwrap_or(UntracedWhy::Unreferenced))
            }
            Some(Class::Local | Class::Remote) | None => not_pushed,
        }
    }

    fn commit(&mut self, id: ObjectId) -> Result<Commit, Stop> {
        let object = self.objects.object(id)?;
        match object.kind {
            crate::unwrap::git::Kind::Text("commit") => {
                Commit::parse(&object.content).ok_or(Stop::Missing)
            }
            _ => Err(Stop::Missing),
        }
    }
}

fn beginning(source: &dyn Source, most: usize) -> Vec<u8> {
    let (mut text, mut chunk) = (Vec::new(), [0_u8; 4096]);
    while text.len() < most {
        match source.read_at(text.len() as u64, &mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(count) => text.extend_from_slice(&chunk[..count]),
        }
    }
    text.truncate(most);
    text
}
