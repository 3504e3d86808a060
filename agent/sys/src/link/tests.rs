//! Links between real sockets: what arrives is what was sent, and a hostile end gets nothing.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use proptest::prelude::*;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn file_with(text: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

/// Sends raw bytes and descriptors past the framing, as a hostile end would, and then closes;
/// gives the error that the honest end sees.
fn refused(bytes: &[u8], descriptors: usize) -> LinkError {
    let (hostile, mut honest) = Channel::pair().unwrap();
    let file = file_with("x");
    let numbers = vec![file.as_raw_fd(); descriptors];
    let ancillary = [ControlMessage::ScmRights(&numbers)];
    let ancillary = if descriptors == 0 {
        &ancillary[..0]
    } else {
        &ancillary[..]
    };
    let raw = hostile.as_fd().as_raw_fd();
    sendmsg::<()>(
        raw,
        &[io::IoSlice::new(bytes)],
        ancillary,
        MsgFlags::empty(),
        None,
    )
    .unwrap();
    drop(hostile);
    loop {
        match honest.recv(Some(PATIENCE)) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the link neither spoke nor ended"),
            Err(error) => return error,
        }
    }
}

fn header(length: u32, descriptors: u32) -> Vec<u8> {
    [length.to_le_bytes(), descriptors.to_le_bytes()].concat()
}

#[test]
fn a_frame_arrives_with_its_descriptors_in_order() {
    let (mut one, mut other) = Channel::pair().unwrap();
    let files = [file_with("first"), file_with("second")];
    one.send(b"body", &[files[0].as_fd(), files[1].as_fd()], PATIENCE)
        .unwrap();
    one.send(b"", &[], PATIENCE).unwrap();
    let frame = other.recv(Some(PATIENCE)).unwrap().unwrap();
    assert_eq!(&frame.body[..], b"body");
    let texts: Vec<String> = frame
        .descriptors
        .into_iter()
        .map(|descriptor| {
            let mut text = String::new();
            File::from(descriptor).read_to_string(&mut text).unwrap();
            text
        })
        .collect();
    assert_eq!(texts, ["first", "second"]);
    assert!(other.recv(Some(PATIENCE)).unwrap().unwrap().body.is_empty());
}

#[test]
fn received_descriptors_are_close_on_exec() {
    let (mut one, mut other) = Channel::pair().unwrap();
    one.send(b"x", &[file_with("").as_fd()], PATIENCE).unwrap();
    let frame = other.recv(Some(PATIENCE)).unwrap().unwrap();
    let flags = fcntl(&frame.descriptors[0], FcntlArg::F_GETFD).unwrap();
    assert_eq!(FdFlag::from_bits_truncate(flags), FdFlag::FD_CLOEXEC);
}

#[test]
fn a_frame_larger_than_the_socket_buffer_passes_between_threads() {
    let (mut one, mut other) = Channel::pair().unwrap();
    let body: Vec<u8> = (0..FRAME_LIMIT)
        .map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1])
        .collect();
    let sent = body.clone();
    let writer = std::thread::spawn(move || one.send(&sent, &[], PATIENCE));
    let frame = other.recv(Some(PATIENCE)).unwrap().unwrap();
    assert!(frame.body[..] == body[..]);
    writer.join().unwrap().unwrap();
}

#[test]
fn nothing_there_is_not_an_end() {
    let (one, mut other) = Channel::pair().unwrap();
    assert!(other.recv(Some(Duration::ZERO)).unwrap().is_none());
    drop(one);
    assert!(matches!(other.recv(None), Err(LinkError::Closed)));
}

#[test]
fn a_reader_that_does_not_read_is_given_up() {
    let (mut one, _other) = Channel::pair().unwrap();
    let body = vec![0; FRAME_LIMIT];
    let stalled = one.send(&body, &[], Duration::from_millis(20));
    assert!(matches!(stalled, Err(LinkError::Stalled(_))));
    assert!(matches!(
        one.send(b"", &[], PATIENCE),
        Err(LinkError::Broken)
    ));
}

#[test]
fn too_much_is_refused_before_it_is_sent() {
    let (mut one, mut other) = Channel::pair().unwrap();
    let file = file_with("");
    let many = vec![file.as_fd(); DESCRIPTORS_LIMIT + 1];
    assert!(matches!(
        one.send(b"", &many, PATIENCE),
        Err(LinkError::TooLarge { .. })
    ));
    let long = vec![0; FRAME_LIMIT + 1];
    assert!(matches!(
        one.send(&long, &[], PATIENCE),
        Err(LinkError::TooLarge { .. })
    ));
    one.send(b"still usable", &many[1..], PATIENCE).unwrap();
    let frame = other.recv(Some(PATIENCE)).unwrap().unwrap();
    assert_eq!(frame.descriptors.len(), DESCRIPTORS_LIMIT);
}

#[test]
fn a_hostile_end_is_refused() {
    assert!(matches!(
        refused(&header(u32::MAX, 0), 0),
        LinkError::TooLarge { .. }
    ));
    assert!(matches!(
        refused(&header(0, 33), 0),
        LinkError::TooLarge { .. }
    ));
    assert!(matches!(
        refused(&header(1, 2), 1),
        LinkError::Descriptors { .. }
    ));
    assert!(matches!(
        refused(&header(1, 0), 1),
        LinkError::Descriptors { .. }
    ));
    assert!(matches!(refused(&header(5, 0), 0), LinkError::Cut));
    assert!(matches!(refused(&header(5, 0)[..3], 0), LinkError::Cut));
}

#[test]
fn more_descriptors_than_fit_are_refused_and_closed() {
    let open = || std::fs::read_dir("/proc/self/task/self/fd").map_or(0, Iterator::count);
    let before = open();
    assert!(matches!(refused(&header(0, 32), 100), LinkError::Ancillary));
    // Other tests open descriptors at the same time; a leak here would be 32 of them.
    assert!(open() < before + 24);
}

#[test]
fn the_other_end_is_known_by_its_user() {
    let (one, _other) = Channel::pair().unwrap();
    let peer = one.peer().unwrap();
    assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
    assert_eq!(peer.pid, nix::unistd::getpid().as_raw());
}

#[test]
fn only_unix_streams_are_links() {
    let file = OwnedFd::from(file_with(""));
    assert!(matches!(Channel::over(file), Err(LinkError::NotALink(_))));
    let (socket, _other) = Channel::pair().unwrap();
    assert!(Channel::over(socket.into_socket().unwrap()).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
        let _ = refused(&bytes, 0);
    }
}
