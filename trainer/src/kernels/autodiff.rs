//! The layers as operations of Burn's CPU backend, and their gradients.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Flex, tensor::FloatTensor};
use burn::tensor::TensorData;

use super::conv_block::{Forward, Kept, Parameters, Shape};
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
}

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
        register(bias.map(|node| node.id), vec![0.0; block.shape.outputs], &block.bias);
        register(gamma.map(|node| node.id), found.gamma, &block.gamma);
        register(beta.map(|node| node.id), found.beta, &block.beta);
    }
}

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

/// What a block takes, contiguous.
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

/// What its gradient needs of the forward pass.
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

    /// The tensors of a forward pass: what is kept, and output, mean, variance.
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

/// What the likelihood takes, contiguous.
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

fn tensor(values: Vec<f32>, shape: Vec<usize>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
