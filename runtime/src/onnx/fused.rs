//! This crate's kernels inside tract: f16 weights, sums in f32, ReLU in the same pass.
//!
//! Before tract tidies its graph up, every dense layer and convolution with constant weights becomes a [`FusedLayer`];
//! afterwards the addition of a bias and the ReLU behind it are taken in. Layers that the kernels do not know stay
//! tract's.

use std::sync::Arc;

use half::f16;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::model::Rewriter;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat, PaddingSpec};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::math::{Add, Max};
use tract_onnx::tract_core::ops::nn::DataFormat;

use crate::flash::{ConvSpec, DenseSpec, conv_weights, dense_weights};
use crate::kernels::Kernel;
use crate::layer::{self, Dense, Layout, padded};

/// A layer on this crate's kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FusedLayer {
    kind: Kind,
    relu: bool,
    /// Biases as bits of f32, padded.
    bias: Arc<[u32]>,
    /// Weights as f16 bits, in the kernels' order.
    weights: Arc<[u16]>,
    kernel: Kernel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A dense layer: inputs and outputs.
    Dense([usize; 2], Layout),
    /// A convolution: height, width and channels of the input; outputs; side and stride of the kernel.
    Conv([usize; 3], usize, [usize; 2]),
}

impl FusedLayer {
    fn bias(&self) -> &[f32] {
        bytemuck::cast_slice(&self.bias)
    }

    fn outputs(&self) -> usize {
        match self.kind {
            Kind::Dense([_, outputs], _) | Kind::Conv(_, outputs, _) => outputs,
        }
    }

    /// A dense layer, from `[N,I]` to `[N,O]`.
    fn dense(&self, layer: &Dense<'_>, x: &[f32], out: &mut [f32]) -> Option<()> {
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        let (frames, width) = (x.len() / inputs, padded(outputs));
        let mut rows = vec![0.0; frames * width];
        let done = if frames == 1 {
            self.kernel.dense(layer, x, &mut rows, &mut vec![0; inputs])
        } else {
            let mut wide = vec![0.0; Kernel::wide_len(&layer::Layer::Dense(*layer))];
            self.kernel.dense_batch(layer, x, &mut rows, [inputs, width], frames, &mut wide)
        };
        for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(outputs)) {
            out.copy_from_slice(&row[..outputs]);
        }
        done.then_some(())
    }

    /// A convolution, from `[N,C,H,W]` to `[N,O,H',W']`; the kernels want channels last.
    fn conv(&self, layer: &layer::Conv<'_>, x: &[f32], out: &mut [f32]) -> Option<()> {
        let [height, width, channels] = layer.input_shape();
        let [rows, columns, outputs] = layer.output_shape();
        let mut from = vec![0.0; height * width * channels];
        let mut to = vec![0.0; rows * columns * outputs];
        let mut list = vec![0; from.len() + height * width + 1];
        for (x, out) in x.chunks_exact(from.len()).zip(out.chunks_exact_mut(to.len())) {
            transpose(x, channels, &mut from);
            if !self.kernel.conv(layer, &from, &mut to, &mut list) {
                return None;
            }
            transpose(&to, rows * columns, out);
        }
        Some(())
    }
}

/// Transposes a matrix, from `[rows, columns]` to `[columns, rows]`.
fn transpose(from: &[f32], rows: usize, to: &mut [f32]) {
    let columns = from.len() / rows;
    for (column, to) in to.chunks_exact_mut(rows).enumerate() {
        for (row, to) in to.iter_mut().enumerate() {
            *to = from[row * columns + column];
        }
    }
}

impl Op for FusedLayer {
    fn name(&self) -> StaticName {
        "FusedLayer".into()
    }

    op_as_typed_op!();
}

impl EvalOp for FusedLayer {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let plain = input.try_as_plain_ram()?;
        let x = plain.as_slice::<f32>()?;
        let wrong = || format_err!("a fused layer got an input of another shape than it was made for");
        let (shape, values) = match self.kind {
            Kind::Dense([inputs, outputs], layout) => {
                let layer = Dense::new([inputs, outputs], layout, self.relu, self.bias(), &self.weights);
                let mut out = vec![0.0; x.len() / inputs * outputs];
                layer.and_then(|layer| self.dense(&layer, x, &mut out)).ok_or_else(wrong)?;
                (vec![x.len() / inputs, outputs], out)
            }
            Kind::Conv(input, outputs, kernel) => {
                let layer = layer::Conv::new(input, outputs, kernel, self.relu, self.bias(), &self.weights);
                let layer = layer.ok_or_else(wrong)?;
                let [rows, columns, _] = layer.output_shape();
                let frames = x.len() / input.iter().product::<usize>();
                let mut out = vec![0.0; frames * rows * columns * outputs];
                self.conv(&layer, x, &mut out).ok_or_else(wrong)?;
                (vec![frames, outputs, rows, columns], out)
            }
        };
        Ok(tvec!(Tensor::from_shape(&shape, &values)?.into_tvalue()))
    }
}

