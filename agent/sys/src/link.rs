//! Framed messages with descriptors beside them, over a unix stream socket.
//!
//! Watcher and workers run as different users and talk only through such links. A frame is a header
//! of eight bytes (length of the body, number of descriptors) and the body; descriptors travel with
//! the header (`SCM_RIGHTS`). Bodies may hold captures of environments, so every buffer is wiped when
//! it is dropped. The other end is hostile: lengths and counts are bounded, what was cut off is an
//! error, and descriptors that nobody asked for are closed.
//!
//! Nothing here knows what a body means, and nothing here blocks without a deadline that the caller
//! chose.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, sockopt};
use zeroize::Zeroizing;

use crate::SysError;

/// Bytes in one frame's body. Stops: a worker that makes the watcher allocate without end. A
/// collector's answer (16 MiB at most) and a batch of captures fit.
pub const FRAME_LIMIT: usize = 17 * 1024 * 1024;

/// Descriptors beside one frame. Stops: a peer that fills this process's descriptor table.
pub const DESCRIPTORS_LIMIT: usize = 32;

const HEADER: usize = 8;
/// `CMSG_SPACE` of [`DESCRIPTORS_LIMIT`] descriptors, in 8-byte words so that it is aligned: 16 bytes
/// of header and 4 for each descriptor.
const CONTROL_WORDS: usize = 2 + DESCRIPTORS_LIMIT / 2;

/// Why a link ended or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The other end closed it between two frames: how a worker's or the watcher's end shows.
    #[error("the other end closed the link")]
    Closed,
    /// The other end closed it within a frame.
    #[error("the other end closed the link within a frame")]
    Cut,
    /// The other end announced, or this end was asked to send, more than a frame may hold.
    #[error("a frame of {length} bytes and {descriptors} descriptors is over the link's limits")]
    TooLarge {
        /// Bytes of the body.
        length: usize,
        /// Descriptors beside it.
        descriptors: usize,
    },
    /// The descriptors that arrived are not those that the frame announced.
    #[error("a frame announced {announced} descriptors and {arrived} arrived")]
    Descriptors {
        /// In the header.
        announced: usize,
        /// Received.
        arrived: usize,
    },
    /// Ancillary data was cut off, or came where none belongs.
    #[error("ancillary data was cut off or out of place")]
    Ancillary,
    /// The other end did not take the frame in time; the link cannot be used any more.
    #[error("the other end did not read within {0:?}")]
    Stalled(Duration),
    /// An earlier failure left the link within a frame.
    #[error("the link is broken since an earlier failure")]
    Broken,
    /// The descriptor is not an inherited unix stream socket.
    #[error("descriptor {0} is not an inherited unix stream socket")]
    NotALink(RawFd),
    /// A system call failed.
    #[error(transparent)]
    Sys(#[from] SysError),
}

/// One message: its body, wiped when dropped, and the descriptors beside it.
pub struct Frame {
    /// The bytes.
    pub body: Zeroizing<Vec<u8>>,
    /// Open descriptors, close-on-exec, in the order in which they were sent.
    pub descriptors: Vec<OwnedFd>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (bytes, descriptors) = (self.body.len(), self.descriptors.len());
        write!(f, "Frame({bytes} bytes, {descriptors} descriptors)")
    }
}

/// Who made the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its process when it connected.
    pub pid: i32,
    /// Its effective user then.
    pub uid: u32,
    /// Its effective group then.
    pub gid: u32,
}

/// Both directions of a link; [`Channel::split`] gives each to its own thread.
#[derive(Debug)]
pub struct Channel {
    /// What writes.
    pub sender: Sender,
    /// What reads.
    pub receiver: Receiver,
}

