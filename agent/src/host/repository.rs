//! Git repositories around files: where one lies, which files it has, and opening them one by one.
//!
//! The watcher opens; what the files say is for the detector to read. What is read here is what tells
//! where else a repository lies, one line each: a `.git` file's `gitdir:`, `commondir`, alternates.
//! Such a line is content, so it is followed only where the file that holds it is root's or belongs to
//! the owner of what it names. Below a repository's own directories no symbolic link is followed at
//! all. Everything is bounded.

use std::ffi::{CString, OsStr};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use akwatch_detect::repository::{Ask, ObjectId};
use akwatch_proto::git::UntracedWhy;
use rustix::fs::{Dir, FileType, OFlags, Stat};
use rustix::io::Errno;

use super::{Root, look_in, open_in, read_all};
use crate::open::Opener;

/// Directories that are looked at on the way up from a file.
const UP: usize = 64;
/// Bytes of a file that names a directory. Linux's `PATH_MAX`, and a word before it.
const LINE: usize = 8192;
/// Directories of objects: its own and its alternates'. Git allows alternates five deep.
const OBJECTS: usize = 6;
/// Lines of one list of alternates that are tried. Stops: thousands of directories opened for one.
const ALTERNATES: usize = 64;
/// Files that are listed: refs, their logs, packs. Stops: a directory of a million of them.
const FILES: usize = 16_384;
/// Bytes of their names, which the watcher holds and writes several times. Stops: names of thousands
/// of bytes each, sixteen directories deep.
pub const NAMES: usize = 1 << 20;
/// Entries of directories that are looked at, of whatever kind. Stops: a hundred thousand empty
/// directories. A list of so many takes about a third of a second.
const ENTRIES: usize = 20_000;
/// Directories in one another below `refs` and `logs`.
const DEPTH: usize = 16;

/// What a file is to the repository that it lies in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Inside {
    /// A file of the work tree: its path from the top.
    WorkTree(Vec<u8>),
    /// A loose object.
    Object(ObjectId),
    /// A pack of objects.
    Pack,
}

/// Where a repository lies: what is opened to ask it something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The work tree's top, or the repository's own directory.
    pub top: PathBuf,
    /// Whether `top` is a work tree, which has a `.git`.
    pub work_tree: bool,
}

/// The repository that a file belongs to, and as what; none for a file of none, and for a
/// repository's own files that are no objects.
///
/// # Errors
/// When nobody can say: a directory on the way could not be looked at, or there are too many.
pub fn around(root: &Root, file: &Path) -> Result<Option<(Location, Inside)>, Errno> {
    if let Some((directory, inside)) = object(file) {
        for name in ["HEAD", "objects"] {
            let flags = OFlags::PATH | OFlags::NOFOLLOW;
            if there(root.open_guarded(&directory.join(name), flags))?.is_none() {
                return Ok(None);
            }
        }
        let location = Location {
            top: directory,
            work_tree: false,
        };
        return Ok(Some((location, inside)));
    }
    if file.iter().any(|name| name == ".git") {
        return Ok(None);
    }
    let mut device = None;
    for (up, above) in file.ancestors().skip(1).enumerate() {
        if up >= UP {
            return Err(Errno::NAMETOOLONG);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let Some(directory) = there(root.open_guarded(above, flags))? else {
            return Ok(None);
        };
        let own = rustix::fs::fstat(&directory)?.st_dev;
        if *device.get_or_insert(own) != own {
            return Ok(None); // as Git itself: not beyond the filesystem
        }
        if there(look_in(&directory, Path::new(".git")))?.is_some()
            && let Ok(path) = file.strip_prefix(above)
        {
            let location = Location {
                top: above.to_owned(),
                work_tree: true,
            };
            let path = path.as_os_str().as_bytes().into();
            return Ok(Some((location, Inside::WorkTree(path))));
        }
    }
    Ok(None)
}

/// Tells what is not there from what could not be looked at.
fn there<T>(found: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(why) => Err(why),
    }
}

/// Whether a file of this name may say what was pushed: refs, what they were, and where they go. Only
/// a first look, since any directory may be called `refs`.
#[must_use]
pub fn may_say_what_was_pushed(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().as_bytes();
    let below = || file.iter().any(|part| part == "refs" || part == "logs");
    matches!(name, b"HEAD" | b"config" | b"packed-refs" | b"shallow")
        || (!name.ends_with(b".lock") && below())
}

