//! `model.cvi`, the flash image; its layout is [`runtime::flash`]'s.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Int, Tensor, TensorData};
use half::f16;
use runtime::flash::{
    Buffer, ConvSpec, CriticSpec, DecoderModel, DecoderSpec, DenseSpec, FlashModel, ModelSpec, encode,
};
use runtime::{Dispersion, FrameShape};

use super::windowing::windowing;
use super::{Folded, FoldedDense};
use crate::critic::Critic;
use crate::data::Frames;
use crate::error::{Error, Result};
use crate::eval::predict;
use crate::explain::trust;
use crate::fitted::{Fitted, to_host};
use crate::model::{LOG_VAR_RANGE, Likelihood};

/// Stride of the convolutions of the encoder, which halve the image.
const STRIDE: usize = 2;

/// The bytes of the flash image, with a section for the critic if there is one, and one for the decoder
/// if novelty counts it: f16 weights, everything else f32.
///
/// # Errors
/// [`Error::Model`] if a weight is not finite in f16, or the model is larger than an image may be.
pub fn encode_flash(fitted: &Fitted, critic: Option<&Critic>) -> Result<Vec<u8>> {
    let folded = Folded::new(fitted)?;
    let shape = fitted.shape;
    let frames = Frames { shape, values: typical_frame(fitted)?, labels: None };
    let device = fitted.model.prior.mu_c.val().device();
    let answer = predict(fitted, &frames, &device)?;
    let heads: Vec<&FoldedDense> = [&folded.mu, &folded.log_var].into_iter().chain(&folded.cluster_logits).collect();
    let mut dense: Vec<DenseSpec> = folded.dense.iter().map(spec_of).collect();
    dense.push(spec_of(&side_by_side(&heads)));
    let spec = ModelSpec {
        shape: FrameShape { channels: shape.channels, height: shape.height, width: shape.width },
        front_end: fitted.front_end.as_ref().and_then(|front_end| front_end.spec(shape)),
        scaling: fitted.scaling.clone().map(|scaling| [scaling.shift, scaling.factor]),
        range: fitted.seen.clone().map(|seen| [seen.least, seen.most]),
        windowing: windowing(fitted)?,
        convs: folded
            .convs
            .iter()
            .map(|c| ConvSpec { shape: c.shape, stride: STRIDE, weight: c.weight.clone(), bias: c.bias.clone() })
            .collect(),
        dense,
        learned_head: folded.cluster_logits.is_some(),
        log_var_range: [LOG_VAR_RANGE.0, LOG_VAR_RANGE.1],
        mu_c: folded.mu_c,
        log_var_c: folded.log_var_c,
        log_weights: folded.log_weights,
        calibration: fitted.calibration,
        golden_frame: frames.values,
        golden_log_responsibilities: answer.log_responsibilities,
        golden_novelty: answer.novelty[0],
        critic: critic.map(critic_spec).transpose()?,
        decoder: (fitted.novelty.dispersion_weight > 0.0).then(|| decoder_spec(fitted)).transpose()?,
    };
    let layers = spec.dense.iter().chain(spec.critic.iter().flat_map(|critic| &critic.dense));
    let layers = layers.chain(spec.decoder.iter().flat_map(|decoder| &decoder.dense));
    let weights = spec.convs.iter().map(|c| &c.weight).chain(layers.map(|d| &d.weight));
    if weights.flatten().any(|w| !f16::from_f32(*w).is_finite()) {
        let problem = "a weight is beyond the range of f16; train with a lower learning rate";
        return Err(Error::model("model.cvi", problem));
    }
    let bytes = encode(&spec);
    let buffer = Buffer::copy_of(&bytes);
    let read = match spec.decoder {
        Some(_) => DecoderModel::new(&buffer).map(|_| ()),
        None => FlashModel::new(&buffer).map(|_| ()),
    };
    read.map_err(|e| Error::model("model.cvi", e))?;
    Ok(bytes)
}

/// The decoder in the form that the image wants: what it sees of c is a bias of the first layer.
fn decoder_spec(fitted: &Fitted) -> Result<DecoderSpec> {
    let decoder = &fitted.model.decoder;
    let layers = [&decoder.from_z].into_iter().chain(&decoder.hidden).chain([&decoder.output]);
    let mut dense = layers.map(|layer| Ok(spec_of(&FoldedDense::of(layer)?))).collect::<Result<Vec<_>>>()?;
    let (first, from_c) = (&mut dense[0], to_host(decoder.from_c.val())?);
    first.bias = from_c.iter().zip(first.bias.iter().cycle()).map(|(of_cluster, bias)| of_cluster + bias).collect();
    let bernoulli = fitted.likelihood == Likelihood::Bernoulli;
    let noise = trust::noise(&fitted.model)?;
    let weight = fitted.novelty.dispersion_weight;
    Ok(DecoderSpec { dense, dispersion: Dispersion { bernoulli, noise, weight } })
}

/// The critic in the form that the image wants.
fn critic_spec(critic: &Critic) -> Result<CriticSpec> {
    let network = &critic.network;
    let layer = |linear| FoldedDense::of(linear).map(|layer| spec_of(&layer));
    Ok(CriticSpec {
        dense: [layer(&network.first)?, layer(&network.second)?, layer(&network.third)?],
        bias: to_host(network.bias.val())?,
        local: to_host(network.local.val())?,
        side: critic.side(),
        factor: critic.factor,
        bernoulli: critic.bernoulli(),
        sharpness: critic.sharpness(),
    })
}

/// A dense layer in the form that the image wants.
fn spec_of(layer: &FoldedDense) -> DenseSpec {
    DenseSpec { shape: layer.shape, weight: layer.weight.clone(), bias: layer.bias.clone() }
}

/// One layer that gives the outputs of several with the same inputs, one after another.
fn side_by_side(layers: &[&FoldedDense]) -> FoldedDense {
    let inputs = layers[0].shape[0];
    let row = |input: usize| {
        layers.iter().flat_map(move |l| l.weight[input * l.shape[1]..(input + 1) * l.shape[1]].iter().copied())
    };
    FoldedDense {
        weight: (0..inputs).flat_map(row).collect(),
        shape: [inputs, layers.iter().map(|l| l.shape[1]).sum()],
        bias: layers.iter().flat_map(|l| l.bias.iter().copied()).collect(),
    }
}

/// The mean of p(x|z,c) at the centre of the first cluster, in the units of the training data; a window with nearly such
/// features, where there is a front end.
fn typical_frame(fitted: &Fitted) -> Result<Vec<f32>> {
    let prior = &fitted.model.prior;
    let device = prior.mu_c.val().device();
    let first = Tensor::<1, Int>::from_data(TensorData::new(vec![0i64], [1]), &device);
    let out = fitted.model.decoder.forward_of(prior.mu_c.val().narrow(0, 0, 1), first);
    let mut values = to_host(match fitted.likelihood {
        Likelihood::Bernoulli => sigmoid(out),
        Likelihood::Gaussian => out,
    })?;
    if let Some(scaling) = &fitted.scaling {
        for ((v, shift), factor) in values.iter_mut().zip(&scaling.shift).zip(&scaling.factor) {
            *v = *v / factor + shift;
        }
    }
    // What has these features is not known, but something that has them nearly will do.
    Ok(fitted.front_end.as_ref().map(|front_end| front_end.frame(&values, fitted.shape)).unwrap_or(values))
}
