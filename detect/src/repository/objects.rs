//! Objects by id: in packs through their index, else loose.
//!
//! The formats are those of gitformat-pack(5), index version 2. Nothing is believed that its own hash
//! does not bear out, so a forged object is a missing one, and no chain of commits can be a circle.
//! What is not at hand is asked for by name, one thing at a time: see [`Stop::Ask`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read;
use std::rc::Rc;

use zeroize::Zeroizing;

use super::{Ask, ObjectId, WORK};
use crate::content::Source;
use crate::unwrap::bytes::read_up_to;
use crate::unwrap::fuel::Fuel;
use crate::unwrap::git::{self, Base, Entry, Kind, Object};
use crate::unwrap::inflate::Inflater;

/// Bytes of an object that is held: commits and trees are far smaller, and a file that is larger is
/// not looked into here.
pub(super) const LARGEST_OBJECT: u64 = 2 << 20;
/// Bytes of objects that are kept. Stops: a history that takes the host's memory.
const KEPT: usize = 6 << 20;
/// Deltas upon one another: Git's own bound.
const LONGEST_CHAIN: usize = 4095;
/// Bytes of deltas that wait for their base.
const DELTAS: usize = 4 << 20;
/// Objects that are known to be missing. Stops: a history of nothing but names.
const ABSENT: usize = 16_384;
/// What every object costs beside its bytes.
const OBJECT_COST: u64 = 512;

/// Why something was not done: to be had and done again, or never.
pub(super) enum Stop {
    /// This has to be given first.
    Ask(Ask),
    /// This file's content has to be looked into first.
    Scan { wanted: usize, blob: ObjectId },
    /// Enough for one step; what was done is kept.
    Pause,
    /// It is not there, damaged or forged.
    Missing,
    /// It is larger, or costs more, than is allowed.
    Limit,
}

/// One pack.
struct Pack {
    index: Opened,
    pack: Opened,
    fanout: Option<Box<[u32; 256]>>,
}

/// A file of the repository: by its number until it is given.
enum Opened {
    Not(u32),
    Absent,
    Open(Box<dyn Source>),
}

impl Opened {
    fn source(&self) -> Result<&dyn Source, Stop> {
        match self {
            Opened::Not(file) => Err(Stop::Ask(Ask::File(*file))),
            Opened::Absent => Err(Stop::Missing),
            Opened::Open(source) => Ok(source.as_ref()),
        }
    }

