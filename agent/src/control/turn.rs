//! One connection's turn at the control socket, which one thread serves one after the other: whoever asks
//! or listens slowly takes little of everybody's time, whatever it does with it.
//!
//! A limit for each read would stop nobody who sends a byte just before it is over. So a turn has an end,
//! and a stop of the agent ends it at once: else a person who is late holds up a reload. Nothing here
//! knows what is asked.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::sense::{Stop, Woken};

/// How long one may take to say its question, and to take an answer of no size.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of an answer that give who takes it another second: what a busy host's command still reads.
const BYTES_A_SECOND: usize = 16 << 20;

/// How soon who takes nothing of its answer is looked at again.
const SLICE: Duration = Duration::from_millis(100);

/// A connection whose turn it is.
pub(super) struct Turn<'a> {
    connection: &'a UnixStream,
    stop: &'a Stop,
}

impl<'a> Turn<'a> {
    pub(super) fn new(connection: &'a UnixStream, stop: &'a Stop) -> Turn<'a> {
        let _ = connection.set_nonblocking(false);
        let _ = connection.set_write_timeout(Some(SLICE));
        Turn { connection, stop }
    }

    /// The line that the other end says `within` so long, the bytes that it ends with if it hangs up;
    /// none when it is longer than `limit`, or there is a stop.
    pub(super) fn line(&self, limit: usize, within: Duration) -> Option<Vec<u8>> {
        let until = Instant::now() + within;
        let (mut line, mut chunk) = (Vec::new(), [0; 4096]);
        while line.len() <= limit {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            match self.stop.wait(Some(self.connection.as_fd()), Some(left)) {
                Woken::Stop => return None,
                Woken::Limit | Woken::Told => continue,
                Woken::Ready => {}
            }
            let mut from = self.connection;
            match from.read(&mut chunk) {
                Ok(0) => return Some(line),
                Ok(count) => line.extend_from_slice(&chunk[..count]),
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                line.truncate(end);
                return Some(line);
            }
        }
        None
    }

    /// Tells the other end an answer. One that asks and does not listen harms nobody: it gets what it
    /// took in time.
    pub(super) fn tell(&self, text: &[u8]) {
        let seconds = u64::try_from(text.len() / BYTES_A_SECOND).unwrap_or(0);
        self.tell_within(text, PATIENCE + Duration::from_secs(seconds));
    }

    fn tell_within(&self, text: &[u8], within: Duration) {
        let (until, mut rest) = (Instant::now() + within, text);
        while !rest.is_empty() {
            let mut to = self.connection;
            match to.write(rest) {
                Ok(0) => return,
                Ok(count) => rest = &rest[count..],
                Err(why) => match why.kind() {
                    ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                    _ => return,
                },
            }
            if self.stop.asked() || Instant::now() >= until {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 100;
    /// No test waits for it.
    const AGES: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn a_line_is_taken_however_it_comes_and_no_longer_than_the_limit() {
        let stop = Stop::new().unwrap();
        for (said, line) in [
            (&b"\"status\"\nmore"[..], Some(&b"\"status\""[..])),
            (b"\"status\"", Some(b"\"status\"")),
            (b"", Some(b"")),
            (&[b'x'; 2 * LIMIT], None),
        ] {
            let (mut asks, answers) = UnixStream::pair().unwrap();
            asks.write_all(said).unwrap();
            drop(asks);
            let heard = Turn::new(&answers, &stop).line(LIMIT, AGES);
            assert_eq!(heard.as_deref(), line);
        }
    }

    #[test]
    fn a_turn_ends_in_time_whether_bytes_come_or_go() {
        let stop = Stop::new().unwrap();
        let (mut asks, answers) = UnixStream::pair().unwrap();
        let turn = Turn::new(&answers, &stop);
        let slow = std::thread::spawn(move || {
            // A limit of each read would begin anew with each of them.
            while asks.write_all(b"x").is_ok() {
                std::thread::park_timeout(Duration::from_millis(10));
            }
        });
        assert_eq!(turn.line(usize::MAX, Duration::from_millis(300)), None);
        drop(answers);
        slow.join().unwrap();

        let (takes_little, answers) = UnixStream::pair().unwrap();
        let turn = Turn::new(&answers, &stop);
        turn.tell_within(&vec![b'x'; 64 << 20], Duration::from_millis(300));
        drop(takes_little);
    }

    #[test]
    fn a_stop_ends_a_turn_at_once() {
        let stop = Stop::new().unwrap();
        let (_asks, answers) = UnixStream::pair().unwrap();
        let asked = stop.clone();
        let later = std::thread::spawn(move || asked.ask());
        let turn = Turn::new(&answers, &stop);
        assert_eq!(turn.line(LIMIT, AGES), None);
        turn.tell_within(&vec![b'x'; 64 << 20], AGES);
        later.join().unwrap();
    }
}
