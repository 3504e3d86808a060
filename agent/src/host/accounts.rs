//! Users, groups and homes of a host, from its own files.
//!
//! Only `/etc/passwd` and `/etc/group` are asked, never the C library's name service: the answer for
//! another host's root must not come from this one, and a directory server that hangs must not hang
//! the agent. Homes that passwd does not know (directory users) are found below `/home`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};

use super::{Root, SYSTEM_FILE};

/// Homes of one host. Stops: an image with a million directories in `/home`.
const HOMES: usize = 65_536;

/// Users, groups and homes.
#[derive(Debug, Default)]
pub struct Accounts {
    users: HashMap<u32, Vec<u8>>,
    groups: HashMap<u32, Vec<u8>>,
    /// The group that passwd gives each user, and the users that the group file gives each group.
    own_groups: HashMap<u32, u32>,
    members: HashMap<u32, Vec<Vec<u8>>>,
    homes: Vec<Home>,
}

/// A user's home directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The directory, as the host names it.
    pub path: PathBuf,
    /// The user's name, or its number where passwd has none; raw.
    pub user: Vec<u8>,
}

impl Accounts {
    pub(super) fn read(root: &Root) -> Accounts {
        let mut accounts = Accounts::default();
        let passwd = root
            .read(Path::new("/etc/passwd"), SYSTEM_FILE)
            .unwrap_or_default();
        for line in passwd.split(|&byte| byte == b'\n') {
            accounts.add_user(line);
        }
        let group = root
            .read(Path::new("/etc/group"), SYSTEM_FILE)
            .unwrap_or_default();
        for line in group.split(|&byte| byte == b'\n') {
            let mut fields = line.split(|&byte| byte == b':');
            if let (Some(name), Some(gid)) = (fields.next(), fields.nth(1).and_then(number)) {
                accounts.groups.entry(gid).or_insert_with(|| name.to_vec());
                let members = fields.next().unwrap_or_default();
                let members = members.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
                let members: Vec<Vec<u8>> = members
                    .filter(|name| !name.is_empty())
                    .map(<[u8]>::to_vec)
                    .collect();
                if !members.is_empty() {
                    accounts.members.entry(gid).or_default().extend(members);
                }
            }
        }
        accounts.add_unlisted_homes(root);
        accounts
    }

    fn add_user(&mut self, line: &[u8]) {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b':').collect();
        let [name, _, uid, gid, _, home, ..] = fields[..] else {
            return;
        };
        let Some(uid) = number(uid) else { return };
        if name.is_empty() || name.starts_with(b"#") {
            return;
        }
        self.users.entry(uid).or_insert_with(|| name.to_vec());
        if let Some(gid) = number(gid) {
            self.own_groups.entry(uid).or_insert(gid);
        }
        let path = PathBuf::from(OsString::from_vec(home.to_vec()));
        // Services without a home of their own are given `/` or /nonexistent.
        if path.is_absolute() && path != Path::new("/") {
            self.add_home(path, name.to_vec());
        }
    }

    fn add_unlisted_homes(&mut self, root: &Root) {
        let below_home = root.list(Path::new("/home"), HOMES).unwrap_or_default();
        let directories = below_home
            .into_iter()
            .map(|name| Path::new("/home").join(OsString::from_vec(name)))
            .chain([PathBuf::from("/root")]);
        for path in directories {
            let found = root.look(&path);
            let is_directory = |stat: &Stat| FileType::from_raw_mode(stat.st_mode).is_dir();
            if let Some(stat) = found.ok().filter(is_directory) {
                let user = self.user(stat.st_uid);
                self.add_home(path, user);
            }
        }
    }

    fn add_home(&mut self, path: PathBuf, user: Vec<u8>) {
        if self.homes.len() < HOMES && !self.homes.iter().any(|home| home.path == path) {
            self.homes.push(Home { path, user });
        }
    }

    /// A user's name, or its number in digits where passwd has none.
    #[must_use]
    pub fn user(&self, uid: u32) -> Vec<u8> {
        let known = self.users.get(&uid).cloned();
        known.unwrap_or_else(|| uid.to_string().into_bytes())
    }

    /// A group's name, or its number.
    #[must_use]
    pub fn group(&self, gid: u32) -> Vec<u8> {
        let known = self.groups.get(&gid).cloned();
        known.unwrap_or_else(|| gid.to_string().into_bytes())
    }

    /// Whether a user is in a group, as far as these files say.
    #[must_use]
    pub fn is_in_group(&self, uid: u32, gid: u32) -> bool {
        let listed = || {
            let members = self.members.get(&gid)?;
            Some(members.contains(self.users.get(&uid)?))
        };
        self.own_groups.get(&uid) == Some(&gid) || listed().unwrap_or(false)
    }

    /// A user's number by its name.
    #[must_use]
    pub fn uid(&self, name: &str) -> Option<u32> {
        self.users
            .iter()
            .find(|(_, known)| known.as_slice() == name.as_bytes())
            .map(|(&uid, _)| uid)
    }

    /// Whether passwd knows this number.
    #[must_use]
    pub fn knows(&self, uid: u32) -> bool {
        self.users.contains_key(&uid)
    }

    /// Every home, service users' included.
    #[must_use]
    pub fn homes(&self) -> &[Home] {
        &self.homes
    }

    /// The home that `path` lies in, the innermost where homes are nested.
    #[must_use]
    pub fn home_of(&self, path: &Path) -> Option<&Home> {
        self.homes
            .iter()
            .filter(|home| path.starts_with(&home.path))
            .max_by_key(|home| home.path.as_os_str().as_bytes().len())
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.trim().parse().ok()
}