    fn give(&mut self, file: u32, source: Option<Box<dyn Source>>) -> Option<Box<dyn Source>> {
        match self {
            Opened::Not(own) if *own == file => {
                *self = source.map_or(Opened::Absent, Opened::Open);
                None
            }
            _ => source,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Id(ObjectId),
    At(usize, u64),
}

/// All objects of a repository.
pub(super) struct Objects {
    packs: Vec<Pack>,
    kept: HashMap<Key, Rc<Object>>,
    order: VecDeque<Key>,
    held: usize,
    absent: HashSet<ObjectId>,
    /// Loose objects that are there and too large to be held.
    large: HashMap<ObjectId, Kind>,
    /// What was last given, which the next step needs whatever else it reads.
    latest: Option<(ObjectId, Rc<Object>)>,
    /// Bytes inflated, and a price for every object.
    pub(super) fuel: Fuel,
    inflater: Inflater,
}

impl Default for Objects {
    fn default() -> Objects {
        let fuel = Fuel::new(WORK);
        // Compressed, objects take less than they are.
        fuel.grant(WORK);
        Objects {
            packs: Vec::new(),
            kept: HashMap::new(),
            order: VecDeque::new(),
            held: 0,
            absent: HashSet::new(),
            large: HashMap::new(),
            latest: None,
            inflater: Inflater::new(fuel.clone()),
            fuel,
        }
    }
}

impl Objects {
    /// Adds a pack by the numbers of its two files.
    pub(super) fn add_pack(&mut self, index: u32, pack: u32) {
        self.packs.push(Pack {
            index: Opened::Not(index),
            pack: Opened::Not(pack),
            fanout: None,
        });
    }

    /// Takes a pack's file.
    pub(super) fn give_file(&mut self, file: u32, source: Option<Box<dyn Source>>) {
        let mut source = source;
        for pack in &mut self.packs {
            source = pack.index.give(file, source);
            source = pack.pack.give(file, source);
        }
    }

    /// Takes a loose object's file; without one the object is missing.
    pub(super) fn give_loose(&mut self, id: ObjectId, source: Option<&dyn Source>) {
        self.fuel.burn(OBJECT_COST);
        match source.and_then(|source| self.loose(source)) {
            Some(Loose::Object(object)) if git::id_of(&object) == id.0 => {
                let object = Rc::new(object);
                self.keep(Key::Id(id), &object);
                self.latest = Some((id, object));
            }
            Some(Loose::Large(kind)) if self.large.len() < ABSENT => {
                self.large.insert(id, kind);
            }
            _ if self.absent.len() < ABSENT => {
                self.absent.insert(id);
            }
            _ => self.fuel.burn(u64::MAX),
        }
    }

    fn loose(&mut self, source: &dyn Source) -> Option<Loose> {
        let mut input = self.inflater.of(At { source, at: 0 });
        let mut head = Vec::with_capacity(64);
        (&mut input).take(32).read_to_end(&mut head).ok()?;
        let (kind, used) = git::header(&head)?;
        let digits = head[..used - 1].rsplit(|&byte| byte == b' ').next()?;
        let size: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        if size > LARGEST_OBJECT {
            return Some(Loose::Large(kind));
        }
        let mut content = Zeroizing::new(head[used..].to_vec());
        let rest = (size + 1).saturating_sub(content.len() as u64);
        read_up_to(&mut input, rest, &mut content).ok()?;
        self.fuel.burn(content.len() as u64);
        (content.len() as u64 == size).then_some(Loose::Object(Object { kind, content }))
    }

    /// An object.
    pub(super) fn object(&mut self, id: ObjectId) -> Result<Rc<Object>, Stop> {
        if let Some((latest, object)) = &self.latest
            && *latest == id
        {
            return Ok(Rc::clone(object));
        }
        if let Some(kept) = self.kept.get(&Key::Id(id)) {
            return Ok(Rc::clone(kept));
        }
        let Some((pack, at)) = self.find(id)? else {
            return self.not_packed(id);
        };
        let object = self.packed(pack, at)?;
        if git::id_of(&object) != id.0 {
            return Err(Stop::Missing);
        }
        self.keep(Key::Id(id), &object);
        Ok(object)
    }

    fn not_packed<T>(&self, id: ObjectId) -> Result<T, Stop> {
        if self.absent.contains(&id) {
            Err(Stop::Missing)
        } else if self.large.contains_key(&id) {
            Err(Stop::Limit)
        } else {
            Err(Stop::Ask(Ask::Loose(id)))
        }
    }

    /// What an object is, also of one that is too large to be held.
    pub(super) fn kind(&mut self, id: ObjectId) -> Result<Kind, Stop> {
        if let Some(kind) = self.large.get(&id) {
            return Ok(*kind);
        }
        let Some((mut pack, mut at)) = self.find(id)? else {
            return self.object(id).map(|object| object.kind);
        };
        for _ in 0..=LONGEST_CHAIN {
            self.fuel.burn(OBJECT_COST);
            match self.entry(pack, at)?.base {
                Base::None(kind) => return Ok(kind),
                Base::At(base) => at = base,
                Base::Named(base) => match self.find(ObjectId(base))? {
                    Some(found) => (pack, at) = found,
                    None => return self.object(ObjectId(base)).map(|object| object.kind),
                },
            }
        }
        Err(Stop::Limit)
    }

    /// In which pack an object lies, and where.
    fn find(&mut self, id: ObjectId) -> Result<Option<(usize, u64)>, Stop> {
        for number in 0..self.packs.len() {
            let pack = &mut self.packs[number];
            let index = match pack.index.source() {
                Ok(index) => index,
                // Without its index a pack is as good as missing; so is what only it holds.
                Err(Stop::Missing) => continue,
                Err(stop) => return Err(stop),
            };
            if pack.fanout.is_none() {
                pack.fanout = Some(Box::new(fanout(index).unwrap_or([0; 256])));
            }
            let found = pack
                .fanout
                .as_ref()
                .and_then(|fanout| look_up(index, fanout, id));
            if let Some(at) = found {
                return Ok(Some((number, at)));
            }
        }
        Ok(None)
    }

    fn entry(&self, pack: usize, at: u64) -> Result<Entry, Stop> {
        let source = self.packs[pack].pack.source()?;
        let mut head = [0_u8; 64];
        let count = source.read_at(at, &mut head).map_err(|_| Stop::Missing)?;
        Entry::parse(&head[..count], at).ok_or(Stop::Missing)
    }

    fn inflate(&mut self, pack: usize, entry: &Entry) -> Result<Zeroizing<Vec<u8>>, Stop> {
        if entry.size > LARGEST_OBJECT {
            return Err(Stop::Limit);
        }
        let source = self.packs[pack].pack.source()?;
        let at = entry.data;
        let size = usize::try_from(entry.size).map_err(|_| Stop::Limit)?;
        let mut content = Zeroizing::default();
        let mut input = self.inflater.of(At { source, at });
        let read = read_up_to(&mut input, entry.size + 1, &mut content);
        self.fuel.burn(content.len() as u64 + OBJECT_COST);
        if self.fuel.is_spent() {
            return Err(Stop::Limit);
        }
        if read.is_err() || content.len() != size {
            return Err(Stop::Missing);
        }
        Ok(content)
    }

    /// The object at an offset of a pack, from what is kept or made of its deltas.
    fn packed(&mut self, pack: usize, at: u64) -> Result<Rc<Object>, Stop> {
        let (mut pack, mut at, mut waiting) = (pack, at, 0);
        let mut deltas = Vec::new();
        let mut object = loop {
            if let Some(kept) = self.kept.get(&Key::At(pack, at)) {
                break Rc::clone(kept);
            }
            if deltas.len() > LONGEST_CHAIN || waiting > DELTAS {
                return Err(Stop::Limit);
            }
            let entry = self.entry(pack, at)?;
            let content = self.inflate(pack, &entry)?;
            if let Base::None(kind) = entry.base {
                let object = Rc::new(Object { kind, content });
                self.keep(Key::At(pack, at), &object);
                break object;
            }
            waiting += content.len();
            deltas.push((Key::At(pack, at), content));
            match entry.base {
                Base::At(base) => at = base,
                Base::Named(id) => match self.find(ObjectId(id))? {
                    Some(found) => (pack, at) = found,
                    None => break self.object_not_packed(ObjectId(id))?,
                },
                Base::None(_) => return Err(Stop::Missing),
            }
        };
        for (key, delta) in deltas.into_iter().rev() {
            let (made, _) = git::apply(&object, &delta, LARGEST_OBJECT).ok_or(Stop::Missing)?;
            self.fuel.burn(made.content.len() as u64);
            object = Rc::new(made);
            self.keep(key, &object);
        }
        Ok(object)
    }

    fn object_not_packed(&self, id: ObjectId) -> Result<Rc<Object>, Stop> {
        match (&self.latest, self.kept.get(&Key::Id(id))) {
            (Some((latest, object)), _) if *latest == id => Ok(Rc::clone(object)),
            (_, Some(kept)) => Ok(Rc::clone(kept)),
            _ => self.not_packed(id),
        }
    }

    fn keep(&mut self, key: Key, object: &Rc<Object>) {
        if self.kept.insert(key, Rc::clone(object)).is_none() {
            self.order.push_back(key);
            self.held += object.content.len() + 128;
        }
        while self.held > KEPT {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(gone) = self.kept.remove(&oldest) {
                self.held = self.held.saturating_sub(gone.content.len() + 128);
            }
        }
    }
}

enum Loose {
    Object(Object),
    Large(Kind),
}

/// Reads a source on from an offset.
struct At<'a> {
    source: &'a dyn Source,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self
            .source
            .read_at(self.at, into)
            .map_err(std::io::Error::other)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// How many objects of a pack have a first byte up to each; none of an index that is not read.
fn fanout(index: &dyn Source) -> Option<[u32; 256]> {
    let mut head = [0_u8; 8 + 256 * 4];
    let whole = index.read_at(0, &mut head).ok()? == head.len();
    if !whole || !head.starts_with(b"\xfftOc\0\0\0\x02") {
        return None;
    }
    let mut fanout = [0; 256];
    let mut before = 0;
    for (count, bytes) in fanout.iter_mut().zip(head[8..].chunks_exact(4)) {
        *count = u32::from_be_bytes(bytes.try_into().ok()?);
        if *count < before {
            return None;
        }
        before = *count;
    }
    Some(fanout)
}

/// Where the index says that an object lies.
fn look_up(index: &dyn Source, fanout: &[u32; 256], id: ObjectId) -> Option<u64> {
    const IDS: u64 = 8 + 256 * 4;
    let first = usize::from(id.0[0]);
    let (mut low, mut high) = (
        first.checked_sub(1).map_or(0, |at| fanout[at]),
        fanout[first],
    );
    let total = u64::from(fanout[255]);
    while low < high {
        let middle = low + (high - low) / 2;
        let mut found = [0_u8; 20];
        exact(index, IDS + u64::from(middle) * 20, &mut found)?;
        match found.cmp(&id.0) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => {
                // Behind the ids come four bytes of checksum for each, then four of offset.
                let offsets = IDS + total * 24;
                let short = number(index, offsets + u64::from(middle) * 4)?;
                if short & 0x8000_0000 == 0 {
                    return Some(u64::from(short));
                }
                let long = offsets + total * 4 + u64::from(short & 0x7fff_ffff) * 8;
                let high = u64::from(number(index, long)?);
                return Some(high << 32 | u64::from(number(index, long + 4)?));
            }
        }
    }
    None
}

fn number(index: &dyn Source, at: u64) -> Option<u32> {
    let mut bytes = [0_u8; 4];
    exact(index, at, &mut bytes)?;
    Some(u32::from_be_bytes(bytes))
}

fn exact(source: &dyn Source, at: u64, into: &mut [u8]) -> Option<()> {
    let mut filled = 0;
    while filled < into.len() {
        match source.read_at(at + filled as u64, &mut into[filled..]) {
            Ok(0) | Err(_) => return None,
            Ok(count) => filled += count,
        }
    }
    Some(())
}
