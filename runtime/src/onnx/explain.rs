//! Why a frame went to its cluster, exactly: the decoder, run by tract at 2D points of z under both clusters. A mixture on
//! the values is explained by its Gaussians instead ([`super::linear`]).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use super::decoder::{likelihood, scaling};
use super::linear::Linear;
use super::load::{graph_error, metadata, opened};
use super::{Engine, LoadError, Plan, front_end, names, run};
use crate::{Assignment, FrameError, FrameShape, Head, check_frame};

/// A mean nearer to 0 or 1 than one step of a byte is taken for one step away, in `surprise`.
const RESOLUTION: f32 = 1.0 / 255.0;
/// Least variance that `surprise` divides by.
const LEAST_VARIANCE: f32 = 1e-6;

/// Why a frame went to its cluster: maps of its values, row-major `[P]` as the frame is; of the features of a front end,
/// `[C,F]`, where there is one ([`Engine::input_shape`], [`crate::FrontEnd::feature`]).
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The assignment of the frame: c₁ is its cluster, c₂ the runner-up.
    pub assignment: Assignment,
    /// What the model expects: the mean of p(x|m,c₁), in the units of the frame, or of the features.
    pub reconstruction: Vec<f32>,
    /// How well each value agrees with what the model expects: exp(-½ E(x_p - x̂_p)²/s²), in (0, 1], s the noise of a
    /// value.
    pub trust: Vec<f32>,
    /// How much each value speaks for the cluster and against the runner-up: E log p(x_p|z,c₁) - E log p(x_p|z,c₂), nats;
    /// empty where there is one cluster.
    pub contrast: Vec<f32>,
    /// How unusual each value is: -log p(x_p|x,c₁) less what the model expects of it, over the standard deviation.
    pub surprise: Vec<f32>,
}

impl Explanation {
    /// Itself, if every value is a finite number.
    fn finite(self) -> Result<Self, FrameError> {
        let maps = [&self.reconstruction, &self.trust, &self.contrast, &self.surprise];
        let finite = maps.into_iter().flatten().all(|v| v.is_finite());
        if finite { Ok(self) } else { Err(FrameError::Overflow) }
    }
}

/// Why there is no explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The engine has no decoder.
    #[error("no decoder: load decoder.onnx with Engine::load_decoder first")]
    NoDecoder,
    /// The frame is refused.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// `decoder.onnx`: p(x|z,c).
pub(super) struct Decoder {
    plan: Plan,
    bernoulli: bool,
    /// The noise s² of a value after scaling.
    noise: f32,
    /// Shift and factor of every value, if values are standardised.
    scaling: Option<[Vec<f32>; 2]>,
    /// Of a mixture on the values, which is explained by its Gaussians.
    linear: Option<Linear>,
}

impl Engine {
    /// Loads the decoder that `trainer export` wrote beside the model, for [`Engine::explain`].
    ///
    /// # Errors
    /// [`LoadError`] if the file cannot be read, is damaged, or is the decoder of a model of another shape.
    pub fn load_decoder(&mut self, path: impl AsRef<Path>) -> Result<(), LoadError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| LoadError::Io { path: path.display().to_string(), source })?;
        self.decoder_from_bytes(&bytes)
    }

    /// Loads the decoder from the bytes of its file, as [`Engine::load_decoder`] does.
    ///
    /// # Errors
    /// As [`Engine::load_decoder`]; never panics, whatever the bytes.
    pub fn decoder_from_bytes(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        let (shape, latent, clusters) = (self.input_shape(), self.head.latent(), self.clusters());
        // tract panics on some graphs that are well-formed protobuf but make no sense.
        let load = AssertUnwindSafe(|| Decoder::load(bytes, shape, latent, clusters));
        let panicked = |_| Err(LoadError::Graph("it panicked while reading the graph".into()));
        self.decoder = Some(catch_unwind(load).unwrap_or_else(panicked)?);
        Ok(())
    }

    /// Explains one frame `[C,H,W]`; the maps are those of `trainer explain`.
    ///
    /// # Errors
    /// [`ExplainError::NoDecoder`] before [`Engine::load_decoder`], else as [`Engine::assign`]; also
    /// [`FrameError::Overflow`] if a value of a map is not finite.
    pub fn explain(&mut self, frame: &[f32]) -> Result<Explanation, ExplainError> {
        check_frame(frame, self.shape.len())?;
        let shape = self.input_shape();
        let inputs = front_end::inputs(self.front_end.as_ref(), frame)?;
        let outputs = run(&mut self.single, &inputs, 1, shape)?;
        let assignment = self.assignments([frame, &inputs], &outputs, 1)?.pop().ok_or(FrameError::Engine)?;
        // A graph may give more than the head takes.
        let d = self.head.latent();
        let part = |at: usize| outputs.get(at).and_then(|values| values.get(..d)).ok_or(FrameError::Engine);
        let (mu, log_var) = (part(0)?, part(1)?);
        let decoder = self.decoder.as_mut().ok_or(ExplainError::NoDecoder)?;
        Ok(match decoder.linear {
            Some(_) => decoder.explain_linear(&inputs, mu, &self.head, assignment)?,
            None => decoder.explain(&inputs, mu, log_var, assignment)?,
        })
    }
}

