//! What the columns of a table are: features, classes, weights, or left out.

use super::column::Column;
use super::lookup::Table;
use super::options::TableOptions;
use crate::data::Expected;

/// What was asked of the columns.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The options of the command line.
    pub options: &'a TableOptions,
    /// Column of classes; `none` for none.
    pub label: Option<&'a str>,
    /// Column of weights.
    pub weight: Option<&'a str>,
    /// What is known of the frames, by the model that they are for.
    pub expected: &'a Expected,
}

impl Asked<'_> {
    /// Whether rows of so many columns hold the features of the model and nothing else.
    pub fn is_bare(&self, columns: usize) -> bool {
        self.expected.shape.is_some_and(|shape| shape.len() == columns)
    }
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
    let (mut ignore, mut choose) = (&asked.options.ignore, &asked.options.columns);
    let model = asked.expected.columns.as_deref();
    if let (None, None, Some(manner)) = (model, names, &asked.expected.manner)
        && ignore.is_empty()
        && choose.is_empty()
        && !asked.is_bare(columns.len())
    {
        (ignore, choose) = (&manner.ignore, &manner.columns);
        for (option, numbers) in [("ignore", ignore), ("columns", choose)].iter().filter(|(_, n)| !n.is_empty()) {
            roles.notes.push(format!("--{option} {}, as the model was fitted", numbers.join(",")));
        }
    }
    let ignored = table.find_all(ignore)?;
    let chosen = table.find_all(choose)?;
    let modelled = match (model, names) {
        (Some(model), Some(names)) => {
            let mut other = chosen.iter().map(|&column| &names[column]).filter(|name| !model.contains(name));
            if let Some(name) = other.next() {
                return Err(format!("--columns {name}: the model takes {}", model.join(", ")));
            }
            Some(table.in_model_order(model)?)
        }
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
    roles.label = table.classes(asked, |column| free(column, &roles))?;
    if let (None, None, Some(label)) = (names, asked.label, roles.label) {
        roles.notes.push(format!("--label none takes column {} as a feature", label + 1));
    }
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
