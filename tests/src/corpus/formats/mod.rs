//! Every format in which the corpus writes what a configuration says.

mod code;
mod config;
mod ops;

use super::block::Block;
use super::dice::Dice;
use super::names;
use super::page::Page;

/// A way to write sections.
#[derive(Debug)]
pub struct Format {
    /// Its name in labels.
    pub name: &'static str,
    /// Where such files lie; `PRODUCT` stands for a product's name.
    pub paths: &'static [&'static str],
    /// Writes sections.
    pub write: fn(&[Block], &mut Dice) -> String,
    /// How a value is written.
    pub value: fn(&str) -> String,
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Format> {
    config::FORMATS
        .iter()
        .chain(ops::FORMATS)
        .chain(code::FORMATS)
}

/// The format of that name.
///
/// # Panics
/// When there is none: names are constants.
#[must_use]
pub fn named(name: &str) -> &'static Format {
    all()
        .find(|format| format.name == name)
        .unwrap_or_else(|| panic!("no format is called {name:?}"))
}

impl Format {
    /// A path for a file of this format.
    pub fn path(&self, dice: &mut Dice) -> String {
        dice.one(self.paths)
            .replace("PRODUCT", dice.one(names::PRODUCTS))
    }

    /// Writes sections and notes what they hold.
    pub fn page(&self, blocks: &[Block], dice: &mut Dice) -> Page {
        let mut page = Page {
            text: (self.write)(blocks, dice),
            planted: Vec::new(),
        };
        for credential in blocks.iter().flat_map(|block| &block.credentials) {
            let needle = (self.value)(&credential.secret);
            let whole = credential.also.iter().map(|also| (self.value)(also));
            // What is encoded as a whole is found by the whole.
            let needle = std::iter::once(needle)
                .chain(whole)
                .find(|needle| page.text.contains(needle))
                .unwrap_or_default();
            page.plant_as(credential.clone(), needle);
        }
        page
    }
}

fn plain(value: &str) -> String {
    value.to_owned()
}
