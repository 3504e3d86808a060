//! Which user each role runs as.
//!
//! Where a package made accounts, or the configuration names some, those are used. Where there are
//! none and root starts the agent, four free numbers are taken for as long as it runs: accounts are
//! never created.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;

use akwatch_sys::process::Identity;
use nix::unistd::{Gid, Group, Uid, User};

use super::Role;
use crate::config::{Config, UserRef};

/// Where free numbers are taken from: a range that systemd's table of user ids (`UIDS-GIDS.md`)
/// lists as unused, between those of containers and those of `DynamicUser=`. It fits into 16 bits, so
/// it exists in every user namespace, and no allocator hands it out.
pub const FREE_NUMBERS: RangeInclusive<u32> = 60706..=61183;

/// One user for each role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Users {
    watcher: Identity,
    marker: Identity,
    detector: Identity,
    reporter: Identity,
}

/// Why there are no users for the roles.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The configuration names somebody whom the host does not know.
    #[error(
        "[roles] {role} = \"{name}\": this host has no such user; create it, or leave the key out"
    )]
    Unknown {
        /// Which role.
        role: &'static str,
        /// The name.
        name: String,
    },
    /// All numbers of the range are taken.
    #[error(
        "no four free user ids in {}–{}; name users in [roles]",
        FREE_NUMBERS.start(),
        FREE_NUMBERS.end()
    )]
    NoneFree,
    /// A role may not run as root.
    #[error("[roles] {role} is root, which would take its walls away; name another user")]
    Root {
        /// Which role.
        role: &'static str,
    },
    /// The host's list of users could not be read.
    #[error("looking up a user")]
    LookUp(#[source] nix::errno::Errno),
}

impl Users {
    /// The user of a role.
    #[must_use]
    pub fn of(&self, role: Role) -> Identity {
        match role {
            Role::Watcher => self.watcher,
            Role::Marker => self.marker,
            Role::Detector => self.detector,
            Role::Reporter => self.reporter,
        }
    }

    /// Whether two roles have the same.
    #[must_use]
    pub fn are_shared(&self) -> bool {
        let distinct: BTreeSet<u32> = Role::ALL.iter().map(|&role| self.of(role).uid).collect();
        distinct.len() < Role::ALL.len()
    }

    /// For root: those that the configuration names, else the package's, else free numbers.
    ///
    /// # Errors
    /// When one is unknown, is root, or no number is free.
    pub fn for_root(config: &Config) -> Result<Users, UsersError> {
        let running = running();
        let mut free = FREE_NUMBERS.filter(|&number| is_free(number, &running));
        Users::each(|role| match named(config, role)? {
            Some(identity) => Ok(identity),
            None => {
                let number = free.next().ok_or(UsersError::NoneFree)?;
                Ok(Identity {
                    uid: number,
                    gid: number,
                })
            }
        })
    }

    /// Where every role is a unit of its own: those that the configuration names, else the
    /// package's, else this process's own user for all.
    ///
    /// # Errors
    /// When one is unknown or is root.
    pub fn of_units(config: &Config) -> Result<Users, UsersError> {
        Users::each(|role| Ok(named(config, role)?.unwrap_or_else(own)))
    }

    /// This process's own user for all.
    #[must_use]
    pub fn shared() -> Users {
        let own = own();
        Users {
            watcher: own,
            marker: own,
            detector: own,
            reporter: own,
        }
    }

    fn each(mut of: impl FnMut(Role) -> Result<Identity, UsersError>) -> Result<Users, UsersError> {
        Ok(Users {
            watcher: of(Role::Watcher)?,
            marker: of(Role::Marker)?,
            detector: of(Role::Detector)?,
            reporter: of(Role::Reporter)?,
        })
    }
}

fn own() -> Identity {
    Identity {
        uid: Uid::effective().as_raw(),
        gid: Gid::effective().as_raw(),
    }
}

/// The user that the configuration or the package gives a role.
fn named(config: &Config, role: Role) -> Result<Option<Identity>, UsersError> {
    let configured = match role {
        Role::Watcher => &config.roles.watcher,
        Role::Marker => &config.roles.marker,
        Role::Detector => &config.roles.detector,
        Role::Reporter => &config.roles.reporter,
    };
    let identity = match configured {
        Some(UserRef::Uid(uid)) => Some(Identity {
            uid: *uid,
            gid: User::from_uid(Uid::from_raw(*uid))
                .map_err(UsersError::LookUp)?
                .map_or(*uid, |user| user.gid.as_raw()),
        }),
        Some(UserRef::Name(name)) => {
            let identity = look_up(name)?;
            Some(identity.ok_or_else(|| UsersError::Unknown {
                role: role.name(),
                name: name.clone(),
            })?)
        }
        None => look_up(role.user())?,
    };
    match identity {
        Some(Identity { uid: 0, .. }) => Err(UsersError::Root { role: role.name() }),
        other => Ok(other),
    }
}

fn look_up(name: &str) -> Result<Option<Identity>, UsersError> {
    let user = User::from_name(name).map_err(UsersError::LookUp)?;
    Ok(user.map(|user| Identity {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
    }))
}

/// Whether no account, group or running process has this number.
fn is_free(number: u32, running: &BTreeSet<u32>) -> bool {
    !running.contains(&number)
        && matches!(User::from_uid(Uid::from_raw(number)), Ok(None))
        && matches!(Group::from_gid(Gid::from_raw(number)), Ok(None))
}

/// The users of all processes.
fn running() -> BTreeSet<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| Some(entry.metadata().ok()?.uid()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn config(roles: &str) -> Config {
        let text = format!("[collector]\nurls = [\"https://c.example\"]\n[roles]\n{roles}\n");
        Config::from_texts(&[(PathBuf::from("agent.toml"), text)]).unwrap()
    }

    #[test]
    fn numbers_are_taken_as_they_are() {
        let users = Users::for_root(&config(
            "watcher = 70001\nmarker = 70002\ndetector = 70003\nreporter = 70004",
        ))
        .unwrap();
        assert_eq!(users.of(Role::Detector).uid, 70003);
        assert!(!users.are_shared());
    }

    #[test]
    fn without_accounts_four_free_numbers_are_taken() {
        let users = Users::for_root(&config("")).unwrap();
        assert!(!users.are_shared());
        for role in Role::ALL {
            let named = look_up(role.user()).unwrap().is_some();
            assert!(named || FREE_NUMBERS.contains(&users.of(role).uid));
        }
    }

    #[test]
    fn root_and_strangers_are_refused() {
        let root = Users::for_root(&config("watcher = 0"));
        assert!(matches!(root, Err(UsersError::Root { role: "watcher" })));
        let stranger = Users::for_root(&config("detector = \"akwatch-nobody-here\""));
        let stranger = stranger.unwrap_err().to_string();
        assert!(stranger.contains("akwatch-nobody-here"), "{stranger}");
    }

    #[test]
    fn an_ordinary_user_shares() {
        assert!(Users::shared().are_shared());
    }
}
