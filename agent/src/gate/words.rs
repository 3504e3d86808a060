//! What gate and watcher say to each other: numbers of a fixed length, over a socket that keeps them
//! apart. No word needs memory, so that the gate can speak and hear without allocating.
//!
//! Neither waits for the other: a full socket is an error of the one who speaks.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;

/// Bytes of a word.
const WORD: usize = 16;

/// What the gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromGate {
    /// This process opens: it waits until [`ToGate::Done`] with the same number, or until it is late.
    Ask {
        /// Counts questions; answers come in their order.
        number: u32,
        /// Who opens.
        pid: i32,
    },
    /// So much happened since the gate began, modulo 2^32.
    Counts {
        /// Opens that the watcher was asked about.
        held: u32,
        /// Those that went on before it had answered.
        late: u32,
        /// Opens that were too many to be asked about.
        not_held: u32,
    },
    /// Opens are held from now on.
    Holding,
    /// Opens are held no more.
    NotHolding,
    /// The gate ends: the marker begins another one.
    Released,
    /// It ends: the watcher owed answers for too long.
    Overdue,
    /// It ends: the kernel gives no such events.
    Refused,
    /// It ends: no file is there at which to hold.
    NoFile,
    /// It ends: this process may be frozen together with its watchdog.
    Freezable,
    /// It ends: the kernel refused to be read.
    Broken,
}

/// What the watcher says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToGate {
    /// The process of this question may go on.
    Done(u32),
    /// Whether opens are to be held.
    Hold(bool),
    /// No process is the agent's own any more.
    ForgetOwn,
    /// This process is the agent's own.
    Own(i32),
}

impl FromGate {
    /// Says it, without waiting.
    ///
    /// # Errors
    /// `EAGAIN` when the other end is behind; anything else when it is gone.
    pub fn say(self, to: impl AsFd) -> Result<(), Errno> {
        let word = match self {
            FromGate::Ask { number, pid } => [1, number, pid.cast_unsigned(), 0],
            FromGate::Counts {
                held,
                late,
                not_held,
            } => [2, held, late, not_held],
            FromGate::Holding => [3, 0, 0, 0],
            FromGate::NotHolding => [4, 0, 0, 0],
            FromGate::Released => [5, 0, 0, 0],
            FromGate::Overdue => [6, 0, 0, 0],
            FromGate::Refused => [7, 0, 0, 0],
            FromGate::NoFile => [8, 0, 0, 0],
            FromGate::Broken => [9, 0, 0, 0],
            FromGate::Freezable => [10, 0, 0, 0],
        };
        say(word, to)
    }

    /// The next word; none when there is none now.
    ///
    /// # Errors
    /// When the other end is gone, or says what is no word.
    pub fn hear(from: BorrowedFd<'_>) -> Result<Option<FromGate>, Errno> {
        let Some([kind, a, b, c]) = hear(from)? else {
            return Ok(None);
        };
        Ok(Some(match kind {
            1 => FromGate::Ask {
                number: a,
                pid: b.cast_signed(),
            },
            2 => FromGate::Counts {
                held: a,
                late: b,
                not_held: c,
            },
            3 => FromGate::Holding,
            4 => FromGate::NotHolding,
            5 => FromGate::Released,
            6 => FromGate::Overdue,
            7 => FromGate::Refused,
            8 => FromGate::NoFile,
            9 => FromGate::Broken,
            10 => FromGate::Freezable,
            _ => return Err(Errno::EPROTO),
        }))
    }
}

impl ToGate {
    /// Says it, without waiting.
    ///
    /// # Errors
    /// `EAGAIN` when the other end is behind; anything else when it is gone.
    pub fn say(self, to: impl AsFd) -> Result<(), Errno> {
        let word = match self {
            ToGate::Done(number) => [1, number, 0, 0],
            ToGate::Hold(wanted) => [2, wanted.into(), 0, 0],
            ToGate::ForgetOwn => [3, 0, 0, 0],
            ToGate::Own(pid) => [4, pid.cast_unsigned(), 0, 0],
        };
        say(word, to)
    }

