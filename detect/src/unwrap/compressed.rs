//! Compressed streams, undone as they flow.
//!
//! Every decoder here is written in Rust: what it reads is hostile. Each has its window bounded, for
//! a header of a few bytes may ask for gigabytes; what asks for more is named and not read.

use std::io::{Chain, Cursor, Error, ErrorKind, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use lzma_rust2::{LzmaReader, XzReader};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::fuel::Metered;

/// Bytes that zstd may look back. Packages are compressed with 8 MiB. Stops: a frame that asks for
/// terabytes.
const ZSTD_WINDOW: u64 = 16 << 20;
/// What a frame may ask for that holds no more than [`ZSTD_WINDOW`]: the strongest levels ask for this
/// whatever they compress, and what is not there is not looked back at.
const LONG_WINDOW: u64 = 128 << 20;
/// Blocks of such a frame: as many as fill the window that is allowed.
const MOST_LONG_BLOCKS: u64 = ZSTD_WINDOW >> 17;
/// KiB of memory that xz may take: its preset 9 looks back 64 MiB, packages 8. Stops: a header that
/// asks for four gigabytes.
const XZ_MEMORY: u32 = 24 << 10;
/// Frames of zstd after one another. Stops: a file of empty frames.
const MOST_FRAMES: u32 = 100_000;

/// A compression that is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// RFC 1952, members after one another.
    Gzip,
    /// RFC 1950; only where what it holds begins like text or a Git object.
    Zlib,
    /// Streams of bzip2 after one another.
    Bzip2,
    /// The format before .xz, `.lzma`.
    Lzma,
    /// The .xz format, version 1.2.0.
    Xz,
    /// RFC 8878, frames after one another, skippable ones too.
    Zstd,
}

/// What is in front of the rest of a stream, and the rest.
pub(crate) type Input<'a> = Chain<Cursor<&'a [u8]>, &'a mut dyn Read>;

impl Compression {
    /// What `head` begins with.
    pub(crate) fn of(head: &[u8]) -> Option<Compression> {
        let (&first, &second) = (head.first()?, head.get(1)?);
        match first {
            0x1f if head.starts_with(&[0x1f, 0x8b, 8]) => Some(Compression::Gzip),
            b'B' if head.starts_with(b"BZh") && is_bzip2(head) => Some(Compression::Bzip2),
            0xfd if head.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) => Some(Compression::Xz),
            0x28 if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => Some(Compression::Zstd),
            0x5d if is_lzma(head) => Some(Compression::Lzma),
            0x50..=0x5f if is_skippable(head) => Some(Compression::Zstd),
            0x78 if matches!(second, 0x01 | 0x5e | 0x9c | 0xda) && holds_text(head) => {
                Some(Compression::Zlib)
            }
            _ => None,
        }
    }

    /// The endings that a name loses when its stream is undone.
    pub(crate) fn endings(self) -> &'static [&'static [u8]] {
        match self {
            Compression::Gzip => &[b".gz", b".GZ"],
            Compression::Zlib => &[b".zlib", b".zz"],
            Compression::Bzip2 => &[b".bz2"],
            Compression::Lzma => &[b".lzma"],
            Compression::Xz => &[b".xz"],
            Compression::Zstd => &[b".zst", b".zstd"],
        }
    }

    /// The stream undone.
    pub(crate) fn decoder<'a>(self, input: Metered<Input<'a>>) -> Box<dyn Read + 'a> {
        match self {
            Compression::Gzip => Box::new(MultiGzDecoder::new(input)),
            Compression::Zlib => Box::new(ZlibDecoder::new(input)),
            Compression::Bzip2 => Box::new(MultiBzDecoder::new(input)),
            Compression::Lzma => match LzmaReader::new_mem_limit(input, XZ_MEMORY, None) {
                Ok(reader) => Box::new(Limited(reader)),
                Err(error) => Box::new(Limited(Failed(Some(error)))),
            },
            Compression::Xz => Box::new(Limited(XzReader::new_mem_limit(input, true, XZ_MEMORY))),
            Compression::Zstd => Box::new(Frames::new(input)),
        }
    }
}

/// A level and the first block's mark, or that of an empty stream.
fn is_bzip2(head: &[u8]) -> bool {
    matches!(head.get(3), Some(b'1'..=b'9'))
        && matches!(
            head.get(4..10),
            Some(b"\x31\x41\x59\x26\x53\x59" | b"\x17\x72\x45\x38\x50\x90")
        )
}

