//! Frames through the encoder, part by part, and tensors back to the host.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::data::batches::to_tensor;
use crate::data::{Source, chunks_of, frames_in};
use crate::error::{Error, Result};
use crate::frame::FrameShape;
use crate::model::{ClusterVae, Posterior};

/// Number of frames encoded at once, unless they are large.
const ENCODE_BATCH: usize = 1000;
/// Bytes of the frames that are encoded at once: layers of an encoder take many times as much.
const ENCODE_BYTES: usize = 16 << 20;

/// Number of frames of a shape that are encoded at once.
pub fn encoded_at_once(shape: FrameShape) -> usize {
    frames_in(ENCODE_BYTES, shape).min(ENCODE_BATCH)
}

/// Encodes frames that are already scaled, a thousand at a time, of large ones fewer, and hands each part to `visit`: index
/// of its first frame, frames `[B,P]`, posterior.
pub fn encode(
    model: &ClusterVae,
    frames: &dyn Source,
    device: &Device,
    mut visit: impl FnMut(usize, Tensor<2>, Posterior) -> Result<()>,
) -> Result<()> {
    let p = frames.shape().len();
    for part in chunks_of(frames, encoded_at_once(frames.shape())) {
        let (first, values) = part?;
        let x = to_tensor(&values, p, device);
        let posterior = model.encoder.forward(x.clone());
        visit(first, x, posterior)?;
    }
    Ok(())
}

/// Values of a tensor on the host.
pub fn to_host<const R: usize>(tensor: Tensor<R>) -> Result<Vec<f32>> {
    tensor.try_into_vec_as::<f32>().map_err(|e| Error::resource("device", format!("{e:?}")))
}

/// Latent means m `[N,D]` and total variances Σ_d v_d `[N]` of frames that are already scaled, in f64 for EM.
pub fn latents(model: &ClusterVae, frames: &dyn Source, device: &Device) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut means, mut total_variances) = (Vec::new(), Vec::new());
    let model = model.valid();
    encode(&model, frames, &device.clone().inner(), |_, _, posterior| {
        means.extend(to_host(posterior.mu_z)?.into_iter().map(f64::from));
        total_variances.extend(to_host(posterior.log_var_z.exp().sum_dim(1))?.into_iter().map(f64::from));
        Ok(())
    })?;
    Ok((means, total_variances))
}
