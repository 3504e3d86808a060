//! A disk that loses its power: what was not synced arrives in part, in any order, torn.
//!
//! Only tests use it. Writes go to memory, and a read sees all of them, as the page cache lets it. At a
//! cut each write since the last sync that returned is there, is not, or is there up to some sector; so
//! is each change of length. From then on every call fails: the machine is off.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// One call since the last sync.
#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Change::Length(length) => image.resize(*length, 0),
            Change::Bytes(at, bytes) => {
                if image.len() < at + bytes.len() {
                    image.resize(at + bytes.len(), 0);
                }
                image[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// As the program sees it.
    seen: Vec<u8>,
    /// As it is on the disk for sure.
    durable: Vec<u8>,
    /// What was changed since.
    since: Vec<Change>,
    calls: u64,
    /// The call before which the power goes.
    cut_at: Option<u64>,
    off: bool,
}

/// A disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// With this on it.
    pub(crate) fn holding(image: Vec<u8>) -> Disk {
        Disk(Arc::new(Mutex::new(State {
            seen: image.clone(),
            durable: image,
            ..State::default()
        })))
    }

    /// The power goes before this call, counted from now.
    pub(crate) fn cut_before(&self, call: u64) {
        let mut state = self.state();
        state.cut_at = Some(state.calls + call);
    }

    /// Whether it went.
    pub(crate) fn is_off(&self) -> bool {
        self.state().off
    }

    /// What is on the disk when the power comes back; `random` gives numbers below its argument.
    pub(crate) fn left(&self, mut random: impl FnMut(usize) -> usize) -> Vec<u8> {
        let state = self.state();
        let mut image = state.durable.clone();
        // In any order: what was written later may be on the disk without what was before.
        let mut order: Vec<usize> = (0..state.since.len()).collect();
        for index in (1..order.len()).rev() {
            order.swap(index, random(index + 1));
        }
        for index in order {
            let change = &state.since[index];
            match (random(3), change) {
                (0, _) => {}
                (1, Change::Bytes(at, bytes)) => {
                    let sectors = bytes.len().div_ceil(SECTOR);
                    let kept = (random(sectors + 1) * SECTOR).min(bytes.len());
                    Change::Bytes(*at, bytes[..kept].to_vec()).apply(&mut image);
                }
                _ => change.apply(&mut image),
            }
        }
        image
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call that changes something; the error when there is no power for it.
    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.off |= state.cut_at == Some(state.calls);
        state.calls += 1;
        if state.off { Err(off()) } else { Ok(state) }
    }
}

fn off() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if state.off {
            return Err(off());
        }
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = state.seen.get(at..at + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let length = usize::try_from(len).map_err(io::Error::other)?;
        let mut state = self.change()?;
        let change = Change::Length(length);
        change.apply(&mut state.seen);
        state.since.push(change);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.change()?;
        let since = std::mem::take(&mut state.since);
        for change in since {
            change.apply(&mut state.durable);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let mut state = self.change()?;
        let change = Change::Bytes(at, data.to_vec());
        change.apply(&mut state.seen);
        state.since.push(change);
        Ok(())
    }
}
