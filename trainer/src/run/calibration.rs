//! The calibration of a run that has ended, replaced.

use std::path::Path;

use super::lock::Lock;
use super::{DecoderNovelty, Saved};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::fitted::Fitted;

/// Writes the calibration of `fitted` to the `model.json` of its run; nothing else of the run changes.
///
/// # Errors
/// [`Error::Model`] if there is no such file, [`Error::Resource`] if it cannot be written.
pub fn save_calibration(folder: &Path, fitted: &Fitted) -> Result<()> {
    let _lock = Lock::take(folder)?;
    let path = folder.join("model.json");
    let text = std::fs::read(&path).map_err(|e| Error::model(&path, e))?;
    let mut saved = Saved::read(&path, &text)?;
    saved.novelty_threshold = fitted.novelty.latent_threshold;
    saved.decoder_novelty = DecoderNovelty::of(fitted);
    saved.temperature = fitted.calibration.temperature;
    saved.calibrated_on = fitted.calibrated_on;
    saved.seen.clone_from(&fitted.seen);
    let text = serde_json::to_string_pretty(&saved).map_err(|e| Error::resource(path.display(), e))?;
    write_atomically(&path, text.as_bytes())
}
