//! The layers as operations of Burn's CPU backend, and as nodes of its graph of gradients.
//!
//! Each layer has two faces. On `Flex` it is a function of values. On `Autodiff<Flex>` it is one
//! node of the graph where the same thing in Burn's operations would be a chain of nodes, each with
//! a copy of the batch: the forward pass stores what the formula of the gradient needs, and
//! `backward` takes the gradient by the output, applies that formula and hands on one gradient an
//! input.
//!
//! | node | value | kept | gradients |
//! |---|---|---|---|
//! | convolution | y = ReLU(γ x̂ + β), x̂ of u = W·maps + b | inputs, u, mean, variance | maps, W, γ, β; 0 for b |
//! | normalisation | y = ReLU(γ x̂ + β), x̂ of x | inputs, mean, variance | x, γ, β |
//! | likelihood | s = Σ_p (x_p l_p - softplus(l_p)) | frames x, logits l | l: ds · (x - sigmoid(l)) |
//!
//! The formulas are derived in [`conv_block`], [`norm_block`] and [`bernoulli`]. Mean and variance
//! leave a node as tensors of no graph: they feed running averages, and their part in the gradient
//! of y is in the formula. Frames of the likelihood are data and get no gradient. A step of Adam is
//! not part of any graph.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Flex, tensor::FloatTensor};
use burn::tensor::TensorData;

use super::adam::{self, Factors};
use super::conv_block::{Forward, Kept, Parameters, Shape};
use super::norm_block::{self, Affine};
use super::{CpuLayers, bernoulli, conv_block};

type FlexTensor = FloatTensor<Flex>;

impl CpuLayers for Flex {
    fn conv_block(
        maps: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        shape: Shape,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let block = ConvInputs::new([maps, weight, bias, gamma, beta], shape, epsilon);
        let done = block.forward();
        block.outputs(done).1
    }

    fn bernoulli(frames: FlexTensor, logits: FlexTensor) -> FlexTensor {
        Logits::new(frames, logits).forward()
    }

    fn norm_block(
        input: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        NormInputs::new([input, gamma, beta], epsilon).forward()
    }

    fn adam(
        values: FlexTensor,
        gradient: FlexTensor,
        moment_1: FlexTensor,
        moment_2: FlexTensor,
        factors: Factors,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let gradient = gradient.to_contiguous();
        let [mut value, mut first, mut second] = [values, moment_1, moment_2].map(alone);
        adam::step(value.storage_mut(), self::values(&gradient), first.storage_mut(), second.storage_mut(), factors);
        (value, first, second)
    }
}

impl<C: CheckpointStrategy> CpuLayers for Autodiff<Flex, C> {
    fn conv_block(
        maps: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        shape: Shape,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [&maps, &weight, &bias, &gamma, &beta].map(|tensor| tensor.node());
        let primitives = [maps, weight, bias, gamma, beta].map(|tensor| tensor.into_primitive());
        let block = ConvInputs::new(primitives, shape, epsilon);
        let done = block.forward();
        let (kept, (output, mean, variance)) = block.outputs(done);
        let output = match ConvBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((block, kept), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (output, FloatTensor::<Self>::new(mean), FloatTensor::<Self>::new(variance))
    }

    fn bernoulli(frames: FloatTensor<Self>, logits: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = logits.node();
        let inputs = Logits::new(frames.into_primitive(), logits.into_primitive());
        let output = inputs.forward();
        match BernoulliBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(inputs, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn norm_block(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [&input, &gamma, &beta].map(|tensor| tensor.node());
        let inputs = NormInputs::new([input, gamma, beta].map(|tensor| tensor.into_primitive()), epsilon);
        let (output, mean, variance) = inputs.forward();
        let state = (inputs, mean.clone(), variance.clone());
        let output = match NormBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (output, FloatTensor::<Self>::new(mean), FloatTensor::<Self>::new(variance))
    }

    fn adam(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        factors: Factors,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [values, gradient, first, second] =
            [values, gradient, moment_1, moment_2].map(|tensor| tensor.into_primitive());
        let (values, first, second) = Flex::adam(values, gradient, first, second, factors);
        let untracked = FloatTensor::<Self>::new;
        (untracked(values), untracked(first), untracked(second))
    }
}

/// Node of the graph for [`CpuLayers::conv_block`], with gradients for its five inputs.
#[derive(Debug)]
struct ConvBackward;

impl Backward<Flex, 5> for ConvBackward {
    type State = (ConvInputs, ConvKept);

    fn backward(self, ops: Ops<Self::State, 5>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (block, kept) = ops.state;
        let [maps, weight, bias, gamma, beta] = ops.parents;
        let kept = Kept { sums: values(&kept.sums), mean: values(&kept.mean), variance: values(&kept.variance) };
        let found = conv_block::backward(
            block.shape,
            values(&block.maps),
            block.parameters(),
            kept,
            values(&gradient),
            maps.is_some(),
        );
        let mut register = |node: Option<NodeId>, values: Vec<f32>, like: &FlexTensor| {
            if let Some(node) = node {
                gradients.register::<Flex>(node, tensor(values, like.layout().shape().to_vec()));
            }
        };
        register(maps.map(|node| node.id), found.maps.unwrap_or_default(), &block.maps);
        register(weight.map(|node| node.id), found.weight, &block.weight);
        // Σ over rows of the gradient before normalisation is 0, whatever the loss.
        register(bias.map(|node| node.id), vec![0.0; block.shape.outputs], &block.bias);
        register(gamma.map(|node| node.id), found.gamma, &block.gamma);
        register(beta.map(|node| node.id), found.beta, &block.beta);
    }
}

/// Node of the graph for [`CpuLayers::bernoulli`], with a gradient for the logits.
#[derive(Debug)]
struct BernoulliBackward;

impl Backward<Flex, 1> for BernoulliBackward {
    type State = Logits;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let inputs = ops.state;
        let [node] = ops.parents;
        if let Some(node) = node {
            gradients.register::<Flex>(node.id, inputs.backward(values(&gradient)));
        }
    }
}

/// Node of the graph for [`CpuLayers::norm_block`], with gradients for its three inputs.
#[derive(Debug)]
struct NormBackward;

impl Backward<Flex, 3> for NormBackward {
    type State = (NormInputs, FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (inputs, mean, variance) = ops.state;
        let (x, affine) = (values(&inputs.input), inputs.affine());
        let found = norm_block::backward(x, affine, values(&mean), values(&variance), values(&gradient));
        let of = [(found.input, &inputs.input), (found.gamma, &inputs.gamma), (found.beta, &inputs.beta)];
        for (node, (found, like)) in ops.parents.into_iter().zip(of) {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, tensor(found, like.layout().shape().to_vec()));
            }
        }
    }
}

