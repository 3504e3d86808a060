//! The strings of a workbook in records (MS-XLSB): the table that the cells of all sheets share.
//!
//! Each string is a line. Which cell shows it is not followed, so what stands beside it in its row is
//! not known; what a cell says by itself is.

use std::io::Read;

use zeroize::Zeroizing;

use super::bytes::read_up_to;
use super::charset;

/// Where the strings of such a workbook lie.
pub(crate) const SHARED: &[u8] = b"xl/sharedStrings.bin";
/// Bytes of the table that are read. Stops: a table that takes the host's memory.
const LARGEST: u64 = 16 << 20;
/// The record that is one string: BrtSSTItem.
const STRING: u32 = 19;

/// The strings, one a line, and whether the table was too large to be read whole.
///
/// # Errors
///
/// Those of the input.
pub(crate) fn strings(input: &mut dyn Read) -> std::io::Result<(Zeroizing<Vec<u8>>, bool)> {
    let mut table = Zeroizing::new(Vec::new());
    read_up_to(input, LARGEST + 1, &mut table)?;
    let cut = table.len() as u64 > LARGEST;
    let mut text = Zeroizing::new(Vec::with_capacity(table.len()));
    let mut rest = table.as_slice();
    while let Some((kind, body, after)) = record(rest) {
        if let Some(units) = (kind == STRING).then(|| string(body)).flatten() {
            text.extend_from_slice(&charset::from_utf16(units, true));
            text.push(b'\n');
        }
        rest = after;
    }
    Ok((text, cut))
}

/// The kind and the body of the record that `bytes` begin with, and what follows it.
fn record(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (kind, rest) = number(bytes, 2)?;
    let (length, rest) = number(rest, 4)?;
    let (body, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((kind, body, rest))
}

/// A number of at most so many bytes, seven bits in each, the lowest first.
fn number(bytes: &[u8], most: usize) -> Option<(u32, &[u8])> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(most).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 || at + 1 == most {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// The letters of a string: a byte of flags, how many they are, and they; its runs are left out.
fn string(body: &[u8]) -> Option<&[u8]> {
    let (length, rest) = body.get(1..)?.split_first_chunk()?;
    let units = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    rest.get(..units.checked_mul(2)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A table of strings as a program writes it.
    pub(crate) fn table(strings: &[&str]) -> Vec<u8> {
        let mut table = vec![0x9f, 0x01, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        for string in strings {
            let units: Vec<u8> = string.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let length = u8::try_from(units.len() + 5).unwrap();
            table.push(19);
            if length < 128 {
                table.push(length);
            } else {
                table.extend([length | 0x80, 1]);
            }
            table.push(0);
            table.extend(u32::try_from(units.len() / 2).unwrap().to_le_bytes());
            table.extend(units);
        }
        table.extend([0xa0, 0x01, 0]);
        table
    }

    fn told(table: &[u8]) -> String {
        let (text, cut) = strings(&mut &table[..]).unwrap();
        assert!(!cut);
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn each_string_is_a_line() {
        let long = "x".repeat(80);
        let table = table(&["user", "ключ", &long]);
        assert_eq!(told(&table), format!("user\nключ\n{long}\n"));
        // What breaks off tells what came before.
        assert_eq!(told(&table[..table.len() - 10]), "user\nключ\n");
    }

    #[test]
    fn lengths_that_lie_end_the_table() {
        assert_eq!(told(&[19, 0xff, 0xff, 0xff, 0xff]), "");
        assert_eq!(told(&[19, 5, 0, 0xff, 0xff, 0xff, 0xff]), "");
        assert_eq!(told(&[0x80]), "");
    }
}
