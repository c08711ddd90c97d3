//! Log-ratio log q(c₁|x)/q(c₂|x) of the mean-field posterior, from whole-frame likelihoods: what
//! the contrast must add up to.

use burn::tensor::Device;

use crate::data::Frames;
use crate::elbo::optimum;
use crate::error::Result;
use crate::explain::expectation::nodes;
use crate::fitted::{Fitted, encode, to_host};

/// Log-ratio of two clusters of one frame, and the latent part of it, nats.
pub struct Ratio {
    /// Log-ratio log q(c₁|x) - log q(c₂|x), q the best cluster posterior given the rest.
    pub log_ratio: f64,
    /// Difference of latent alignments E log p(z|c₁) - E log p(z|c₂), the part that no value of the
    /// frame carries.
    pub alignment: f64,
}

/// The ratios of the clusters `pairs` of each frame.
pub fn ratios(fitted: &Fitted, frames: &Frames, pairs: &[[usize; 2]], device: &Device) -> Result<Vec<Ratio>> {
    let model = &fitted.model;
    let k = model.prior.clusters();
    let mut ratios = Vec::with_capacity(frames.len());
    encode(model, &fitted.prepare(frames)?, device, |first, x, posterior| {
        let alignment = model.alignment(&posterior);
        let points = nodes(&posterior);
        let weight = 1.0 / points.len() as f64;
        let likelihoods = points.map(|z| model.decoder.log_likelihood_all(x.clone(), z) * weight);
        let exponents = likelihoods.fold(alignment.clone(), |sum, likelihood| sum + likelihood);
        let log_q = to_host(optimum::log_responsibilities(exponents))?;
        let alignment = to_host(alignment)?;
        let rows = log_q.chunks_exact(k).zip(alignment.chunks_exact(k)).zip(&pairs[first..]);
        ratios.extend(rows.map(|((log_q, alignment), &[a, b])| Ratio {
            log_ratio: f64::from(log_q[a]) - f64::from(log_q[b]),
            alignment: f64::from(alignment[a]) - f64::from(alignment[b]),
        }));
        Ok(())
    })?;
    Ok(ratios)
}
