//! A repository's configuration, as far as it says where its commits go: remotes, upstreams, formats.
//!
//! The format is that of git-config(1). Files that it includes are not read. A URL is only ever kept as
//! [`address`], without user, password and query: a credential in it is a finding of its own.

/// Remotes that are known. Stops: a configuration of a million.
const REMOTES: usize = 32;
/// Upstreams of branches.
const BRANCHES: usize = 4096;
/// Refspecs of one remote.
const REFSPECS: usize = 64;
/// Bytes of an address.
const ADDRESS: usize = 512;

/// What is known of a remote.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RemoteConfig {
    pub(super) name: Vec<u8>,
    pub(super) address: Option<Vec<u8>>,
    /// From the remote's refs to the tracking refs here, both perhaps with one `*`.
    pub(super) fetch: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A branch's upstream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BranchConfig {
    pub(super) name: Vec<u8>,
    pub(super) remote: Vec<u8>,
    pub(super) merge: Vec<u8>,
}

/// A repository's configuration.
#[derive(Debug, Default)]
pub(super) struct Config {
    pub(super) bare: bool,
    /// SHA-256, or refs in another form than files.
    pub(super) unsupported: bool,
    pub(super) remotes: Vec<RemoteConfig>,
    pub(super) branches: Vec<BranchConfig>,
    /// There is more than is kept.
    pub(super) cut: bool,
}

impl Config {
    /// Reads a configuration; what is none of it is passed over.
    pub(super) fn parse(text: &[u8]) -> Config {
        let mut config = Config::default();
        let mut reader = Reader {
            rest: text,
            section: Vec::new(),
            subsection: Vec::new(),
        };
        while let Some((key, value)) = reader.next_pair() {
            config.take(&reader, &key, value);
        }
        config
    }

    fn take(&mut self, at: &Reader<'_>, key: &[u8], value: Vec<u8>) {
        match (at.section.as_slice(), key) {
            (b"core", b"bare") => self.bare = is_true(&value),
            (b"extensions", b"objectformat") => {
                self.unsupported |= !value.eq_ignore_ascii_case(b"sha1");
            }
            (b"extensions", b"refstorage") => {
                self.unsupported |= !value.eq_ignore_ascii_case(b"files");
            }
            (b"remote", b"url") => {
                if let Some(remote) = self.remote(&at.subsection) {
                    remote.address = remote.address.take().or_else(|| address(&value));
                }
            }
            (b"remote", b"fetch") => {
                if let (Some(spec), Some(remote)) = (refspec(&value), self.remote(&at.subsection))
                    && remote.fetch.len() < REFSPECS
                {
                    remote.fetch.push(spec);
                }
            }
            (b"remote", _) => {
                let _ = self.remote(&at.subsection);
            }
            (b"branch", b"remote") => {
                if let Some(branch) = self.branch(&at.subsection) {
                    branch.remote = value;
                }
            }
            (b"branch", b"merge") => {
                if let Some(branch) = self.branch(&at.subsection) {
                    branch.merge = value;
                }
            }
            _ => {}
        }
    }

    fn remote(&mut self, name: &[u8]) -> Option<&mut RemoteConfig> {
        if name.is_empty() {
            return None; // `remote.pushDefault` and its kin
        }
        let known = self.remotes.iter().position(|remote| remote.name == name);
        if known.is_none() {
            if self.remotes.len() >= REMOTES {
                self.cut = true;
                return None;
            }
            self.remotes.push(RemoteConfig {
                name: name.to_vec(),
                ..RemoteConfig::default()
            });
        }
        let at = known.unwrap_or(self.remotes.len() - 1);
        self.remotes.get_mut(at)
    }