impl TypedOp for FusedLayer {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape = inputs[0].shape.to_tvec();
        shape[1] = self.outputs().to_dim();
        if let Kind::Conv(input, _, [_, stride]) = self.kind {
            shape[2] = input[0].div_ceil(stride).to_dim();
            shape[3] = input[1].div_ceil(stride).to_dim();
        }
        Ok(tvec!(f32::fact(shape)))
    }
}

/// Replaces the layers that the kernels know.
pub fn replace_layers(model: &mut TypedModel) -> TractResult<()> {
    Rewriter::<()>::default()
        .with_rule_for("dense layers on the kernels", |(), model, node, name, op: &EinSum| {
            Ok(dense(model, node, op).and_then(|layer| patch(model, node, name, layer)))
        })
        .with_rule_for("convolutions on the kernels", |(), model, node, name, op: &Conv| {
            Ok(conv(model, node, op).and_then(|layer| patch(model, node, name, layer)))
        })
        .rewrite(&(), model)
}

/// Takes biases and ReLUs into the layers before them.
pub fn absorb(model: &mut TypedModel) -> TractResult<()> {
    Rewriter::<()>::default()
        .with_rule_for("bias or ReLU in the layer", |(), model, node, _, op: &FusedLayer| {
            Ok(successor(model, node, op))
        })
        .rewrite(&(), model)
}

/// A patch that puts `layer` in the place of `node`.
fn patch(model: &TypedModel, node: &TypedNode, name: &str, layer: FusedLayer) -> Option<TypedModelPatch> {
    let mut patch = TypedModelPatch::default();
    let input = patch.tap_model(model, node.inputs[0]).ok()?;
    let output = patch.wire_node(name, layer, &[input]).ok()?;
    patch.shunt_outside(model, node.id.into(), output[0]).ok()?;
    Some(patch)
}

/// The values of a constant input.
fn constant(model: &TypedModel, node: &TypedNode, input: usize) -> Option<Arc<Tensor>> {
    model.outlet_fact(*node.inputs.get(input)?).ok()?.konst.clone()
}

fn floats(tensor: &Tensor) -> Option<Vec<f32>> {
    let tensor = tensor.cast_to::<f32>().ok()?;
    tensor.try_as_plain_ram().ok()?.as_slice::<f32>().ok().map(<[f32]>::to_vec)
}

/// A fused layer, if all weights are finite in f16.
fn layer(kind: Kind, bias: &[f32], weights: Vec<f16>) -> Option<FusedLayer> {
    let finite = weights.iter().all(|w| w.is_finite());
    let mut bias: Vec<u32> = bias.iter().map(|v| v.to_bits()).collect();
    bias.resize(padded(bias.len()), 0);
    finite.then(|| FusedLayer {
        kind,
        relu: false,
        bias: bias.into(),
        weights: weights.into_iter().map(f16::to_bits).collect(),
        kernel: Kernel::best(),
    })
}

/// The fused layer of a product with constant weights `[I,O]`.
fn dense(model: &TypedModel, node: &TypedNode, op: &EinSum) -> Option<FusedLayer> {
    if op.q_params.is_some() || op.axes.to_string() != "mk,kn->mn" {
        return None;
    }
    let weights = constant(model, node, 1)?;
    let &[inputs, outputs] = weights.shape() else { return None };
    let spec = DenseSpec { shape: [inputs, outputs], weight: floats(&weights)?, bias: vec![0.0; outputs] };
    let (layout, weights) = dense_weights(&spec, None);
    layer(Kind::Dense(spec.shape, layout), &spec.bias, weights)
}

/// The fused layer of a convolution of images with a square odd kernel and padding of half of it.
fn conv(model: &TypedModel, node: &TypedNode, op: &Conv) -> Option<FusedLayer> {
    let pool = &op.pool_spec;
    let &[outputs, channels, kernel, other] = constant(model, node, 1)?.shape() else { return None };
    let half = kernel / 2;
    let stride = pool.strides.as_ref().map_or(1, |s| s[0]);
    let plain = pool.data_format == DataFormat::NCHW
        && op.kernel_fmt == KernelFormat::OIHW
        && op.group == 1
        && op.q_params.is_none()
        && kernel == other
        && kernel % 2 == 1
        && pool.dilations.as_ref().is_none_or(|d| d.iter().all(|d| *d == 1))
        && pool.strides.as_ref().is_none_or(|s| s.iter().all(|s| *s == stride))
        && pool.padding == PaddingSpec::Explicit(tvec![half; 2], tvec![half; 2]);
    if !plain {
        return None;
    }
    let input = model.outlet_fact(node.inputs[0]).ok()?;
    let (height, width) = (input.shape[2].to_usize().ok()?, input.shape[3].to_usize().ok()?);
    let weight = floats(&*constant(model, node, 1)?)?;
    let bias = match constant(model, node, 2) {
        Some(bias) if bias.len() == outputs => floats(&bias)?,
        Some(bias) if bias.len() == 1 => vec![floats(&bias)?[0]; outputs],
        _ => return None,
    };
    let spec = ConvSpec { shape: [outputs, channels, kernel], stride, weight, bias };
    let kind = Kind::Conv([height, width, channels], outputs, [kernel, stride]);
    layer(kind, &spec.bias, conv_weights(&spec))
}

