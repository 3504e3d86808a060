//! One inflater for many small zlib streams.
//!
//! A pack has tens of thousands of objects. What a decoder needs is far larger than most of them, and
//! taking it anew for each leaves holes between the objects that are kept: a heap of 27 MB that
//! occupies 340.

use std::io::{Error, ErrorKind, Read, Result};

use flate2::{Decompress, FlushDecompress, Status};
use zeroize::Zeroizing;

use super::fuel::Fuel;

/// Bytes that are read at once.
const AT_ONCE: usize = 4096;

/// What inflating takes, kept between streams.
pub(crate) struct Inflater {
    state: Decompress,
    input: Zeroizing<[u8; AT_ONCE]>,
    fuel: Fuel,
}

impl Inflater {
    /// One that charges what it takes.
    pub(crate) fn new(fuel: Fuel) -> Inflater {
        Inflater {
            state: Decompress::new(true),
            input: Zeroizing::new([0; AT_ONCE]),
            fuel,
        }
    }

    /// The zlib stream that `input` begins with.
    pub(crate) fn of<R: Read>(&mut self, input: R) -> Inflating<'_, R> {
        self.state.reset(true);
        Inflating {
            inflater: self,
            input,
            used: 0,
            filled: 0,
            ended: false,
        }
    }
}

/// A stream that is being inflated.
pub(crate) struct Inflating<'a, R> {
    inflater: &'a mut Inflater,
    input: R,
    used: usize,
    filled: usize,
    ended: bool,
}

impl<R> Inflating<'_, R> {
    /// Bytes of the input that belong to what was read so far.
    pub(crate) fn total_in(&self) -> u64 {
        self.inflater.state.total_in()
    }
}

impl<R: Read> Read for Inflating<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while !self.ended {
            let Inflater { state, input, fuel } = &mut *self.inflater;
            fuel.check()?;
            let mut last = false;
            if self.used == self.filled {
                self.filled = self.input.read(input.as_mut())?;
                self.used = 0;
                last = self.filled == 0;
            }
            let (took, made) = (state.total_in(), state.total_out());
            let status = state
                .decompress(&input[self.used..self.filled], into, FlushDecompress::None)
                .map_err(|_| Error::from(ErrorKind::InvalidData))?;
            let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
            let took = count(state.total_in(), took);
            let made = count(state.total_out(), made);
            fuel.take(took as u64);
            self.used += took;
            self.ended = matches!(status, Status::StreamEnd);
            if made > 0 {
                return Ok(made);
            }
            if !self.ended && (last || (took == 0 && self.used < self.filled)) {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn one_inflater_reads_stream_after_stream() {
        let mut inflater = Inflater::new(Fuel::new(u64::MAX));
        for size in [0, 1, 100, 70_000, 3] {
            let text: Vec<u8> = (0..size)
                .map(|n: u32| u8::try_from(n * 7 % 251).unwrap())
                .collect();
            let stream = deflated(&text);
            let input = [&stream[..], b"what follows"].concat();
            let mut out = Vec::new();
            let mut inflating = inflater.of(&input[..]);
            inflating.read_to_end(&mut out).unwrap();
            assert!(out == text, "{size} bytes");
            assert_eq!(inflating.total_in(), stream.len() as u64);
        }
    }

    #[test]
    fn what_is_cut_or_wrong_is_an_error() {
        let stream = deflated(&[7; 5000]);
        let mut inflater = Inflater::new(Fuel::new(u64::MAX));
        for end in 0..stream.len() {
            let mut out = Vec::new();
            assert!(inflater.of(&stream[..end]).read_to_end(&mut out).is_err());
        }
        let mut out = Vec::new();
        assert!(
            inflater
                .of(&b"no stream"[..])
                .read_to_end(&mut out)
                .is_err()
        );
    }
}
