//! How near a critic comes to the exact map, in training's arithmetic and on the device's engine.

use burn::tensor::{Device, Tensor};
use runtime::flash::{Buffer, CriticNetwork, FlashModel};
use runtime::native;

use crate::data::{Source, chunks};
use crate::error::{Error, Result};
use crate::explain::expectation::{Expectation, nodes};
use crate::explain::trust;
use crate::fitted::{Fitted, encode, to_host};
use crate::model::Posterior;

/// Agreement of a map with the exact one.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Agreement {
    /// R² over all values of all frames: 1 - Σ(exact - found)² / Σ(exact - mean of all)².
    pub r_squared: f64,
    /// Mean over frames of R² within one frame; frames whose exact map is constant are left out.
    pub mean_of_frames: f64,
}

/// The exact trust map `[N,P]` of frames in the units of the data, under the cluster that the
/// device gives.
///
/// # Errors
/// [`Error::Data`] if they have another shape than the model takes.
pub fn exact(fitted: &Fitted, frames: &dyn Source, device: &Device) -> Result<Vec<f32>> {
    let noise = trust::noise(&fitted.model)?;
    let mut maps = Vec::with_capacity(frames.len() * fitted.inner_shape().len());
    encode(&fitted.model, &fitted.prepare(frames)?, device, |_, x, posterior| {
        maps.extend(to_host(exact_part(fitted, x, &posterior, noise))?);
        Ok(())
    })?;
    Ok(maps)
}

/// The exact trust map `[B,P]` of frames that are already scaled and encoded; `noise` is s².
pub(super) fn exact_part(fitted: &Fitted, x: Tensor<2>, posterior: &Posterior, noise: f32) -> Tensor<2> {
    let cluster = fitted.model.log_responsibilities(posterior).argmax(1).squeeze_dim::<1>(1);
    trust::map(&Expectation::new(&fitted.model.decoder, x, nodes(posterior), cluster), noise)
}

/// The trust map `[N,P]` of frames in the units of the data, by the native engine on a flash image.
///
/// # Errors
/// [`Error::Model`] if the image has no critic, [`Error::Data`] if a frame is refused.
pub fn native(image: &[u8], frames: &dyn Source) -> Result<Vec<f32>> {
    let fault = |e: &dyn std::fmt::Display| Error::model("model.cvi", e);
    let bytes = Buffer::copy_of(image);
    let image = FlashModel::new(&bytes).map_err(|e| fault(&e))?;
    let network =
        CriticNetwork::new(&image).map_err(|e| fault(&e))?.ok_or_else(|| fault(&native::CriticError::Absent))?;
    let mut memory = [native::scratch_len(&image), native::critic_scratch_len(&network)].map(|len| vec![0.0; len]);
    let [encoder, critic] = &mut memory;
    let mut critic = native::Critic::new(&image, critic).map_err(|e| fault(&e))?;
    let p = image.input_shape().len();
    let mut engine = native::Engine::new(image, encoder).map_err(|e| fault(&e))?;
    let mut maps = vec![0.0; frames.len() * p];
    let mut rest = maps.chunks_exact_mut(p);
    for chunk in chunks(frames) {
        for (frame, map) in chunk?.1.chunks_exact(frames.shape().len()).zip(&mut rest) {
            engine.explain(&mut critic, frame, map).map_err(|e| Error::data("frames", e))?;
        }
    }
    Ok(maps)
}

/// Compares maps `[N,P]` with exact ones; `p` values a frame.
pub fn agreement(exact: &[f32], found: &[f32], p: usize) -> Agreement {
    let shares: Vec<f64> = exact
        .chunks_exact(p)
        .zip(found.chunks_exact(p))
        .map(|(exact, found)| r_squared(exact, found))
        .filter(|share| share.is_finite())
        .collect();
    let mean_of_frames = shares.iter().sum::<f64>() / shares.len() as f64;
    Agreement { r_squared: r_squared(exact, found), mean_of_frames }
}

/// Share of the variance of `exact` that `found` explains, R²; 1 if they are equal.
fn r_squared(exact: &[f32], found: &[f32]) -> f64 {
    let mean = exact.iter().map(|v| f64::from(*v)).sum::<f64>() / exact.len() as f64;
    let missed: f64 = exact.iter().zip(found).map(|(e, f)| (f64::from(*e) - f64::from(*f)).powi(2)).sum();
    let total: f64 = exact.iter().map(|e| (f64::from(*e) - mean).powi(2)).sum();
    1.0 - missed / total
}