/// The repository's directory and what of its objects a file is.
fn object(file: &Path) -> Option<(PathBuf, Inside)> {
    let (name, above) = (file.file_name()?.as_bytes(), file.parent()?);
    let (short, objects) = (above.file_name()?.as_bytes(), above.parent()?);
    if objects.file_name()? != "objects" {
        return None;
    }
    let inside = if short == b"pack" && name.starts_with(b"pack-") && name.ends_with(b".pack") {
        Inside::Pack
    } else {
        let digits = [short, name].concat();
        // An id of SHA-256 is told by its first digits: of such a repository nobody can say more.
        let id = match digits.len() {
            64 if digits.iter().all(u8::is_ascii_hexdigit) => &digits[..40],
            _ => &digits[..],
        };
        Inside::Object(ObjectId::parse(id)?)
    };
    Some((objects.parent()?.to_owned(), inside))
}

/// A repository that is open.
#[derive(Debug)]
pub struct Repository {
    /// Its own directory, of a linked work tree not that of the repository.
    own: OwnedFd,
    own_path: PathBuf,
    /// What linked work trees share.
    common: Option<OwnedFd>,
    objects: Vec<(PathBuf, OwnedFd)>,
    files: Vec<Listed>,
    /// The directory of its refs, as the host names it.
    pub path: PathBuf,
    /// Whether every file could be listed.
    pub whole: bool,
    /// The entries of directories that were looked at for that.
    pub entries: usize,
    /// Changes when a file of the list does.
    pub stamp: u64,
}

#[derive(Clone, Debug)]
struct Listed {
    from: From,
    name: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum From {
    Own,
    Common,
    Objects(usize),
}

impl Repository {
    /// Opens a repository and lists its files.
    ///
    /// # Errors
    /// Why nothing can be said of what it holds.
    pub fn open(opener: &Opener, location: &Location) -> Result<Repository, UntracedWhy> {
        let unreadable = |_| UntracedWhy::Unreadable;
        let root = opener.root();
        let (own_path, own) = if location.work_tree {
            of_work_tree(opener, &location.top).map_err(unreadable)?
        } else {
            let own = root.open_guarded(&location.top, OFlags::PATH | OFlags::DIRECTORY);
            (location.top.clone(), own.map_err(unreadable)?)
        };
        let (common_path, common) = match common_of(opener, &own_path).map_err(unreadable)? {
            Some((path, common)) => (path, Some(common)),
            None => (own_path.clone(), None),
        };
        let shared = common.as_ref().unwrap_or(&own).as_fd();
        let objects = all_objects(opener, &common_path, shared).map_err(unreadable)?;
        let mut repository = Repository {
            own,
            own_path,
            common,
            objects,
            files: Vec::new(),
            path: common_path,
            whole: true,
            entries: 0,
            stamp: 0,
        };
        repository.list();
        Ok(repository)
    }

    /// The files, named as [`Tracer`](akwatch_detect::repository::Tracer) takes them.
    #[must_use]
    pub fn files(&self) -> Vec<Vec<u8>> {
        self.files.iter().map(|file| file.name.clone()).collect()
    }

    /// Opens what is asked for; nothing where it is not there, may not be read or is no plain file.
    #[must_use]
    pub fn give(&self, opener: &Opener, ask: Ask) -> Option<(OwnedFd, u64)> {
        match ask {
            Ask::File(number) => {
                let file = self.files.get(usize::try_from(number).ok()?)?;
                match file.from {
                    From::Objects(at) => {
                        // Listed as `objects/pack/…`, wherever those objects lie.
                        let name = file.name.strip_prefix(b"objects/")?;
                        let (path, objects) = self.objects.get(at)?;
                        plain(opener, path, objects.as_fd(), name)
                    }
                    From::Common => {
                        plain(opener, &self.path, self.directory(From::Common), &file.name)
                    }
                    From::Own => plain(opener, &self.own_path, self.own.as_fd(), &file.name),
                }
            }
            Ask::Loose(id) => {
                let id = id.to_hex();
                let name = format!("{}/{}", &id[..2], &id[2..]);
                let mut objects = self.objects.iter();
                objects.find_map(|(path, one)| plain(opener, path, one.as_fd(), name.as_bytes()))
            }
        }
    }

    fn directory(&self, from: From) -> BorrowedFd<'_> {
        match from {
            From::Common => self.common.as_ref().unwrap_or(&self.own).as_fd(),
            From::Own | From::Objects(_) => self.own.as_fd(),
        }
    }

