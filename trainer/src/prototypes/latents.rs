//! What the model makes of frames, on the host; and the way back.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::Source;
use crate::error::Result;
use crate::fitted::{Fitted, encode, to_host};
use crate::ranking::best_two;

/// Posteriors q(z|x) and q(c|x), and novelty, of N frames, on the host.
#[derive(Clone, Debug)]
pub struct Latents {
    /// Number of latent dimensions D.
    pub dim: usize,
    /// Most probable cluster `[N]`.
    pub clusters: Vec<usize>,
    /// Novelty of each frame `[N]`, nats.
    pub novelty: Vec<f32>,
    means: Vec<f64>,
    variances: Vec<f64>,
    log_q: Vec<f32>,
    width: usize,
}

impl Latents {
    /// Encodes frames in the units of the data.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if the frames have another shape than the model takes.
    pub fn new(fitted: &Fitted, frames: &dyn Source, device: &Device) -> Result<Self> {
        let width = fitted.config.clusters();
        let (mut means, mut variances, mut log_q, mut far) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        encode(&fitted.model, &fitted.prepare(frames)?, device, |_, x, posterior| {
            log_q.extend(to_host(fitted.log_responsibilities(&posterior))?);
            far.extend(to_host(fitted.novelty(x, &posterior))?);
            means.extend(to_host(posterior.mu_z)?.into_iter().map(f64::from));
            variances.extend(to_host(posterior.log_var_z.exp())?.into_iter().map(f64::from));
            Ok(())
        })?;
        let mut latents =
            Self { dim: fitted.config.latent, clusters: Vec::new(), novelty: far, means, variances, log_q, width };
        latents.clusters = (0..frames.len()).map(|n| latents.best_two(n)[0]).collect();
        Ok(latents)
    }

    /// Number of frames N.
    pub fn len(&self) -> usize {
        self.novelty.len()
    }

    /// True if there is no frame.
    pub fn is_empty(&self) -> bool {
        self.novelty.is_empty()
    }

    /// Latent means m of all frames `[N,D]`.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// Log-probabilities log q(c|x) of all frames `[N,K]`, nats.
    pub fn log_qs(&self) -> &[f32] {
        &self.log_q
    }

    /// Latent mean m of frame `n` `[D]`.
    pub fn mean(&self, n: usize) -> &[f64] {
        &self.means[n * self.dim..][..self.dim]
    }

    /// Latent variances v of frame `n` `[D]`.
    pub fn variance(&self, n: usize) -> &[f64] {
        &self.variances[n * self.dim..][..self.dim]
    }

    /// Log-probabilities log q(c|x) of frame `n` `[K]`, nats.
    pub fn log_q(&self, n: usize) -> &[f32] {
        &self.log_q[n * self.width..][..self.width]
    }

    /// Probability q(c|x) of the most probable cluster of frame `n`.
    pub fn confidence(&self, n: usize) -> f64 {
        f64::from(self.log_q(n)[self.clusters[n]]).exp()
    }

    /// The most probable cluster of frame `n`, and the second; the lower number of equals comes
    /// first.
    pub fn best_two(&self, n: usize) -> [usize; 2] {
        best_two(self.log_q(n))
    }

    /// The frames of which `cluster` is the most probable one.
    pub fn members(&self, cluster: usize) -> Vec<usize> {
        (0..self.len()).filter(|&n| self.clusters[n] == cluster).collect()
    }

    /// Mean of q(c|x) over the frames, for one cluster.
    pub fn share(&self, cluster: usize) -> f64 {
        let sum: f64 = (0..self.len()).map(|n| f64::from(self.log_q(n)[cluster]).exp()).sum();
        sum / self.len().max(1) as f64
    }
}

/// Means μ_c `[K,D]`, standard deviations σ_c `[K]` and weights log K p(c) `[K]` of the prior.
pub fn components(fitted: &Fitted) -> Result<(Vec<f64>, Vec<f64>, Vec<f64>)> {
    let prior = &fitted.model.prior;
    let means = to_host(prior.mu_c.val())?.into_iter().map(f64::from).collect();
    let deviations = to_host(prior.log_var_c.val())?.into_iter().map(|v| (0.5 * f64::from(v)).exp()).collect();
    let weights = prior.log_weights().map(to_host).transpose()?.unwrap_or_else(|| vec![0.0; prior.clusters()]);
    Ok((means, deviations, weights.into_iter().map(f64::from).collect()))
}

/// Means of p(x|z,c), one a row of `z` `[N,D]` and of `clusters` `[N]`, in the units of the data.
pub fn decode(fitted: &Fitted, z: &[f64], clusters: &[usize], device: &Device) -> Result<Vec<Vec<f32>>> {
    let z: Vec<f32> = z.iter().map(|&v| v as f32).collect();
    let z = Tensor::<2>::from_data(TensorData::new(z, [clusters.len(), fitted.config.latent]), device);
    let numbers: Vec<i64> = clusters.iter().map(|&c| c as i64).collect();
    let cluster = Tensor::<1, Int>::from_data(TensorData::new(numbers, [clusters.len()]), device);
    let decoder = &fitted.model.decoder;
    let mut values = to_host(decoder.mean(decoder.forward_of(z, cluster)))?;
    if let Some(scaling) = &fitted.scaling {
        scaling.undo(&mut values);
    }
    Ok(values.chunks_exact(fitted.inner_shape().len()).map(<[f32]>::to_vec).collect())
}
