//! The file that a mixture is saved in, and whether it fits a table.

use std::path::Path;

use trainer::data::{DataSet, Frames};
use trainer::files::write_atomically;
use trainer::gmm::TableMixture;
use trainer::{Error, Result};

/// Writes a mixture as JSON.
pub fn save(path: &Path, mixture: &TableMixture) -> Result<()> {
    let text = serde_json::to_string_pretty(mixture).map_err(|e| Error::resource(path.display(), e))?;
    write_atomically(path, (text + "\n").as_bytes())
}

/// Reads a mixture.
///
/// # Errors
/// [`Error::Model`] if the file is none of `trainer gmm --out` or damaged.
pub fn load(path: &Path) -> Result<TableMixture> {
    let bytes = std::fs::read(path).map_err(|e| Error::model(path, e))?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Error::model(path, format!("no model of `trainer gmm --out`, or damaged: {e}")))
}

/// Refuses a table that has another number of columns than the mixture was fitted to; names are matched by the reader.
///
/// # Errors
/// [`Error::Data`] with both numbers.
pub fn check(mixture: &TableMixture, data: &str, table: &DataSet<Frames<f64>>) -> Result<()> {
    let (found, expected) = (table.frames.shape.len(), mixture.mixture.dim());
    if found != expected {
        let which = mixture.columns.as_deref().map_or(String::new(), |columns| format!(": {}", columns.join(", ")));
        return Err(Error::data(data, format!("{found} columns, the mixture was fitted to {expected}{which}")));
    }
    Ok(())
}
