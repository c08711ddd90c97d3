//! Tables as text, one frame a row: what stands between fields, encodings, headers, and what each column is.

mod cells;
mod column;
mod dialect;
mod fields;
mod header;
pub mod lookup;
mod options;
mod roles;
mod taken;
mod text;

pub use cells::{Cells, TextCells};
pub use fields::{Field, field};
pub use options::{Decimal, Header, TableOptions};
pub use taken::{kept, labels, raw};

use options::Delimiter;

use self::dialect::Row;
use super::ReadProblem;
use super::labels::RawLabels;
use super::raw::Raw;
use crate::data::{Expected, Missing};

/// What a table is read for.
#[derive(Clone, Copy, Debug)]
pub struct TableRequest<'a> {
    /// How it is written, and what its columns are.
    pub options: &'a TableOptions,
    /// Column of classes; `none` for none.
    pub label: Option<&'a str>,
    /// Column of weights.
    pub weight: Option<&'a str>,
    /// Columns that are carried through to the output.
    pub keep: &'a [String],
    /// What is known of the frames, by the model that they are for.
    pub expected: &'a Expected,
    /// What becomes of missing values.
    pub missing: Missing,
}

/// The features, classes and weights in the bytes of a table.
pub fn read(bytes: &[u8], request: TableRequest) -> Result<Raw, ReadProblem> {
    let Parsed { cells, names, width, format } = parsed(bytes, request.options, request.expected.columns.as_deref())?;
    raw(&cells, width, names.as_deref(), format, request)
}

/// A text taken apart.
pub struct Parsed {
    /// The fields.
    pub cells: TextCells,
    /// Names of the columns, if there is a header.
    pub names: Option<Vec<String>>,
    /// Number of columns.
    pub width: usize,
    /// How it is written, in words.
    pub format: String,
}

/// The rows and names in the bytes of a table; `known` are names that the model has.
pub fn parsed(bytes: &[u8], options: &TableOptions, known: Option<&[String]>) -> Result<Parsed, ReadProblem> {
    let (text, encoding) = text::decoded(bytes, options.encoding.as_deref())?;
    let (stated, text) = dialect::stated(&text);
    // Left out, but counted, so that an error names the line of the file.
    let above = text.split_inclusive('\n').take(options.skip).map(str::len).sum();
    let blank = format!("{}{}", "\n".repeat(options.skip), &text[above..]);
    let text = if options.skip > 0 { &*blank } else { text };
    let delimiter = options.delimiter.or(stated).unwrap_or_else(|| dialect::delimiter(text));
    let mut rows = dialect::rows(text, delimiter)?;
    let decimal = options.decimal.map_or_else(|| dialect::decimal(&rows), Ok)?;
    let mut names: Option<Vec<String>> = None;
    if header::is_header(&rows, options.header, decimal, known)? && !rows.is_empty() {
        names = Some(rows.remove(0).1.iter().map(in_one_line).collect());
    }
    if rows.is_empty() {
        return Err("no frames: the table has no rows".into());
    }
    let width = aligned(&mut rows, &mut names)?;
    if names.is_none() && options.header == Header::Auto {
        names = dialect::names_in_comment(text, delimiter, width).map(|n| n.iter().map(str::to_owned).collect());
    }
    let names = names.map(unique);
    let format = [
        Some(format!("a table of {delimiter}")),
        (decimal == Decimal::Comma).then(|| "decimal commas".to_owned()),
        encoding.map(str::to_owned),
        Some(if names.is_some() { "a header" } else { "no header" }.to_owned()),
    ];
    let format = format.into_iter().flatten().collect::<Vec<_>>().join(", ");
    Ok(Parsed { cells: TextCells { rows, decimal }, names, width, format })
}

/// The labels in a text of one column, with a header or without.
pub fn read_labels(bytes: &[u8], options: &TableOptions) -> Result<RawLabels, ReadProblem> {
    let (text, _) = text::decoded(bytes, options.encoding.as_deref())?;
    let mut rows = dialect::rows(&text, Delimiter::Byte(b','))?;
    if let Some((line, row)) = rows.iter().find(|(_, row)| row.len() != 1) {
        return Err(format!("line {line}: {} fields, expected one label a line", row.len()).into());
    }
    let named = rows.first().is_some_and(|(_, row)| !row[0].is_empty() && lookup::is_usual(&row[0]));
    if options.header == Header::Yes || (options.header == Header::Auto && named) {
        rows.remove(0);
    }
    Ok(RawLabels::Words(rows.into_iter().map(|(_, row)| row[0].to_owned()).collect()))
}

/// The number of columns; what only looks like one at the end of rows is cut off.
///
/// # Errors
/// If rows differ in their number of fields.
fn aligned(rows: &mut [Row], names: &mut Option<Vec<String>>) -> Result<usize, ReadProblem> {
    let Some(expected) = rows.first().map(|(_, row)| row.len()) else { return Ok(names.as_ref().map_or(0, Vec::len)) };
    if let Some((line, row)) = rows.iter().find(|(_, row)| row.len() != expected) {
        // A few words above the table are a row of fewer fields.
        let hint = if row.len() > expected && *line <= 20 { "; --skip N leaves N lines above a table out" } else { "" };
        return Err(format!("line {line}: {} fields, expected {expected}{hint}", row.len()).into());
    }
    let mut width = expected;
    // A delimiter at the end of every line.
    let ends_empty = |width: usize| width > 1 && rows.iter().all(|(_, row)| row[width - 1].is_empty());
    let unnamed = |names: &Option<Vec<String>>, width: usize| match names {
        Some(names) => names.get(width - 1).is_none_or(String::is_empty),
        None => true,
    };
    while ends_empty(width) && unnamed(names, width) {
        width -= 1;
    }
    if width < expected {
        rows.iter_mut().for_each(|(_, row)| row.truncate(width));
    }
    if let Some(names) = names {
        // R leaves out the name of the row names.
        if names.len() + 1 == width && !names[0].starts_with(COMMENTS) {
            names.insert(0, String::new());
        }
        while names.len() > width && names.last().is_some_and(String::is_empty) {
            names.pop();
        }
        if names.len() != width {
            let line = rows.first().map_or(0, |(line, _)| *line);
            let hint = if names[0].starts_with(COMMENTS) { "; --skip N leaves N lines above a table out" } else { "" };
            return Err(format!("line {line}: {width} fields, expected {} as in the header{hint}", names.len()).into());
        }
    }
    Ok(width)
}

/// What lines begin with that are comments to other programs.
const COMMENTS: [char; 5] = ['%', ';', '!', '/', '*'];

/// A name as it can be told in a line.
fn in_one_line(name: &str) -> String {
    name.split(char::is_control).map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Names that differ from one another: the second `x` becomes `x.1`.
pub fn unique(names: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let others = (1..).map(|n| format!("{name}.{n}"));
        let free = std::iter::once(name.clone()).chain(others).find(|candidate| !out.contains(candidate));
        out.push(free.unwrap_or(name));
    }
    out
}
