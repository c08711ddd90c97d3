//! `decoder.onnx`: z and c to the mean of p(x|z,c), for who wants to see what a cluster looks like.

use runtime::onnx::names;
use tract_onnx::pb::GraphProto;

use super::graph::{Dim, GraphBuilder, integer};
use super::onnx::{dense, encode_graph};
use super::{FoldedDense, Precision};
use crate::config::EncoderKind;
use crate::error::Result;
use crate::explain::trust;
use crate::fitted::{Fitted, to_host};
use crate::model::Likelihood;

/// The bytes of the decoder's ONNX file, checksum included.
///
/// Inputs `z` `[N,D]` f32 and `cluster` `[N]` i64, outputs `reconstruction` `[N,C,H,W]` f32 in the
/// units of the training data, or of its features, and `natural` `[N,P]` f32, logits or means before that.
///
/// # Errors
/// [`crate::Error::Model`] if a weight is not finite in the precision asked for.
pub fn encode_decoder(fitted: &Fitted, precision: Precision) -> Result<Vec<u8>> {
    let mut more = Vec::from(likelihood(fitted)?);
    if fitted.config.encoder.kind == EncoderKind::Identity {
        more.push((names::ENCODER_KEY, names::IDENTITY.to_owned()));
    }
    encode_graph(fitted, precision, graph(fitted, precision)?, &more)
}

/// Entries of the metadata that say what the outputs of a decoder mean: distribution of a value, and its noise s².
pub fn likelihood(fitted: &Fitted) -> Result<[(&'static str, String); 2]> {
    let likelihood = match fitted.likelihood {
        Likelihood::Bernoulli => "bernoulli",
        Likelihood::Gaussian => "gaussian",
    };
    let noise = trust::noise(&fitted.model)?.to_string();
    Ok([(names::LIKELIHOOD_KEY, likelihood.to_owned()), (names::NOISE_KEY, noise)])
}

/// The graph of a decoder, from latent and cluster to the reconstruction.
fn graph(fitted: &Fitted, precision: Precision) -> Result<GraphProto> {
    let shape = fitted.inner_shape();
    let frame = [shape.channels, shape.height, shape.width];
    let mut g = GraphBuilder::new("cluster_vae_decoder");
    g.input("z", &[Dim::Batch, Dim::Fixed(fitted.config.latent)]);
    g.indices("cluster", &[Dim::Batch]);
    network(&mut g, fitted, "", ["z", "cluster", names::NATURAL], precision)?;
    let mut last = names::NATURAL.to_owned();
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

/// Adds the layers of a decoder, from latent and cluster to `out`, the logits or means `[N,P]`; names begin with `prefix`.
pub fn network(
    g: &mut GraphBuilder,
    fitted: &Fitted,
    prefix: &str,
    [z, cluster, out]: [&str; 3],
    precision: Precision,
) -> Result<()> {
    let decoder = &fitted.model.decoder;
    let named = |name: &str| format!("{prefix}{name}");
    let [from_z, from_c, of_cluster, first] = ["from_z", "from_c", "of_cluster", "first"].map(named);
    dense(g, &from_z, &FoldedDense::of(&decoder.from_z)?, z, &from_z, precision);
    g.weights(&from_c, &decoder.from_c.dims(), &to_host(decoder.from_c.val())?, precision);
    g.node("Gather", &of_cluster, &[&from_c, cluster], &of_cluster, vec![integer("axis", 0)]);
    g.node("Add", &first, &[&from_z, &of_cluster], &first, vec![]);
    let mut last = format!("{first}.relu");
    g.node("Relu", &last, &[&first], &last, vec![]);
    for (i, layer) in decoder.hidden.iter().enumerate() {
        let name = named(&format!("dense{i}"));
        dense(g, &name, &FoldedDense::of(layer)?, &last, &name, precision);
        last = format!("{name}.relu");
        g.node("Relu", &last, &[&name], &last, vec![]);
    }
    dense(g, &named("output"), &FoldedDense::of(&decoder.output)?, &last, out, precision);
    Ok(())
}
