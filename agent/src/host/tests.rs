//! A root keeps every path inside itself, and says who may read it.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::job::Names;

fn fixture() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    for directory in ["etc", "home/app/.ssh", "srv/deep", "root"] {
        std::fs::create_dir_all(at(directory)).unwrap();
    }
    let passwd = "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/bash\n\
                  daemon:x:2:2::/:/bin/false\n#old:x:9:9::/home/old:/bin/sh\nbroken\n";
    std::fs::write(at("etc/passwd"), passwd).unwrap();
    std::fs::write(at("etc/group"), "root:x:0:\nops:x:1000:app\n").unwrap();
    std::fs::write(at("srv/deep/file"), "inside").unwrap();
    symlink("/srv/deep", at("etc/absolute")).unwrap();
    symlink("../../../../srv/deep", at("etc/climbing")).unwrap();
    symlink("loop", at("etc/loop")).unwrap();
    symlink("/etc/hostname", at("etc/outside")).unwrap();
    dir
}

/// Both ways of resolving: the kernel's and by components.
fn both(dir: &Path) -> [Root; 2] {
    let kernel = Root::at(dir).unwrap();
    let mut components = Root::at(dir).unwrap();
    components.in_root = false;
    [kernel, components]
}

#[test]
fn links_and_dots_stay_inside() {
    let dir = fixture();
    for root in both(dir.path()) {
        for path in [
            "/srv/deep/file",
            "/etc/absolute/file",
            "/etc/climbing/file",
            "/../../srv/deep/file",
            "srv/./deep/../deep/file",
        ] {
            let text = root.read(Path::new(path), 100);
            assert_eq!(text.as_deref(), Ok(&b"inside"[..]), "{path}");
        }
        assert_eq!(root.read(Path::new("/etc/outside"), 100), Err(Errno::NOENT));
        assert_eq!(root.read(Path::new("/etc/loop"), 100), Err(Errno::LOOP));
        assert_eq!(root.read(Path::new("/etc/nothing"), 100), Err(Errno::NOENT));
        assert_eq!(root.read(Path::new("/srv/deep/file"), 3), Err(Errno::FBIG));
        assert_eq!(root.read(Path::new("/srv"), 3), Err(Errno::INVAL));
        let link = root.open(Path::new("/etc/absolute"), OFlags::PATH | OFlags::NOFOLLOW);
        let mode = rustix::fs::fstat(link.unwrap()).unwrap().st_mode;
        assert_eq!(mode & 0o170_000, 0o120_000);
    }
}

#[test]
fn users_and_homes_come_from_the_roots_own_files() {
    let dir = fixture();
    let root = Root::at(dir.path()).unwrap();
    let accounts = root.accounts();
    assert_eq!(accounts.user(1000), b"app");
    assert_eq!(accounts.user(4000), b"4000");
    assert_eq!(accounts.group(1000), b"ops");
    assert_eq!(accounts.uid("app"), Some(1000));
    let homes: Vec<_> = accounts
        .homes()
        .iter()
        .map(|home| home.path.to_str().unwrap())
        .collect();
    assert_eq!(homes, ["/root", "/home/app"]);
    let home = accounts
        .home_of(Path::new("/home/app/.bash_history"))
        .unwrap();
    assert_eq!(home.user, b"app");
    assert!(accounts.home_of(Path::new("/home/application")).is_none());
}

#[test]
fn homes_that_passwd_does_not_know_are_found() {
    let dir = fixture();
    std::fs::create_dir(dir.path().join("home/ldap-user")).unwrap();
    let root = Root::at(dir.path()).unwrap();
    assert!(
        root.accounts()
            .home_of(Path::new("/home/ldap-user/x"))
            .is_some()
    );
}