impl Decoder {
    fn load(bytes: &[u8], shape: FrameShape, latent: usize, clusters: usize) -> Result<Self, LoadError> {
        let model: ModelProto = opened(bytes)?;
        let (bernoulli, noise) = likelihood(&model)?;
        let scaling = scaling(&model, shape)?;
        let mut plan = plan(&model, latent)?;
        // A trial run under the last cluster: a decoder of another model is found now.
        let trial = natural(&mut plan, &vec![0.0; latent], &[clusters as i64 - 1]);
        if trial.as_ref().map(Vec::len) != Ok(shape.len()) {
            return Err(LoadError::Incompatible("it is the decoder of a model of another shape".into()));
        }
        let linear = match metadata(&model, names::ENCODER_KEY) {
            Some(names::IDENTITY) => {
                let outputs = natural(&mut plan, &Linear::probes(latent), &vec![0; latent + 1]);
                Some(Linear::of(&outputs.map_err(|e| LoadError::Graph(e.to_string()))?, shape.len())?)
            }
            _ => None,
        };
        Ok(Self { plan, bernoulli, noise, scaling, linear })
    }

    /// The frame as the network takes it.
    fn scaled(&self, frame: &[f32]) -> Vec<f32> {
        match &self.scaling {
            None => frame.to_vec(),
            Some([shift, factor]) => frame.iter().zip(shift).zip(factor).map(|((x, s), f)| (x - s) * f).collect(),
        }
    }

    /// Takes values back to the units of the frame.
    fn unscale(&self, values: &mut [f32]) {
        if let Some([shift, factor]) = &self.scaling {
            let scaled = values.iter_mut().zip(shift).zip(factor);
            scaled.for_each(|((v, shift), factor)| *v = *v / factor + shift);
        }
    }

    fn explain_linear(
        &self,
        frame: &[f32],
        mu: &[f32],
        head: &Head<'_>,
        assignment: Assignment,
    ) -> Result<Explanation, FrameError> {
        let linear = self.linear.as_ref().ok_or(FrameError::Engine)?;
        let x = self.scaled(frame);
        let first = linear.beside(&x, mu, head, assignment.cluster);
        let contrast = assignment.runner_up.map_or_else(Vec::new, |second| {
            let second = linear.beside(&x, mu, head, second);
            second.cost.iter().zip(&first.cost).map(|(b, a)| 0.5 * (b - a)).collect()
        });
        let mut reconstruction: Vec<f32> = x.iter().zip(&first.error).map(|(x, [error, _])| x - error).collect();
        self.unscale(&mut reconstruction);
        let trust = first.error.iter().map(|[_, squared]| (-0.5 * squared).exp()).collect();
        // ½ χ² of one degree less its mean ½, over its deviation √½.
        let surprise = first.error.iter().map(|[_, squared]| (0.5 * squared - 0.5) / 0.5f32.sqrt()).collect();
        Explanation { assignment, reconstruction, trust, contrast, surprise }.finite()
    }

    fn explain(
        &mut self,
        frame: &[f32],
        mu: &[f32],
        log_var: &[f32],
        assignment: Assignment,
    ) -> Result<Explanation, FrameError> {
        let p = frame.len();
        let points = points(mu, log_var);
        let count = points.len() / mu.len();
        let first = natural(&mut self.plan, &points, &vec![assignment.cluster as i64; count])?;
        let x = self.scaled(frame);
        // The first point is m itself, for the reconstruction; the others are averaged over.
        let (centre, around) = first.split_at_checked(p).ok_or(FrameError::Engine)?;
        let of_first = self.expectation(&x, around);
        let contrast = match assignment.runner_up {
            None => Vec::new(),
            Some(second) => {
                let outputs = natural(&mut self.plan, &points, &vec![second as i64; count])?;
                let of_second = self.expectation(&x, outputs.get(p..).ok_or(FrameError::Engine)?);
                of_first.log_density.iter().zip(&of_second.log_density).map(|(a, b)| a - b).collect()
            }
        };
        let mut reconstruction: Vec<f32> = centre.iter().map(|out| self.mean(*out)).collect();
        self.unscale(&mut reconstruction);
        let trust = of_first.squared_error.iter().map(|error| (-0.5 / self.noise * error).exp()).collect();
        let surprise = self.surprise(&x, &of_first);
        Explanation { assignment, reconstruction, trust, contrast, surprise }.finite()
    }

    /// Mean of a value whose logit or mean the decoder gives.
    fn mean(&self, out: f32) -> f32 {
        if self.bernoulli { 1.0 / (1.0 + (-out).exp()) } else { out }
    }

