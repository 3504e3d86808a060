//! Keystores of a scan, and the passwords that lie beside them.
//!
//! A store is told when all parts of the scan were read: a package often carries its store and, in a
//! configuration file, the store's password. Whoever has the package then has the key. So has who reads
//! a directory where both lie: what is in its other files is tried last.

use std::rc::Rc;

use akwatch_proto::place::Encoding;

use super::keys::Spot;
use super::*;
use crate::judge::keystore::{self, BLOCK, KNOWN, Keystore};

/// Stores of one scan that are tried; what is beyond is told as sealed.
const MOST: usize = 32;
/// Bytes of them that are kept until the end of the scan.
const MOST_BYTES: usize = 2 << 20;
/// Steps of a digest that guessing may take in one scan: a tenth of a second.
const MOST_STEPS: u64 = 400_000;
/// Passwords of the scan that are tried on each.
const MOST_PASSWORDS: usize = 24;
/// Characters of the longest.
const LONGEST_PASSWORD: usize = 64;

/// A store and where it lies.
pub(crate) struct Found {
    store: Keystore,
    path: Vec<u8>,
    scope: ScopeId,
    member: Rc<MemberName>,
    encoding: Vec<Encoding>,
    order: u64,
    line: u32,
}

impl Scanner<'_> {
    /// Keeps a store that a file is; says so of one that cannot be read.
    pub(super) fn store_file(&mut self, region: &Region, file: &[u8]) {
        if let Some(store) = Keystore::read(file) {
            self.store(Found {
                store,
                path: region.path.clone(),
                scope: region.scope,
                member: Rc::clone(&region.member),
                encoding: region.encoding.clone(),
                order: region.offset,
                line: 1,
            });
        } else if let Some(why) = keystore::why_unread(file) {
            self.skipped(&region.member, why);
        }
    }

    /// Keeps a store that a value holds in base64. Answers whether it does.
    pub(super) fn store_value(&mut self, region: &Region, value: &Value<'_>) -> bool {
        let Some(store) = Keystore::wrapped(value.bytes) else {
            return false;
        };
        let mut encoding = value.encoding.to_vec();
        encoding.push(Encoding::Base64);
        self.store(Found {
            store,
            path: value.path.to_vec(),
            // The value's own may be forgotten with its window.
            scope: region.scope,
            member: Rc::clone(value.member),
            encoding,
            order: value.order,
            line: (value.line)(0),
        });
        true
    }

    fn store(&mut self, found: Found) {
        let held: usize = self.stores.iter().map(|found| found.store.len()).sum();
        if self.stores.len() < MOST && held + found.store.len() <= MOST_BYTES {
            self.stores.push(found);
        } else {
            self.tell(&found, None);
        }
    }

    /// Tries on the stores what everybody knows, and what the scan has found.
    pub(crate) fn try_stores(&mut self) -> Vec<Trial> {
        let stores = std::mem::take(&mut self.stores);
        if stores.is_empty() {
            return Vec::new();
        }
        // None takes what the others need.
        let share = MOST_STEPS / stores.len() as u64;
        let mut trials: Vec<Trial> = stores
            .into_iter()
            .map(|found| Trial {
                found,
                left: share,
                opened: None,
            })
            .collect();
        for trial in &mut trials {
            let known = KNOWN.iter().copied().find(|known| trial.opens(known));
            trial.opened = known.map(Opened::Known);
        }
        self.work += (share * trials.len() as u64 - left(&trials)) * BLOCK as u64;
        let own = self.passwords();
        self.try_passwords(&mut trials, &own);
        trials
    }

    /// Tries passwords on the stores that nothing has opened.
    pub(crate) fn try_passwords(&mut self, trials: &mut [Trial], passwords: &[Zeroizing<String>]) {
        let before = left(trials);
        for trial in trials.iter_mut().filter(|trial| trial.is_shut()) {
            if passwords.iter().any(|password| trial.opens(password)) {
                trial.opened = Some(Opened::Beside);
            }
        }
        // What guessing costs is paid for as what reading does.
        self.work += (before - left(trials)) * BLOCK as u64;
    }

    /// Tells the stores.
    pub(crate) fn tell_stores(&mut self, trials: Vec<Trial>) {
        for trial in trials {
            self.tell(&trial.found, trial.opened);
        }
    }

    /// The passwords that the scan has found, those of stores first.
    fn passwords(&self) -> Vec<Zeroizing<String>> {
        let password = self.rules.engine(Engine::NamedPassword);
        let mut found: Vec<&Candidate> = self
            .candidates
            .iter()
            .filter(|found| {
                found.value.len() <= LONGEST_PASSWORD
                    && found.rules.iter().any(|rule| Some(*rule) == password)
            })
            .collect();
        found.sort_by_key(|found| {
            let name = found.path.to_ascii_lowercase();
            memchr::memmem::find(&name, b"store").is_none()
        });
        let mut passwords: Vec<Zeroizing<String>> = Vec::new();
        for found in found {
            let Ok(text) = std::str::from_utf8(&found.value) else {
                continue;
            };
            if passwords.len() < MOST_PASSWORDS && !passwords.iter().any(|known| **known == text) {
                passwords.push(Zeroizing::new(text.to_owned()));
            }
        }
        passwords
    }

    fn tell(&mut self, found: &Found, opened: Option<Opened>) {
        let spot = Spot {
            path: &found.path,
            scope: found.scope,
            member: &found.member,
            encoding: &found.encoding,
            order: found.order,
            lines: (found.line, found.line),
        };
        let rule = self.rules.engine(Engine::NamedPassword);
        let Some(told) = self.key(&spot, found.store.told(opened.is_some())) else {
            return;
        };
        // What everybody knows is said: the password is what must be changed.
        if let (Some(Opened::Known(password)), Some(rule)) = (opened, rule)
            && password.len() >= limits::SHORTEST_PASSWORD
        {
            told.value = Zeroizing::new(password.as_bytes().to_vec());
            told.rules = vec![rule];
            told.kind = Some(Kind::Password);
        }
    }
}

/// A store, and what was tried on it.
pub(crate) struct Trial {
    found: Found,
    /// Steps of a digest that it may still take.
    left: u64,
    opened: Option<Opened>,
}

impl Trial {
    /// Whether nothing has opened it, and something may.
    pub(crate) fn is_shut(&self) -> bool {
        self.opened.is_none() && self.left > 0 && self.found.store.can_be_tried()
    }

    fn opens(&mut self, password: &str) -> bool {
        self.found.store.opens(password, &mut self.left) == Some(true)
    }
}

/// Steps that all of them may still take.
fn left(trials: &[Trial]) -> u64 {
    trials.iter().map(|trial| trial.left).sum()
}

enum Opened {
    /// By a password that everybody knows.
    Known(&'static str),
    /// By one that the scan has found elsewhere.
    Beside,
}
