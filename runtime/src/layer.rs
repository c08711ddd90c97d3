//! The layers of an encoder as the kernels walk them: shapes that fit, weights in f16, biases in f32.
//!
//! Inner: for the engines, the exporter and the tests of the kernels.

/// Outputs of a layer are stored in multiples of this many, so that every kernel loads whole vectors.
pub const LANES: usize = 16;
/// Outputs that lie side by side for one input of a dense layer in [`Layout::Panels`].
pub const PANEL: usize = 128;
/// Most values that a frame or the output of a layer may have.
pub const MAX_UNITS: usize = 1 << 20;

/// Largest side of a convolution's kernel.
const MAX_KERNEL: usize = 31;

/// How the f16 weights of a dense layer lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[output][input]`, inputs padded to [`LANES`]: a dot product an output. For few outputs.
    Rows,
    /// `[panel][input][output in the panel]`, panels of [`PANEL`] outputs, the last one of what is left, padded to
    /// [`LANES`]: inputs that are 0 cost nothing, and their weights are never read. For many outputs.
    Panels,
}

/// A dense layer, its weights in place.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    inputs: usize,
    outputs: usize,
    layout: Layout,
    relu: bool,
    /// Biases `[outputs padded]`.
    bias: &'a [f32],
    /// Weights as f16 bits, in the order of the layout.
    weights: &'a [u16],
}

/// A convolution with a square odd kernel and zero padding of half of it, over values with channels last.
#[derive(Clone, Copy, Debug)]
pub struct Conv<'a> {
    channels: usize,
    height: usize,
    width: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    relu: bool,
    /// Biases `[outputs padded]`.
    bias: &'a [f32],
    /// Weights as f16 bits `[row][column][channel][outputs padded]`.
    weights: &'a [u16],
}

/// A layer of either kind.
#[derive(Clone, Copy, Debug)]
pub enum Layer<'a> {
    /// A dense layer.
    Dense(Dense<'a>),
    /// A convolution.
    Conv(Conv<'a>),
}

/// `count` rounded up to whole vectors.
pub const fn padded(count: usize) -> usize {
    count.div_ceil(LANES) * LANES
}

impl Layout {
    /// The layout of a layer whose shape alone tells it: panels from half a [`PANEL`] of outputs on.
    pub const fn for_outputs(outputs: usize) -> Self {
        if outputs >= PANEL / 2 { Self::Panels } else { Self::Rows }
    }
}

impl<'a> Dense<'a> {
    /// A layer; None if a width is out of range, or the lengths of bias and weights are not those of the shape.
    pub fn new(
        [inputs, outputs]: [usize; 2],
        layout: Layout,
        relu: bool,
        bias: &'a [f32],
        weights: &'a [u16],
    ) -> Option<Self> {
        let fits = units(inputs)
            && units(outputs)
            && bias.len() == padded(outputs)
            && Some(weights.len()) == Self::weight_count([inputs, outputs], layout);
        fits.then_some(Self { inputs, outputs, layout, relu, bias, weights })
    }

    /// Weights of a layer of this shape, padding included; None if they are too many to count.
    pub fn weight_count([inputs, outputs]: [usize; 2], layout: Layout) -> Option<usize> {
        match layout {
            Layout::Rows => inputs.checked_next_multiple_of(LANES)?.checked_mul(outputs),
            Layout::Panels => inputs.checked_mul(outputs.checked_next_multiple_of(LANES)?),
        }
    }

    /// Values that the layer takes.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Values that the layer gives.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// How the weights lie.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether negative outputs become 0.
    pub fn relu(&self) -> bool {
        self.relu
    }

    /// Biases `[outputs padded]`.
    pub fn bias(&self) -> &'a [f32] {
        self.bias
    }

    /// Weights as f16 bits.
    pub fn weights(&self) -> &'a [u16] {
        self.weights
    }

    /// The index, in a layer of this shape and layout, of the weight from `input` to `output`.
    pub fn place(inputs: usize, outputs: usize, layout: Layout, input: usize, output: usize) -> usize {
        match layout {
            Layout::Rows => output * padded(inputs) + input,
            Layout::Panels => {
                let panel = output / PANEL;
                let width = PANEL.min(padded(outputs) - panel * PANEL);
                panel * PANEL * inputs + input * width + output % PANEL
            }
        }
    }
}

impl<'a> Conv<'a> {
    /// A layer over maps of `[height, width, channels]`; None if the kernel is even, too large or smaller than the stride,
    /// a map is out of range, or the lengths of bias and weights are not those of the shape.
    pub fn new(
        [height, width, channels]: [usize; 3],
        outputs: usize,
        [kernel, stride]: [usize; 2],
        relu: bool,
        bias: &'a [f32],
        weights: &'a [u16],
    ) -> Option<Self> {
        let kernel_fits = kernel % 2 == 1 && kernel <= MAX_KERNEL && (1..=kernel).contains(&stride);
        if !kernel_fits {
            return None;
        }
        // Not 0, which the compiler does not see.
        let [rows, columns] = [height, width].map(|size| size.div_ceil(stride.max(1)));
        let fits = maps([height, width, channels])
            && maps([rows, columns, outputs])
            && bias.len() == padded(outputs)
            && Some(weights.len()) == Self::weight_count(channels, outputs, kernel);
        let layer = Self { channels, height, width, outputs, kernel, stride, relu, bias, weights };
        fits.then_some(layer)
    }

    /// Weights of a convolution of this shape, padding included; None if they are too many to count.
    pub fn weight_count(channels: usize, outputs: usize, kernel: usize) -> Option<usize> {
        kernel.checked_mul(kernel)?.checked_mul(channels)?.checked_mul(outputs.checked_next_multiple_of(LANES)?)
    }

    /// Height, width and channels of the maps that the layer takes.
    pub fn input_shape(&self) -> [usize; 3] {
        [self.height, self.width, self.channels]
    }

    /// Height, width and channels of the maps that the layer gives.
    pub fn output_shape(&self) -> [usize; 3] {
        // Never 0, which the compiler cannot know.
        let stride = self.stride.max(1);
        [self.height.div_ceil(stride), self.width.div_ceil(stride), self.outputs]
    }

    /// The side of the kernel, and the stride.
    pub fn kernel(&self) -> [usize; 2] {
        [self.kernel, self.stride]
    }

    /// Whether negative outputs become 0.
    pub fn relu(&self) -> bool {
        self.relu
    }

    /// Biases `[outputs padded]`.
    pub fn bias(&self) -> &'a [f32] {
        self.bias
    }

    /// Weights as f16 bits.
    pub fn weights(&self) -> &'a [u16] {
        self.weights
    }
}

impl Layer<'_> {
    /// Values that the layer takes.
    pub fn inputs(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.inputs,
            Self::Conv(conv) => conv.height * conv.width * conv.channels,
        }
    }

    /// Values that the layer gives.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.outputs,
            Self::Conv(conv) => conv.output_shape().iter().product(),
        }
    }
}

/// Whether a layer may take or give so many values.
fn units(count: usize) -> bool {
    (1..=MAX_UNITS).contains(&count)
}

/// Whether a convolution may take or give maps of this height, width and number of channels.
fn maps([height, width, channels]: [usize; 3]) -> bool {
    height.checked_mul(width).and_then(|n| n.checked_mul(channels)).is_some_and(units)
}
