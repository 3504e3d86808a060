//! Real events where this host gives them, and any bytes at all for the parser.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use proptest::prelude::*;

use super::*;

/// What happened under `directory` while `change` ran, as (bits, path); `None` where this host gives
/// no group or no mark.
fn seen(directory: &Path, change: impl FnOnce(), until: &str) -> Option<Vec<(u64, PathBuf)>> {
    let group = Group::new().ok()?;
    let open = open_directory(directory).unwrap();
    group.mark_directory(open.as_fd()).ok()?;
    change();
    let mut seen = Vec::new();
    let mut buffer = vec![0; BUFFER];
    let deadline = Instant::now() + Duration::from_secs(20);
    while !seen
        .iter()
        .any(|(_, path): &(u64, PathBuf)| path.ends_with(until))
    {
        assert!(Instant::now() < deadline, "no event for {until}: {seen:?}");
        let wait = PollTimeout::from(100u8);
        poll(&mut [PollFd::new(group.as_fd(), PollFlags::POLLIN)], wait).unwrap();
        for event in events(group.read(&mut buffer).unwrap()) {
            let at = event.at.expect("a mark with names gives names");
            assert_eq!(
                at.directory.filesystem,
                FilesystemId::of(open.as_fd()).unwrap()
            );
            match at.directory.resolve(open.as_fd()) {
                Ok(Resolved::Path(path)) => {
                    let name = std::ffi::OsStr::from_bytes(at.name);
                    seen.push((event.mask, path.join(name)));
                }
                Ok(Resolved::Gone) => {}
                // Resolving wants a capability that this test may not have.
                Err(error) if error.errno() == Some(libc::EPERM) => return None,
                Err(error) => panic!("{error}: {:?}", error.source),
            }
        }
    }
    Some(seen)
}

use std::os::unix::ffi::OsStrExt;

#[test]
fn a_written_file_is_seen_at_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    let change = || {
        std::fs::write(path.join("first"), "x").unwrap();
        std::fs::rename(path.join("first"), path.join("second")).unwrap();
        std::fs::create_dir(path.join("inner")).unwrap();
        std::fs::remove_file(path.join("second")).unwrap();
        std::fs::write(path.join("last"), "x").unwrap();
    };
    let Some(seen) = seen(&path, change, "last") else {
        return; // this host or user has no such events
    };
    let bits = |name: &str| {
        let path = path.join(name);
        let of = seen.iter().filter(|(_, at)| *at == path);
        of.fold(0, |bits, (mask, _)| bits | mask)
    };
    assert_eq!(bits("first") & MOVED_FROM, MOVED_FROM);
    assert_eq!(bits("second") & (MOVED_TO | DELETE), MOVED_TO | DELETE);
    assert_eq!(bits("inner") & (CREATE | ONDIR), CREATE | ONDIR);
    assert_eq!(bits("last") & CREATE, CREATE);
}

#[test]
fn a_directory_that_has_gone_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let Ok(group) = Group::new() else {
        return; // this host or user has no such group
    };
    let inner = directory.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    if group
        .mark_directory(open_directory(&inner).unwrap().as_fd())
        .is_err()
    {
        return; // this filesystem has no handles
    }
    std::fs::write(inner.join("file"), "x").unwrap();
    std::fs::remove_dir_all(&inner).unwrap();
    let mut buffer = vec![0; BUFFER];
    let mount = open_directory(directory.path()).unwrap();
    let first = events(group.read(&mut buffer).unwrap()).next().unwrap();
    match first.at.unwrap().directory.resolve(mount.as_fd()) {
        Ok(Resolved::Gone) => {}
        Err(error) if error.errno() == Some(libc::EPERM) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_filesystem_is_marked_where_this_user_may() {
    let (Ok(group), Ok(root)) = (Group::new(), open_directory(Path::new("/tmp"))) else {
        return;
    };
    match group.mark_filesystem(root.as_fd()) {
        Ok(()) => {
            let file = tempfile::NamedTempFile::new_in("/tmp").unwrap();
            let name = file.path().file_name().unwrap().as_bytes().to_vec();
            drop(file);
            let mut buffer = vec![0; BUFFER];
            let mut found = false;
            let deadline = Instant::now() + Duration::from_secs(20);
            while !found && Instant::now() < deadline {
                let wait = PollTimeout::from(100u8);
                poll(&mut [PollFd::new(group.as_fd(), PollFlags::POLLIN)], wait).unwrap();
                let read = group.read(&mut buffer).unwrap();
                found = events(read).any(|event| {
                    event.mask & OVERFLOW != 0 || event.at.is_some_and(|at| at.name == name)
                });
            }
            assert!(found);
        }
        Err(error) => assert!(error.errno().is_some()),
    }
}

/// One event in the kernel's layout.
fn raw(mask: u64, handle: &[u8], name: &[u8]) -> Vec<u8> {
    let mut record = vec![libc::FAN_EVENT_INFO_TYPE_DFID_NAME, 0];
    let length = INFO + HANDLE_HEAD + handle.len() + name.len() + 1;
    record.extend(u16::try_from(length).unwrap().to_ne_bytes());
    record.extend(7i32.to_ne_bytes());
    record.extend(9i32.to_ne_bytes());
    record.extend(u32::try_from(handle.len()).unwrap().to_ne_bytes());
    record.extend(1i32.to_ne_bytes());
    record.extend(handle);
    record.extend(name);
    record.push(0);
    let mut event = u32::try_from(METADATA + record.len())
        .unwrap()
        .to_ne_bytes()
        .to_vec();
    event.extend([libc::FANOTIFY_METADATA_VERSION, 0]);
    event.extend(24u16.to_ne_bytes());
    event.extend(mask.to_ne_bytes());
    event.extend((-1i32).to_ne_bytes());
    event.extend(42i32.to_ne_bytes());
    event.extend(record);
    event
}

#[test]
fn an_overflow_has_no_place() {
    let mut event = 24u32.to_ne_bytes().to_vec();
    event.extend([libc::FANOTIFY_METADATA_VERSION, 0, 24, 0]);
    event.extend(OVERFLOW.to_ne_bytes());
    event.extend([0xff; 4]);
    event.extend([0; 4]);
    let parsed: Vec<Event<'_>> = events(&event).collect();
    assert_eq!(parsed[0].mask, OVERFLOW);
    assert!(parsed[0].at.is_none());
}

proptest! {
    #[test]
    fn events_read_back_as_written(
        written in proptest::collection::vec(
            (any::<u64>(), proptest::collection::vec(any::<u8>(), 0..HANDLE),
             proptest::collection::vec(1u8..=255, 1..255)), 0..20)
    ) {
        let bytes: Vec<u8> =
            written.iter().flat_map(|(mask, handle, name)| raw(*mask, handle, name)).collect();
        let read: Vec<_> = events(&bytes).map(|event| {
            let at = event.at.unwrap();
            (event.mask, at.directory.bytes.to_vec(), at.name.to_vec())
        }).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(events(&bytes).count() <= bytes.len() / METADATA);
    }

    #[test]
    fn no_flipped_byte_breaks_the_parser(at in 0usize..80, value in any::<u8>()) {
        let mut bytes = raw(CREATE, &[1, 2, 3, 4, 5, 6, 7, 8], b"name");
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        for event in events(&bytes) {
            if let Some(at) = event.at {
                prop_assert!(at.directory.bytes.len() <= HANDLE);
            }
        }
    }
}
