//! What a table is taken for, whatever it is stored as: which columns are features, classes, weights, or carried through.

use super::super::ReadProblem;
use super::super::labels::RawLabels;
use super::super::raw::Raw;
use super::super::stored::{Array, Stored};
use super::TableRequest;
use super::cells::Cells;
use super::column::Column;
use super::lookup::Table;
use super::roles::{Asked, roles};
use crate::data::Missing;
use crate::data::kept::Kept;
use crate::data::layout::Layout;

/// The features, classes and weights in the first `width` columns of a table.
pub fn raw(
    cells: &impl Cells,
    width: usize,
    names: Option<&[String]>,
    format: String,
    request: TableRequest,
) -> Result<Raw, ReadProblem> {
    let columns: Vec<Column> = (0..width).map(|at| Column::of(cells, at)).collect();
    let roles = roles(&columns, names, asked(&request))?;
    for &at in &roles.features {
        check(cells, at, &columns[at], request.missing)?;
    }
    let rows = cells.rows();
    let mut values = Vec::with_capacity(rows * roles.features.len());
    for n in 0..rows {
        values.extend(roles.features.iter().map(|&at| columns[at].numbers[n]));
    }
    let array = Array { sizes: vec![rows, roles.features.len()], values: Stored::F64(values) };
    Ok(Raw {
        format,
        table: true,
        has_columns: true,
        layout: "nf".parse::<Layout>().ok(),
        labels: roles.label.map(|at| classes(cells, names, at)),
        columns: names.map(|names| roles.features.iter().map(|&at| names[at].clone()).collect()),
        weights: roles.weight.map(|at| weights(cells, at, &columns[at])).transpose()?,
        kept: kept(cells, names, width, request.keep)?,
        notes: roles.notes,
        ..Raw::new("", array)
    })
}

/// The classes alone, in columns that hold no features.
pub fn labels(
    cells: &impl Cells,
    names: &[String],
    request: TableRequest,
) -> Result<Option<(String, RawLabels)>, ReadProblem> {
    let columns: Vec<Column> = (0..names.len()).map(|at| Column::of(cells, at)).collect();
    let table = Table { columns: &columns, names: Some(names) };
    let at = table.classes(asked(&request), |_| true)?;
    Ok(at.map(|at| classes(cells, Some(names), at)))
}

/// The columns that are carried through.
pub fn kept(
    cells: &impl Cells,
    names: Option<&[String]>,
    width: usize,
    keep: &[String],
) -> Result<Vec<Kept>, ReadProblem> {
    let columns = vec![Column::default(); width];
    let table = Table { columns: &columns, names };
    let column = |asked: &String| -> Result<Kept, ReadProblem> {
        let at = table.find(asked)?;
        let name = names.map_or_else(|| format!("column {}", at + 1), |names| names[at].clone());
        Ok(Kept { name, values: cells.whole(at) })
    };
    keep.iter().map(column).collect()
}

fn asked<'a>(request: &TableRequest<'a>) -> Asked<'a> {
    Asked { options: request.options, label: request.label, weight: request.weight, expected: request.expected }
}

/// What a column of classes is called, and the classes.
fn classes(cells: &impl Cells, names: Option<&[String]>, at: usize) -> (String, RawLabels) {
    let called = names.map_or_else(|| format!("column {}", at + 1), |names| format!("\"{}\"", names[at]));
    let class = |row: usize| {
        let text = cells.text(row, at);
        if matches!(&*text, "NA" | "NaN" | "nan") { String::new() } else { text.into_owned() }
    };
    (called, RawLabels::Words((0..cells.rows()).map(class).collect()))
}

/// Refuses what no feature may hold, by its place.
fn check(cells: &impl Cells, at: usize, column: &Column, missing: Missing) -> Result<(), ReadProblem> {
    if let Some(kind) = &column.nested {
        return Err(format!("{}: {kind}, expected a number", cells.place(0, at)).into());
    }
    if let Some((place, text)) = &column.first_word {
        return Err(format!("{place}: \"{text}\", expected a number").into());
    }
    if let Some(n) = column.numbers.iter().position(|v| v.is_infinite()) {
        return Err(format!("{}: {}, expected a finite number", cells.place(n, at), column.numbers[n]).into());
    }
    match column.numbers.iter().position(|v| v.is_nan()) {
        Some(n) if missing == Missing::Error => Err(format!(
            "{}: \"{}\", expected a finite number; --missing drop leaves such rows out ({} in this column), --missing mean \
             puts the column's mean there",
            cells.place(n, at),
            cells.text(n, at),
            column.missing
        )
        .into()),
        _ => Ok(()),
    }
}

/// The weights in a column.
fn weights(cells: &impl Cells, at: usize, column: &Column) -> Result<Vec<f64>, ReadProblem> {
    for (row, &weight) in column.numbers.iter().enumerate() {
        if !weight.is_finite() {
            return Err(format!("{}: \"{}\", expected a number", cells.place(row, at), cells.text(row, at)).into());
        }
        if weight < 0.0 {
            return Err(format!("{}: weight {weight}, expected 0 or more", cells.place(row, at)).into());
        }
    }
    Ok(column.numbers.clone())
}
