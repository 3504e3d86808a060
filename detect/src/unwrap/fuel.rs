//! What a scan may spend on undoing what its files are wrapped in: one meter for all layers.
//!
//! Charged are what a layer gives and what it takes. What it gives alone would not do: a stream that is
//! made of empty blocks, a markup of nothing but tags, a filter upon a filter give nothing, and take
//! the time of gigabytes. So every decoder reads through a [`Metered`], which its type asks for, and it
//! fails when all is spent; whoever reads the decoder passes that on as any other error.
//!
//! What a file has costs nothing to read once: that is linear in its size already. What is read again
//! costs, and what is made.

use std::cell::Cell;
use std::io::{Error, ErrorKind, Read};
use std::rc::Rc;

/// Bytes that are moved and not looked at, for the price of one that is.
const MOVED: u64 = 8;
/// What a read costs at least, whatever its size.
const LEAST: u64 = 32;

/// What may be spent, shared by all that spend it.
#[derive(Clone, Debug)]
pub(crate) struct Fuel(Rc<Meter>);

#[derive(Debug)]
struct Meter {
    limit: u64,
    burnt: Cell<u64>,
    /// Bytes that may be taken for nothing.
    free: Cell<u64>,
}

impl Fuel {
    pub(crate) fn new(limit: u64) -> Fuel {
        Fuel(Rc::new(Meter {
            limit,
            burnt: Cell::new(0),
            free: Cell::new(0),
        }))
    }

    /// Lets so many bytes be taken for nothing: there is a file that has them.
    pub(crate) fn grant(&self, bytes: u64) {
        let free = &self.0.free;
        free.set(free.get().saturating_add(bytes));
    }

    /// Charges bytes that were made, to be looked at.
    pub(crate) fn burn(&self, bytes: u64) {
        let burnt = &self.0.burnt;
        burnt.set(burnt.get().saturating_add(bytes));
    }

    /// Charges bytes that were made, to be held and undone further.
    pub(crate) fn burn_held(&self, bytes: u64) {
        self.burn(bytes / MOVED);
        self.grant(bytes);
    }

    /// Charges bytes that a decoder has taken.
    pub(crate) fn take(&self, bytes: u64) {
        let free = &self.0.free;
        let given = bytes.min(free.get());
        free.set(free.get() - given);
        self.burn(bytes - given);
    }

    /// Charges one read of bytes from where they lie.
    pub(crate) fn fetch(&self, bytes: u64) {
        self.take((bytes / MOVED).max(LEAST));
    }

    /// What was charged.
    pub(crate) fn burnt(&self) -> u64 {
        self.0.burnt.get()
    }

    /// What may still be made.
    pub(crate) fn left(&self) -> u64 {
        self.0.limit.saturating_sub(self.burnt())
    }

    /// Whether more than all is spent.
    pub(crate) fn is_spent(&self) -> bool {
        self.burnt() > self.0.limit
    }

    /// Fails when all is spent.
    pub(crate) fn check(&self) -> std::io::Result<()> {
        match self.is_spent() {
            true => Err(Error::from(ErrorKind::QuotaExceeded)),
            false => Ok(()),
        }
    }

    /// What a decoder reads `input` through.
    pub(crate) fn meter<R>(&self, input: R) -> Metered<R> {
        Metered {
            input,
            fuel: self.clone(),
        }
    }
}

/// The input of a decoder: what is taken of it is charged, and none is left when all is spent.
pub(crate) struct Metered<R> {
    input: R,
    fuel: Fuel,
}

impl<R> Metered<R> {
    pub(crate) fn fuel(&self) -> &Fuel {
        &self.fuel
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.fuel.check()?;
        let count = self.input.read(into)?;
        self.fuel.take(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_is_taken_once_and_all_layers_share_the_rest() {
        let fuel = Fuel::new(100);
        fuel.grant(50);
        let mut bytes = [0; 40];
        let mut first = fuel.meter(std::io::repeat(1));
        let mut second = fuel.clone().meter(std::io::repeat(2));
        for burnt in [0, 30, 70, 110] {
            let input: &mut dyn Read = if burnt == 70 { &mut second } else { &mut first };
            assert_eq!(input.read(&mut bytes).unwrap(), 40);
            assert_eq!(fuel.burnt(), burnt);
        }
        assert_eq!(fuel.left(), 0);
        for input in [&mut first as &mut dyn Read, &mut second] {
            let failed = input.read(&mut bytes).unwrap_err();
            assert_eq!(failed.kind(), ErrorKind::QuotaExceeded);
        }
        fuel.burn(u64::MAX);
        assert_eq!(fuel.burnt(), u64::MAX);
    }
}