/// Inputs of a normalisation, contiguous.
#[derive(Clone, Debug)]
struct NormInputs {
    input: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    epsilon: f64,
}

impl NormInputs {
    fn new(tensors: [FlexTensor; 3], epsilon: f64) -> Self {
        let [input, gamma, beta] = tensors.map(|tensor| tensor.to_contiguous());
        Self { input, gamma, beta, epsilon }
    }

    fn affine(&self) -> Affine<'_> {
        Affine { gamma: values(&self.gamma), beta: values(&self.beta), epsilon: self.epsilon as f32 }
    }

    /// Runs the normalisation: output `[B,W]`, mean `[W]`, biased variance `[W]`.
    fn forward(&self) -> (FlexTensor, FlexTensor, FlexTensor) {
        let done = norm_block::forward(values(&self.input), self.affine());
        let columns = vec![done.mean.len()];
        let output = tensor(done.output, self.input.layout().shape().to_vec());
        (output, tensor(done.mean, columns.clone()), tensor(done.variance, columns))
    }
}

/// Inputs of a convolution block, contiguous.
#[derive(Clone, Debug)]
struct ConvInputs {
    maps: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    shape: Shape,
    epsilon: f64,
}

/// Results of the forward pass that the gradient of a convolution block needs.
#[derive(Clone, Debug)]
struct ConvKept {
    sums: FlexTensor,
    mean: FlexTensor,
    variance: FlexTensor,
}

impl ConvInputs {
    fn new(tensors: [FlexTensor; 5], shape: Shape, epsilon: f64) -> Self {
        let [maps, weight, bias, gamma, beta] = tensors.map(|tensor| tensor.to_contiguous());
        Self { maps, weight, bias, gamma, beta, shape, epsilon }
    }

    fn parameters(&self) -> Parameters<'_> {
        Parameters {
            weight: values(&self.weight),
            bias: values(&self.bias),
            gamma: values(&self.gamma),
            beta: values(&self.beta),
            epsilon: self.epsilon as f32,
        }
    }

    fn forward(&self) -> Forward {
        conv_block::forward(self.shape, values(&self.maps), self.parameters())
    }

    /// Tensors of a forward pass: what is kept, and output, mean, variance.
    fn outputs(&self, done: Forward) -> (ConvKept, (FlexTensor, FlexTensor, FlexTensor)) {
        let per_frame = done.output.len() / self.shape.frames;
        let outputs = vec![self.shape.outputs];
        let mean = tensor(done.mean, outputs.clone());
        let variance = tensor(done.variance, outputs);
        let maps = vec![self.shape.frames, per_frame];
        let kept = ConvKept { sums: tensor(done.sums, maps.clone()), mean: mean.clone(), variance: variance.clone() };
        (kept, (tensor(done.output, maps), mean, variance))
    }
}

/// Inputs of the likelihood, contiguous: `repeat` rows of logits for each frame.
#[derive(Clone, Debug)]
struct Logits {
    frames: FlexTensor,
    logits: FlexTensor,
    values: usize,
    repeat: usize,
}

impl Logits {
    fn new(frames: FlexTensor, logits: FlexTensor) -> Self {
        let (frames, logits) = (frames.to_contiguous(), logits.to_contiguous());
        let ([n, values], [rows, _]) = (frames.layout().shape().dims::<2>(), logits.layout().shape().dims::<2>());
        Self { frames, logits, values, repeat: rows / n }
    }

    fn forward(&self) -> FlexTensor {
        let (frames, logits) = (values(&self.frames), values(&self.logits));
        let sums = bernoulli::forward(frames, logits, self.values, self.repeat);
        let rows = sums.len();
        tensor(sums, vec![rows])
    }

    fn backward(&self, gradient: &[f32]) -> FlexTensor {
        let (frames, logits) = (values(&self.frames), values(&self.logits));
        let values = bernoulli::backward(frames, logits, gradient, self.values, self.repeat);
        tensor(values, self.logits.layout().shape().to_vec())
    }
}

/// The values of a contiguous tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_default()
}

/// The tensor in a storage of its own, so that writing to it touches nothing else.
///
/// A tensor from a file may be a part of a storage that holds the whole file; only such a one is
/// copied.
fn alone(whole: FlexTensor) -> FlexTensor {
    let contiguous = whole.to_contiguous();
    drop(whole);
    if contiguous.storage::<f32>().len() == contiguous.layout().num_elements() {
        return contiguous;
    }
    tensor(values(&contiguous).to_vec(), contiguous.layout().shape().to_vec())
}

/// A tensor of these values.
fn tensor(values: Vec<f32>, shape: Vec<usize>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
