//! The operators of a PDF's contents, as they flow (ISO 32000-1, 7.8.2).

use std::io::Read;

use zeroize::Zeroizing;

use super::STRETCH;
use super::object::{Incomplete, Lexer, Object, is_blank};
use crate::scan::UnreadWhy;
use crate::unwrap::fuel::Fuel;

/// Operands of one operator, which together are no longer than what is looked at. Stops: contents of
/// nothing but numbers, and of arrays that are each as long.
const MOST_OPERANDS: usize = 512;

/// The operators of contents.
pub(super) struct Contents<'i> {
    input: &'i mut dyn Read,
    held: Zeroizing<Vec<u8>>,
    at: usize,
    filled: usize,
    ended: bool,
    fuel: Fuel,
    pub(super) operands: Vec<Object>,
    /// Bytes that the operands were written with.
    written: usize,
}

impl<'i> Contents<'i> {
    pub(super) fn new(input: &'i mut dyn Read, fuel: Fuel) -> Contents<'i> {
        Contents {
            input,
            held: Zeroizing::new(vec![0; STRETCH]),
            at: 0,
            filled: 0,
            ended: false,
            fuel,
            operands: Vec::new(),
            written: 0,
        }
    }

    /// The next operator, its operands beside it; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, UnreadWhy> {
        self.operands.clear();
        self.written = 0;
        loop {
            let mut lexer = Lexer::new(&self.held[self.at..self.filled], !self.ended);
            let object = lexer.next();
            // The bytes themselves were charged when they came.
            self.fuel.burn(lexer.cost() - lexer.at as u64);
            match object {
                Ok(Some(Object::Word(word))) => {
                    self.at += lexer.at;
                    if word == b"ID" {
                        self.pass_image()?;
                    }
                    return Ok(Some(word));
                }
                Ok(Some(operand)) => {
                    self.at += lexer.at;
                    self.written += lexer.at;
                    if self.operands.len() == MOST_OPERANDS || self.written > STRETCH {
                        self.operands.clear();
                        self.written = lexer.at;
                    }
                    self.operands.push(operand);
                }
                Ok(None) | Err(Incomplete) if self.ended => return Ok(None),
                Ok(None) | Err(Incomplete) => self.more()?,
            }
        }
    }

    /// Lets more come.
    fn more(&mut self) -> Result<(), UnreadWhy> {
        if self.at == 0 && self.filled == self.held.len() {
            // One operand of this size is none that shows text.
            return Err(UnreadWhy::Limit);
        }
        // Contents without an operator end here, and nowhere else.
        self.fuel.check().map_err(|_| UnreadWhy::Limit)?;
        self.held.copy_within(self.at..self.filled, 0);
        self.filled -= self.at;
        self.at = 0;
        let before = self.filled;
        // As much as there is room for: an operand that has not come whole is looked at again from its
        // beginning.
        while self.filled < self.held.len() && !self.ended {
            let count = self.input.read(&mut self.held[self.filled..]);
            match count {
                Ok(count) => {
                    self.filled += count;
                    self.fuel.burn(count as u64);
                    self.ended = count == 0;
                }
                // It comes again when what came before it was read.
                Err(_) if self.filled > before => break,
                Err(_) => return Err(UnreadWhy::Damaged),
            }
        }
        Ok(())
    }

    /// Passes over the data of a picture that stands among the operators.
    fn pass_image(&mut self) -> Result<(), UnreadWhy> {
        loop {
            let data = &self.held[self.at..self.filled];
            let end = memchr::memmem::find_iter(data, b"EI").find(|&at| {
                at > 0 && is_blank(data[at - 1]) && data.get(at + 2).is_none_or(|&b| is_blank(b))
            });
            if let Some(end) = end {
                self.at += end + 2;
                return Ok(());
            }
            if self.ended {
                return Ok(());
            }
            self.at = self.at.max(self.filled.saturating_sub(3));
            self.more()?;
        }
    }
}
