//! From a fitted model to the files the device needs: ONNX, flash image, card.

mod card;
mod critic;
mod decoder;
mod flash;
mod fold;
mod front_end;
mod graph;
mod onnx;
mod windowing;

pub use card::figures;
pub use critic::encode_critic;
pub use decoder::encode_decoder;
pub use flash::encode_flash;
pub use fold::{Folded, FoldedConv, FoldedDense};
pub use onnx::encode;

use std::path::{Path, PathBuf};

use crate::config::ClusterPosterior;
use crate::critic::Critic;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::fitted::Fitted;

/// How the weights are stored; arithmetic is the engine's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Precision {
    /// Half precision, half the size.
    #[default]
    F16,
    /// Single precision, twice the size.
    F32,
}

/// Files that an export has written.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Path of the ONNX file, `model.onnx`.
    pub onnx: PathBuf,
    /// Size of the ONNX file, bytes.
    pub onnx_bytes: usize,
    /// Path of the flash image, `model.cvi`.
    pub flash: PathBuf,
    /// Path of the decoder's ONNX file, which the device does not need.
    pub decoder: PathBuf,
    /// Path of the critic's ONNX file, if the run has a critic.
    pub critic: Option<PathBuf>,
    /// Path of the model card, `MODEL_CARD.md`.
    pub card: PathBuf,
}

/// Writes all files of a model into `folder`.
///
/// They are `model.onnx`, `model.cvi`, `decoder.onnx`, with a critic `critic.onnx`, and
/// `MODEL_CARD.md`, with `figures` in it.
///
/// # Errors
/// [`Error::Model`] if a weight is not finite in the precision asked for, [`Error::Resource`] if a
/// file cannot be written.
pub fn export(
    fitted: &Fitted,
    critic: Option<&Critic>,
    precision: Precision,
    folder: &Path,
    figures: Option<&str>,
) -> Result<Exported> {
    std::fs::create_dir_all(folder).map_err(|e| Error::resource(folder.display(), e))?;
    let bytes = encode(fitted, precision)?;
    let onnx = folder.join("model.onnx");
    write_atomically(&onnx, &bytes)?;
    let flash = folder.join("model.cvi");
    write_atomically(&flash, &encode_flash(fitted, critic)?)?;
    let decoder = folder.join("decoder.onnx");
    write_atomically(&decoder, &encode_decoder(fitted, precision)?)?;
    let critic = match critic {
        Some(critic) => {
            let path = folder.join("critic.onnx");
            write_atomically(&path, &encode_critic(fitted, critic, precision)?)?;
            Some(path)
        }
        None => None,
    };
    let card = folder.join("MODEL_CARD.md");
    write_atomically(&card, card::text(fitted, precision, &bytes, figures)?.as_bytes())?;
    Ok(Exported { onnx, onnx_bytes: bytes.len(), flash, decoder, critic, card })
}

/// The model card of what [`export`] would write, as Markdown.
///
/// # Errors
/// [`Error::Model`] if a weight is not finite in the precision asked for.
pub fn card(fitted: &Fitted, precision: Precision, figures: Option<&str>) -> Result<String> {
    card::text(fitted, precision, &encode(fitted, precision)?, figures)
}

/// Words for what the device computes q(c|x) from, which may differ from the choice in training.
fn device_posterior(trained: ClusterPosterior) -> &'static str {
    match trained {
        ClusterPosterior::Gmm => "responsibilities of the latent mixture",
        ClusterPosterior::MeanField => {
            "responsibilities of the latent mixture (trained with the mean-field posterior, which needs the decoder)"
        }
        ClusterPosterior::Amortised => "learned softmax head",
    }
}
