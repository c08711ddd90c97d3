//! The values of one column of a table.

use std::collections::HashSet;

use super::dialect::Row;
use super::fields::{Field, field};
use super::options::Decimal;

/// So many characters of a word are shown.
const SHOWN: usize = 40;

/// A column: its numbers, and what else stands in it.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// The numbers `[N]`, NaN where there is none.
    pub numbers: Vec<f64>,
    /// Line and text of the first field that is no number, no time and not missing.
    pub first_word: Option<(u64, String)>,
    /// Number of fields that are words.
    words: usize,
    /// Number of fields that are dates or times.
    times: usize,
    /// Number of fields that are missing.
    pub missing: usize,
    /// Whether every field that is there differs from all others.
    distinct: bool,
}

impl Column {
    /// Column `at` of the rows.
    pub fn of(rows: &[Row], at: usize, decimal: Decimal) -> Self {
        let mut column = Self { numbers: Vec::with_capacity(rows.len()), distinct: true, ..Self::default() };
        let mut seen = HashSet::new();
        for (line, row) in rows {
            let text = &row[at];
            let number = match field(text, decimal) {
                Field::Number(number) => number,
                Field::Missing => {
                    column.missing += 1;
                    f64::NAN
                }
                Field::Time => {
                    column.times += 1;
                    f64::NAN
                }
                Field::Word => {
                    column.words += 1;
                    column.first_word.get_or_insert_with(|| (*line, text.chars().take(SHOWN).collect()));
                    f64::NAN
                }
            };
            column.numbers.push(number);
            column.distinct = column.distinct && seen.insert(text);
        }
        column
    }

    /// True if every field is missing.
    pub fn is_empty(&self) -> bool {
        self.missing == self.numbers.len()
    }

    /// True if all that is there are dates or times.
    pub fn is_times(&self) -> bool {
        self.times > 0 && self.times + self.missing == self.numbers.len()
    }

    /// True if most of what is there are words.
    pub fn is_mostly_words(&self) -> bool {
        2 * self.words > self.numbers.len() - self.missing
    }

    /// True if the fields can be classes: words, or whole numbers.
    pub fn is_classes(&self) -> bool {
        !self.is_empty() && self.times == 0 && self.fraction().is_none()
    }

    fn fraction(&self) -> Option<f64> {
        if self.words > 0 {
            return None;
        }
        self.numbers.iter().copied().find(|v| !v.is_nan() && v.fract() != 0.0)
    }

    /// What keeps the fields from being classes, in words.
    pub fn not_class(&self) -> String {
        self.fraction().map_or_else(|| "no classes".to_owned(), |value| value.to_string())
    }

    /// True if no two fields are the same, and they are words or whole numbers.
    pub fn is_distinct(&self) -> bool {
        self.distinct && self.is_classes()
    }

    /// True for numbers none of which is below the one before.
    pub fn never_falls(&self) -> bool {
        self.words == 0 && self.missing == 0 && self.numbers.is_sorted()
    }

    /// True for 0, 1, 2, ... or 1, 2, 3, ... over at least this many rows.
    pub fn counts_rows(&self, least: usize) -> bool {
        let first = self.numbers.first().copied().unwrap_or(f64::NAN);
        let next = |(n, v): (usize, &f64)| *v == first + n as f64;
        self.numbers.len() >= least && (first == 0.0 || first == 1.0) && self.numbers.iter().enumerate().all(next)
    }
}
