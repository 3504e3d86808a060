//! Which files are asked for a keystore's password, in which order, and which never.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::sync::Arc;

use sha1::{Digest as _, Sha1};

use super::*;
use crate::config::{Glob, GlobSet};
use crate::host::Root;
use crate::job::{JobId, Target, TargetPlace, Urgency};

/// A keystore in Java's own form with a private key that is none, under a password.
pub(crate) fn keystore(password: &str) -> Vec<u8> {
    let mut store = vec![
        0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, b'k',
    ];
    store.extend((0..600_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[1]));
    let mut digest = Sha1::new();
    for unit in password.encode_utf16() {
        digest.update(unit.to_be_bytes());
    }
    digest.update(b"Mighty Aphrodite");
    digest.update(&store);
    store.extend(digest.finalize());
    store
}

const APP: u32 = 1000;
const EVE: u32 = 1001;
/// A group of `app`'s that is not its own, and one of nobody's.
const TLS: u32 = 500;
const OTHERS: u32 = 501;

/// A host with a directory for a keystore, `/opt/app/conf`.
struct Host {
    directory: tempfile::TempDir,
    opener: Opener,
}

impl Host {
    fn new() -> Host {
        Host::denying("/nothing", "/nothing")
    }

    fn denying(deny: &str, exclude: &str) -> Host {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("opt/app/conf")).unwrap();
        std::fs::create_dir_all(directory.path().join("etc")).unwrap();
        let passwd = "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/opt/app:/bin/sh\neve:x:1001:1001::/home/eve:/bin/sh\n";
        std::fs::write(directory.path().join("etc/passwd"), passwd).unwrap();
        let group = "app:x:1000:\ntls:x:500:www, app\nothers:x:501:www\n";
        std::fs::write(directory.path().join("etc/group"), group).unwrap();
        let set = |glob: &str| {
            let glob = Glob::try_from(glob.to_owned()).unwrap();
            GlobSet::new([&glob], &[]).unwrap()
        };
        let root = Arc::new(Root::at(directory.path()).unwrap());
        let opener = Opener::new(root, set(deny)).without(set(exclude));
        Host { directory, opener }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str) -> &Host {
        std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        std::fs::write(self.at(path), "word\n").unwrap();
        self
    }

    fn give(&self, path: &str, uid: u32, gid: u32, mode: u32) -> &Host {
        self.write(path);
        chown(self.at(path), Some(uid), Some(gid)).unwrap();
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.at(path), mode).unwrap();
        self
    }

    fn beside(&self, path: &str) -> Beside {
        let (_, stat) = self.opener.regular_file(Path::new(path)).unwrap();
        self.opener.beside(Path::new(path), &stat)
    }

    fn names(&self, path: &str) -> Vec<String> {
        let beside = self.beside(path);
        let names = beside.companions.iter();
        names
            .map(|one| one.path.to_str().unwrap().to_owned())
            .collect()
    }

    #[track_caller]
    fn left_out(&self, path: &str, name: &str) -> &'static str {
        let beside = self.beside(path);
        let mut left_out = beside.left_out.iter();
        let found = left_out.find(|(path, _)| path == Path::new(name));
        found.unwrap_or_else(|| panic!("{name} is not left out")).1
    }
}

const STORE: &str = "/opt/app/conf/server.jks";

#[test]
fn keystores_are_known_by_their_names() {
    for name in [
        "a.jks",
        "A.JKS",
        "a.p12",
        "a.pfx",
        "a.jceks",
        "keystore",
        ".keystore",
        "a.bcfks",
        "debug.keystore",
        "kafka.client.truststore",
        "a.jks.bak",
        "a.p12~",
        "b/a.ks",
        "a.jks.1",
    ] {
        assert!(is_keystore(name.as_bytes()), "{name}");
    }
    for name in [
        "",
        "a",
        "a.pem",
        "keystore.properties",
        "jks.xml",
        "a.jks/b",
        "a.bak",
        "a.ts",
        "~",
        ".",
        "keystore.pass",
        "a.p12.enc",
    ] {
        assert!(!is_keystore(name.as_bytes()), "{name}");
    }
}