    fn branch(&mut self, name: &[u8]) -> Option<&mut BranchConfig> {
        let known = self.branches.iter().position(|branch| branch.name == name);
        if known.is_none() {
            if self.branches.len() >= BRANCHES {
                self.cut = true;
                return None;
            }
            self.branches.push(BranchConfig {
                name: name.to_vec(),
                ..BranchConfig::default()
            });
        }
        let at = known.unwrap_or(self.branches.len() - 1);
        self.branches.get_mut(at)
    }
}

fn is_true(value: &[u8]) -> bool {
    [&b"true"[..], b"yes", b"on", b"1"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

/// Both sides of `+refs/heads/*:refs/remotes/origin/*`; none of one that leaves nothing here.
fn refspec(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let value = value.strip_prefix(b"+").unwrap_or(value);
    if value.starts_with(b"^") {
        return None;
    }
    let colon = memchr::memchr(b':', value)?;
    let (from, to) = (&value[..colon], &value[colon + 1..]);
    (!to.is_empty()).then(|| (from.to_vec(), to.to_vec()))
}

/// What stands for the `*` of a pattern in `name`; empty where there is none and they are equal.
pub(super) fn matched<'n>(pattern: &[u8], name: &'n [u8]) -> Option<&'n [u8]> {
    match memchr::memchr(b'*', pattern) {
        Some(star) => name
            .strip_prefix(&pattern[..star])?
            .strip_suffix(&pattern[star + 1..]),
        None => (pattern == name).then_some(b""),
    }
}

/// A pattern with its `*` filled in.
pub(super) fn filled(pattern: &[u8], with: &[u8]) -> Vec<u8> {
    match memchr::memchr(b'*', pattern) {
        Some(star) => [&pattern[..star], with, &pattern[star + 1..]].concat(),
        None => pattern.to_vec(),
    }
}

/// `HOST/REPO` of a URL, or a path. Whatever stands before an `@` is thrown away, wherever that is: a
/// password may hold any character, and a shorter address is better than half a password.
pub(super) fn address(url: &[u8]) -> Option<Vec<u8>> {
    let scheme = memchr::memmem::find(url, b"://");
    let rest = match scheme {
        Some(at) => &url[at + 3..],
        // `helper::anything`: only the helper knows what it is.
        None if memchr::memmem::find(url, b"::").is_some() => return None,
        None => url,
    };
    let rest = memchr::memrchr(b'@', rest).map_or(rest, |at| &rest[at + 1..]);
    let mut address = match scheme {
        Some(_) => {
            let end = rest.iter().position(|byte| matches!(byte, b'?' | b'#'));
            rest[..end.unwrap_or(rest.len())].to_vec()
        }
        None => match memchr::memchr2(b':', b'/', rest) {
            // `host:path`, as ssh has it.
            Some(at) if rest[at] == b':' => {
                let path = rest[at + 1..].strip_prefix(b"/").unwrap_or(&rest[at + 1..]);
                [&rest[..at], b"/", path].concat()
            }
            _ => rest.to_vec(),
        },
    };
    while address.len() > 1 && address.ends_with(b"/") {
        address.pop();
    }
    if address.ends_with(b".git") && !address.ends_with(b"/.git") {
        address.truncate(address.len() - 4);
    }
    (!address.is_empty() && address.len() <= ADDRESS).then_some(address)
}

/// A remote's name as it may be shown: Git names a remote by its URL where it was given no other name
/// (`git fetch --filter=… URL`), and a URL may hold a credential wherever it stands.
pub(super) fn shown_name(name: &[u8]) -> Option<Vec<u8>> {
    let url = |mark: &[u8]| memchr::memmem::find(name, mark).is_some();
    if url(b"://") || url(b"::") || url(b"@") {
        return address(name);
    }
    Some(name.to_vec())
}

/// Reads pairs, and knows in which section it is.
struct Reader<'a> {
    rest: &'a [u8],
    /// Lower-case.
    section: Vec<u8>,
    subsection: Vec<u8>,
}