    /// Averages over the points of z; `outputs` is `[points,P]`.
    fn expectation(&self, x: &[f32], outputs: &[f32]) -> Expectation {
        let weight = x.len() as f32 / outputs.len().max(1) as f32;
        let zeros = vec![0.0; x.len()];
        let mut sums = Expectation { log_density: zeros.clone(), mean: zeros.clone(), squared_error: zeros };
        for point in outputs.chunks_exact(x.len()) {
            for (at, (&x, &out)) in x.iter().zip(point).enumerate() {
                let mean = self.mean(out);
                let log_density = if self.bernoulli {
                    // log(1 + exp(out)) without overflow.
                    x * out - (out.max(0.0) + (-out.abs()).exp().ln_1p())
                } else {
                    -0.5 * ((x - out).powi(2) / self.noise + self.noise.ln() + std::f32::consts::TAU.ln())
                };
                sums.log_density[at] += weight * log_density;
                sums.mean[at] += weight * mean;
                sums.squared_error[at] += weight * (x - mean).powi(2);
            }
        }
        sums
    }

    fn surprise(&self, x: &[f32], of: &Expectation) -> Vec<f32> {
        // -log p of what is seen, its expectation and variance under the predictive, for each value.
        let values: Vec<[f32; 3]> = (x.iter().zip(&of.mean).zip(&of.squared_error))
            .map(|((x, mean), squared_error)| {
                if self.bernoulli {
                    let mean = mean.clamp(RESOLUTION, 1.0 - RESOLUTION);
                    let logit = mean.ln() - (1.0 - mean).ln();
                    let cost = |x: f32| -x * logit - (1.0 - mean).ln();
                    [cost(*x), cost(mean), logit * logit * mean * (1.0 - mean)]
                } else {
                    let squared = (x - mean).powi(2);
                    let variance = (squared_error - squared).max(0.0) + self.noise;
                    [0.5 * (squared / variance + variance.ln()), 0.5 * (variance.ln() + 1.0), 0.5]
                }
            })
            .collect();
        let n = values.len().max(1) as f32;
        let centre = values.iter().map(|[_, expected, _]| expected).sum::<f32>() / n;
        let variance = values.iter().map(|[_, expected, v]| v + (expected - centre).powi(2)).sum::<f32>() / n;
        let deviation = variance.max(LEAST_VARIANCE).sqrt();
        values.iter().map(|[seen, ..]| (seen - centre) / deviation).collect()
    }
}

/// Log-density, mean and squared error of each value under one cluster, z averaged out.
struct Expectation {
    log_density: Vec<f32>,
    mean: Vec<f32>,
    squared_error: Vec<f32>,
}

/// m, then the 2D points m ± √(D v_d) that give expectations of degree 3 exactly, `[2D+1,D]`.
fn points(mu: &[f32], log_var: &[f32]) -> Vec<f32> {
    let d = mu.len();
    let mut points = mu.repeat(2 * d + 1);
    for (node, point) in points.chunks_exact_mut(d.max(1)).skip(1).enumerate() {
        let radius = (0.5 * log_var[node / 2]).exp() * (d as f32).sqrt();
        point[node / 2] += if node % 2 == 0 { radius } else { -radius };
    }
    points
}

/// The decoder's outputs `[N,P]` for z `[N,D]` under one cluster each.
fn natural(plan: &mut Plan, z: &[f32], clusters: &[i64]) -> Result<Vec<f32>, FrameError> {
    let inputs = Tensor::from_shape(&[clusters.len(), z.len() / clusters.len().max(1)], z)
        .and_then(|z| Ok(tvec!(z.into(), Tensor::from_shape(&[clusters.len()], clusters)?.into())));
    let outputs = inputs.and_then(|inputs| plan.run(inputs)).map_err(|_| FrameError::Engine)?;
    let output = outputs.first().ok_or(FrameError::Engine)?;
    let values = output.try_as_plain_ram().and_then(|plain| plain.as_slice::<f32>().map(<[f32]>::to_vec));
    values.map_err(|_| FrameError::Engine)
}

/// The graph up to what the decoder gives, before it is a mean in the units of the frame.
fn plan(model: &ModelProto, latent: usize) -> Result<Plan, LoadError> {
    let mut model = model.clone();
    if let Some(graph) = model.graph.as_mut() {
        graph.output.retain(|output| output.name == names::NATURAL);
    }
    let onnx = onnx().with_ignore_output_shapes(true);
    let mut model = onnx.model_for_proto_model(&model).map_err(graph_error)?;
    let batch: TDim = model.sym("N").into();
    model.set_input_fact(0, f32::fact([batch.clone(), latent.into()]).into()).map_err(graph_error)?;
    model.set_input_fact(1, i64::fact([batch]).into()).map_err(graph_error)?;
    let plan = model.into_optimized().and_then(TypedModel::into_runnable).map_err(graph_error)?;
    plan.spawn().map_err(graph_error)
}