#[test]
fn likely_names_come_first_and_others_not_at_all() {
    let host = Host::new();
    for name in [
        "server.jks",
        "server.p12",
        "application.yml",
        "application.properties",
        "db.password",
        "server.env",
        "x.sh",
        ".env",
        "notes.md",
        "server.pem",
        "server.key",
        "passwords.jar",
        "logo.png",
    ] {
        host.write(&format!("/opt/app/conf/{name}"));
    }
    let expected = [
        "server.env",
        "db.password",
        ".env",
        "application.properties",
        "application.yml",
        "x.sh",
    ]
    .map(|name| format!("/opt/app/conf/{name}"));
    assert_eq!(host.names(STORE), expected);
}

#[test]
fn the_directory_above_has_a_share_and_the_root_none() {
    let host = Host::new();
    host.write(STORE);
    for number in 0..20 {
        host.write(&format!("/opt/app/conf/{number:02}.yml"));
        host.write(&format!("/opt/app/{number:02}.yml"));
    }
    let beside = host.beside(STORE);
    let above: Vec<bool> = beside.companions.iter().map(|one| one.above).collect();
    assert_eq!(above.len(), MOST);
    assert_eq!(above.iter().filter(|above| **above).count(), MOST_ABOVE);
    assert!(!above[0], "its own directory comes first");
    assert_eq!(host.left_out(STORE, "/opt/app/conf/19.yml"), "too-many");
    host.write("/a.jks").write("/b/c.jks").write("/app.yml");
    assert_eq!(host.names("/b/c.jks"), [""; 0]);
    assert_eq!(host.names("/a.jks"), ["/app.yml"]);
}

#[test]
fn what_is_no_plain_small_file_is_left_alone() {
    let host = Host::denying("/opt/app/conf/denied.yml", "/opt/app/conf/excluded.yml");
    for name in [
        "server.jks",
        "denied.yml",
        "excluded.yml",
        "empty.yml",
        "good.yml",
    ] {
        host.write(&format!("/opt/app/conf/{name}"));
    }
    std::fs::write(host.at("/opt/app/conf/empty.yml"), "").unwrap();
    std::fs::create_dir(host.at("/opt/app/conf/directory.yml")).unwrap();
    symlink("good.yml", host.at("/opt/app/conf/link.yml")).unwrap();
    nix::unistd::mkfifo(
        &host.at("/opt/app/conf/fifo.yml"),
        nix::sys::stat::Mode::S_IRWXU,
    )
    .unwrap();
    let large = std::fs::File::create(host.at("/opt/app/conf/large.yml")).unwrap();
    large.set_len(LARGEST + 1).unwrap();
    assert_eq!(host.names(STORE), ["/opt/app/conf/good.yml"]);
    for (name, why) in [
        ("denied", "denied-by-configuration"),
        ("excluded", "denied-by-configuration"),
        ("large", "too-large"),
    ] {
        assert_eq!(
            host.left_out(STORE, &format!("/opt/app/conf/{name}.yml")),
            why
        );
    }
}

/// The rule that keeps somebody from learning by a keystore of their own what a file of root's holds.
#[test]
fn a_companion_is_one_that_the_keystores_owner_can_read_and_no_stranger_wrote() {
    if !rustix::process::geteuid().is_root() {
        return; // only root can give a file away
    }
    let asked = |store: u32, owner: u32, group: u32, mode: u32| {
        let host = Host::new();
        host.give(STORE, store, store, 0o600);
        host.give("/opt/app/conf/app.yml", owner, group, mode);
        !host.names(STORE).is_empty()
    };
    for (store, owner, group, mode, expected) in [
        // Root's own beside root's own.
        (0, 0, 0, 0o600, true),
        // An application's settings are its own, or root's and for it to read.
        (APP, APP, APP, 0o600, true),
        (APP, 0, 0, 0o644, true),
        (APP, 0, APP, 0o640, true),
        (APP, 0, TLS, 0o640, true),
        // What the keystore's owner cannot read is not asked.
        (APP, 0, 0, 0o600, false),
        (APP, 0, 0, 0o640, false),
        (APP, 0, OTHERS, 0o640, false),
        (EVE, 0, APP, 0o640, false),
        // A group that is kept out, though all others are not.
        (APP, 0, TLS, 0o604, false),
        // A stranger's guesses are not tried, least of all on root's.
        (0, EVE, EVE, 0o644, false),
        (APP, EVE, EVE, 0o644, false),
    ] {
        let case = format!("{store} {owner} {group} {mode:o}");
        assert_eq!(asked(store, owner, group, mode), expected, "{case}");
    }
}

