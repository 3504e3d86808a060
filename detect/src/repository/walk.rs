//! Walking: from the tips of one class after another to everything that they reach, and from what was
//! found back to the commit that brought it.

use std::rc::Rc;

use akwatch_proto::git::UntracedWhy;

use super::commit::{self, Commit};
use super::objects::Stop;
use super::refs::{CLASSES, Class};
use super::{COMMITS, Found, ObjectId, Phase, SCANS, TREES, Tracer};
use crate::unwrap::git::Kind;

/// Trees that are searched in one step, those that it has to go through again aside.
const TREES_A_STEP: u32 = 64;
/// What going through a tree again costs, and the part of its bytes that it costs besides. Stops: large
/// directories above each object that is asked for.
const AGAIN: u64 = 64;
const AGAIN_PER_BYTE: u64 = 8;
/// Directories in one another. Stops: a tree without end.
const DEPTH: usize = 128;
/// Bytes of a file's path.
const PATH: usize = 4096;
/// Commits that are followed back, for all that was found.
const FOLLOWED: usize = 65_536;
/// Tags upon one another.
const TAGS: usize = 8;

impl Tracer {
    /// Learns what the wanted objects are.
    pub(super) fn learn_kind(&mut self, at: usize) -> Result<(), Stop> {
        let Some(want) = self.wants.get(at) else {
            self.phase = Phase::Walk(0);
            return Ok(());
        };
        if let Some(id) = want.object {
            let kind = match self.objects.kind(id) {
                Ok(kind) => Some(kind),
                Err(Stop::Missing) => None,
                Err(Stop::Limit) => Some(Kind::Blob),
                Err(stop) => return Err(stop),
            };
            let want = &mut self.wants[at];
            match kind {
                Some(Kind::Blob) => {
                    want.searched = true;
                    self.searched.insert(id);
                }
                Some(Kind::Text("commit")) => {}
                Some(_) => want.given_up = Some(UntracedWhy::OtherRef),
                None => want.given_up = Some(UntracedWhy::Missing),
            }
        }
        self.phase = Phase::Kinds(at + 1);
        Ok(())
    }

    /// Takes the next tip of a class, then visits the next commit that its tips reach.
    pub(super) fn walk(&mut self, class: usize) -> Result<(), Stop> {
        if self.wants.iter().all(super::Want::is_settled) {
            self.phase = Phase::Follow;
            return Ok(());
        }
        let Some(of) = CLASSES.get(class) else {
            self.phase = Phase::Follow;
            return Ok(());
        };
        if let Some(tip) = self.tips.get(self.next_tip).filter(|tip| tip.class == *of) {
            let (id, remotes) = (tip.id, tip.remotes);
            match self.reach(id, remotes, 0) {
                Err(Stop::Missing) => self.lacks(UntracedWhy::Missing),
                Err(Stop::Limit) => self.lacks(UntracedWhy::Limit),
                other => other?,
            }
            self.next_tip += 1;
            return Ok(());
        }
        let Some(id) = self.visiting.or_else(|| Some(self.queue.pop()?.1)) else {
            self.phase = Phase::Walk(class + 1);
            return Ok(());
        };
        self.visiting = Some(id);
        self.visit(class, id)?;
        self.visiting = None;
        Ok(())
    }

    /// Notes that something could not be seen. Behind local refs that says nothing of what remotes
    /// have.
    pub(super) fn lacks(&mut self, why: UntracedWhy) {
        let late = match self.phase {
            Phase::Walk(class) => CLASSES.get(class) >= Some(&Class::Local),
            Phase::Follow => true,
            _ => false,
        };
        if late {
            self.late.get_or_insert(why);
        } else {
            self.incomplete.get_or_insert(why);
        }
    }

    /// Notes that a commit is reached, and by which remotes.
    fn reach(&mut self, id: ObjectId, remotes: u32, tags: usize) -> Result<(), Stop> {
        let known = self.reached.get(&id).copied();
        if known.is_some_and(|known| known | remotes == known) {
            return Ok(());
        }
        if known.is_none() && self.reached.len() >= COMMITS {
            return Err(Stop::Limit);
        }
        let object = self.objects.object(id)?;
        match object.kind {
            Kind::Text("commit") => {
                let commit = Commit::parse(&object.content).ok_or(Stop::Missing)?;
                self.reached.insert(id, known.unwrap_or(0) | remotes);
                self.queue.push((commit.committed, id));
                Ok(())
            }
            Kind::Text("tag") if tags < TAGS => {
                let tagged = commit::tagged(&object.content).ok_or(Stop::Missing)?;
                self.reach(tagged, remotes, tags + 1)
            }
            _ => Ok(()), // a tag of a file, and nothing that has a history
        }
    }

