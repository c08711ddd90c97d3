//! Columns by their names and numbers, and what these and their values say of them.

use std::path::Path;

use super::column::Column;
use super::roles::{Asked, Roles};

/// Names of columns of classes, the likelier first.
const LABELS: [&str; 10] =
    ["label", "labels", "class", "classes", "target", "targets", "species", "category", "y", "ground_truth"];
/// Names of columns that count or name the rows.
const INDICES: [&str; 12] =
    ["", "index", "idx", "id", "row", "rowid", "row_id", "rownames", "row_names", "no", "nr", "record"];
/// Names of columns of times.
const TIMES: [&str; 8] = ["time", "timestamp", "time_stamp", "date", "datetime", "epoch", "ts", "date_time"];
/// Columns of so many bytes are the pixels of digits.
const DIGIT: usize = 28 * 28;
/// A column without a name that counts this many rows is asked about.
const COUNTED: usize = 10;

/// True for names by which columns of classes, row numbers or times are known.
pub fn is_usual(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    LABELS.contains(&&*name) || TIMES.contains(&&*name) || is_index(&name)
}

/// True for names of columns of classes.
pub fn is_label(name: &str) -> bool {
    LABELS.contains(&&*name.to_ascii_lowercase())
}

/// True for names, in lower case, of columns that count or name the rows.
fn is_index(name: &str) -> bool {
    INDICES.contains(&name) || name.starts_with("unnamed: ") || name.starts_with("__index_level_")
}

/// The columns with their names, if they have any.
pub struct Table<'a> {
    /// The columns.
    pub columns: &'a [Column],
    /// Their names, if they have any.
    pub names: Option<&'a [String]>,
}