impl Channel {
    /// Two connected ends, both close-on-exec.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn pair() -> Result<(Channel, Channel), LinkError> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (one, other) = socket::socketpair(AddressFamily::Unix, SockType::Stream, None, flags)
            .map_err(|errno| SysError::of("socketpair", errno))?;
        Ok((Channel::new(one), Channel::new(other)))
    }

    /// Frames over a connected unix stream socket: an accepted connection, or a received end.
    ///
    /// # Errors
    /// [`LinkError::NotALink`] when it is something else.
    pub fn over(socket: OwnedFd) -> Result<Channel, LinkError> {
        if is_unix_stream(socket.as_fd()) {
            Ok(Channel::new(socket))
        } else {
            Err(LinkError::NotALink(socket.as_raw_fd()))
        }
    }

    /// Takes over an end that this process was started with, by its number.
    ///
    /// # Errors
    /// [`LinkError::NotALink`] when the number is no inherited unix stream socket.
    pub fn inherited(number: RawFd) -> Result<Channel, LinkError> {
        let socket =
            crate::process::take_inherited(number).map_err(|_| LinkError::NotALink(number))?;
        Channel::over(socket)
    }

    fn new(socket: OwnedFd) -> Channel {
        let socket = Arc::new(socket);
        Channel {
            sender: Sender {
                socket: Arc::clone(&socket),
                broken: false,
            },
            receiver: Receiver {
                socket,
                partial: Partial::new(),
                broken: false,
            },
        }
    }

    /// Who made the other end.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn peer(&self) -> Result<Peer, LinkError> {
        let credentials = socket::getsockopt(&self.receiver.socket, sockopt::PeerCredentials)
            .map_err(|errno| SysError::of("getsockopt(SO_PEERCRED)", errno))?;
        Ok(Peer {
            pid: credentials.pid(),
            uid: credentials.uid(),
            gid: credentials.gid(),
        })
    }

    /// Sends one frame: see [`Sender::send`].
    ///
    /// # Errors
    /// As there.
    pub fn send(
        &mut self,
        body: &[u8],
        descriptors: &[BorrowedFd<'_>],
        patience: Duration,
    ) -> Result<(), LinkError> {
        self.sender.send(body, descriptors, patience)
    }

    /// Receives one frame: see [`Receiver::recv`].
    ///
    /// # Errors
    /// As there.
    pub fn recv(&mut self, wait: Option<Duration>) -> Result<Option<Frame>, LinkError> {
        self.receiver.recv(wait)
    }

    /// Each direction by itself, so that one thread can read while another writes.
    #[must_use]
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// The socket, to hand it on. What was received of an unfinished frame is dropped.
    #[must_use]
    pub fn into_socket(self) -> Option<OwnedFd> {
        let Channel { sender, receiver } = self;
        drop(sender);
        Arc::into_inner(receiver.socket)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

/// The writing half of a link.
#[derive(Debug)]
pub struct Sender {
    socket: Arc<OwnedFd>,
    broken: bool,
}

impl Sender {
    /// Sends one frame whole, waiting at most `patience` for the other end to make room. A frame that
    /// was sent in part breaks the link: the caller drops it.
    ///
    /// # Errors
    /// [`LinkError::TooLarge`] before anything is sent; else what ended the link.
    pub fn send(
        &mut self,
        body: &[u8],
        descriptors: &[BorrowedFd<'_>],
        patience: Duration,
    ) -> Result<(), LinkError> {
        if self.broken {
            return Err(LinkError::Broken);
        }
        let too_large = LinkError::TooLarge {
            length: body.len(),
            descriptors: descriptors.len(),
        };
        if body.len() > FRAME_LIMIT || descriptors.len() > DESCRIPTORS_LIMIT {
            return Err(too_large);
        }
        let (Ok(length), Ok(count)) = (u32::try_from(body.len()), u32::try_from(descriptors.len()))
        else {
            return Err(too_large);
        };
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[4..].copy_from_slice(&count.to_le_bytes());
        let deadline = Deadline::after(patience);
        self.broken = true;
        self.send_all(&header, descriptors, deadline)?;
        self.send_all(body, &[], deadline)?;
        self.broken = false;
        Ok(())
    }

    /// Ends the link for both sides: whoever waits on the other end sees it closed.
    pub fn close(&self) {
        // Fails only when the other end has closed it already, which is what is wanted.
        let _ = socket::shutdown(self.socket.as_raw_fd(), socket::Shutdown::Both);
    }

    fn send_all(
        &self,
        mut bytes: &[u8],
        mut descriptors: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<(), LinkError> {
        while !bytes.is_empty() {
            match send_some(self.socket.as_fd(), bytes, descriptors) {
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    descriptors = &[];
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    if !ready(self.socket.as_fd(), PollFlags::POLLOUT, Some(deadline))? {
                        return Err(LinkError::Stalled(deadline.patience));
                    }
                }
                Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => {
                    return Err(LinkError::Closed);
                }
                Err(errno) => return Err(SysError::of("sendmsg", errno).into()),
            }
        }
        Ok(())
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The reading half of a link. Becomes readable (`poll`) when a part of a frame is there.
#[derive(Debug)]
pub struct Receiver {
    socket: Arc<OwnedFd>,
    partial: Partial,
    broken: bool,
}

impl Receiver {
    /// The next frame; `None` when it did not come whole within `wait`. What has arrived is kept for
    /// the next call. Without `wait` it waits for as long as the link lives; with zero it never
    /// waits.
    ///
    /// # Errors
    /// [`LinkError::Closed`] at the end between frames; everything else breaks the link.
    pub fn recv(&mut self, wait: Option<Duration>) -> Result<Option<Frame>, LinkError> {
        if self.broken {
            return Err(LinkError::Broken);
        }
        let deadline = wait.map(Deadline::after);
        loop {
            match self.advance() {
                Ok(Progress::Frame(frame)) => return Ok(Some(frame)),
                Ok(Progress::Some) => {}
                Ok(Progress::Nothing) => {
                    if !ready(self.socket.as_fd(), PollFlags::POLLIN, deadline)? {
                        return Ok(None);
                    }
                }
                Err(error) => {
                    self.broken = true;
                    self.partial = Partial::new();
                    return Err(error);
                }
            }
        }
    }

    /// One read, into the header or the body, whichever is unfinished.
    fn advance(&mut self) -> Result<Progress, LinkError> {
        let partial = &mut self.partial;
        let in_header = partial.body.is_none();
        let within = partial.filled > 0 || !in_header;
        // Never empty: a complete header or body has become a body or a frame.
        let into = match &mut partial.body {
            None => &mut partial.header[partial.filled..],
            Some(body) => &mut body[partial.filled..],
        };
        match receive_some(self.socket.as_fd(), into, &mut partial.descriptors) {
            Ok(Received { bytes: 0, .. }) if within => return Err(LinkError::Cut),
            Ok(Received { bytes: 0, .. }) => return Err(LinkError::Closed),
            Ok(received) => {
                if received.truncated || (received.ancillary && !in_header) {
                    return Err(LinkError::Ancillary);
                }
                partial.filled += received.bytes;
            }
            Err(Errno::EINTR) => return Ok(Progress::Some),
            Err(Errno::EAGAIN) => return Ok(Progress::Nothing),
            Err(Errno::ECONNRESET) if !within => return Err(LinkError::Closed),
            Err(errno) => return Err(SysError::of("recvmsg", errno).into()),
        }
        partial.finished()
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

enum Progress {
    Frame(Frame),
    Some,
    Nothing,
}

/// A frame of which a part has arrived.
struct Partial {
    header: [u8; HEADER],
    body: Option<Zeroizing<Vec<u8>>>,
    /// Bytes of the header, or once there is a body of the body, that have arrived.
    filled: usize,
    descriptors: Vec<OwnedFd>,
}

impl std::fmt::Debug for Partial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Partial({} bytes)", self.filled)
    }
}

impl Partial {
    fn new() -> Partial {
        Partial {
            header: [0; HEADER],
            body: None,
            filled: 0,
            descriptors: Vec::new(),
        }
    }

    /// Goes from header to body, and from body to frame, when each is complete.
    fn finished(&mut self) -> Result<Progress, LinkError> {
        if self.body.is_none() && self.filled == HEADER {
            let [a, b, c, d, e, f, g, h] = self.header;
            let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            let announced = usize::try_from(u32::from_le_bytes([e, f, g, h])).unwrap_or(usize::MAX);
            if length > FRAME_LIMIT || announced > DESCRIPTORS_LIMIT {
                return Err(LinkError::TooLarge {
                    length,
                    descriptors: announced,
                });
            }
            if announced != self.descriptors.len() {
                return Err(LinkError::Descriptors {
                    announced,
                    arrived: self.descriptors.len(),
                });
            }
            self.body = Some(Zeroizing::new(vec![0; length]));
            self.filled = 0;
        }
        match self.body.take() {
            Some(body) if self.filled == body.len() => {
                let whole = std::mem::replace(self, Partial::new());
                Ok(Progress::Frame(Frame {
                    body,
                    descriptors: whole.descriptors,
                }))
            }
            unfinished => {
                self.body = unfinished;
                Ok(Progress::Some)
            }
        }
    }
}

/// A moment by which something must have happened.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    patience: Duration,
    at: Option<Instant>,
}

impl Deadline {
    fn after(patience: Duration) -> Deadline {
        Deadline {
            patience,
            at: Instant::now().checked_add(patience),
        }
    }

    fn left(self) -> PollTimeout {
        match self.at {
            None => PollTimeout::NONE,
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now());
                // Rounded up, so that a wait does not end a moment early and spin.
                let millis = left.as_micros().div_ceil(1000);
                PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
            }
        }
    }

    fn passed(self) -> bool {
        self.at.is_some_and(|at| Instant::now() >= at)
    }
}

/// Whether `socket` became ready (or ended) before the deadline.
fn ready(
    socket: BorrowedFd<'_>,
    what: PollFlags,
    deadline: Option<Deadline>,
) -> Result<bool, LinkError> {
    loop {
        let timeout = deadline.map_or(PollTimeout::NONE, Deadline::left);
        match poll(&mut [PollFd::new(socket, what)], timeout) {
            Ok(0) if deadline.is_none_or(|deadline| !deadline.passed()) => {}
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(SysError::of("poll", errno).into()),
        }
    }
}

fn is_unix_stream(socket: BorrowedFd<'_>) -> bool {
    let kind = socket::getsockopt(&socket, sockopt::SockType);
    let family = socket::getsockname::<socket::UnixAddr>(socket.as_raw_fd());
    matches!(kind, Ok(SockType::Stream)) && family.is_ok()
}

/// One `sendmsg` that does not wait and raises no signal.
fn send_some(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<usize, Errno> {
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let ancillary = [socket::ControlMessage::ScmRights(&numbers)];
    let ancillary = if numbers.is_empty() {
        &ancillary[..0]
    } else {
        &ancillary[..]
    };
    socket::sendmsg::<()>(
        socket.as_raw_fd(),
        &[io::IoSlice::new(bytes)],
        ancillary,
        socket::MsgFlags::MSG_NOSIGNAL | socket::MsgFlags::MSG_DONTWAIT,
        None,
    )
}

struct Received {
    bytes: usize,
    /// Ancillary data came with them.
    ancillary: bool,
    /// Some of it was cut off.
    truncated: bool,
}

/// One `recvmsg` that does not wait. Every descriptor that arrived is owned by `descriptors` before
/// anything is judged, so that none can leak.
fn receive_some(
    socket: BorrowedFd<'_>,
    into: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> Result<Received, Errno> {
    let mut control = [0u64; CONTROL_WORDS];
    let mut slice = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    // SAFETY: all-zero bytes are a valid `msghdr`: null pointers and zero lengths.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut slice;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = std::mem::size_of_val(&control) as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `message` points to one iovec over `into` and to `control`, both alive and exclusively
    // borrowed for the call, with their true lengths.
    let result = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let bytes = usize::try_from(result).map_err(|_| Errno::last())?;
    let ancillary = take_descriptors(&message, descriptors);
    Ok(Received {
        bytes,
        ancillary,
        truncated: message.msg_flags & (libc::MSG_CTRUNC | libc::MSG_TRUNC) != 0,
    })
}

/// Takes over the descriptors of a received message; says whether there was any ancillary data.
fn take_descriptors(message: &libc::msghdr, descriptors: &mut Vec<OwnedFd>) -> bool {
    let mut any = false;
    // SAFETY: `message` was filled by recvmsg; its control buffer and length describe memory that is
    // still alive, so the first header, if the macro gives one, lies within it.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        any = true;
        // SAFETY: the CMSG macros gave a pointer to a whole, aligned header inside the buffer.
        let cmsg = unsafe { header.read() };
        if cmsg.cmsg_level == libc::SOL_SOCKET && cmsg.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: only computes a size from a size.
            let head = unsafe { libc::CMSG_LEN(0) } as usize;
            let count = (cmsg.cmsg_len as usize).saturating_sub(head) / size_of::<RawFd>();
            // SAFETY: `header` is a valid header, whose payload begins at the given address.
            let numbers = unsafe { libc::CMSG_DATA(header) };
            for index in 0..count {
                // SAFETY: the kernel wrote `count` descriptors into the payload, which need not be
                // aligned for them; the address is taken as bytes and lies inside the buffer.
                let at = unsafe { numbers.add(index * size_of::<RawFd>()) };
                // SAFETY: as above: four initialised bytes; read unaligned.
                let number = unsafe { at.cast::<RawFd>().read_unaligned() };
                // SAFETY: the kernel installed this descriptor for this message alone: nobody else
                // in this process knows its number yet.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: `message` and `header` belong together and are unchanged since recvmsg.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    any
}

/// Sets close-on-exec, for descriptors that came without it.
pub(crate) fn close_on_exec(descriptor: BorrowedFd<'_>) -> Result<(), SysError> {
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
        .map(drop)
        .map_err(|errno| SysError::of("fcntl(F_SETFD)", errno))
}

#[cfg(test)]
mod tests;