#[test]
fn a_closed_directory_above_closes_the_file() {
    let dir = fixture();
    let root = Root::at(dir.path()).unwrap();
    let set = |path: &str, mode: u32| {
        let path = dir.path().join(path);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let reach = || {
        root.forget();
        let path = Path::new("/srv/deep/file");
        let file = root.open(path, OFlags::RDONLY).unwrap();
        let stat = rustix::fs::fstat(&file).unwrap();
        reach::of_file(
            &root,
            path,
            &stat,
            Some(file.as_fd()),
            &mut Names::default(),
        )
    };
    set("", 0o755);
    set("srv", 0o755);
    set("srv/deep", 0o755);
    set("srv/deep/file", 0o644);
    let open = reach();
    assert!(open.world_readable && open.group_readable && !open.acl);
    assert_eq!(open.mode, Some(0o644));
    set("srv", 0o700);
    let closed = reach();
    assert!(!closed.world_readable && !closed.group_readable);
    set("srv", 0o755);
    set("srv/deep/file", 0o600);
    let private = reach();
    assert!(!private.world_readable && !private.group_readable);
}

#[test]
fn what_is_denied_of_a_repository_is_not_opened_and_not_followed() {
    use akwatch_detect::repository::Ask;

    use super::repository::{Inside, Location, Repository, around};
    use crate::config::{Glob, GlobSet};
    use crate::open::Opener;

    let dir = fixture();
    let at = |path: &str| dir.path().join(path);
    for directory in [
        "srv/app/.git/objects",
        "srv/app/.git/refs/heads",
        "srv/linked/a",
    ] {
        std::fs::create_dir_all(at(directory)).unwrap();
    }
    let id = "0123456789abcdef0123456789abcdef01234567";
    for file in ["HEAD", "config", "refs/heads/main"] {
        std::fs::write(at("srv/app/.git").join(file), id).unwrap();
    }
    std::fs::write(at("srv/linked/.git"), "gitdir: ../app/.git\n").unwrap();
    let root = std::sync::Arc::new(Root::at(dir.path()).unwrap());
    let (location, inside) = around(&root, Path::new("/srv/linked/a/.env"))
        .unwrap()
        .unwrap();
    assert_eq!(location.top, Path::new("/srv/linked"));
    assert_eq!(inside, Inside::WorkTree(b"a/.env".to_vec()));

    let given = |deny: &str, location: &Location| {
        let globs: Vec<Glob> = Some(deny.to_owned())
            .filter(|deny| !deny.is_empty())
            .into_iter()
            .map(|deny| Glob::try_from(deny).unwrap())
            .collect();
        let opener = Opener::new(
            std::sync::Arc::clone(&root),
            GlobSet::new(&globs, &[]).unwrap(),
        );
        let repository = Repository::open(&opener, location).ok()?;
        let files = (0..3).map(|file| repository.give(&opener, Ask::File(file)).is_some());
        Some(files.collect::<Vec<bool>>())
    };
    assert_eq!(given("", &location), Some(vec![true; 3]));
    let config = given("/srv/app/.git/config", &location);
    assert_eq!(config, Some(vec![true, false, true]));
    assert_eq!(given("/srv/app", &location), None);
    assert_eq!(given("/srv/linked", &location), None);
}

/// A directory that was swapped for a link leads to where its owner may lead, not where this process may
/// go.
#[test]
fn a_link_on_the_way_is_followed_where_its_owner_owns_what_it_leads_to() {
    if !rustix::process::geteuid().is_root() {
        return; // only root can give a file away
    }
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let owners = |name: &str, uid| std::os::unix::fs::lchown(path(name), Some(uid), None).unwrap();
    for (of, uid) in [("root", 0), ("bob", 1001), ("eve", 1002)] {
        std::fs::create_dir_all(path(of)).unwrap();
        std::fs::write(path(&format!("{of}/file")), of).unwrap();
        for link in [("roots", 0), ("bobs", 1001)] {
            let name = format!("{}-to-{of}", link.0);
            symlink(of, path(&name)).unwrap();
            owners(&name, link.1);
        }
        owners(of, uid);
        owners(&format!("{of}/file"), uid);
    }
    let mut root = Root::at(directory.path()).unwrap();
    for in_root in [true, false] {
        root.in_root &= in_root;
        let opens = |name: &str| {
            let name = PathBuf::from(format!("/{name}"));
            root.open_guarded(&name, OFlags::PATH | OFlags::NOFOLLOW)
        };
        for name in [
            "bob/file",
            "roots-to-root/file",
            "roots-to-bob/file",
            "bobs-to-bob/file",
        ] {
            assert!(opens(name).is_ok(), "{name}");
        }
        for name in ["bobs-to-root/file", "bobs-to-eve/file"] {
            assert_eq!(opens(name).err(), Some(Errno::LOOP), "{name}");
        }
        // The last name is opened as what it is.
        assert!(opens("bobs-to-root").is_ok());
        assert_eq!(opens("bob/none").err(), Some(Errno::NOENT));
    }
}

/// A user puts into `~/.config/systemd/user` whatever it likes: what leads elsewhere is not read, and
/// what is no file is not even opened.
#[test]
fn a_users_unit_is_read_where_it_is_that_users_own() {
    if !rustix::process::geteuid().is_root() {
        return; // only root can give a file away
    }
    let directory = tempfile::tempdir().unwrap();
    let home = Path::new("/home/bob");
    let units = ".config/systemd/user";
    let path = |name: &str| directory.path().join("home/bob").join(units).join(name);
    for made in ["own.service.d", "elsewhere"] {
        std::fs::create_dir_all(path(made)).unwrap();
    }
    let roots = directory.path().join("root");
    std::fs::create_dir_all(roots.join("x.d")).unwrap();
    let text = |file: &str| format!("[Service]\nEnvironmentFile=/secret/{file}\n");
    std::fs::write(roots.join("unit"), text("of-root")).unwrap();
    std::fs::write(roots.join("x.d/a.conf"), text("of-root")).unwrap();
    for file in ["own.service", "own.service.d/a.conf", "elsewhere/linked"] {
        std::fs::write(path(file), text("own")).unwrap();
    }
    symlink("elsewhere/linked", path("linked.service")).unwrap();
    symlink("/root/unit", path("stolen.service")).unwrap();
    symlink("/root/x.d", path("stolen.service.d")).unwrap();
    nix::unistd::mkfifo(&path("pipe.service"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink("/dev/tty", path("device.service")).unwrap();
    for entry in [
        "own.service",
        "own.service.d",
        "own.service.d/a.conf",
        "elsewhere/linked",
        "linked.service",
        "stolen.service",
        "stolen.service.d",
        "device.service",
    ] {
        std::os::unix::fs::lchown(path(entry), Some(1001), None).unwrap();
    }
    let root = Root::at(directory.path()).unwrap();
    let named = |unit: &str| -> Vec<String> {
        let files = units::files_of(&root, unit.as_bytes(), Some(home));
        let files = files
            .into_iter()
            .map(|file| String::from_utf8(file).unwrap());
        files.filter(|file| file.starts_with("/secret/")).collect()
    };
    for unit in ["own.service", "linked.service"] {
        assert_eq!(named(unit), ["/secret/own"], "{unit}");
    }
    for unit in ["stolen.service", "pipe.service", "device.service"] {
        assert!(named(unit).is_empty(), "{unit}");
    }
}
