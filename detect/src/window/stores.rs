//! Keystores of a scan, and the passwords that lie beside them.
//!
//! A store is told when all parts of the scan were read: a package often carries its store and, in a
//! configuration file, the store's password. Whoever has the package then has the key.

use std::rc::Rc;

use akwatch_proto::place::Encoding;

use super::keys::Spot;
use super::*;
use crate::judge::keystore::{KNOWN, Keystore};

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
    /// Keeps a store that a file is.
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

    /// Tells the stores, each with the password that opens it, if the scan knows that.
    pub(crate) fn open_stores(&mut self) {
        let stores = std::mem::take(&mut self.stores);
        if stores.is_empty() {
            return;
        }
        let beside = self.passwords();
        // None takes what the others need.
        let share = MOST_STEPS / stores.len() as u64;
        for found in stores {
            let mut left = share;
            let mut opens = |password: &&str| found.store.opens(password, &mut left) == Some(true);
            let opened = if let Some(password) = KNOWN.iter().copied().find(|known| opens(known)) {
                Some(Opened::Known(password))
            } else {
                let mut beside = beside.iter().map(|password| password.as_str());
                beside
                    .any(|password| opens(&password))
                    .then_some(Opened::Beside)
            };
            self.tell(&found, opened);
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

enum Opened {
    /// By a password that everybody knows.
    Known(&'static str),
    /// By one that the scan has found elsewhere.
    Beside,
}