    fn list(&mut self) {
        let mut list = List {
            files: Vec::new(),
            names: 0,
            entries: 0,
            whole: true,
            stamp: DefaultHasher::new(),
        };
        let shared = self.directory(From::Common);
        list.file(self.own.as_fd(), From::Own, b"HEAD");
        if self.common.is_some() {
            list.file(self.own.as_fd(), From::Own, b"logs/HEAD");
        }
        for name in [&b"config"[..], b"packed-refs", b"shallow"] {
            list.file(shared, From::Common, name);
        }
        for name in [&b"refs"[..], b"logs"] {
            list.below(shared, name, name, DEPTH);
        }
        for (at, (_, objects)) in self.objects.iter().enumerate() {
            list.packs(objects.as_fd(), at);
        }
        self.whole = list.whole;
        self.entries = list.entries;
        self.stamp = list.stamp.finish();
        self.files = list.files;
    }
}

struct List {
    files: Vec<Listed>,
    /// Bytes of their names.
    names: usize,
    /// Entries that were looked at.
    entries: usize,
    whole: bool,
    stamp: DefaultHasher,
}

impl List {
    fn is_full(&self) -> bool {
        self.files.len() >= FILES || self.names > NAMES
    }

    /// A file by its name from `directory`, unless it is not there. What is no plain file or cannot be
    /// looked at is listed too: it cannot be given, so the detector says that it was not read.
    fn file(&mut self, directory: BorrowedFd<'_>, from: From, name: &[u8]) {
        let path = Path::new(OsStr::from_bytes(name));
        match look_in(directory, path) {
            Ok(stat) => self.push(from, name.to_vec(), Some(&stat)),
            Err(Errno::NOENT) => {}
            Err(_) => self.push(from, name.to_vec(), None),
        }
    }

    fn push(&mut self, from: From, name: Vec<u8>, stat: Option<&Stat>) {
        self.names = self.names.saturating_add(name.len());
        if self.is_full() {
            self.whole = false;
            return;
        }
        let state = stat.map(crate::open::state_of);
        let state = state.map(|state| (state.ino, state.size, state.ctime_ns));
        (&name, state).hash(&mut self.stamp);
        self.files.push(Listed { from, name });
    }

    /// All files below a directory, which is `step` from `base` and has this name in the list.
    fn below(&mut self, base: BorrowedFd<'_>, step: &[u8], name: &[u8], depth: usize) {
        let directory = match descend(base, step) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return,
            Err(_) => {
                self.whole = false;
                return;
            }
        };
        let Some(mut entries) = self.entries(&directory) else {
            return;
        };
        if depth == 0 {
            self.whole &= entries.is_empty();
            return;
        }
        entries.sort();
        for entry in entries {
            if self.is_full() {
                self.whole = false;
                return;
            }
            let inner = [name, b"/", entry.as_slice()].concat();
            let path = Path::new(OsStr::from_bytes(&entry));
            let stat = match look_in(&directory, path) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(_) => {
                    self.push(From::Common, inner, None);
                    continue;
                }
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => self.below(directory.as_fd(), &entry, &inner, depth - 1),
                FileType::RegularFile if entry.ends_with(b".lock") => {}
                _ => self.push(From::Common, inner, Some(&stat)),
            }
        }
    }

    /// Each index of a pack with its pack behind it.
    fn packs(&mut self, objects: BorrowedFd<'_>, at: usize) {
        let Ok(directory) = descend(objects, b"pack") else {
            return; // then what it holds is missing
        };
        let mut names = self.entries(&directory).unwrap_or_default();
        names.retain(|name| name.ends_with(b".idx"));
        names.sort();
        for name in names {
            let path = Path::new(OsStr::from_bytes(&name));
            let Ok(stat) = look_in(&directory, path) else {
                continue;
            };
            let stem = &name[..name.len() - b".idx".len()];
            for end in [&b".idx"[..], b".pack"] {
                let name = [b"objects/pack/", stem, end].concat();
                self.push(From::Objects(at), name, Some(&stat));
            }
        }
    }

    fn entries(&mut self, directory: &OwnedFd) -> Option<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        let Ok(entries) = Dir::read_from(directory) else {
            self.whole = false;
            return None;
        };
        for entry in entries {
            let Ok(entry) = entry else {
                self.whole = false;
                break;
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if self.entries >= ENTRIES {
                self.whole = false;
                break;
            }
            self.entries += 1;
            names.push(name.to_vec());
        }
        Some(names)
    }
}

/// A directory by its path from another one, without following a link.
fn descend(base: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
    let mut directory: Option<OwnedFd> = None;
    for name in path.split(|&byte| byte == b'/') {
        if matches!(name, b"" | b"." | b"..") {
            return Err(Errno::INVAL);
        }
        let from = directory.as_ref().map_or(base, AsFd::as_fd);
        directory = Some(open_in(from, Path::new(OsStr::from_bytes(name)), flags)?);
    }
    directory.ok_or(Errno::INVAL)
}

