//! Repositories: loose objects, packs with deltas, a stash.

use sha1::{Digest, Sha1};

use super::dice::Dice;
use super::text::crc32;
use super::wrap::zlib;

/// An object's kind, as packs number them.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Commit = 1,
    Tree = 2,
    Blob = 3,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::Blob => "blob",
        }
    }
}

/// One object.
#[derive(Clone, Debug)]
struct Object {
    kind: Kind,
    bytes: Vec<u8>,
}

impl Object {
    fn id(&self) -> [u8; 20] {
        sha1(&[self.head().as_bytes(), &self.bytes].concat())
    }

    fn head(&self) -> String {
        format!("{} {}\0", self.kind.word(), self.bytes.len())
    }
}

/// A file of a repository: its path below `.git`, its bytes.
pub type GitFile = (String, Vec<u8>);

/// How a history is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Every object in a file of its own.
    Loose,
    /// All in one pack, whole.
    Packed,
    /// All in one pack, the second version of the file as a delta of the first.
    Delta,
}

/// A repository in which `old`, the first version of `name`, was replaced by `new`. Answers the files
/// and the path of the one that holds `old`.
pub fn repository(
    name: &str,
    old: &[u8],
    new: &[u8],
    storage: Storage,
    dice: &mut Dice,
) -> (Vec<GitFile>, String) {
    let blob = |bytes: &[u8]| Object {
        kind: Kind::Blob,
        bytes: bytes.to_vec(),
    };
    let (first, second) = (blob(old), blob(new));
    let trees = [tree(name, &first), tree(name, &second)];
    let one = commit(&trees[0], None, "add settings", dice);
    let two = commit(&trees[1], Some(&one), "move the key into the vault", dice);
    let head = hex(&two.id());
    let mut files = vec![
        ("HEAD".to_owned(), b"ref: refs/heads/main\n".to_vec()),
        ("refs/heads/main".to_owned(), format!("{head}\n").into_bytes()),
        ("config".to_owned(), b"[core]\n\trepositoryformatversion = 0\n[remote \"origin\"]\n\turl = git@git.acme.cn:team/app.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n".to_vec()),
    ];
    if dice.once_in(2) {
        files.push((
            "refs/remotes/origin/main".to_owned(),
            format!("{head}\n").into_bytes(),
        ));
    }
    let holder = match storage {
        Storage::Loose => {
            let path = loose(&first);
            for object in [&first, &second, &trees[0], &trees[1], &one, &two] {
                files.push((
                    loose(object),
                    zlib(&[object.head().as_bytes(), &object.bytes].concat()),
                ));
            }
            path
        }
        Storage::Packed | Storage::Delta => {
            let whole = [&two, &one, &trees[1], &trees[0], &second];
            let mut entries: Vec<Entry> = whole.map(packed).to_vec();
            entries.push(if storage == Storage::Delta {
                delta(&first, &second)
            } else {
                packed(&first)
            });
            let (pack, index) = pack(&entries);
            let path = format!("objects/pack/pack-{}", hex(&pack[pack.len() - 20..]));
            files.push((format!("{path}.idx"), index));
            files.push((format!("{path}.pack"), pack));
            format!("{path}.pack")
        }
    };
    (files, holder)
}

fn tree(name: &str, blob: &Object) -> Object {
    let mut bytes = format!("100644 {name}\0").into_bytes();
    bytes.extend(blob.id());
    Object {
        kind: Kind::Tree,
        bytes,
    }
}

fn commit(tree: &Object, parent: Option<&Object>, message: &str, dice: &mut Dice) -> Object {
    let at = 1_700_000_000 + dice.below(9_000_000);
    let parent = parent.map(|parent| format!("parent {}\n", hex(&parent.id())));
    let text = format!(
        "tree {}\n{}author Li Hua <lihua@acme.cn> {at} +0800\ncommitter Li Hua <lihua@acme.cn> {at} +0800\n\n{message}\n",
        hex(&tree.id()),
        parent.unwrap_or_default()
    );
    Object {
        kind: Kind::Commit,
        bytes: text.into_bytes(),
    }
}

fn loose(object: &Object) -> String {
    let id = hex(&object.id());
    format!("objects/{}/{}", &id[..2], &id[2..])
}

/// An object as it stands in a pack.
#[derive(Clone, Debug)]
struct Entry {
    id: [u8; 20],
    bytes: Vec<u8>,
}

fn packed(object: &Object) -> Entry {
    let mut bytes = entry_head(object.kind as u8, object.bytes.len());
    bytes.extend(zlib(&object.bytes));
    Entry {
        id: object.id(),
        bytes,
    }
}

/// `object` as a delta of `base`, by the base's id: what both begin with is copied.
fn delta(object: &Object, base: &Object) -> Entry {
    let both = object.bytes.iter().zip(&base.bytes);
    let same = both.take_while(|(a, b)| a == b).count().min(0xffff);
    let mut text = size(base.bytes.len());
    text.extend(size(object.bytes.len()));
    if same > 0 {
        let length = u16::try_from(same).unwrap_or(0).to_le_bytes();
        text.extend([0x80 | 0x10 | 0x20, length[0], length[1]]);
    }
    for piece in object.bytes[same..].chunks(127) {
        text.push(u8::try_from(piece.len()).unwrap_or(0));
        text.extend_from_slice(piece);
    }
    let mut bytes = entry_head(7, text.len());
    bytes.extend(base.id());
    bytes.extend(zlib(&text));
    Entry {
        id: object.id(),
        bytes,
    }
}

fn entry_head(kind: u8, length: usize) -> Vec<u8> {
    let low = u8::try_from(length & 15).unwrap_or(0) | (kind << 4);
    let rest = length >> 4;
    if rest == 0 {
        return vec![low];
    }
    let mut out = vec![low | 0x80];
    out.extend(size(rest));
    out
}

fn size(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        out.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return out;
        }
    }
}

/// A pack and its index.
fn pack(entries: &[Entry]) -> (Vec<u8>, Vec<u8>) {
    let count = u32::try_from(entries.len()).unwrap_or(0).to_be_bytes();
    let mut out = b"PACK\0\0\0\x02".to_vec();
    out.extend(count);
    let mut rows = Vec::new();
    for entry in entries {
        let at = u32::try_from(out.len()).unwrap_or(0);
        rows.push((entry.id, crc32(&entry.bytes), at));
        out.extend(&entry.bytes);
    }
    let sum = sha1(&out);
    out.extend(sum);
    rows.sort_unstable();
    let mut index = b"\xfftOc\0\0\0\x02".to_vec();
    for first in 0..=255_u8 {
        let below = rows.iter().filter(|(id, ..)| id[0] <= first).count();
        index.extend(u32::try_from(below).unwrap_or(0).to_be_bytes());
    }
    index.extend(rows.iter().flat_map(|(id, ..)| *id));
    index.extend(rows.iter().flat_map(|(_, crc, _)| crc.to_be_bytes()));
    index.extend(rows.iter().flat_map(|(.., at)| at.to_be_bytes()));
    index.extend(sum);
    let sum = sha1(&index);
    index.extend(sum);
    (out, index)
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// The SHA-1 of `bytes` in hexadecimal.
#[must_use]
pub fn hex_sha1(bytes: &[u8]) -> String {
    hex(&sha1(bytes))
}

/// SHA-1, which names Git's objects.
fn sha1(bytes: &[u8]) -> [u8; 20] {
    Sha1::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_blob_has_its_well_known_name() {
        let empty = Object {
            kind: Kind::Blob,
            bytes: Vec::new(),
        };
        assert_eq!(hex(&empty.id()), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }
}
