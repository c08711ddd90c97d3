//! Adam (Kingma and Ba 2015) in one pass over a parameter, its gradient and its two moments.
//!
//! Step t, with g the gradient:
//!
//! m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g²,
//! θ ← θ - rate · m̂ / (√v̂ + ε), m̂ = m/(1 - β₁ᵗ), v̂ = v/(1 - β₂ᵗ).
//!
//! Numerator and denominator of the last line times √(1 - β₂ᵗ) give
//!
//! θ ← θ - rate · m · correction / (√v + ε'), correction = √(1 - β₂ᵗ)/(1 - β₁ᵗ), ε' = ε √(1 - β₂ᵗ),
//!
//! which divides once a value; both factors are the same for all values and are worked out once a
//! step. Four arrays are walked side by side, each value is read once and all but the gradient
//! written once, and nothing is allocated; the same written with tensors walks memory once an
//! operation. No value depends on another, so parts may run on any thread.

use burn::optim::{AdamConfig, AdamState, AdaptiveMomentumState, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use super::vectors::vectorised;
use super::{CpuLayers, on_cpu};
use burn::backend::Dispatch;

/// Values that one task takes.
const PART: usize = 16_384;

/// Decay β₁ of the first moment and β₂ of the second.
const BETAS: [f32; 2] = [0.9, 0.999];
/// Number ε that is added to the root of the second moment.
const EPSILON: f32 = 1e-5;

/// An optimiser that is Burn's own Adam everywhere but on the CPU, where it is this one, to the
/// same state.
pub fn optimizer() -> ModuleOptimizer {
    let config = AdamConfig::new().with_beta_1(BETAS[0]).with_beta_2(BETAS[1]).with_epsilon(EPSILON);
    Adam(config.build()).into()
}

#[derive(Clone)]
struct Adam(burn::optim::Adam);

impl Optimizer for Adam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        if !on_cpu(&tensor.device()) || tensor.device().is_autodiff() {
            return self.0.step(rate, tensor, gradient, state);
        }
        let (time, moment_1, moment_2) = match state {
            Some(AdamState { momentum }) => (momentum.time + 1, momentum.moment_1, momentum.moment_2),
            None => (1, gradient.zeros_like(), gradient.zeros_like()),
        };
        let factors = Factors::new(rate, time);
        let (tensor, moment_1, moment_2) = <Dispatch as CpuLayers>::adam(
            tensor.into_dispatch(),
            gradient.into_dispatch(),
            moment_1.into_dispatch(),
            moment_2.into_dispatch(),
            factors,
        );
        let momentum =
            AdaptiveMomentumState::new(time, Tensor::from_dispatch(moment_1), Tensor::from_dispatch(moment_2));
        (Tensor::from_dispatch(tensor), Some(AdamState::new(momentum)))
    }

    fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
        burn::optim::Adam::to_device(state, device)
    }
}

/// Factors of a step, the same for all values.
#[derive(Clone, Copy, Debug)]
pub struct Factors {
    /// Learning rate.
    rate: f32,
    /// Correction √(1 - β₂ᵗ) / (1 - β₁ᵗ) of both moments for their start at 0.
    correction: f32,
    /// Number ε √(1 - β₂ᵗ) that is added to the root of the uncorrected second moment.
    epsilon: f32,
}

impl Factors {
    fn new(rate: f64, time: usize) -> Self {
        let time = time as i32;
        let root = (1.0 - BETAS[1].powi(time)).sqrt();
        Self { rate: rate as f32, correction: root / (1.0 - BETAS[0].powi(time)), epsilon: EPSILON * root }
    }
}

/// Moves `values` one step, and brings both moments up to date; all slices are of one length.
pub fn step(values: &mut [f32], gradient: &[f32], moment_1: &mut [f32], moment_2: &mut [f32], factors: Factors) {
    values
        .par_chunks_mut(PART)
        .zip(gradient.par_chunks(PART))
        .zip(moment_1.par_chunks_mut(PART).zip(moment_2.par_chunks_mut(PART)))
        .for_each(|((values, gradient), (moment_1, moment_2))| {
            step_part(values, gradient, moment_1, moment_2, factors)
        });
}

vectorised! {
/// The step of one part, in the order of Burn's operations, so that its bits come out.
fn step_part<'a>(
    values: &'a mut [f32],
    gradient: &'a [f32],
    moment_1: &'a mut [f32],
    moment_2: &'a mut [f32],
    factors: Factors,
) -> () {
    for (((value, g), m), v) in values.iter_mut().zip(gradient).zip(moment_1).zip(moment_2) {
        *m = *m * BETAS[0] + g * (1.0 - BETAS[0]);
        *v = *v * BETAS[1] + g * g * (1.0 - BETAS[1]);
        *value -= *m * factors.correction / (v.sqrt() + factors.epsilon) * factors.rate;
    }
}
}
