//! The file that a mixture is saved in, and whether it fits a table.

use std::path::Path;

use trainer::data::Table;
use trainer::files::write_atomically;
use trainer::gmm::TableMixture;
use trainer::{Error, Result};

/// Writes a mixture as JSON.
pub fn save(path: &Path, mixture: &TableMixture) -> Result<()> {
    let text = serde_json::to_string_pretty(mixture).map_err(|e| Error::resource(path.display(), e))?;
    write_atomically(path, (text + "\n").as_bytes())
}

/// Reads the mixture for a table, whose columns must be those that it was fitted to.
///
/// # Errors
/// [`Error::Model`] if the file is none of `trainer gmm --out` or damaged, [`Error::Data`] if the columns are others.
pub fn load(path: &Path, data: &Path, table: &Table) -> Result<TableMixture> {
    let bytes = std::fs::read(path).map_err(|e| Error::model(path, e))?;
    let mixture: TableMixture = serde_json::from_slice(&bytes)
        .map_err(|e| Error::model(path, format!("no model of `trainer gmm --out`, or damaged: {e}")))?;
    let (found, expected) = (table.rows.shape.len(), mixture.mixture.dim());
    let names = |columns: &[String]| columns.join(", ");
    if found != expected {
        let which = mixture.columns.as_deref().map_or(String::new(), |columns| format!(": {}", names(columns)));
        return Err(Error::data(data, format!("{found} columns, the mixture was fitted to {expected}{which}")));
    }
    if let (Some(found), Some(expected)) = (&table.columns, &mixture.columns)
        && found != expected
    {
        let (found, expected) = (names(found), names(expected));
        return Err(Error::data(data, format!("columns {found}; the mixture was fitted to {expected}, in that order")));
    }
    Ok(mixture)
}