/// A patch that puts the only successor of a layer into it, if that adds a bias or is a ReLU.
fn successor(model: &TypedModel, node: &TypedNode, op: &FusedLayer) -> Option<TypedModelPatch> {
    let [next] = node.outputs[0].successors[..] else { return None };
    let next = model.node(next.node);
    let binary = next.op_as::<TypedBinOp>()?;
    let other = next.inputs.iter().position(|input| input.node != node.id)?;
    let values = floats(&*constant(model, next, other)?)?;
    let mut fused = op.clone();
    if op.relu {
        return None;
    } else if binary.0.is::<Add>() && values.len() == op.outputs() && matches!(op.kind, Kind::Dense(..)) {
        let sum = op.bias().iter().zip(values.iter().chain(std::iter::repeat(&0.0)));
        fused.bias = sum.map(|(a, b)| (a + b).to_bits()).collect();
    } else if binary.0.is::<Max>() && values == [0.0] {
        fused.relu = true;
    } else {
        return None;
    }
    let mut patch = TypedModelPatch::default();
    let input = patch.tap_model(model, node.inputs[0]).ok()?;
    let output = patch.wire_node(&next.name, fused, &[input]).ok()?;
    patch.shunt_outside(model, next.id.into(), output[0]).ok()?;
    Some(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[N,I]` times a constant, plus a bias, through a ReLU; then a product of two inputs, which is none of ours.
    #[test]
    fn dense_layers_become_one_node_each_and_other_products_stay() {
        let mut model = TypedModel::default();
        let x = model.add_source("x", f32::fact([model.sym("N").to_dim(), 3.to_dim()])).unwrap();
        let weights = tensor2(&[[1.0f32, -2.0], [0.5, 4.0], [2.0, 0.0]]);
        let product = |model: &mut TypedModel, name: &str, a, b| {
            let axes = "mk,kn->mn".parse().unwrap();
            model.wire_node(name, EinSum::new(axes, f32::datum_type()), &[a, b]).unwrap()[0]
        };
        let w = model.add_const("w", weights).unwrap();
        let sum = product(&mut model, "product", x, w);
        let bias = model.add_const("bias", tensor2(&[[10.0f32, -20.0]])).unwrap();
        let sum = model.wire_node("sum", tract_onnx::tract_core::ops::math::add(), &[sum, bias]).unwrap()[0];
        let zero = model.add_const("zero", tensor2(&[[0.0f32]])).unwrap();
        let relu = model.wire_node("relu", tract_onnx::tract_core::ops::math::max(), &[sum, zero]).unwrap()[0];
        let y = model.add_source("y", f32::fact([2, 2])).unwrap();
        let last = product(&mut model, "other", relu, y);
        model.select_output_outlets(&[last]).unwrap();

        replace_layers(&mut model).unwrap();
        absorb(&mut model).unwrap();
        model.compact().unwrap();
        let fused: Vec<_> = model.nodes.iter().filter_map(|n| n.op_as::<FusedLayer>()).collect();
        assert_eq!(fused.len(), 1);
        assert!(fused[0].relu && fused[0].bias()[..2] == [10.0, -20.0]);
        let names: Vec<_> = model.nodes.iter().map(|n| n.op.name().into_owned()).collect();
        assert!(names.contains(&"EinSum".to_owned()) && !names.contains(&"Add".to_owned()), "{names:?}");

        let x = tensor2(&[[1.0f32, 2.0, 3.0], [-10.0, 0.0, 0.0]]);
        let y = tensor2(&[[1.0f32, 0.0], [0.0, 1.0]]);
        let found = model.into_runnable().unwrap().run(tvec!(x.into(), y.into())).unwrap();
        // 1 + 1 + 6 + 10 = 18, -2 + 8 - 20 = -14; -10 + 10 = 0, 20 - 20 = 0.
        found[0].close_enough(&tensor2(&[[18.0f32, 0.0], [0.0, 0.0]]), true).unwrap();
    }
}
