//! Compressed streams, undone as they flow.
//!
//! Every decoder here is written in Rust: what it reads is hostile. Each has its window bounded, for
//! a header of a few bytes may ask for gigabytes; what asks for more is named and not read.

use std::io::{Chain, Cursor, Error, ErrorKind, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Bytes that zstd may look back. Packages are compressed with 8 MiB. Stops: a frame that asks for
/// terabytes.
const ZSTD_WINDOW: u64 = 16 << 20;
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
            Compression::Xz => &[b".xz"],
            Compression::Zstd => &[b".zst", b".zstd"],
        }
    }

    /// The stream undone.
    pub(crate) fn decoder<'a>(self, input: Input<'a>) -> Box<dyn Read + 'a> {
        match self {
            Compression::Gzip => Box::new(MultiGzDecoder::new(input)),
            Compression::Zlib => Box::new(ZlibDecoder::new(input)),
            Compression::Bzip2 => Box::new(MultiBzDecoder::new(input)),
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

/// Frames of zstd after one another.
struct Frames<R> {
    input: R,
    decoder: FrameDecoder,
    inside: bool,
    /// Frames that may still come.
    left: u32,
}

impl<R: Read> Frames<R> {
    fn new(input: R) -> Frames<R> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW);
        Frames {
            input,
            decoder,
            inside: false,
            left: MOST_FRAMES,
        }
    }

    /// Opens the next frame; whether there is one.
    fn open(&mut self) -> std::io::Result<bool> {
        loop {
            let mut mark = [0_u8; 4];
            let mut filled = 0;
            while filled < mark.len() {
                match self.input.read(&mut mark[filled..])? {
                    0 => return Ok(false), // What is shorter than a mark is padding.
                    count => filled += count,
                }
            }
            self.left = self
                .left
                .checked_sub(1)
                .ok_or(Error::from(ErrorKind::QuotaExceeded))?;
            match self.decoder.init((&mark[..]).chain(&mut self.input)) {
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

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if !self.inside && !self.open()? {
                return Ok(0);
            }
            self.inside = true;
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
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
