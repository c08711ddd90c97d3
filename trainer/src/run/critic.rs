//! The critic beside the model it was trained for.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::VERSION;
use super::lock::Lock;
use crate::critic::Critic;
use crate::error::{Error, Result};
use crate::files::{sha256, write_atomically};
use crate::fitted::Fitted;

/// The content of `critic.json`, which ties a critic to the model it was trained for.
#[derive(Serialize, Deserialize)]
struct SavedCritic {
    version: u32,
    weights_sha256: String,
    critic_sha256: String,
}

/// Saves a critic in the run directory of its model; the model's own files stay as they are.
///
/// # Errors
/// [`Error::Resource`] if it cannot be written, [`Error::Model`] if the folder holds no model.
pub fn save_critic(folder: &Path, critic: &Critic) -> Result<()> {
    let _lock = Lock::take(folder)?;
    let weights = folder.join("weights.bpk");
    let path = folder.join("critic.bpk");
    let record = critic.network.clone().into_record();
    let bytes = record.into_bytes().map_err(|e| Error::resource(path.display(), e))?;
    let saved = SavedCritic { version: VERSION, weights_sha256: hash_of(&weights)?, critic_sha256: sha256(&bytes) };
    write_atomically(&path, &bytes)?;
    let text = serde_json::to_string_pretty(&saved).map_err(|e| Error::resource("critic.json", e))?;
    write_atomically(&folder.join("critic.json"), text.as_bytes())
}

/// The critic of a run directory whose model is `fitted`; None if it has none.
///
/// # Errors
/// [`Error::Model`] if a file is damaged, or the critic is another model's.
pub fn load_critic(folder: &Path, fitted: &Fitted, device: &Device) -> Result<Option<Critic>> {
    let description = folder.join("critic.json");
    let text = match std::fs::read(&description) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|e| Error::model(&description, e))?,
    };
    let saved: SavedCritic = serde_json::from_slice(&text).map_err(|e| Error::model(&description, e))?;
    if saved.version != VERSION || saved.weights_sha256 != hash_of(&folder.join("weights.bpk"))? {
        return Err(Error::model(&description, "not the critic of this model; train one with `trainer critic`"));
    }
    let path = folder.join("critic.bpk");
    if hash_of(&path)? != saved.critic_sha256 {
        return Err(Error::model(&path, "damaged: its sha256 is not the one in critic.json; train it again"));
    }
    Critic::load(fitted, &path, device).map(Some)
}

/// SHA-256 of a file.
fn hash_of(path: &Path) -> Result<String> {
    std::fs::read(path).map(|bytes| sha256(&bytes)).map_err(|e| Error::model(path, e))
}