/// Opens a plain file below a directory, if this host lets it.
fn plain(
    opener: &Opener,
    within: &Path,
    base: BorrowedFd<'_>,
    path: &[u8],
) -> Option<(OwnedFd, u64)> {
    if opener.denies(&within.join(OsStr::from_bytes(path))) {
        return None;
    }
    let (file, stat) = match memchr::memrchr(b'/', path) {
        Some(at) => {
            let directory = descend(base, &path[..at]).ok()?;
            let name = CString::new(&path[at + 1..]).ok()?;
            opener.file_within(directory.as_fd(), &name).ok()?
        }
        None => opener.file_within(base, &CString::new(path).ok()?).ok()?,
    };
    Some((file, u64::try_from(stat.st_size).unwrap_or(0)))
}

/// Whether what a file says may be followed to there.
fn may_follow(says: &Stat, to: &Stat) -> bool {
    says.st_uid == 0 || says.st_uid == to.st_uid
}

/// The repository's own directory of a work tree: `.git`, or what the file of that name says.
fn of_work_tree(opener: &Opener, top: &Path) -> Result<(PathBuf, OwnedFd), Errno> {
    let path = top.join(".git");
    let dot = opener
        .root()
        .open_guarded(&path, OFlags::PATH | OFlags::NOFOLLOW)?;
    let stat = rustix::fs::fstat(&dot)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Ok((path, dot)),
        FileType::RegularFile => {
            let (line, says) = line_of(opener, &path)?;
            let named = line.strip_prefix(b"gitdir:").ok_or(Errno::INVAL)?;
            follow(opener, top, named.trim_ascii(), &says)
        }
        _ => Err(Errno::LOOP),
    }
}

/// The directory that linked work trees share, where a directory is that of one.
fn common_of(opener: &Opener, path: &Path) -> Result<Option<(PathBuf, OwnedFd)>, Errno> {
    match line_of(opener, &path.join("commondir")) {
        Ok((line, says)) => follow(opener, path, line.trim_ascii(), &says).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(why) => Err(why),
    }
}

/// The directory that `named` is, from `base`.
fn follow(
    opener: &Opener,
    base: &Path,
    named: &[u8],
    says: &Stat,
) -> Result<(PathBuf, OwnedFd), Errno> {
    let path = plainly(&base.join(OsStr::from_bytes(named)));
    if opener.denies(&path) {
        return Err(Errno::ACCESS);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let directory = opener.root().open_guarded(&path, flags)?;
    let stat = rustix::fs::fstat(&directory)?;
    if may_follow(says, &stat) {
        Ok((path, directory))
    } else {
        Err(Errno::ACCESS)
    }
}

/// A path without `.` and `..`: as it reads, since a link in it would not be followed either.
fn plainly(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// The first line of a small file, and whose that is.
fn line_of(opener: &Opener, path: &Path) -> Result<(Vec<u8>, Stat), Errno> {
    if opener.denies(path) {
        return Err(Errno::ACCESS);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let file = opener.root().open_guarded(path, flags)?;
    let text = read_all(&file, LINE)?;
    let end = memchr::memchr(b'\n', &text).unwrap_or(text.len());
    Ok((text[..end].to_vec(), rustix::fs::fstat(&file)?))
}

/// The directories of objects: a repository's own, then its alternates, as far as they may be
/// followed. What only an alternate has that may not is missing.
fn all_objects(
    opener: &Opener,
    path: &Path,
    shared: BorrowedFd<'_>,
) -> Result<Vec<(PathBuf, OwnedFd)>, Errno> {
    let mut all = vec![(path.join("objects"), descend(shared, b"objects")?)];
    let mut at = 0;
    while let Some((path, objects)) = all.get(at) {
        let alternates = plain(opener, path, objects.as_fd(), b"info/alternates");
        let mut found = Vec::new();
        if let Some((file, _)) = alternates
            && let (Ok(stat), Ok(text)) = (rustix::fs::fstat(&file), read_all(&file, LINE))
        {
            let lines = text.split(|&byte| byte == b'\n');
            let paths = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
            for line in paths.take(ALTERNATES) {
                let named = plainly(&path.join(OsStr::from_bytes(line)));
                let known = all.iter().chain(&found).any(|(known, _)| *known == named);
                if !known && all.len() + found.len() < OBJECTS {
                    found.extend(follow(opener, path, line, &stat).ok());
                }
            }
        }
        all.append(&mut found);
        at += 1;
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
