//! What the columns of a table are: features, classes, weights, or left out.

use std::path::Path;

use super::column::Column;
use super::options::TableOptions;

/// Names of columns of classes, the likelier first.
const LABELS: [&str; 10] =
    ["label", "labels", "class", "classes", "target", "targets", "species", "category", "y", "ground_truth"];
/// Names of columns that count or name the rows.
const INDICES: [&str; 12] =
    ["", "index", "idx", "id", "row", "rowid", "row_id", "rownames", "row_names", "no", "nr", "record"];
/// Names of columns of times.
const TIMES: [&str; 8] = ["time", "timestamp", "time_stamp", "date", "datetime", "epoch", "ts", "date_time"];
/// A column without a name that counts this many rows is asked about.
const COUNTED: usize = 10;

/// True for names by which columns of classes, row numbers or times are known.
pub fn is_usual(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    LABELS.contains(&&*name) || TIMES.contains(&&*name) || is_index(&name)
}

/// True for names, in lower case, of columns that count or name the rows.
fn is_index(name: &str) -> bool {
    INDICES.contains(&name) || name.starts_with("unnamed: ")
}

/// What was asked of the columns.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The options of the command line.
    pub options: &'a TableOptions,
    /// Column of classes; `none` for none.
    pub label: Option<&'a str>,
    /// Column of weights.
    pub weight: Option<&'a str>,
    /// Names of the features that the model takes, in its order.
    pub model: Option<&'a [String]>,
}

/// The columns of a table by what they are, counted from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// The features, in the order in which they are taken.
    pub features: Vec<usize>,
    /// The classes.
    pub label: Option<usize>,
    /// The weights.
    pub weight: Option<usize>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Finds out what each column is.
///
/// # Errors
/// If a column that was asked for is not there, or what a column is has to be asked.
pub fn roles(columns: &[Column], names: Option<&[String]>, asked: Asked) -> Result<Roles, String> {
    let table = Table { columns, names };
    let mut roles = Roles { weight: asked.weight.map(|name| table.find(name)).transpose()?, ..Roles::default() };
    let ignored = table.find_all(&asked.options.ignore)?;
    let chosen = table.find_all(&asked.options.columns)?;
    let modelled = match (asked.model, names) {
        (Some(model), Some(_)) if chosen.is_empty() => Some(table.in_model_order(model)?),
        (Some(_), None) if chosen.is_empty() => {
            roles.notes.push("columns taken in the model's order, since the table has no header".into());
            None
        }
        _ => None,
    };
    let fixed = modelled.clone().or((!chosen.is_empty()).then_some(chosen));
    let free = |column: usize, roles: &Roles| {
        Some(column) != roles.weight
            && !ignored.contains(&column)
            && !fixed.as_ref().is_some_and(|fixed| fixed.contains(&column))
    };
    roles.label = match asked.label {
        Some(name) if name.eq_ignore_ascii_case("none") => None,
        Some(name) => match table.find(name) {
            // A file of their own.
            Err(_) if Path::new(name).is_file() => None,
            found => Some(found?),
        },
        None => table.label(|column| free(column, &roles))?,
    };
    if roles.label.is_some() && roles.label == roles.weight {
        let name = table.called(roles.label.unwrap_or_default());
        return Err(format!("{name} cannot be both label and weight"));
    }
    if let Some(features) = &fixed {
        let other =
            |column: &usize| !features.contains(column) && free(*column, &roles) && Some(*column) != roles.label;
        let left: Vec<String> = (0..columns.len()).filter(other).map(|column| table.called(column)).collect();
        if !left.is_empty() {
            let why = if modelled.is_some() { "not in the model" } else { "not asked for" };
            roles.notes.push(format!("left out, {why}: {}", left.join(", ")));
        }
        roles.features.clone_from(features);
        return Ok(roles);
    }
    for column in 0..columns.len() {
        if !free(column, &roles) || Some(column) == roles.label {
            continue;
        }
        match table.reason_to_leave_out(column, &roles, asked.label)? {
            Some(why) => roles.notes.push(format!("{} left out, {why}", table.called(column))),
            None => roles.features.push(column),
        }
    }
    if roles.features.is_empty() {
        let label = roles.label.map(|label| format!("{} holds classes", table.called(label)));
        let why: Vec<String> = label.into_iter().chain(roles.notes).collect();
        return Err(format!("no column of features is left: {}", why.join("; ")));
    }
    Ok(roles)
}

/// The columns with their names, if they have any.
struct Table<'a> {
    columns: &'a [Column],
    names: Option<&'a [String]>,
}

impl Table<'_> {
    fn name(&self, column: usize) -> Option<&str> {
        self.names.map(|names| names[column].as_str())
    }

    /// A column in words.
    fn called(&self, column: usize) -> String {
        match self.name(column) {
            Some(name) => format!("column \"{name}\""),
            None => format!("column {}", column + 1),
        }
    }

    /// The column of a name, or of a number from 1, or from the end if it is negative.
    fn find(&self, asked: &str) -> Result<usize, String> {
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

    fn find_all(&self, asked: &[String]) -> Result<Vec<usize>, String> {
        asked.iter().map(|name| self.find(name)).collect()
    }

    /// The columns that a model takes, in its order.
    fn in_model_order(&self, model: &[String]) -> Result<Vec<usize>, String> {
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

    /// The column of classes by its name, if it is one that holds classes.
    fn label(&self, free: impl Fn(usize) -> bool) -> Result<Option<usize>, String> {
        let Some(names) = self.names else { return Ok(None) };
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
    fn reason_to_leave_out(
        &self,
        column: usize,
        roles: &Roles,
        label: Option<&str>,
    ) -> Result<Option<&'static str>, String> {
        let values = &self.columns[column];
        let name = self.name(column).map(str::to_ascii_lowercase);
        let has = |usual: &[&str]| name.as_deref().is_some_and(|name| usual.contains(&name));
        if values.is_empty() {
            return Ok(Some("empty"));
        }
        if values.is_times() || (has(&TIMES) && values.never_falls()) {
            return Ok(Some("times"));
        }
        if name.as_deref().is_some_and(is_index) && values.is_distinct() {
            return Ok(Some("it counts or names the rows"));
        }
        if label.is_none() && roles.label.is_some() && has(&LABELS[..8]) && values.is_classes() {
            return Ok(Some("classes too"));
        }
        if let Some((line, text)) = &values.first_word {
            let at = column + 1;
            let by = self.name(column).map_or_else(|| at.to_string(), str::to_owned);
            let classes = format!("--label {by} if these are classes, ");
            let hint = if values.is_mostly_words() { &*classes } else { "" };
            return Err(format!(
                "line {line}, field {at}: \"{text}\", expected a number; {hint}--ignore {by} leaves the column out"
            ));
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
