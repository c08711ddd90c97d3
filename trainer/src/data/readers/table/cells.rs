//! The cells of a table, whether they are text or typed columns.

use std::borrow::Cow;

use arrow_array::ArrayRef;

use super::dialect::Row;
use super::fields::{Field, field};
use super::options::Decimal;
use crate::data::kept;

/// The cells of a table, by row and column from 0.
pub trait Cells {
    /// Number of rows N.
    fn rows(&self) -> usize;
    /// What a cell holds.
    fn field(&self, row: usize, column: usize) -> Field;
    /// A cell as text, empty if there is nothing in it.
    fn text(&self, row: usize, column: usize) -> Cow<'_, str>;
    /// Where a cell is, in words.
    fn place(&self, row: usize, column: usize) -> String;
    /// A whole column, to be carried through to the output.
    fn whole(&self, column: usize) -> ArrayRef;
    /// The type of a column whose cells are neither numbers nor text, such as lists.
    fn nested(&self, column: usize) -> Option<String>;
}

/// The rows of a text.
pub struct TextCells {
    /// Lines and fields.
    pub rows: Vec<Row>,
    /// What stands before the decimals of numbers.
    pub decimal: Decimal,
}

impl Cells for TextCells {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn field(&self, row: usize, column: usize) -> Field {
        field(&self.rows[row].1[column], self.decimal)
    }

    fn text(&self, row: usize, column: usize) -> Cow<'_, str> {
        Cow::Borrowed(&self.rows[row].1[column])
    }

    fn place(&self, row: usize, column: usize) -> String {
        format!("line {}, field {}", self.rows[row].0, column + 1)
    }

    fn whole(&self, column: usize) -> ArrayRef {
        kept::of_texts(self.rows.iter().map(|(_, row)| &row[column]))
    }

    fn nested(&self, _column: usize) -> Option<String> {
        None
    }
}