/// The usual numbers of bits, a dictionary of a round size, a size that is said or left open, and the
/// zero that begins every stream: the format has no mark.
fn is_lzma(head: &[u8]) -> bool {
    let Some((&[0x5d, a, b, c, d, ref size @ .., 0], _)) = head.split_first_chunk::<14>() else {
        return false;
    };
    let dictionary = u32::from_le_bytes([a, b, c, d]);
    let round = dictionary.is_power_of_two() || (dictionary / 3).is_power_of_two();
    let size = u64::from_le_bytes(*size);
    round && dictionary >= 1 << 12 && (size == u64::MAX || size < 1 << 40)
}

/// A skippable frame of zstd with another frame behind it; alone its mark is too short to believe.
fn is_skippable(head: &[u8]) -> bool {
    let Some((&[_, 0x2a, 0x4d, 0x18, a, b, c, d], _)) = head.split_first_chunk::<8>() else {
        return false;
    };
    let next = usize::try_from(u32::from_le_bytes([a, b, c, d]))
        .ok()
        .and_then(|size| size.checked_add(8));
    next.and_then(|at| head.get(at..))
        .is_some_and(|rest| rest.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]))
}

/// Whether a zlib stream begins with text: its two bytes begin many other files too.
fn holds_text(head: &[u8]) -> bool {
    let mut begins = [0_u8; 24];
    let mut filled = 0;
    let mut decoder = ZlibDecoder::new(head);
    while filled < begins.len() {
        match decoder.read(&mut begins[filled..]) {
            Ok(0) | Err(_) => break,
            Ok(count) => filled += count,
        }
    }
    let begins = &begins[..filled];
    filled >= 8 && (super::git::header(begins).is_some() || super::inline::is_texty(begins))
}

/// Tells a bound that was reached from damage.
struct Limited<R>(R);

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into).map_err(|error| match error.kind() {
            ErrorKind::OutOfMemory => ErrorKind::QuotaExceeded.into(),
            _ => error,
        })
    }
}

/// A stream whose first bytes say that it cannot be read.
struct Failed(Option<Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Frames of zstd after one another.
struct Frames<R> {
    input: R,
    decoder: FrameDecoder,
    inside: bool,
    /// Whether the frame asks for more than is given to look back.
    long: bool,
    /// Frames that may still come.
    left: u32,
}

impl<R: Read> Frames<R> {
    fn new(input: R) -> Frames<R> {
        Frames {
            input,
            decoder: decoder(ZSTD_WINDOW),
            inside: false,
            long: false,
            left: MOST_FRAMES,
        }
    }

    /// Opens the next frame; whether there is one.
    fn open(&mut self) -> std::io::Result<bool> {
        loop {
            let mut head = [0_u8; 6];
            let mut filled = 0;
            while filled < head.len() {
                match self.input.read(&mut head[filled..])? {
                    0 if filled < 4 => return Ok(false), // What is shorter than a mark is padding.
                    0 => break,
                    count => filled += count,
                }
            }
            self.left = self
                .left
                .checked_sub(1)
                .ok_or(Error::from(ErrorKind::QuotaExceeded))?;
            let long = is_long(&head);
            if long || self.long {
                // A decoder that is used again takes the whole window at once.
                self.decoder = decoder(if long { LONG_WINDOW } else { ZSTD_WINDOW });
                self.long = long;
            }
            match self.decoder.init((&head[..filled]).chain(&mut self.input)) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut skipped = (&mut self.input).take(u64::from(length));
                    std::io::copy(&mut skipped, &mut std::io::sink())?;
                }
                Err(FrameDecoderError::WindowSizeTooBig { .. }) => {
                    return Err(ErrorKind::QuotaExceeded.into());
                }
                Err(error) => return Err(Error::other(error)),
            }
        }
    }
}

fn decoder(window: u64) -> FrameDecoder {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(window);
    decoder
}

/// Whether a frame's first bytes ask for more than is given to look back.
fn is_long(head: &[u8; 6]) -> bool {
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, window] = *head else {
        return false;
    };
    let base = 1_u64 << (10 + (window >> 3));
    descriptor & 0x20 == 0 && base + base / 8 * u64::from(window & 7) > ZSTD_WINDOW
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if !self.inside && !self.open()? {
                return Ok(0);
            }
            self.inside = true;
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                if self.long && self.decoder.blocks_decoded() as u64 >= MOST_LONG_BLOCKS {
                    return Err(ErrorKind::QuotaExceeded.into());
                }
                self.decoder
                    .decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(Error::other)?;
            }
            match self.decoder.read(into)? {
                0 if into.is_empty() => return Ok(0),
                0 => self.inside = false,
                count => return Ok(count),
            }
        }
    }
}