#[test]
fn a_name_of_a_file_says_nothing_of_whose_it_is() {
    if !rustix::process::geteuid().is_root() {
        return; // only root can give a file away
    }
    let host = Host::new();
    host.give("/home/eve/eve.jks", EVE, EVE, 0o600);
    host.give("/etc/secret.yml", 0, 0, 0o600);
    // Her own name for a file of root's beside her keystore, as where the kernel lets her make one.
    std::fs::hard_link(host.at("/etc/secret.yml"), host.at("/home/eve/a.yml")).unwrap();
    assert_eq!(host.names("/home/eve/eve.jks"), [""; 0]);
    assert_eq!(
        host.left_out("/home/eve/eve.jks", "/home/eve/a.yml"),
        "another-owner"
    );
    // And for root's keystore beside her own guesses.
    host.give("/etc/root.jks", 0, 0, 0o600);
    std::fs::hard_link(host.at("/etc/root.jks"), host.at("/home/eve/root.jks")).unwrap();
    host.give("/home/eve/guesses.yml", EVE, EVE, 0o644);
    assert!(
        !host
            .names("/home/eve/root.jks")
            .contains(&"/home/eve/guesses.yml".to_owned())
    );
    // Her keystore where she cannot go any more, beside what only the way there guards.
    host.give("/srv/private/eve.jks", EVE, EVE, 0o600);
    host.give("/srv/private/app.yml", 0, 0, 0o644);
    let closed = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(host.at("/srv/private"), closed).unwrap();
    assert_eq!(host.names("/srv/private/eve.jks"), [""; 0]);
}

#[test]
fn a_directory_of_any_size_costs_a_bound_and_says_so() {
    let host = Host::new();
    host.write(STORE);
    for number in 0..NAMES + 50 {
        std::fs::write(host.at(&format!("/opt/app/conf/{number}.yml")), "a: b\n").unwrap();
    }
    let beside = host.beside(STORE);
    assert_eq!(beside.companions.len(), MOST);
    assert!(beside.left_out.len() <= TRIED + 1);
    assert_eq!(host.left_out(STORE, "/opt/app/conf"), "too-many");
}

#[test]
fn what_comes_to_a_directory_is_seen_the_next_time() {
    let host = Host::new();
    host.write(STORE);
    for name in ["a", "b", "c"] {
        let path = format!("/opt/app/conf/{name}.yml");
        host.write(&path);
        assert!(host.names(STORE).contains(&path), "{path}");
    }
    std::fs::remove_file(host.at("/opt/app/conf/a.yml")).unwrap();
    assert_eq!(host.names(STORE).len(), 2);
}

#[test]
fn a_keystores_job_has_its_companions_and_no_other_job_any() {
    let host = Host::new();
    host.write(STORE)
        .write("/opt/app/conf/app.yml")
        .write("/opt/app/b.yml");
    let open = |path: &str| {
        let target = Target {
            what: TargetPlace::File(PathBuf::from(path)),
            urgency: Urgency::Live,
        };
        host.opener.open(&target, JobId(1)).unwrap()
    };
    let (job, pending) = open(STORE);
    let names: Vec<&[u8]> = job
        .header
        .companions
        .iter()
        .map(|one| &one.name[..])
        .collect();
    assert_eq!(names, [&b"/opt/app/conf/app.yml"[..], b"/opt/app/b.yml"]);
    let above: Vec<bool> = job.header.companions.iter().map(|one| one.above).collect();
    assert_eq!(above, [false, true]);
    assert_eq!(job.contents.len(), 3);
    // They are no part: what is read of them decides nothing.
    assert_eq!((job.header.parts.len(), pending.expected.len()), (1, 1));
    assert_eq!(
        job.header
            .names
            .iter()
            .filter(|name| name.ends_with(b".yml"))
            .count(),
        0
    );
    let (job, _) = open("/opt/app/conf/app.yml");
    assert!(job.header.companions.is_empty() && job.contents.len() == 1);
}
