//! Stage 3: the bound of eq. (6.1), with its charge on information given back (E12).
//!
//! Maximised is reconstruction + alignment + latent entropy + P (λ I(c;c') - κ inconsistency), where P is the number of
//! values of a frame, c the cluster of a frame and c' that of a random view of it. Term 3, -KL(q(c|x) ‖ p(c)), is reported
//! but not maximised, unless `refine.charge` asks for it: it charges for I(x;c), which is what a clustering is for.

use burn::module::Module;
use burn::tensor::Tensor;

use super::event::Observer;
use super::metrics::StepOutcome;
use super::spread::Spread;
use super::stage::{Bounds, Stage, StageStart};
use super::training_data::TrainingData;
use crate::config::{CheckedConfig, ClusterPosterior, DecoderPasses, Schedule, Weights};
use crate::data::Frames;
use crate::data::batches::{Batch, StageBatch, to_tensor};
use crate::elbo::reconstruction::TwoClusters;
use crate::elbo::{self, Terms, information, optimum};
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

/// Runs stage 3; None if the observer broke off.
pub fn run(
    config: &CheckedConfig,
    start: StageStart<'_>,
    data: &TrainingData,
    observer: &mut Observer<'_>,
) -> Result<Option<ClusterVae>> {
    let c = &config.refine;
    let size = c.size(data.training().len(), config.clusters());
    let looked_at = data.held_out.select(&(0..data.held_out.len().min(BOUND_FRAMES)).collect::<Vec<_>>());
    let inner = data.devices[0].clone().inner();
    let views_from = data.views(config, &config.augment, c.strength);
    // No cluster is drawn where the decoder runs for every cluster.
    let exact = c.decoder_passes == DecoderPasses::Exact || config.cluster_posterior == ClusterPosterior::MeanField;
    let batch = StageBatch {
        frames: size.batch,
        views: usize::from(!views_from.are_frames()),
        noise_rows: 1,
        clusters: (!exact).then(|| config.clusters()),
        purposes: (Purpose::RefineOrder, Purpose::RefineStep),
    };
    let shares = start.shares;
    let log_shares = (!shares.is_empty()).then(|| to_tensor(shares, shares.len(), &data.devices[0]).log());
    let report = |model: &ClusterVae| bound(&model.valid(), config, &looked_at, BOUND_SAMPLES, &inner);
    let stage = Stage {
        name: StageName::Refine,
        steps: size.steps,
        plan: data.plan(config, views_from, batch),
        store: &data.store,
        learning_rate: &|step| Schedule::Cosine.at(c.learning_rate, step, size.steps),
        objective: &|model, spread, batch, step| {
            objective(config, model, spread, batch, step as f64 / size.steps as f64, log_shares.as_ref())
        },
        held_out: data.reports_bounds.then_some(&report as &Bounds<'_>),
    };
    stage.run(start, &data.devices, observer)
}

/// What information is measured against, π `[K]`: the mean of q(c|x) over the training frames as the stage begins, at least
/// a thousandth of an even share each; empty where it is 1/K.
pub fn shares(config: &CheckedConfig, model: &ClusterVae, frames: &Frames) -> Result<Vec<f32>> {
    if config.mixture.weights == Weights::Uniform {
        return Ok(Vec::new());
    }
    let model = model.valid();
    let k = model.prior.clusters();
    let device = model.prior.mu_c.val().device();
    let mut sums = vec![0.0f64; k];
    encode(&model, frames, &device, |_, _, posterior| {
        let q = to_host(model.log_responsibilities(&posterior).exp().sum_dim(0))?;
        sums.iter_mut().zip(q).for_each(|(s, q)| *s += f64::from(q));
        Ok(())
    })?;
    let least = 1e-3 / k as f64;
    Ok(sums.iter().map(|s| (s / frames.len() as f64).max(least) as f32).collect())
}

/// The loss of one batch, its terms, and the mean cluster distribution; `done` is the share of the stage before it.
fn objective(
    config: &CheckedConfig,
    model: &ClusterVae,
    spread: &Spread<'_>,
    batch: &Batch,
    done: f64,
    log_shares: Option<&Tensor<2>>,
) -> StepOutcome {
    let c = &config.refine;
    let frames = batch.frames.clone();
    let [b, p] = frames.dims();
    // Without a view, a frame is its own.
    let views = usize::from(batch.views.is_some());
    let input = Tensor::cat(std::iter::once(frames.clone()).chain(batch.views.clone()).collect(), 0);
    let both = spread.encode(input);
    let log_gamma = model.log_responsibilities(&both);
    let (log_gamma, log_gamma_view) = (log_gamma.clone().narrow(0, 0, b), log_gamma.narrow(0, views * b, b));

    let posterior = both.narrow(0, b);
    let z = posterior.sample(batch.noise.clone());
    let alignment = model.alignment(&posterior);
    let log_var_z = posterior.log_var_z;
    let terms = if let Some(gumbel) = &batch.gumbel {
        let clusters = TwoClusters::draw(log_gamma.clone(), gumbel.clone());
        let passes = spread.log_likelihood_of(
            Tensor::cat(vec![frames.clone(), frames], 0),
            Tensor::cat(vec![z.clone(), z], 0),
            Tensor::cat(vec![clusters.first.clone(), clusters.second.clone()], 0),
        );
        let reconstruction = clusters.expectation(passes.clone().narrow(0, 0, b), passes.narrow(0, b, b));
        Terms::with_reconstruction(reconstruction, log_gamma.clone(), alignment.clone(), log_var_z)
    } else {
        let log_likelihood = spread.log_likelihood_all(frames, z);
        let log_q = match config.cluster_posterior {
            ClusterPosterior::Gmm | ClusterPosterior::Amortised => log_gamma.clone(),
            ClusterPosterior::MeanField => optimum::log_responsibilities(log_likelihood.clone() + alignment.clone()),
        };
        Terms::new(log_q, log_likelihood, alignment.clone(), log_var_z)
    };

    let between = information::between_views(log_gamma.clone(), log_gamma_view.clone());
    let inconsistency = information::inconsistency(log_gamma.clone(), log_gamma_view);
    let bound = if c.charge { terms.total() } else { terms.total() + terms.cluster_kl.clone() };
    let beside = inconsistency.clone() * c.consistency - between.clone() * c.information;
    // I(c;c') rewards H(q̄). Against π that reward is -KL(q̄ ‖ π) = H(q̄) + Σ_c q̄_c log π_c.
    let beside = match log_shares {
        Some(log_shares) => {
            let marginal = log_gamma.clone().exp().mean_dim(0);
            beside - (marginal * log_shares.clone()).sum() * c.information
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
    StepOutcome {
        values: vec![
            ("reconstruction", terms.reconstruction.mean()),
            ("alignment", terms.alignment.mean()),
            ("cluster_kl", terms.cluster_kl.mean()),
            ("latent_entropy", terms.latent_entropy.mean()),
            ("cluster_entropy", information::mean_entropy(log_gamma.clone())),
            ("between_views", between),
            ("inconsistency", inconsistency),
            ("elbo", total.mean()),
            ("loss", loss.clone()),
        ],
        loss,
        shares: Some(log_gamma.exp().mean_dim(0).squeeze_dim::<1>(0)),
    }
}
