//! Typed columns as the cells of a table.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType};

use super::plain;
use crate::data::kept::texts;
use crate::data::readers::table::{Cells, Decimal, Field, field};

/// A column as what can be said of its cells.
enum Column {
    /// Numbers, or truth as 0 and 1.
    Numbers(Float64Array),
    /// Text, which may be that of numbers.
    Texts(StringArray),
    /// Dates, times and spans of them.
    Times(StringArray),
    /// What is no cell of a table, such as lists, and its type.
    Nested(String),
}

/// The columns of a file.
pub struct ColumnCells {
    names: Vec<String>,
    arrays: Vec<ArrayRef>,
    columns: Vec<Column>,
    rows: usize,
}

impl ColumnCells {
    /// The cells of columns.
    pub fn of(all: &RecordBatch) -> Result<Self, ArrowError> {
        let names = all.schema().fields().iter().map(|field| field.name().clone()).collect();
        let columns = all.columns().iter().map(column).collect::<Result<_, _>>()?;
        Ok(Self { names, arrays: all.columns().to_vec(), columns, rows: all.num_rows() })
    }
}

fn column(array: &ArrayRef) -> Result<Column, ArrowError> {
    let array = plain(array)?;
    let text = |array: &ArrayRef| Ok::<_, ArrowError>(texts(array)?.as_string::<i32>().clone());
    Ok(match array.data_type() {
        kind if kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Null) => {
            Column::Numbers(arrow_cast::cast(&array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Column::Texts(text(&array)?),
        kind => match text(&array) {
            Ok(times) if kind.is_temporal() => Column::Times(times),
            _ => Column::Nested(in_a_word(kind)),
        },
    })
}

/// What stands in a column that is neither of numbers nor of text.
fn in_a_word(kind: &DataType) -> String {
    use DataType::{Binary, BinaryView, FixedSizeBinary, FixedSizeList, LargeBinary, LargeList, Map, Struct};
    match kind {
        LargeList(_) | FixedSizeList(..) => "lists".to_owned(),
        Struct(_) => "structures".to_owned(),
        Map(..) => "maps".to_owned(),
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => "bytes".to_owned(),
        other => other.to_string(),
    }
}

impl Cells for ColumnCells {
    fn rows(&self) -> usize {
        self.rows
    }

    fn field(&self, row: usize, column: usize) -> Field {
        match &self.columns[column] {
            Column::Numbers(values) if values.is_valid(row) && !values.value(row).is_nan() => {
                Field::Number(values.value(row))
            }
            Column::Texts(values) if values.is_valid(row) => field(values.value(row).trim(), Decimal::Point),
            Column::Times(values) if values.is_valid(row) => Field::Time,
            _ => Field::Missing,
        }
    }

    fn text(&self, row: usize, column: usize) -> Cow<'_, str> {
        match &self.columns[column] {
            Column::Numbers(values) if values.is_valid(row) => Cow::Owned(values.value(row).to_string()),
            Column::Texts(values) | Column::Times(values) if values.is_valid(row) => Cow::Borrowed(values.value(row)),
            _ => Cow::Borrowed(""),
        }
    }

    fn place(&self, row: usize, column: usize) -> String {
        format!("row {}, column \"{}\"", row + 1, self.names[column])
    }

    fn whole(&self, column: usize) -> ArrayRef {
        Arc::clone(&self.arrays[column])
    }

    fn nested(&self, column: usize) -> Option<String> {
        match &self.columns[column] {
            Column::Nested(kind) => Some(kind.clone()),
            _ => None,
        }
    }
}