    /// The next word; none when there is none now.
    ///
    /// # Errors
    /// When the other end is gone, or says what is no word.
    pub fn hear(from: BorrowedFd<'_>) -> Result<Option<ToGate>, Errno> {
        let Some([kind, a, _, _]) = hear(from)? else {
            return Ok(None);
        };
        Ok(Some(match kind {
            1 => ToGate::Done(a),
            2 => ToGate::Hold(a != 0),
            3 => ToGate::ForgetOwn,
            4 => ToGate::Own(a.cast_signed()),
            _ => return Err(Errno::EPROTO),
        }))
    }
}

fn say(word: [u32; 4], to: impl AsFd) -> Result<(), Errno> {
    let mut bytes = [0; WORD];
    for (four, number) in bytes.chunks_exact_mut(4).zip(word) {
        four.copy_from_slice(&number.to_ne_bytes());
    }
    loop {
        return match nix::unistd::write(to.as_fd(), &bytes) {
            Ok(_) => Ok(()), // a socket of packets takes all or nothing
            Err(Errno::EINTR) => continue,
            Err(why) => Err(why),
        };
    }
}

fn hear(from: BorrowedFd<'_>) -> Result<Option<[u32; 4]>, Errno> {
    let mut bytes = [0; WORD];
    loop {
        match nix::unistd::read(from, &mut bytes) {
            Ok(WORD) => break,
            Ok(0) => return Err(Errno::EPIPE),
            Ok(_) => return Err(Errno::EPROTO),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Ok(None),
            Err(why) => return Err(why),
        }
    }
    let number = |at: usize| {
        let four = bytes.get(4 * at..).and_then(|rest| rest.first_chunk());
        four.map_or(0, |four| u32::from_ne_bytes(*four))
    };
    Ok(Some([0, 1, 2, 3].map(number)))
}

#[cfg(test)]
mod tests {
    use super::super::keeper::packets;
    use super::*;

    #[test]
    fn every_word_arrives_as_it_was_said() {
        let (gate, watcher) = packets().unwrap();
        let said = [
            FromGate::Ask {
                number: u32::MAX,
                pid: 7,
            },
            FromGate::Counts {
                held: 3,
                late: 2,
                not_held: 1,
            },
            FromGate::Holding,
            FromGate::NotHolding,
            FromGate::Released,
            FromGate::Overdue,
            FromGate::Refused,
            FromGate::NoFile,
            FromGate::Broken,
            FromGate::Freezable,
        ];
        for word in said {
            word.say(&gate).unwrap();
        }
        for word in said {
            assert_eq!(FromGate::hear(watcher.as_fd()), Ok(Some(word)));
        }
        assert_eq!(FromGate::hear(watcher.as_fd()), Ok(None));
        let said = [
            ToGate::Done(9),
            ToGate::Hold(true),
            ToGate::ForgetOwn,
            ToGate::Own(1),
        ];
        for word in said {
            word.say(&watcher).unwrap();
            assert_eq!(ToGate::hear(gate.as_fd()), Ok(Some(word)));
        }
    }

    #[test]
    fn what_is_no_word_and_who_is_gone_are_errors() {
        let (gate, watcher) = packets().unwrap();
        for wrong in [&[99_u8; 16][..], &[1; 3], &[1; 40]] {
            nix::unistd::write(&gate, wrong).unwrap();
            // A longer one is cut, and its kind is none.
            assert_eq!(FromGate::hear(watcher.as_fd()), Err(Errno::EPROTO));
        }
        drop(gate);
        assert_eq!(FromGate::hear(watcher.as_fd()), Err(Errno::EPIPE));
        assert!(ToGate::Done(1).say(&watcher).is_err());
    }
}
