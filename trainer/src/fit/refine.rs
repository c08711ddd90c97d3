//! Stage 3: the bound of eq. (6.1), with its charge on information given back (E12).
//!
//! Maximised is reconstruction + alignment + latent entropy + P (λ I(c;c') - κ inconsistency), where P is the number of
//! values of a frame, c the cluster of a frame and c' that of a random view of it. Term 3, -KL(q(c|x) ‖ p(c)), is reported
//! but not maximised, unless `refine.charge` asks for it: it charges for I(x;c), which is what a clustering is for.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::event::{self, Observer, told};
use super::metrics::StepOutcome;
use super::spread::Spread;
use super::stage::{Bounds, Judge, Stage, StageStart};
use super::training_data::TrainingData;
use crate::config::{CheckedConfig, ClusterPosterior, DecoderPasses, Schedule};
use crate::data::batches::{Batch, StageBatch};
use crate::data::{Part, Preparation, Source, Watched};
use crate::elbo::reconstruction::TwoClusters;
use crate::elbo::{self, Terms, groups, information, optimum};
use crate::error::Result;
use crate::fitted::{bound, encode, to_host};
use crate::model::ClusterVae;
use crate::rng::Purpose;
use crate::stage::StageName;

/// Share of the stage in which an amortised head is also taught the mixture's responsibilities.
const TEACHING_SHARE: f64 = 0.2;
/// Number of held-out frames whose bounds are reported after every epoch.
const BOUND_FRAMES: usize = 500;
/// Samples of z a frame for the bounds.
const BOUND_SAMPLES: usize = 4;
/// Least p(c), in even shares.
const LEAST_WEIGHT: f64 = 1e-3;
/// Most steps of EM on p(c).
const WEIGHT_STEPS: usize = 200;
/// The largest change of a p(c) at which EM on it is done.
const WEIGHTS_STILL: f64 = 1e-6;