impl Table<'_> {
    fn name(&self, column: usize) -> Option<&str> {
        self.names.map(|names| names[column].as_str())
    }

    /// A column in words.
    pub fn called(&self, column: usize) -> String {
        match self.name(column) {
            Some(name) => format!("column \"{name}\""),
            None => format!("column {}", column + 1),
        }
    }

    /// The column of a name, or of a number from 1, or from the end if it is negative.
    pub fn find(&self, asked: &str) -> Result<usize, String> {
        let same = |name: &&String| name.eq_ignore_ascii_case(asked);
        if let Some(names) = self.names {
            let exact = names.iter().position(|name| name == asked);
            let alone = (names.iter().filter(same).count() == 1).then(|| names.iter().position(|n| same(&n))).flatten();
            if let Some(column) = exact.or(alone) {
                return Ok(column);
            }
        }
        let count = self.columns.len();
        match asked.parse::<i64>() {
            Ok(number) if number >= 1 && number as usize <= count => Ok(number as usize - 1),
            Ok(number) if number < 0 && number.unsigned_abs() as usize <= count => {
                Ok(count - number.unsigned_abs() as usize)
            }
            _ => Err(match self.names {
                Some(names) => format!("no column \"{asked}\"; there are {}", names.join(", ")),
                None => format!("no header line, so no column \"{asked}\"; there are columns 1 to {count}"),
            }),
        }
    }

    /// The columns of several names or numbers.
    pub fn find_all(&self, asked: &[String]) -> Result<Vec<usize>, String> {
        asked.iter().map(|name| self.find(name)).collect()
    }

    /// The columns that a model takes, in its order.
    pub fn in_model_order(&self, model: &[String]) -> Result<Vec<usize>, String> {
        let names = self.names.unwrap_or_default();
        let missing: Vec<String> =
            model.iter().filter(|name| !names.contains(name)).map(|name| format!("\"{name}\"")).collect();
        if !missing.is_empty() {
            return Err(format!(
                "the model takes columns that are not here: {}; there are {}",
                missing.join(", "),
                names.join(", ")
            ));
        }
        Ok(model.iter().filter_map(|name| names.iter().position(|n| n == name)).collect())
    }

    /// The column of classes: the one that is asked for, else the one of a usual name among those that are `free`.
    pub fn classes(&self, asked: Asked, free: impl Fn(usize) -> bool) -> Result<Option<usize>, String> {
        match asked.label {
            Some(name) if name.eq_ignore_ascii_case("none") => Ok(None),
            Some(name) => match self.find(name) {
                // A file of their own.
                Err(_) if Path::new(name).is_file() => Ok(None),
                found => found.map(Some),
            },
            None => {
                let manner = asked.expected.manner.as_ref().and_then(|manner| manner.label.as_deref());
                let bare = self.names.is_none() && asked.is_bare(self.columns.len());
                match manner.filter(|_| !bare) {
                    Some("none") => Ok(None),
                    Some(name) if self.find(name).is_ok_and(&free) => self.find(name).map(Some),
                    _ => self.label(asked, free),
                }
            }
        }
    }

    /// The first or the last of columns without names, if it is one of classes: whole numbers that count a few kinds from 0
    /// or 1, beside fractions, beside the pixels of digits, or where the model takes a column less.
    ///
    /// # Errors
    /// If it may as well be a feature.
    fn unnamed_classes(&self, asked: Asked, free: impl Fn(usize) -> bool) -> Result<Option<usize>, String> {
        let count = self.columns.len();
        if count < 2 || asked.is_bare(count) || !asked.options.columns.is_empty() {
            return Ok(None);
        }
        let kinds = |at: usize| self.columns[at].counts_kinds().filter(|_| free(at));
        let ends: Vec<usize> = [0, count - 1].into_iter().filter(|&at| kinds(at).is_some()).collect();
        let others = |at: usize| (0..count).filter(move |&o| o != at).filter(|&o| free(o)).map(|o| &self.columns[o]);
        let is_digits = |at: usize| others(at).count() == DIGIT && others(at).all(Column::is_bytes);
        match ends[..] {
            [at, ..] if is_digits(at) => Ok(Some(at)),
            [at] if others(at).all(Column::has_fractions) || asked.is_bare(count - 1) => Ok(Some(at)),
            // Where other columns count a few things, too, it is nothing that these do.
            [at] if others(at).all(|other| other.counts_kinds().is_none()) => {
                let ((least, most), number) = (kinds(at).unwrap_or_default(), at + 1);
                Err(format!(
                    "column {number} alone holds a few whole numbers, {least} to {most}: say --label {number} if these are \
                     classes, else --label none"
                ))
            }
            _ => Ok(None),
        }
    }

    /// The column of classes by its name, if it is one that holds classes.
    fn label(&self, asked: Asked, free: impl Fn(usize) -> bool) -> Result<Option<usize>, String> {
        let Some(names) = self.names else { return self.unnamed_classes(asked, free) };
        let called = |name: &str| names.iter().position(|n| n.eq_ignore_ascii_case(name));
        for name in LABELS {
            let Some(column) = called(name).filter(|column| free(*column)) else { continue };
            let classes = self.columns[column].is_classes();
            // Beside x it is a coordinate.
            if name == "y" && (!classes || called("x").is_some()) {
                continue;
            }
            if !classes {
                return Err(format!(
                    "{} has the name of classes, but holds {}: --label none takes it as a feature, --ignore {} leaves it out",
                    self.called(column),
                    self.columns[column].not_class(),
                    names[column]
                ));
            }
            return Ok(Some(column));
        }
        Ok(None)
    }

    /// Why a column is no feature; None if it is one.
    pub fn reason_to_leave_out(
        &self,
        column: usize,
        roles: &Roles,
        label: Option<&str>,
    ) -> Result<Option<String>, String> {
        let values = &self.columns[column];
        let name = self.name(column).map(str::to_ascii_lowercase);
        let has = |usual: &[&str]| name.as_deref().is_some_and(|name| usual.contains(&name));
        let why = |why: &str| Ok(Some(why.to_owned()));
        if let Some(kind) = &values.nested {
            return why(&format!("it holds {kind}"));
        }
        if values.is_empty() {
            return why("empty");
        }
        if values.is_times() || (has(&TIMES) && values.never_falls()) {
            return why("times");
        }
        if name.as_deref().is_some_and(is_index) && values.is_distinct() {
            return why("it counts or names the rows");
        }
        if label.is_none() && roles.label.is_some() && has(&LABELS[..8]) && values.is_classes() {
            return why("classes too");
        }
        if let Some((place, text)) = &values.first_word {
            let by = self.name(column).map_or_else(|| (column + 1).to_string(), str::to_owned);
            let classes = format!("--label {by} if these are classes, ");
            let hint = if values.is_mostly_words() { &*classes } else { "" };
            return Err(format!("{place}: \"{text}\", expected a number; {hint}--ignore {by} leaves the column out"));
        }
        if name.is_none() && column == 0 && self.columns.len() > 1 && values.counts_rows(COUNTED) {
            return Err(
                "the first column counts the rows: --ignore 1 leaves it out, --header no --columns 1,2,... takes it"
                    .into(),
            );
        }
        Ok(None)
    }
}
