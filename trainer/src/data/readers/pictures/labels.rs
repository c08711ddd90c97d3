//! Classes of pictures from a table of their names and classes.

use std::collections::HashMap;
use std::path::Path;

use super::super::ReadProblem;
use super::super::labels::RawLabels;
use super::super::table::{Cells, Parsed, TableOptions, lookup, parsed};
use super::Source;

/// The classes of pictures, in their order, from the bytes of a table with a column of their names: paths in the folder,
/// names of files, or these without the ending.
///
/// # Errors
/// If no column names the pictures, one is not named, or named twice with two classes, or it is not clear which column
/// holds the classes.
pub fn labels(bytes: &[u8], options: &TableOptions, sources: &[Source]) -> Result<RawLabels, ReadProblem> {
    let Parsed { cells, names, width, .. } = parsed(bytes, options, None)?;
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

/// The rows of a column by the names of files in it.
struct Named(HashMap<String, Vec<usize>>);

impl Named {
    fn of(cells: &impl Cells, column: usize) -> Self {
        let mut rows: HashMap<String, Vec<usize>> = HashMap::new();
        for row in 0..cells.rows() {
            let name = cells.text(row, column).replace('\\', "/");
            rows.entry(name.trim_start_matches("./").to_owned()).or_default().push(row);
        }
        Self(rows)
    }

    /// The rows of a picture: by its path, else by its name, else by that without its ending.
    fn row(&self, source: &Source) -> Option<&[usize]> {
        let path = Path::new(&source.name);
        let last = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        let stem = path.with_extension("");
        let keys = [Some(source.name.replace('\\', "/")), last(path.file_name()), last(stem.file_name())];
        let without = stem.display().to_string().replace('\\', "/");
        keys.into_iter().flatten().chain([without]).find_map(|key| self.0.get(&key)).map(Vec::as_slice)
    }
}
