//! `decoder.onnx`: z and c to the mean of p(x|z,c), for who wants to see what a cluster looks like.

use runtime::onnx::names;
use tract_onnx::pb::GraphProto;

use super::graph::{Dim, GraphBuilder, integer};
use super::onnx::{dense, encode_graph};
use super::{FoldedDense, Precision};
use crate::error::Result;
use crate::explain::trust;
use crate::fitted::{Fitted, to_host};
use crate::model::Likelihood;

/// The bytes of the decoder's ONNX file, checksum included.
///
/// Inputs `z` `[N,D]` f32 and `cluster` `[N]` i64, outputs `reconstruction` `[N,C,H,W]` f32 in the
/// units of the training data and `natural` `[N,P]` f32, logits or means before that.
///
/// # Errors
/// [`crate::Error::Model`] if a weight is not finite in the precision asked for.
pub fn encode_decoder(fitted: &Fitted, precision: Precision) -> Result<Vec<u8>> {
    let likelihood = match fitted.likelihood {
        Likelihood::Bernoulli => "bernoulli",
        Likelihood::Gaussian => "gaussian",
    };
    let noise = trust::noise(&fitted.model)?.to_string();
    let more = [(names::LIKELIHOOD_KEY, likelihood.to_owned()), (names::NOISE_KEY, noise)];
    encode_graph(fitted, precision, graph(fitted, precision)?, &more)
}

/// The graph of a decoder, from latent and cluster to the reconstruction.
fn graph(fitted: &Fitted, precision: Precision) -> Result<GraphProto> {
    let decoder = &fitted.model.decoder;
    let shape = fitted.shape;
    let frame = [shape.channels, shape.height, shape.width];
    let from_z = FoldedDense::of(&decoder.from_z)?;
    let [clusters, width] = decoder.from_c.dims();

    let mut g = GraphBuilder::new("cluster_vae_decoder");
    g.input("z", &[Dim::Batch, Dim::Fixed(from_z.shape[0])]);
    g.indices("cluster", &[Dim::Batch]);
    dense(&mut g, "from_z", &from_z, "z", "from_z", precision);
    g.weights("from_c", &[clusters, width], &to_host(decoder.from_c.val())?, precision);
    g.node("Gather", "of_cluster", &["from_c", "cluster"], "of_cluster", vec![integer("axis", 0)]);
    g.node("Add", "first", &["from_z", "of_cluster"], "first", vec![]);
    g.node("Relu", "first.relu", &["first"], "first.relu", vec![]);
    let mut last = "first.relu".to_owned();
    for (i, layer) in decoder.hidden.iter().enumerate() {
        let out = format!("dense{i}");
        dense(&mut g, &out, &FoldedDense::of(layer)?, &last, &out, precision);
        last = format!("{out}.relu");
        g.node("Relu", &last, &[&out], &last, vec![]);
    }
    dense(&mut g, "output", &FoldedDense::of(&decoder.output)?, &last, names::NATURAL, precision);
    last = names::NATURAL.into();
    if fitted.likelihood == Likelihood::Bernoulli {
        g.node("Sigmoid", "mean", &[&last], "mean", vec![]);
        last = "mean".into();
    }
    // 0 keeps the number of frames.
    g.integers("frame.shape", &[0, frame[0] as i64, frame[1] as i64, frame[2] as i64]);
    let whole = if fitted.scaling.is_some() { "scaled" } else { "reconstruction" };
    g.node("Reshape", "reshape", &[&last, "frame.shape"], whole, vec![]);
    if let Some(scaling) = &fitted.scaling {
        g.floats(names::SHIFT, &frame, &scaling.shift);
        g.floats(names::FACTOR, &frame, &scaling.factor);
        g.node("Div", "scaling/factor", &["scaled", names::FACTOR], "shifted", vec![]);
        g.node("Add", "scaling/shift", &["shifted", names::SHIFT], "reconstruction", vec![]);
    }
    let [c, h, w] = frame.map(Dim::Fixed);
    g.output("reconstruction", &[Dim::Batch, c, h, w]);
    g.output(names::NATURAL, &[Dim::Batch, Dim::Fixed(shape.len())]);
    Ok(g.finish())
}