    /// Looks at one commit, then reaches its parents.
    fn visit(&mut self, class: usize, id: ObjectId) -> Result<(), Stop> {
        let commit = match self.commit(id) {
            Err(Stop::Missing) => {
                self.lacks(UntracedWhy::Missing);
                return Ok(());
            }
            other => other?,
        };
        match self.look_into(class, id, &commit) {
            Err(Stop::Missing) => self.lacks(UntracedWhy::Missing),
            Err(Stop::Limit) => self.lacks(UntracedWhy::Limit),
            other => other?,
        }
        if commit.cut {
            self.lacks(UntracedWhy::Limit);
        }
        if self.refs.shallow.contains(&id) {
            self.lacks(UntracedWhy::Shallow);
            return Ok(());
        }
        let remotes = self.reached.get(&id).copied().unwrap_or(0);
        for parent in commit.parents {
            match self.reach(parent, remotes, TAGS) {
                Err(Stop::Missing) => self.lacks(UntracedWhy::Missing),
                Err(Stop::Limit) => self.lacks(UntracedWhy::Limit),
                other => other?,
            }
        }
        Ok(())
    }

    /// Whether a commit holds what is wanted.
    fn look_into(&mut self, class: usize, id: ObjectId, commit: &Commit) -> Result<(), Stop> {
        let found = Found {
            class: CLASSES[class],
            remotes: self.reached.get(&id).copied().unwrap_or(0),
            at: id,
            authored: commit.authored,
            path: None,
            blob: None,
            followed: false,
        };
        let mut lacking = None;
        let mut searching = false;
        for wanted in 0..self.wants.len() {
            let want = &mut self.wants[wanted];
            if want.is_settled() {
                continue;
            }
            match want.object {
                Some(_) if want.searched => searching = true,
                Some(object) if object == id => {
                    want.found[0] = Some(Found {
                        followed: true,
                        ..found.clone()
                    });
                }
                Some(_) => {}
                None => match self.look_at_file(wanted, commit.tree, &found) {
                    // One file that cannot be had hides no other.
                    Err(stop @ (Stop::Missing | Stop::Limit)) => lacking = Some(stop),
                    other => other?,
                },
            }
        }
        if searching {
            let mut left = TREES_A_STEP;
            self.search(commit.tree, &mut Vec::new(), 0, &mut left, &found)?;
        }
        lacking.map_or(Ok(()), Err)
    }

    fn look_at_file(&mut self, wanted: usize, tree: ObjectId, found: &Found) -> Result<(), Stop> {
        let Some(blob) = self.file_in(wanted, tree)? else {
            return Ok(());
        };
        let holds = self.version(wanted, blob)?;
        for (slot, holds) in self.wants[wanted].found.iter_mut().zip(holds.iter()) {
            if *holds && slot.is_none() {
                *slot = Some(found.clone());
            }
        }
        Ok(())
    }

