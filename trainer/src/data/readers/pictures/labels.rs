//! Classes of pictures from a table of their names and classes.

use std::collections::HashMap;
use std::path::Path;

use super::super::ReadProblem;
use super::super::labels::RawLabels;
use super::super::table::{Cells, Header, Parsed, TableOptions, lookup, parsed};
use super::Source;

/// The classes of pictures, in their order, from the bytes of a table with a column of their names: paths in the folder,
/// names of files, or these without the ending.
///
/// # Errors
/// If no column names the pictures, one is not named, or named twice with two classes, or it is not clear which column
/// holds the classes.
pub fn labels(bytes: &[u8], options: &TableOptions, sources: &[Source]) -> Result<RawLabels, ReadProblem> {
    let mut table = parsed(bytes, options, None)?;
    // Words above words look like names of columns; that of a picture is none.
    let named = |name: &String| sources.iter().any(|source| keys(source).any(|key| key == plain(name)));
    if options.header == Header::Auto && table.names.as_ref().is_some_and(|names| names.iter().any(named)) {
        table = parsed(bytes, &TableOptions { header: Header::No, ..options.clone() }, None)?;
    }
    let Parsed { cells, names, width, .. } = table;
    let by_column: Vec<Named> = (0..width).map(|column| Named::of(&cells, column)).collect();
    let found = |column: usize| sources.iter().filter(|source| by_column[column].row(source).is_some()).count();
    let best = (0..width).rev().max_by_key(|&column| found(column)).filter(|&column| found(column) > 0);
    let Some(files) = best else {
        let example = sources.first().map_or("", |source| &source.name);
        return Err(format!("no column names the pictures, as \"{example}\"").into());
    };
    let called = |column: usize| names.as_ref().map(|names| names[column].as_str());
    let others: Vec<usize> = (0..width).filter(|&column| column != files).collect();
    let usual: Vec<usize> = others.iter().copied().filter(|&at| called(at).is_some_and(lookup::is_label)).collect();
    let ((&[classes], _) | (_, &[classes])) = (&usual[..], &others[..]) else {
        return Err(format!("{width} columns: which holds the classes? Leave one beside the names of files").into());
    };
    let class = |source: &Source| {
        let rows = by_column[files].row(source).ok_or_else(|| {
            format!(
                "no class for {} of {} pictures, as \"{}\"",
                sources.len() - found(files),
                sources.len(),
                source.name
            )
        })?;
        let text = cells.text(rows[0], classes);
        match rows.iter().find(|&&row| cells.text(row, classes) != text) {
            Some(&row) => Err(format!("{}: a second class for \"{}\"", cells.place(row, classes), source.name)),
            None => Ok(text.into_owned()),
        }
    };
    Ok(RawLabels::Words(sources.iter().map(class).collect::<Result<_, String>>()?))
}

/// The names that a table may have for a picture, the longer first: its path, its name, both without their ending.
fn keys(source: &Source) -> impl Iterator<Item = String> {
    let path = source.name.replace('\\', "/");
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let without = Path::new(&path).with_extension("").display().to_string();
    [path.clone(), without.clone(), last(&path), last(&without)].into_iter()
}

/// A name as [`keys`] has it.
fn plain(name: &str) -> String {
    let name = name.replace('\\', "/");
    name.strip_prefix("./").unwrap_or(&name).to_owned()
}

/// The rows of a column by the names of files in it.
struct Named(HashMap<String, Vec<usize>>);

impl Named {
    fn of(cells: &impl Cells, column: usize) -> Self {
        let mut rows: HashMap<String, Vec<usize>> = HashMap::new();
        (0..cells.rows()).for_each(|row| rows.entry(plain(&cells.text(row, column))).or_default().push(row));
        Self(rows)
    }

    /// The rows of a picture, by its path before its name: that may stand in several folders.
    fn row(&self, source: &Source) -> Option<&[usize]> {
        keys(source).find_map(|key| self.0.get(&key)).map(Vec::as_slice)
    }
}
