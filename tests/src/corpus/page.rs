//! What the corpus is made of: credentials that nobody issued, the files in which they are planted, and
//! the label of each.

use std::collections::BTreeSet;

/// How much of an answer a family's name can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Access keys of clouds.
    Ak,
    /// Tokens of services.
    Token,
    /// Passwords, connection strings, private keys.
    Generic,
}

impl Tier {
    /// Its word in tables and labels.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Tier::Ak => "ak",
            Tier::Token => "token",
            Tier::Generic => "generic",
        }
    }
}

/// A credential.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its tier.
    pub tier: Tier,
    /// Who would have issued it, or what sort of account it opens.
    pub family: &'static str,
    /// Its public half.
    pub id: Option<String>,
    /// Its secret half.
    pub secret: String,
    /// Other writings of the secret that count as well: decoded, or with what stands around it.
    pub forms: Vec<String>,
    /// Further secrets of the same credential: a session token, a password inside a line that is one
    /// secret as a whole. Finding them alone does not count; reporting them is no false alarm.
    pub also: Vec<String>,
}

impl Credential {
    /// A credential without a public half.
    #[must_use]
    pub fn lone(tier: Tier, family: &'static str, secret: String) -> Credential {
        Credential {
            tier,
            family,
            id: None,
            secret,
            forms: Vec::new(),
            also: Vec::new(),
        }
    }
}

/// A credential in a text, and the bytes by which its line is found there.
#[derive(Clone, Debug)]
pub struct Planted {
    /// What.
    pub credential: Credential,
    /// How its secret is written in the text.
    pub needle: String,
}

/// A text with what was planted in it.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The text.
    pub text: String,
    /// What it holds.
    pub planted: Vec<Planted>,
}

impl Page {
    /// Notes a credential whose secret stands in the text as it is.
    pub fn plant(&mut self, credential: Credential) {
        let needle = credential.secret.clone();
        self.planted.push(Planted { credential, needle });
    }

    /// Notes a credential whose secret stands in the text as `needle`.
    pub fn plant_as(&mut self, credential: Credential, needle: String) {
        self.planted.push(Planted { credential, needle });
    }

    /// Appends another page.
    pub fn join(&mut self, other: Page) {
        self.text.push_str(&other.text);
        self.planted.extend(other.planted);
    }
}

/// One planted credential, as the table of labels has it.
#[derive(Clone, Debug)]
pub struct Label {
    /// The host's name.
    pub host: String,
    /// The file, from the host's root.
    pub path: String,
    /// The line of its first byte, from 1; unknown inside wrappings.
    pub line: Option<u32>,
    /// How the file is written.
    pub format: &'static str,
    /// What.
    pub credential: Credential,
}

/// One file.
#[derive(Clone, Debug)]
pub struct File {
    /// From the host's root, without a leading slash.
    pub path: String,
    /// How it is written.
    pub format: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// One simulated host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name, which is its directory's.
    pub name: String,
    /// Its files.
    pub files: Vec<File>,
    /// What they hold.
    pub labels: Vec<Label>,
    taken: BTreeSet<String>,
}

impl Host {
    /// An empty host.
    #[must_use]
    pub fn new(name: &str) -> Host {
        Host {
            name: name.to_owned(),
            files: Vec::new(),
            labels: Vec::new(),
            taken: BTreeSet::new(),
        }
    }

    /// Puts a text at `path`, or beside it when the path is taken, and labels what it holds.
    ///
    /// # Panics
    /// When a planted secret does not stand in the text: the generator is wrong.
    pub fn put(&mut self, path: &str, format: &'static str, page: Page) {
        let text = &page.text;
        let lines = page.planted.iter().map(|planted| {
            let at = text.find(&planted.needle).unwrap_or_else(|| {
                panic!(
                    "{path}: a secret of {} is not in it",
                    planted.credential.family
                )
            });
            let line = 1 + text[..at].matches('\n').count();
            u32::try_from(line).ok()
        });
        let lines: Vec<_> = lines.collect();
        let credentials = page.planted.into_iter().map(|planted| planted.credential);
        let planted = credentials.zip(lines).collect();
        self.add(path, format, page.text.into_bytes(), planted);
    }

    /// Puts bytes at `path` whose secrets have no line of their own.
    pub fn put_bytes(
        &mut self,
        path: &str,
        format: &'static str,
        bytes: Vec<u8>,
        credentials: Vec<Credential>,
    ) {
        let planted = credentials.into_iter().map(|one| (one, None)).collect();
        self.add(path, format, bytes, planted);
    }

    fn add(
        &mut self,
        path: &str,
        format: &'static str,
        bytes: Vec<u8>,
        planted: Vec<(Credential, Option<u32>)>,
    ) {
        let path = self.free(path);
        for (credential, line) in planted {
            self.labels.push(Label {
                host: self.name.clone(),
                path: path.clone(),
                line,
                format,
                credential,
            });
        }
        self.files.push(File {
            path,
            format,
            bytes,
        });
    }

    /// `path`, or the same name with the next free number: a further user's home, a further directory.
    fn free(&mut self, path: &str) -> String {
        let mut chosen = path.to_owned();
        let mut number = 1;
        while !self.taken.insert(chosen.clone()) {
            number += 1;
            chosen = if let Some(rest) = path.strip_prefix("root/") {
                format!("home/ops{number}/{rest}")
            } else if let Some((user, rest)) = path
                .strip_prefix("home/")
                .and_then(|path| path.split_once('/'))
            {
                format!("home/{user}{number}/{rest}")
            } else if let Some((directory, name)) = path.rsplit_once('/') {
                format!("{directory}-{number}/{name}")
            } else {
                format!("{number}/{path}")
            };
        }
        chosen
    }
}