    /// The version of a wanted file in a tree.
    fn file_in(&mut self, wanted: usize, tree: ObjectId) -> Result<Option<ObjectId>, Stop> {
        let names = self.wants[wanted].path.len();
        let mut at = tree;
        for depth in 0..names {
            let known = self.wants[wanted].way.get(depth).copied();
            let next = match known.filter(|(from, _)| *from == at) {
                Some((_, next)) => next,
                None => {
                    let next = self.entry_in(wanted, depth, at)?;
                    let way = &mut self.wants[wanted].way;
                    way.truncate(depth);
                    way.push((at, next));
                    next
                }
            };
            match next {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    fn entry_in(
        &mut self,
        wanted: usize,
        depth: usize,
        tree: ObjectId,
    ) -> Result<Option<ObjectId>, Stop> {
        let object = self.objects.object(tree)?;
        if object.kind != Kind::Tree {
            return Err(Stop::Missing);
        }
        let path = &self.wants[wanted].path;
        let last = depth + 1 == path.len();
        let entry = commit::entries(&object.content).find(|entry| entry.name == path[depth]);
        Ok(entry
            .filter(|entry| !entry.is_link && entry.is_tree != last)
            .map(|entry| entry.id))
    }

    /// Which of the wanted secrets a version of a file holds.
    fn version(&mut self, wanted: usize, blob: ObjectId) -> Result<Rc<[bool]>, Stop> {
        if let Some(known) = self.wants[wanted].versions.get(&blob) {
            return Ok(Rc::clone(known));
        }
        if self.scans >= SCANS {
            return Err(Stop::Limit);
        }
        if self.objects.object(blob)?.kind != Kind::Blob {
            return Err(Stop::Missing);
        }
        Err(Stop::Scan { wanted, blob })
    }

    /// Searches a tree for wanted files. A tree that was searched is remembered at once, and what could
    /// not be seen of it: a step that stops amid a large one goes on where it was, and no tree is
    /// searched twice, by however many paths it is reached.
    fn search(
        &mut self,
        tree: ObjectId,
        path: &mut Vec<u8>,
        depth: usize,
        left: &mut u32,
        found: &Found,
    ) -> Result<(), Stop> {
        match self.barren.get(&tree) {
            None => {}
            Some(None) => return Ok(()),
            Some(Some(UntracedWhy::Missing)) => return Err(Stop::Missing),
            Some(Some(_)) => return Err(Stop::Limit),
        }
        if depth > DEPTH || path.len() > PATH || self.opened.len() >= TREES {
            return Err(Stop::Limit);
        }
        // A step begins at the top again. What leads down to where it was does not count, or a chain
        // of directories that is longer than a step would never come to its end.
        let again = self.opened.contains(&tree);
        if !again {
            *left = left.checked_sub(1).ok_or(Stop::Pause)?;
            self.opened.insert(tree);
        }
        let lacking = match self.search_entries(tree, again, path, depth, left, found) {
            Ok(()) => None,
            Err(Stop::Missing) => Some(UntracedWhy::Missing),
            Err(Stop::Limit) => Some(UntracedWhy::Limit),
            Err(stop) => return Err(stop),
        };
        self.barren.insert(tree, lacking);
        match lacking {
            None => Ok(()),
            Some(UntracedWhy::Missing) => Err(Stop::Missing),
            Some(_) => Err(Stop::Limit),
        }
    }

    fn search_entries(
        &mut self,
        tree: ObjectId,
        again: bool,
        path: &mut Vec<u8>,
        depth: usize,
        left: &mut u32,
        found: &Found,
    ) -> Result<(), Stop> {
        let object = self.objects.object(tree)?;
        if again {
            let cost = AGAIN + object.content.len() as u64 / AGAIN_PER_BYTE;
            self.objects.fuel.burn(cost);
        }
        if object.kind != Kind::Tree {
            return Err(Stop::Missing);
        }
        let mut lacking = None;
        for entry in commit::entries(&object.content) {
            if entry.is_link {
                continue;
            }
            let length = path.len();
            path.extend_from_slice(entry.name);
            if entry.is_tree {
                path.push(b'/');
                match self.search(entry.id, path, depth + 1, left, found) {
                    Err(stop @ (Stop::Missing | Stop::Limit)) => lacking = Some(stop),
                    other => other?,
                }
            } else if self.searched.contains(&entry.id) {
                self.note_file(entry.id, path, found);
            }
            path.truncate(length);
        }
        lacking.map_or(Ok(()), Err)
    }

    fn note_file(&mut self, id: ObjectId, path: &[u8], found: &Found) {
        let wants = self.wants.iter_mut();
        for want in wants.filter(|want| want.searched && want.object == Some(id)) {
            if want.found[0].is_none() {
                want.path = path
                    .split(|&byte| byte == b'/')
                    .map(<[u8]>::to_vec)
                    .collect();
                want.found[0] = Some(Found {
                    path: Some(path.to_vec()),
                    blob: Some(id),
                    ..found.clone()
                });
            }
        }
    }

    /// Follows one thing that was found by one commit towards the one that brought it.
    pub(super) fn follow(&mut self) -> Result<(), Stop> {
        let next = self.wants.iter().enumerate().find_map(|(wanted, want)| {
            let open = |found: &Option<Found>| found.as_ref().is_some_and(|one| !one.followed);
            want.found.iter().position(open).map(|at| (wanted, at))
        });
        let Some((wanted, secret)) = next.filter(|_| self.follows < FOLLOWED) else {
            self.phase = Phase::Done;
            return Ok(());
        };
        let further = match self.parent_with(wanted, secret) {
            // What cannot be seen is not followed: this is the oldest that was.
            Err(Stop::Missing | Stop::Limit) => None,
            other => other?,
        };
        self.follows += 1;
        if let Some(found) = &mut self.wants[wanted].found[secret] {
            match further {
                Some((parent, authored)) => (found.at, found.authored) = (parent, authored),
                None => found.followed = true,
            }
        }
        Ok(())
    }

    /// The parent that holds what was found already: one with the same file before any other.
    fn parent_with(
        &mut self,
        wanted: usize,
        secret: usize,
    ) -> Result<Option<(ObjectId, Option<i64>)>, Stop> {
        let Some(found) = self.wants[wanted].found[secret].clone() else {
            return Ok(None);
        };
        let commit = self.commit(found.at)?;
        if self.refs.shallow.contains(&found.at) {
            return Ok(None);
        }
        let own = self.file_in(wanted, commit.tree)?;
        let mut versions = Vec::with_capacity(commit.parents.len());
        for parent in commit.parents {
            let seen = self
                .commit(parent)
                .and_then(|commit| Ok((commit.authored, self.file_in(wanted, commit.tree)?)));
            let (authored, version) = match seen {
                Ok((authored, Some(version))) => (authored, version),
                Ok(_) | Err(Stop::Missing | Stop::Limit) => continue,
                Err(stop) => return Err(stop),
            };
            if Some(version) == own {
                return Ok(Some((parent, authored)));
            }
            versions.push((parent, authored, version));
        }
        if found.blob.is_some() {
            return Ok(None); // another version is another object
        }
        for (parent, authored, version) in versions {
            if self.version(wanted, version)?.get(secret) == Some(&true) {
                return Ok(Some((parent, authored)));
            }
        }
        Ok(None)
    }
}