/// Runs stage 3; None if the observer broke off.
pub fn run(
    config: &CheckedConfig,
    start: StageStart<'_>,
    data: &TrainingData<'_>,
    observer: &mut Observer<'_>,
) -> Result<Option<ClusterVae>> {
    let c = &config.refine;
    let size = c.size(data.training().len(), config.clusters());
    let first = (0..data.held_out.len().min(BOUND_FRAMES) as u32).collect();
    let looked_at: Part<'_> = Part::of(&data.held_out, first, Preparation::default());
    let inner = data.devices[0].clone().inner();
    let views_from = data.views(config, &config.augment, c.strength);
    // No cluster is drawn where the decoder runs for every cluster.
    let mean_field = config.cluster_posterior == ClusterPosterior::MeanField;
    let exact = c.decoder_passes == DecoderPasses::Exact || mean_field;
    let batch = StageBatch {
        frames: size.batch,
        views: usize::from(!views_from.are_frames()),
        noise_rows: if mean_field { 2 } else { 1 },
        clusters: (!exact).then(|| config.clusters()),
        purposes: (Purpose::RefineOrder, Purpose::RefineStep),
    };
    let report = |model: &ClusterVae| bound(&model.valid(), config, &looked_at, BOUND_SAMPLES, &inner);
    let judged = data.judged(config, views_from.clone(), batch)?;
    let on_inner = [inner.clone()];
    let judge = judged.map(|judged| move |model: &ClusterVae| objective_of_each(config, model, &judged, &on_inner));
    let stage = Stage {
        name: StageName::Refine,
        steps: size.steps,
        plan: data.plan(config, views_from, batch),
        store: &data.store,
        learning_rate: &|step| Schedule::Cosine.at(c.learning_rate, step, size.steps),
        objective: &|model, spread, batch, step| {
            objective(config, model, spread, batch, step as f64 / size.steps as f64)
        },
        held_out: data.reports_bounds.then_some(&report as &Bounds<'_>),
        judge: judge.as_ref().map(|judge| judge as &Judge<'_>),
    };
    stage.run(start, &data.devices, observer)
}

/// The model with the weights of its mixture that are likeliest for its clusters as they are, where p(c) is learned.
///
/// With all else fixed the likelihood is concave in p(c), and EM's steps, to the mean of q(c|x), climb it. A weight stays
/// above a thousandth of an even one, so that no cluster is lost for good.
pub fn weigh(mut model: ClusterVae, frames: &dyn Source, observer: &mut Observer<'_>) -> Result<ClusterVae> {
    if model.prior.log_weights.is_none() {
        return Ok(model);
    }
    let even = model.prior.with_weights(&vec![1.0 / model.prior.clusters() as f64; model.prior.clusters()]);
    model.prior = even;
    let still = model.valid();
    let k = still.prior.clusters();
    let device = still.prior.mu_c.val().device();
    let mut log_q = Vec::with_capacity(frames.len() * k);
    let mut tell = told(observer, event::Pass::Shares, frames.len());
    encode(&still, &Watched::new(frames, &mut tell), &device, |_, _, posterior| {
        log_q.extend(to_host(still.log_responsibilities(&posterior))?);
        Ok(())
    })?;
    let least = LEAST_WEIGHT / k as f64;
    // A learned head does not see p(c), so its mean is the answer at once.
    let steps = if still.cluster_head.is_some() { 1 } else { WEIGHT_STEPS };
    let mut weights = vec![1.0 / k as f64; k];
    for _ in 0..steps {
        let mut sums = vec![0.0f64; k];
        for row in log_q.chunks_exact(k) {
            let joint: Vec<f64> = row.iter().zip(&weights).map(|(log_q, w)| w * f64::from(*log_q).exp()).collect();
            let total: f64 = joint.iter().sum();
            sums.iter_mut().zip(joint).for_each(|(sum, j)| *sum += j / total);
        }
        let next: Vec<f64> = sums.iter().map(|sum| (sum / frames.len() as f64).max(least)).collect();
        let total: f64 = next.iter().sum();
        let next: Vec<f64> = next.iter().map(|w| w / total).collect();
        let moved = next.iter().zip(&weights).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        weights = next;
        if moved < WEIGHTS_STILL {
            break;
        }
    }
    model.prior = model.prior.with_weights(&weights);
    Ok(model)
}

/// What a batch of B frames, each with a view, gives.
struct Pass {
    /// log q(c|x) of the frames as the device computes it `[B,K]`.
    log_gamma: Tensor<2>,
    /// The same of their views; of the frames themselves where there are none `[B,K]`.
    log_gamma_view: Tensor<2>,
    /// Exponent e_c of every cluster, see [`ClusterVae::alignment`] `[B,K]`.
    alignment: Tensor<2>,
    /// The terms of eq. (6.1), a value a frame.
    terms: Terms,
}

impl Pass {
    fn new(config: &CheckedConfig, model: &ClusterVae, spread: &Spread<'_>, batch: &Batch) -> Self {
        let frames = batch.frames.clone();
        let b = frames.dims()[0];
        // Without a view, a frame is its own.
        let views = usize::from(batch.views.is_some());
        let input = Tensor::cat(std::iter::once(frames.clone()).chain(batch.views.clone()).collect(), 0);
        let both = spread.encode(input);
        let log_gamma = model.log_responsibilities(&both);
        let (log_gamma, log_gamma_view) = (log_gamma.clone().narrow(0, 0, b), log_gamma.narrow(0, views * b, b));

        let posterior = both.narrow(0, b);
        let alignment = model.alignment(&posterior);
        let log_var_z = posterior.log_var_z.clone();
        let (log_q, terms) = if let Some(gumbel) = &batch.gumbel {
            let z = posterior.sample(batch.noise.clone());
            let clusters = TwoClusters::draw(log_gamma.clone(), gumbel.clone());
            let passes = spread.log_likelihood_of(
                Tensor::cat(vec![frames.clone(), frames], 0),
                Tensor::cat(vec![z.clone(), z], 0),
                Tensor::cat(vec![clusters.first.clone(), clusters.second.clone()], 0),
            );
            let reconstruction = clusters.expectation(passes.clone().narrow(0, 0, b), passes.narrow(0, b, b));
            let terms = Terms::with_reconstruction(reconstruction, log_gamma.clone(), alignment.clone(), log_var_z);
            (log_gamma.clone(), terms)
        } else {
            let at_sample = |row: usize| {
                let z = posterior.sample(batch.noise.clone().narrow(0, row * b, b));
                spread.log_likelihood_all(frames.clone(), z)
            };
            let log_q = match config.cluster_posterior {
                ClusterPosterior::Gmm | ClusterPosterior::Amortised => log_gamma.clone(),
                // From a sample apart from the one below: of the same one it would be fitted to that sample's chance, and
                // the sum of the terms would be above the bound on average.
                ClusterPosterior::MeanField => optimum::log_responsibilities(at_sample(1) + alignment.clone()),
            };
            (log_q.clone(), Terms::new(log_q, at_sample(0), alignment.clone(), log_var_z))
        };
        let terms = match model.prior.log_weights() {
            Some(log_weights) => terms.with_weights(log_q, log_weights),
            None => terms,
        };
        Self { log_gamma, log_gamma_view, alignment, terms }
    }

    /// The part of eq. (6.1) that is maximised `[B]`.
    fn bound(&self, config: &CheckedConfig) -> Tensor<1> {
        let total = self.terms.total();
        if config.refine.charge { total } else { total + self.terms.cluster_kl.clone() }
    }
}

/// What the stage maximises, but for the teaching of a learned head, of each frame of a batch on a device without tracking
/// `[B]`.
fn objective_of_each(
    config: &CheckedConfig,
    model: &ClusterVae,
    batch: &Batch,
    device: &[Device; 1],
) -> Result<Vec<f64>> {
    let c = &config.refine;
    let p = batch.frames.dims()[1];
    let model = model.valid();
    let pass = Pass::new(config, &model, &Spread::new(&model, device), batch);
    let bound = pass.bound(config);
    let Pass { log_gamma, log_gamma_view, .. } = pass;
    let between = information::between_views_of_each(log_gamma.clone(), log_gamma_view.clone());
    let inconsistency = information::inconsistency_of_each(log_gamma.clone(), log_gamma_view);
    let information = match model.prior.log_weights() {
        Some(log_weights) => between + elbo::expectation(log_gamma.exp(), log_weights),
        None => between,
    };
    let beside = information * c.information - inconsistency * c.consistency;
    Ok(to_host(bound + beside * p as f64)?.into_iter().map(f64::from).collect())
}

/// The loss of one batch, its terms, and the mean cluster distribution; `done` is the share of the stage before it.
fn objective(config: &CheckedConfig, model: &ClusterVae, spread: &Spread<'_>, batch: &Batch, done: f64) -> StepOutcome {
    let c = &config.refine;
    let p = batch.frames.dims()[1];
    let pass = Pass::new(config, model, spread, batch);
    let bound = pass.bound(config);
    let Pass { log_gamma, log_gamma_view, alignment, terms } = pass;
    let between = information::between_views(log_gamma.clone(), log_gamma_view.clone());
    let inconsistency = information::inconsistency(log_gamma.clone(), log_gamma_view);
    let beside = inconsistency.clone() * c.consistency - between.clone() * c.information;
    // I(c;c') rewards H(q̄). Against p(c) that reward is -KL(q̄ ‖ p(c)) = H(q̄) + Σ_c q̄_c log p(c), but for log K.
    let beside = match model.prior.log_weights() {
        Some(log_weights) => {
            let marginal = log_gamma.clone().exp().mean_dim(0);
            beside - (marginal * log_weights).sum() * c.information
        }
        None => beside,
    };
    let mut of_groups = None;
    let beside = match batch.groups.clone().filter(|_| c.groups > 0.0) {
        Some(groups) => {
            let told = groups::information(log_gamma.clone(), groups);
            of_groups = Some(("of_groups", told.clone()));
            beside + told * c.groups
        }
        None => beside,
    };
    let mut loss = -bound.mean() + beside * p as f64;
    // Not for `gmm`: its soft start lets the information terms mend what EM got wrong (without teaching ACC 0.986,
    // taught EM's responsibilities 0.974; complete MNIST, seed 1).
    if config.cluster_posterior == ClusterPosterior::Amortised {
        let left = (1.0 - done / TEACHING_SHARE).max(0.0);
        let teacher = optimum::log_responsibilities(alignment).detach().exp();
        let cross_entropy = -elbo::expectation(teacher, log_gamma.clone()).mean();
        loss = loss + cross_entropy * (left * c.consistency * p as f64);
    }
    let total = terms.total();
    let values = [
        ("reconstruction", terms.reconstruction.mean()),
        ("alignment", terms.alignment.mean()),
        ("cluster_kl", terms.cluster_kl.mean()),
        ("latent_entropy", terms.latent_entropy.mean()),
        ("cluster_entropy", information::mean_entropy(log_gamma.clone())),
        ("between_views", between),
        ("inconsistency", inconsistency),
        ("elbo", total.mean()),
        ("loss", loss.clone()),
    ];
    StepOutcome {
        values: values.into_iter().chain(of_groups).collect(),
        loss,
        shares: Some(log_gamma.exp().mean_dim(0).squeeze_dim::<1>(0)),
    }
}