impl Reader<'_> {
    fn next_pair(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        loop {
            let blank = self.rest.iter().take_while(|b| b.is_ascii_whitespace());
            self.rest = &self.rest[blank.count()..];
            match self.rest.first()? {
                b'#' | b';' => self.skip_line(),
                b'[' => self.enter_section(),
                byte if byte.is_ascii_alphabetic() => return Some(self.pair()),
                _ => self.skip_line(),
            }
        }
    }

    fn skip_line(&mut self) {
        let end = memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1);
        self.rest = &self.rest[end..];
    }

    /// `[section]`, `[section "subsection"]`, `[section.subsection]`.
    fn enter_section(&mut self) {
        self.section.clear();
        self.subsection.clear();
        let (mut quoted, mut escaped, mut named) = (false, false, false);
        let mut used = 1;
        for &byte in &self.rest[1..] {
            used += 1;
            match byte {
                b'\n' => break,
                _ if escaped => {
                    self.subsection.push(byte);
                    escaped = false;
                }
                b'\\' if quoted => escaped = true,
                b'"' => {
                    quoted = !quoted;
                    named = true;
                }
                _ if quoted => self.subsection.push(byte),
                b']' => break,
                b' ' | b'\t' => {}
                b'.' if !named => named = true,
                _ if named => self.subsection.push(byte.to_ascii_lowercase()),
                _ => self.section.push(byte.to_ascii_lowercase()),
            }
        }
        self.rest = &self.rest[used..];
    }

    fn pair(&mut self) -> (Vec<u8>, Vec<u8>) {
        let named = self
            .rest
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || **b == b'-');
        let (key, rest) = self.rest.split_at(named.count());
        let key = key.to_ascii_lowercase();
        let blank = rest.iter().take_while(|b| matches!(b, b' ' | b'\t'));
        self.rest = &rest[blank.count()..];
        let Some(after) = self.rest.strip_prefix(b"=") else {
            self.skip_line();
            return (key, b"true".to_vec()); // a name alone is a yes
        };
        self.rest = after;
        (key, self.value())
    }

    /// A value: quotes, escapes, comments and lines that go on are undone.
    fn value(&mut self) -> Vec<u8> {
        let (mut value, mut kept, mut quoted) = (Vec::new(), 0, false);
        let mut used = 0;
        let mut bytes = self.rest.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            used += 1;
            match byte {
                b'\n' => break,
                b'\r' if bytes.peek() == Some(&b'\n') => {}
                b'"' => {
                    quoted = !quoted;
                    kept = value.len();
                }
                b'#' | b';' if !quoted => {
                    let comment = memchr::memchr(b'\n', &self.rest[used..]);
                    used += comment.map_or(self.rest.len() - used, |at| at + 1);
                    break;
                }
                b'\\' => {
                    used += usize::from(bytes.peek().is_some());
                    match bytes.next() {
                        Some(b'n') => value.push(b'\n'),
                        Some(b't') => value.push(b'\t'),
                        Some(b'b') => value.push(8),
                        Some(b'\n') | None => {}
                        Some(other) => value.push(other),
                    }
                    kept = value.len();
                }
                b' ' | b'\t' if !quoted => {
                    if !value.is_empty() {
                        value.push(byte);
                    }
                }
                _ => {
                    value.push(byte);
                    kept = value.len();
                }
            }
        }
        value.truncate(kept);
        self.rest = &self.rest[used..];
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> Option<String> {
        address(url.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_url_is_shown_as_host_and_repository() {
        let cases = [
            (
                "https://git.example.org/acme/app.git",
                "git.example.org/acme/app",
            ),
            (
                "ssh://git@git.example.org:2222/acme/app",
                "git.example.org:2222/acme/app",
            ),
            (
                "git@git.example.org:acme/app.git",
                "git.example.org/acme/app",
            ),
            ("git.example.org:/srv/app.git/", "git.example.org/srv/app"),
            ("/srv/git/app.git", "/srv/git/app"),
            ("file:///srv/git/app.git", "/srv/git/app"),
            ("../app", "../app"),
        ];
        for (url, expected) in cases {
            assert_eq!(shown(url).as_deref(), Some(expected), "{url}");
        }
        assert_eq!(shown("ext::ssh -i key host %S app"), None);
        assert_eq!(shown(""), None);
    }

    #[test]
    fn no_part_of_a_credential_in_a_url_is_kept() {
        let secret = "Zq7vRt2mXw9pLk4s";
        let urls = [
            format!("https://{secret}@git.example.org/acme/app.git"),
            format!("https://bob:{secret}@git.example.org/acme/app.git"),
            format!("https://bob:{secret}/{secret}@git.example.org/acme/app.git"),
            format!("https://bob:{secret}?{secret}#@git.example.org/acme/app.git"),
            format!("https://bob:{secret}@{secret}@git.example.org/acme/app.git"),
            format!("https://git.example.org/acme/app.git?private_token={secret}"),
            format!("https://git.example.org/acme/app.git#{secret}"),
            format!("{secret}@git.example.org:acme/app.git"),
            format!("codecommit::eu-west-1://{secret}@git.example.org/acme/app"),
        ];
        for url in urls {
            assert_eq!(
                shown(&url).as_deref(),
                Some("git.example.org/acme/app"),
                "{url}"
            );
        }
    }

    #[test]
    fn a_name_that_is_a_url_is_shown_as_its_address() {
        let secret = "Zq7vRt2mXw9pLk4s";
        let named = |name: &str| shown_name(name.as_bytes());
        let plain = |name: &str| Some(name.as_bytes().to_vec());
        for name in ["origin", "team/backup", "a.b:c"] {
            assert_eq!(named(name), plain(name));
        }
        for name in [
            format!("https://bob:{secret}@git.example.org/acme/app.git"),
            format!("https://git.example.org/acme/app?private_token={secret}"),
            format!("bob:{secret}@git.example.org:acme/app"),
        ] {
            assert_eq!(named(&name), plain("git.example.org/acme/app"), "{name}");
        }
        assert_eq!(
            named(&format!("file://bob:{secret}@/srv/app")),
            plain("/srv/app")
        );
        assert_eq!(named(&format!("ext::curl -u {secret}")), None);
    }

    #[test]
    fn the_format_of_git_config_is_read() {
        let text = br#"
; comment
[core]
	bare = true # yes
[remote "ori\"gin"] url = "https://x.example/a b" ; after
	URL = ignored
	fetch = +refs/heads/*:refs/remotes/origin/*
	fetch = refs/tags/v1
[branch "fea\\ture.x"]
	remote = \
origin
	merge = refs/heads/main
[Extensions]
	objectFormat = sha256
[remote]
	pushDefault = other
"#;
        let config = Config::parse(text);
        assert!(config.bare && config.unsupported && !config.cut);
        let remote = RemoteConfig {
            name: b"ori\"gin".to_vec(),
            address: Some(b"x.example/a b".to_vec()),
            fetch: vec![(b"refs/heads/*".to_vec(), b"refs/remotes/origin/*".to_vec())],
        };
        assert_eq!(config.remotes, [remote]);
        let branch = BranchConfig {
            name: b"fea\\ture.x".to_vec(),
            remote: b"origin".to_vec(),
            merge: b"refs/heads/main".to_vec(),
        };
        assert_eq!(config.branches, [branch]);
    }

    #[test]
    fn refspecs_lead_from_one_side_to_the_other() {
        let (from, to) = (b"refs/heads/*", b"refs/remotes/origin/*");
        let star = matched(from, b"refs/heads/feature/x").unwrap();
        assert_eq!(filled(to, star), b"refs/remotes/origin/feature/x");
        assert_eq!(matched(from, b"refs/tags/v1"), None);
        assert_eq!(
            matched(b"refs/heads/main", b"refs/heads/main"),
            Some(&b""[..])
        );
    }
}
