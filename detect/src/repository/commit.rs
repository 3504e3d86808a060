//! What a commit and a tree say, as far as it matters here: bytes in, ids and dates out.

use super::ObjectId;

/// Parents of one commit that are followed. Stops: a commit with a million of them.
const PARENTS: usize = 256;
/// The last second of the year 9999: what is later was not meant.
const LATEST: i64 = 253_402_300_799;

/// A commit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) tree: ObjectId,
    pub(super) parents: Vec<ObjectId>,
    /// Seconds since the epoch, by the author's clock.
    pub(super) authored: Option<i64>,
    /// The same by the committer's, 0 where there is none.
    pub(super) committed: i64,
    /// It has more parents than are followed.
    pub(super) cut: bool,
}

impl Commit {
    /// Reads a commit object.
    pub(super) fn parse(text: &[u8]) -> Option<Commit> {
        let mut commit = Commit::default();
        let mut lines = text.split(|&byte| byte == b'\n');
        commit.tree = id_after(lines.next()?, b"tree ")?;
        for line in lines {
            if let Some(parent) = id_after(line, b"parent ") {
                if commit.parents.len() < PARENTS {
                    commit.parents.push(parent);
                } else {
                    commit.cut = true;
                }
            } else if let Some(author) = line.strip_prefix(b"author ") {
                commit.authored = date(author);
            } else if let Some(committer) = line.strip_prefix(b"committer ") {
                commit.committed = date(committer).unwrap_or(0);
                break;
            } else if line.is_empty() {
                break;
            }
        }
        Some(commit)
    }
}

/// What a tag object names.
pub(super) fn tagged(text: &[u8]) -> Option<ObjectId> {
    id_after(text.split(|&byte| byte == b'\n').next()?, b"object ")
}

fn id_after(line: &[u8], word: &[u8]) -> Option<ObjectId> {
    ObjectId::parse(line.strip_prefix(word)?)
}

/// The date of `Name <mail> seconds zone`.
fn date(person: &[u8]) -> Option<i64> {
    let after = memchr::memrchr(b'>', person).map_or(0, |at| at + 1);
    let digits = person[after..]
        .split(|&byte| byte == b' ')
        .find(|word| !word.is_empty())?;
    let seconds: i64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (0..=LATEST).contains(&seconds).then_some(seconds)
}

/// One entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TreeEntry<'a> {
    pub(super) name: &'a [u8],
    pub(super) id: ObjectId,
    pub(super) is_tree: bool,
    /// A submodule's commit, which lies in another repository.
    pub(super) is_link: bool,
}

/// The entries of a tree object, up to the first that is none.
pub(super) fn entries(tree: &[u8]) -> impl Iterator<Item = TreeEntry<'_>> {
    let mut rest = tree;
    std::iter::from_fn(move || {
        let space = memchr::memchr(b' ', &rest[..rest.len().min(8)])?;
        let (mode, after) = (&rest[..space], &rest[space + 1..]);
        let end = memchr::memchr(0, after)?;
        let (id, next) = after[end + 1..].split_first_chunk::<20>()?;
        rest = next;
        Some(TreeEntry {
            name: &after[..end],
            id: ObjectId(*id),
            is_tree: matches!(mode, b"40000" | b"040000"),
            is_link: mode == b"160000",
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_says_its_tree_parents_and_dates_and_no_names() {
        let (tree, one, two) = ("11".repeat(20), "22".repeat(20), "33".repeat(20));
        let text = format!(
            "tree {tree}\nparent {one}\nparent {two}\nauthor A > B <a@x.example> 1700000000 +0200\n\
             committer C <c@x.example> 1700000100 +0000\ngpgsig x\n\nparent {tree}\n"
        );
        let commit = Commit::parse(text.as_bytes()).unwrap();
        assert_eq!(commit.tree, ObjectId([0x11; 20]));
        assert_eq!(commit.parents, [ObjectId([0x22; 20]), ObjectId([0x33; 20])]);
        assert_eq!(commit.authored, Some(1_700_000_000));
        assert_eq!(commit.committed, 1_700_000_100);
    }

    #[test]
    fn dates_that_cannot_be_are_none() {
        for author in [
            "A <a> -5 +0000",
            "A <a> 99999999999999999999 +0000",
            "A <a>",
            "",
        ] {
            assert_eq!(date(author.as_bytes()), None, "{author}");
        }
    }

    #[test]
    fn a_tree_ends_where_it_is_damaged() {
        let mut tree = b"100644 a\0".to_vec();
        tree.extend([1; 20]);
        tree.extend(b"40000 dir\0");
        tree.extend([2; 20]);
        tree.extend(b"100644 cut\0short");
        let names: Vec<(&[u8], bool)> = entries(&tree)
            .map(|entry| (entry.name, entry.is_tree))
            .collect();
        assert_eq!(names, [(&b"a"[..], false), (b"dir", true)]);
    }
}
