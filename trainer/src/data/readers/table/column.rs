//! The values of one column of a table.

use std::collections::{BTreeSet, HashSet};

use super::cells::Cells;
use super::fields::Field;

/// So many characters of a word are shown.
const SHOWN: usize = 40;
/// Most kinds that a column without a name may count.
const MOST_KINDS: usize = 50;
/// Rows of which a kind has one, or more.
const LEAST_ROWS: usize = 5;

/// A column: its numbers, and what else stands in it.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// The numbers `[N]`, NaN where there is none.
    pub numbers: Vec<f64>,
    /// Place and text of the first field that is no number, no time and not missing.
    pub first_word: Option<(String, String)>,
    /// Number of fields that are words.
    words: usize,
    /// Number of fields that are dates or times.
    times: usize,
    /// Number of fields that are missing.
    pub missing: usize,
    /// Whether every field that is there differs from all others.
    distinct: bool,
    /// The type of what is neither number nor text, such as lists.
    pub nested: Option<String>,
}

impl Column {
    /// Column `at` of a table.
    pub fn of(cells: &impl Cells, at: usize) -> Self {
        let numbers = Vec::with_capacity(cells.rows());
        let mut column = Self { numbers, distinct: true, nested: cells.nested(at), ..Self::default() };
        let mut seen = HashSet::new();
        for row in 0..cells.rows() {
            let number = match cells.field(row, at) {
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
                    let bare = |c: char| if c.is_control() { ' ' } else { c };
                    let shown = || (cells.place(row, at), cells.text(row, at).chars().map(bare).take(SHOWN).collect());
                    column.first_word.get_or_insert_with(shown);
                    f64::NAN
                }
            };
            column.numbers.push(number);
            column.distinct = column.distinct && seen.insert(cells.text(row, at));
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

    /// The least and the greatest of whole numbers that count a few kinds from 0 or 1 without a gap; None of other fields.
    pub fn counts_kinds(&self) -> Option<(i64, i64)> {
        let whole = |v: &f64| (v.fract() == 0.0 && (0.0..=MOST_KINDS as f64).contains(v)).then_some(*v as i64);
        let kinds: BTreeSet<i64> = self.numbers.iter().map(whole).collect::<Option<_>>()?;
        let (least, most) = (*kinds.first()?, *kinds.last()?);
        let dense = least <= 1 && kinds.len() as i64 == most - least + 1;
        (kinds.len() > 1 && dense && self.numbers.len() >= LEAST_ROWS * kinds.len()).then_some((least, most))
    }

    /// True if a field is a number that is not whole.
    pub fn has_fractions(&self) -> bool {
        self.fraction().is_some()
    }

    /// True for whole numbers of 0 to 255.
    pub fn is_bytes(&self) -> bool {
        self.numbers.iter().all(|v| v.fract() == 0.0 && (0.0..=255.0).contains(v))
    }
}
