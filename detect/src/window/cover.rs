//! Which stretches of a window's text the parsers have made fields of: what is left is read line by line.

use crate::syntax::Field;

/// Which stretches of a text have become fields.
pub(super) struct Cover {
    starts: Vec<usize>,
    ends: Vec<usize>,
    /// Which field begins at each start.
    fields: Vec<usize>,
}

impl Cover {
    pub(super) fn of(fields: &[Field]) -> Cover {
        let mut ranges: Vec<(usize, usize, usize)> = fields
            .iter()
            .enumerate()
            .filter(|(_, f)| !f.raw.is_empty())
            .map(|(number, f)| (f.raw.start, f.raw.end, number))
            .collect();
        ranges.sort_unstable();
        let mut furthest = 0;
        let mut cover = Cover {
            starts: Vec::with_capacity(ranges.len()),
            ends: Vec::with_capacity(ranges.len()),
            fields: Vec::with_capacity(ranges.len()),
        };
        for (start, end, number) in ranges {
            furthest = end.max(furthest);
            cover.starts.push(start);
            cover.ends.push(furthest);
            cover.fields.push(number);
        }
        cover
    }

    pub(super) fn holds(&self, start: usize, end: usize) -> bool {
        let before = self.starts.partition_point(|&at| at <= start);
        before > 0 && self.ends[before - 1] >= end
    }

    /// The same of those fields only that `is` says.
    pub(super) fn of_those(&self, is: impl Fn(usize) -> bool) -> Cover {
        let kept = (0..self.fields.len()).filter(|&at| is(self.fields[at]));
        let kept: Vec<usize> = kept.collect();
        let of = |all: &[usize]| kept.iter().map(|&at| all[at]).collect();
        Cover {
            starts: of(&self.starts),
            ends: of(&self.ends),
            fields: of(&self.fields),
        }
    }

    /// Whether a field's value begins between `at` and `end`.
    pub(super) fn any(&self, at: usize, end: usize) -> bool {
        self.begins(at, end).next().is_some()
    }

    /// The fields whose values begin between `at` and `end`.
    pub(super) fn begins(&self, at: usize, end: usize) -> impl Iterator<Item = usize> + '_ {
        let first = self.starts.partition_point(|&start| start < at);
        let here = self.starts[first..].iter().take_while(move |&&s| s <= end);
        here.zip(&self.fields[first..]).map(|(_, &field)| field)
    }
}
