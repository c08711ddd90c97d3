//! `critic.onnx`: from frame and m to the trust map, for who explains with tract or ONNX Runtime;
//! names are those of [`runtime::onnx::names`].

use runtime::flash::CriticNetwork;
use runtime::onnx::names;
use tract_onnx::pb::GraphProto;

use super::front_end::prepared;
use super::graph::{Dim, GraphBuilder, integer, integers};
use super::onnx::{dense, encode_graph};
use super::{FoldedDense, Precision};
use crate::critic::Critic;
use crate::error::Result;
use crate::fitted::{Fitted, to_host};

/// The bytes of the ONNX file of a model's critic, checksum included.
///
/// # Errors
/// [`crate::Error::Model`] if a weight is not finite in the precision asked for.
pub fn encode_critic(fitted: &Fitted, critic: &Critic, precision: Precision) -> Result<Vec<u8>> {
    encode_graph(fitted, precision, graph(fitted, critic, precision)?, &[])
}

/// The graph of a critic, from frame and latent mean to the trust map.
fn graph(fitted: &Fitted, critic: &Critic, precision: Precision) -> Result<GraphProto> {
    let shape = fitted.inner_shape();
    let frame = [shape.channels, shape.height, shape.width];
    let network = &critic.network;
    let first = FoldedDense::of(&network.first)?;
    let mut g = GraphBuilder::new("cluster_vae_critic");
    let x = prepared(&mut g, fitted);
    g.input(names::MU, &[Dim::Batch, Dim::Fixed(first.shape[0])]);
    dense(&mut g, "first", &first, names::MU, "first", precision);
    g.node("Relu", "first.relu", &["first"], "first.relu", vec![]);
    dense(&mut g, "second", &FoldedDense::of(&network.second)?, "first.relu", "second", precision);
    g.node("Relu", "second.relu", &["second"], "second.relu", vec![]);
    dense(&mut g, "third", &FoldedDense::of(&network.third)?, "second.relu", "third", precision);
    let [rows, columns] = [shape.height, shape.width].map(|length| length.div_ceil(critic.factor));
    // 0 keeps the number of frames.
    g.integers("grid.shape", &[0, shape.channels as i64, rows as i64, columns as i64]);
    g.node("Reshape", "grid", &["third", "grid.shape"], "grid", vec![]);
    // Enlarged by a matrix on either side.
    g.floats("rows", &[shape.height, rows], &matrix(shape.height, critic.factor, rows, false));
    g.floats("columns", &[columns, shape.width], &matrix(shape.width, critic.factor, columns, true));
    g.node("MatMul", "down", &["rows", "grid"], "down", vec![]);
    g.node("MatMul", "across", &["down", "columns"], "across", vec![]);
    let (side, half) = (critic.side(), critic.side() as i64 / 2);
    g.floats("local.weight", &[shape.channels, 1, side, side], &to_host(network.local.val())?);
    let attributes = vec![
        integers("kernel_shape", &[side as i64; 2]),
        integers("pads", &[half; 4]),
        integer("group", shape.channels as i64),
    ];
    g.node("Conv", "local", &[x, "local.weight"], "local", attributes);
    g.node("Add", "sum", &["across", "local"], "sum", vec![]);
    g.floats("bias", &frame, &to_host(network.bias.val())?);
    g.node("Add", "expected", &["sum", "bias"], "expected", vec![]);
    let mut mean = "expected";
    if critic.bernoulli() {
        g.node("Sigmoid", "mean", &["expected"], "mean", vec![]);
        mean = "mean";
    }
    g.floats("sharpness", &[], &[-critic.sharpness()]);
    g.node("Sub", "error", &[x, mean], "error", vec![]);
    g.node("Mul", "square", &["error", "error"], "square", vec![]);
    g.node("Mul", "exponent", &["square", "sharpness"], "exponent", vec![]);
    g.node("Exp", "trust", &["exponent"], names::TRUST, vec![]);
    let [c, h, w] = frame.map(Dim::Fixed);
    g.output(names::TRUST, &[Dim::Batch, c, h, w]);
    Ok(g.finish())
}

/// Matrix that enlarges a grid along one side, `[length, places]`, or its transpose.
fn matrix(length: usize, factor: usize, places: usize, transposed: bool) -> Vec<f32> {
    let mut matrix = vec![0.0; length * places];
    for at in 0..length {
        let (first, second, share) = CriticNetwork::tap(at, factor, places);
        for (place, share) in [(first, 1.0 - share), (second, share)] {
            matrix[if transposed { place * length + at } else { at * places + place }] += share;
        }
    }
    matrix
}
