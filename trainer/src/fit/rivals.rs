//! Which model it is to be: the one that models of halves of the frames confirm.
//!
//! Where nobody says, a mixture on the values, a network whose clusters have even shares and one whose shares are learned
//! are all tried. No label says which is right, but **stability** does (Lange et al., Stability-Based Validation of
//! Clustering Solutions, 2004): of clusters that are in the frames, models of other frames make the same. So each is fitted
//! to both halves of the frames, several times where these are few, and the one is taken whose two halves put the most
//! frames alike. How far they do not is also how sure the model may be ([`witness`](super::witness)).

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use rand::seq::index;
use serde::{Deserialize, Serialize};

use super::agreement::agreement;
use super::attempts::Attempts;
use super::calibrate::log_responsibilities;
use super::check_count;
use super::event::{Event, Observer, Pass, beside};
use super::identity;
use super::split::{halves, independent};
use super::stage::Ended;
use super::training_data::TrainingData;
use crate::config::{CheckedConfig, Count, EncoderKind, Weights};
use crate::data::{Part, Preparation, Source};
use crate::error::{Error, Result};
use crate::gmm::{self, Mixture, Points};
use crate::matching::one_to_one;
use crate::model::{ClusterVae, Likelihood};
use crate::ranking::argmax;
use crate::rng::{Purpose, stream};
use crate::stage::StageName;

/// Share of the frames from which on a mixture is taken without a look at networks: they could not be more stable.
const SURE: f64 = 0.999;
/// Stability, NMI, that a mixture has to have to be the model.
///
/// Half the frames are less stable than all: of sets where the mixture is the best that is known, halves of 132 irises
/// agree to 0.88 to 0.91 and of 156 wines to 0.80 to 0.90; where it is not, of 498 breast tumours to 0.52 to 0.65.
const STABLE: f64 = 0.75;
/// Most frames, over all splits, that networks are fitted to, but for one split of any number.
const FRAMES_OF_SPLITS: usize = 2000;
/// Starts of stage 1 for each half of up to [`FRAMES_OF_SPLITS`] frames, of which single ones often fail; else one.
const STARTS_OF_FEW: usize = 3;
/// Most splits.
const SPLITS: usize = 4;
/// Index of the random stream of the first split; those of the calibration are below.
const SPLIT_STREAM: u64 = 2;
/// Index of the random stream that draws the frames that take part.
const SAMPLE_STREAM: u64 = 1;

/// A kind of model that was fitted to halves of the frames.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rival {
    /// A mixture on the values (`identity`), or a network.
    pub encoder: EncoderKind,
    /// What it takes for the shares of its clusters.
    pub weights: Weights,
    /// Share of all frames that models of both halves put alike, their clusters matched one to one, in `[0, 1]`, mean over
    /// the splits; one that collapsed or diverged agrees with none. Of mixtures, which are soon fitted to all, no more than
    /// the share that one of all and one of a half put alike.
    pub alike: f64,
    /// How alike models of both halves cut all frames, normalised mutual information, in `[0, 1]`, mean over the splits.
    pub stability: f64,
    /// Mean log-density of a frame under the mixture of the half that it is not in, nats; None of networks.
    pub held_out: Option<f64>,
}

/// All that were fitted to halves of the frames, and which of them is the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rivals {
    /// How stable each is, in the order in which they were fitted.
    pub rivals: Vec<Rival>,
    /// Index of the one that the model is made as; None where no mixture is stable enough and no network was fitted to halves.
    pub best: Option<usize>,
    /// Number of frames that were halved.
    pub halved: usize,
    /// How often they were halved.
    pub splits: usize,
}

impl Rivals {
    /// The one that the model is made as, if one was found good enough.
    pub fn best(&self) -> Option<&Rival> {
        self.best.map(|best| &self.rivals[best])
    }
}

/// What a model of one half of the frames says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfHalf {
    /// Indices of the training frames that it was fitted to.
    pub fitted: Vec<usize>,
    /// Where it puts the training frames, and then the held-out ones.
    pub clusters: Vec<usize>,
}

/// What a network that is trained needs to know of a contest that it has won; checkpoints hold it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Won {
    /// What it takes for the shares of its clusters.
    pub weights: Weights,
    /// What models of halves say.
    pub halves: Vec<OfHalf>,
}

impl Won {
    /// As bytes of a checkpoint.
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::resource("checkpoint", e))
    }

    /// What [`Won::encode`] gave for so many training frames and held-out ones; None of no bytes.
    pub fn decode(bytes: &[u8], training: usize, held_out: usize) -> Result<Option<Self>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let won: Self = serde_json::from_slice(bytes).map_err(|e| Error::model("checkpoint", e))?;
        let of_these = |half: &OfHalf| {
            half.fitted.iter().all(|&frame| frame < training)
                && half.clusters.len() == training + held_out
                && half.clusters.iter().all(|&cluster| cluster < runtime::MAX_CLUSTERS)
        };
        if won.halves.iter().all(of_these) {
            Ok(Some(won))
        } else {
            Err(Error::model("checkpoint", "what it says of halves of the frames is not of these frames"))
        }
    }
}

/// What came of a contest.
pub enum Outcome {
    /// The observer broke off.
    Stopped,
    /// There was nothing to be fitted to halves.
    None,
    /// Something was.
    Found {
        /// How stable what was tried is.
        rivals: Rivals,
        /// Of the best one, if it is a network and all training frames took part: what models of halves say, without those
        /// that collapsed.
        halves: Vec<OfHalf>,
    },
}

/// What is fitted to halves of what.
pub struct Contest<'a> {
    /// The settings of the network.
    pub config: &'a CheckedConfig,
    /// The settings of the mixture on the values, if that is tried.
    pub values: Option<&'a CheckedConfig>,
    /// Whether a network is tried.
    pub network: bool,
    /// The frames.
    pub data: &'a TrainingData<'a>,
    /// Distribution of a value.
    pub likelihood: Likelihood,
    /// SHA-256 of the values as they were given.
    pub data_sha256: &'a str,
}

/// Halves of the frames that take part, as indices of them.
type Halved = [Vec<usize>; 2];
/// Where models of two halves put all frames that take part and those held out; None where there is none, since clusters
/// collapsed or training diverged.
type Cuts = [Option<Vec<usize>>; 2];

impl Contest<'_> {
    /// Fits every rival to halves of the frames.
    ///
    /// # Errors
    /// As for the fits, but for collapsed clusters.
    pub fn run(&self, observer: &mut Observer<'_>) -> Result<Outcome> {
        match self.found(observer) {
            Err(Error::Stopped) => Ok(Outcome::Stopped),
            found => found,
        }
    }

    fn found(&self, observer: &mut Observer<'_>) -> Result<Outcome> {
        let (training, most) = (self.data.training(), self.config.confidence.halves);
        // What takes part in halves of a sample alone says which model it is to be, and nothing where that is settled.
        let open = self.weights().len() > 1 || self.values.is_some() || training.len() <= most;
        let network = self.network
            && open
            && self.config.clusters != Count::Auto
            && check_count(&self.config.half(0, 1), training.len().min(most) / 2).is_ok();
        if !network && self.values.is_none() {
            return Ok(Outcome::None);
        }
        let n = training.len().min(if network { most } else { 2 * identity::MOST_OF_HALF });
        let sample: Vec<u32> = if n < training.len() {
            let mut rng = stream(self.config.seed, Purpose::Sample, SAMPLE_STREAM);
            let mut sample = index::sample(&mut rng, training.len(), n).into_vec();
            sample.sort_unstable();
            sample.into_iter().map(|n| n as u32).collect()
        } else {
            (0..n as u32).collect()
        };
        let frames: Part<'_> = Part::of(training, sample.clone(), Preparation::default());
        let splits = if network { (FRAMES_OF_SPLITS / n).clamp(1, SPLITS) } else { SPLITS };
        let of_split =
            |split| halves(&frames, &mut stream(self.config.seed, Purpose::Calibration, SPLIT_STREAM + split));
        let halved: Vec<Halved> = (0..splits as u64).map(of_split).collect();

        let mut rivals = match self.values {
            Some(config) => self.mixtures(config, &frames, &halved, observer)?,
            None => Vec::new(),
        };
        let mixture = better_mixture(&rivals);
        let mut best = mixture.filter(|&best| !self.network || rivals[best].stability >= STABLE);
        let mut cuts = Vec::new();
        if network && best.is_none_or(|best| rivals[best].alike < SURE) {
            let weights = self.weights();
            let first = rivals.len();
            let networks = self.networks(&frames, &sample, &halved, &weights, observer)?;
            for (weights, of_network) in weights.iter().zip(networks) {
                rivals.push(Rival::new(EncoderKind::Network, *weights, &of_network));
                cuts.push(of_network);
            }
            let network = first + better_network(&rivals[first..], independent(&frames));
            if best.is_none_or(|best| rivals[network].alike > rivals[best].alike) {
                best = Some(network);
            }
            let all = n == training.len();
            cuts = best
                .filter(|&best| all && best >= first)
                .map(|best| cuts.swap_remove(best - first))
                .into_iter()
                .collect();
        }
        let said = cuts.into_iter().flatten().zip(&halved).flat_map(|(cuts, halved)| cuts.into_iter().zip(halved));
        let halves = said
            .filter_map(|(clusters, fitted)| Some(OfHalf { fitted: fitted.clone(), clusters: clusters? }))
            .collect();
        let rivals = Rivals { rivals, best, halved: n, splits };
        if observer(Event::Rivals(&rivals)).is_break() {
            return Ok(Outcome::Stopped);
        }
        Ok(Outcome::Found { rivals, halves })
    }

    /// The weights that are open for a network; even ones where settings ask for clusters of even shares.
    fn weights(&self) -> Vec<Weights> {
        match self.config.mixture.weights {
            Weights::Auto if self.config.mixture.balance > 0.0 => vec![Weights::Uniform],
            Weights::Auto => vec![Weights::Uniform, Weights::Learned],
            weights => vec![weights],
        }
    }

    /// Mixtures on the values, with even weights, learned ones or both, as the settings say.
    fn mixtures(
        &self,
        config: &CheckedConfig,
        frames: &dyn Source,
        halved: &[Halved],
        observer: &mut Observer<'_>,
    ) -> Result<Vec<Rival>> {
        if observer(Event::Halves { frames: frames.len() }).is_break() {
            return Err(Error::Stopped);
        }
        let both = match config.mixture.weights {
            Weights::Auto => vec![Weights::Uniform, Weights::Learned],
            weights => vec![weights],
        };
        let widened =
            |frames: &dyn Source| -> Result<Vec<f64>> { Ok(frames.all()?.values.into_iter().map(f64::from).collect()) };
        let values = [widened(frames)?, widened(&self.data.held_out)?].concat();
        let points = Points::new(&values, frames.shape().len())?;
        beside(observer, Pass::Mixture, |stop| {
            both.iter().map(|weights| mixture(config, *weights, points, halved, stop)).collect()
        })?
    }

    /// Networks of each kind of weights, which have stage 1 in common: for each the cuts of every split.
    fn networks(
        &self,
        frames: &dyn Source,
        sample: &[u32],
        halved: &[Halved],
        weights: &[Weights],
        observer: &mut Observer<'_>,
    ) -> Result<Vec<Vec<Cuts>>> {
        let raw = self.data.training().with(Preparation::default());
        let devices: Vec<Device> = self.data.devices.iter().map(|device| device.clone().inner()).collect();
        let of = 2 * halved.len();
        let mut cuts = vec![Vec::new(); weights.len()];
        for (split, both) in halved.iter().enumerate() {
            let mut of_split = vec![[None, None]; weights.len()];
            for (side, half) in both.iter().enumerate() {
                let index = 2 * split + side;
                let observer = &mut of_half(index, of, observer);
                let starts = if sample.len() > FRAMES_OF_SPLITS { 1 } else { STARTS_OF_FEW };
                let config = self.config.half(index, starts.min(self.config.pretrain.starts(half.len())));
                let fitted: Vec<u32> = half.iter().map(|&n| sample[n]).collect();
                let fitted: Part<'_> = Part::of(&raw, fitted, Preparation::default());
                let mut data = TrainingData::new(&config, &fitted, self.data.preparation, &devices, observer)?;
                data.reports_bounds = false;
                // Stage 1 has no clusters, so it is the same for all.
                let mut pretrained = None;
                for (of_split, weights) in of_split.iter_mut().zip(weights) {
                    let config = &config.with_weights(*weights);
                    let (likelihood, data_sha256) = (self.likelihood, self.data_sha256);
                    let attempts = Attempts { config, data: &data, likelihood, data_sha256 };
                    let model = match &pretrained {
                        Some(pretrained) => ClusterVae::copied(pretrained).learning_weights(),
                        None => match attempts.started(observer) {
                            Ok(Ended::Model(model)) => *model,
                            Ok(Ended::Again(_)) | Err(Error::Diverged { .. }) => break,
                            Ok(Ended::Stopped) => return Err(Error::Stopped),
                            Err(fault) => return Err(fault),
                        },
                    };
                    pretrained.get_or_insert_with(|| model.copied());
                    of_split[side] = match attempts.clustered(model, observer) {
                        Ok(Ended::Model(model)) => Some(self.clusters(&model, frames)?),
                        // Where all diverge, the model itself will, and says so.
                        Ok(Ended::Again(_)) | Err(Error::Diverged { .. }) => None,
                        Ok(Ended::Stopped) => return Err(Error::Stopped),
                        Err(fault) => return Err(fault),
                    };
                }
            }
            cuts.iter_mut().zip(of_split).for_each(|(cuts, of_split)| cuts.push(of_split));
        }
        Ok(cuts)
    }

    /// Where `model` puts `frames` and those held out.
    fn clusters(&self, model: &ClusterVae, frames: &dyn Source) -> Result<Vec<usize>> {
        let log_q = [log_responsibilities(model, frames)?, log_responsibilities(model, &self.data.held_out)?].concat();
        Ok(log_q.chunks_exact(model.prior.clusters()).map(argmax).collect())
    }
}

impl Rival {
    fn new(encoder: EncoderKind, weights: Weights, cuts: &[Cuts]) -> Self {
        let mean = |of: &dyn Fn(&[usize], &[usize]) -> f64| {
            let of_split = |cuts: &Cuts| match cuts {
                [Some(left), Some(right)] => of(left, right),
                _ => 0.0,
            };
            cuts.iter().map(of_split).sum::<f64>() / cuts.len() as f64
        };
        Self { encoder, weights, alike: mean(&alike), stability: mean(&agreement), held_out: None }
    }
}

/// The mixture on the values, `points`, of which those that are halved come first.
fn mixture(
    config: &CheckedConfig,
    weights: Weights,
    points: Points<'_>,
    halved: &[Halved],
    stop: &AtomicBool,
) -> Result<Rival> {
    let cut = |mixture: &Mixture| -> Result<(Vec<usize>, Vec<f64>)> {
        let seen = gmm::e_step(points, mixture).ok_or_else(identity::singular)?;
        let clusters = seen.responsibilities.chunks_exact(config.clusters()).map(argmax).collect();
        Ok((clusters, seen.log_densities))
    };
    // Halves may agree on clusters that a mixture of all frames does not have: then those are no answer.
    let all: Vec<usize> = (0..halved[0].iter().map(Vec::len).sum()).collect();
    let (whole, _) = cut(&identity::of_all(config, weights, points, &all, stop)?)?;
    let (mut cuts, mut of_whole, mut held_out, mut frames) = (Vec::new(), 0.0, 0.0, 0);
    for (split, both) in halved.iter().enumerate() {
        let mut of_split: Cuts = [None, None];
        for (side, half) in both.iter().enumerate() {
            let (clusters, log_densities) =
                cut(&identity::of_half(config, weights, points, half, (2 * split + side) as u64, stop)?)?;
            held_out += both[1 - side].iter().map(|&n| log_densities[n]).sum::<f64>();
            frames += both[1 - side].len();
            of_whole += alike(&whole, &clusters) / (2 * halved.len()) as f64;
            of_split[side] = Some(clusters);
        }
        cuts.push(of_split);
    }
    let rival = Rival::new(EncoderKind::Identity, weights, &cuts);
    Ok(Rival { held_out: Some(held_out / frames as f64), alike: rival.alike.min(of_whole), ..rival })
}

/// Index of the mixture whose weights are right: where both kinds are stable, the likelier one on the other half, else the
/// more stable.
fn better_mixture(mixtures: &[Rival]) -> Option<usize> {
    let [uniform, learned] = mixtures else { return (!mixtures.is_empty()).then_some(0) };
    // Even shares cut a large cluster in two as stably as uneven ones find the rare: then the likelihood tells.
    let better = if uniform.stability >= STABLE && learned.stability >= STABLE {
        learned.held_out > uniform.held_out
    } else {
        learned.stability > uniform.stability
    };
    Some(usize::from(better))
}

/// Index of the network whose weights are right: even ones, as p(c) of the paper, unless learned ones are better by both
/// measures. Large clusters are put alike by chance already, which mutual information takes off, and then asks for even ones;
/// by the share of frames they are to be better by more than the standard error of the difference over `frames` that are independent (the rule of Breiman et al., 1984: the simplest within one of them).
fn better_network(networks: &[Rival], frames: usize) -> usize {
    let [even, learned] = networks else { return 0 };
    let variance = |rival: &Rival| rival.alike * (1.0 - rival.alike) / frames as f64;
    let error = (variance(even) + variance(learned)).sqrt();
    usize::from(learned.alike - even.alike > error && learned.stability > even.stability)
}

/// Share of the frames that two cuts put alike, clusters matched one to one.
fn alike(left: &[usize], right: &[usize]) -> f64 {
    let most = |cut: &[usize]| cut.iter().max().map_or(0, |most| most + 1);
    let mut counts = vec![vec![0; most(right)]; most(left)];
    left.iter().zip(right).for_each(|(&a, &b)| counts[a][b] += 1);
    one_to_one(&counts).0 as f64 / left.len() as f64
}

/// Tells `observer` of the steps of a half, and of nothing that would be taken for the model's own.
fn of_half<'a>(
    half: usize,
    halves: usize,
    observer: &'a mut Observer<'_>,
) -> impl FnMut(Event<'_>) -> ControlFlow<()> + 'a {
    let (mut stage, mut steps) = (StageName::Pretrain, 0);
    move |event| {
        let done = match event {
            Event::Stage { name, steps: of } => {
                (stage, steps) = (name, of);
                0
            }
            Event::Step { done, .. } => done,
            _ => return ControlFlow::Continue(()),
        };
        observer(Event::Half { half, halves, stage, done, steps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clusters_do_not_count() {
        assert_eq!(alike(&[0, 0, 1, 1, 2], &[2, 2, 0, 0, 1]), 1.0);
        assert_eq!(alike(&[0, 0, 1, 1], &[0, 1, 0, 1]), 0.5);
        // One more cluster on a side is left over.
        assert_eq!(alike(&[0, 0, 0, 1], &[1, 1, 2, 0]), 0.75);
    }

    #[test]
    fn learned_shares_are_taken_where_they_are_better_by_a_standard_error() {
        let network = |alike, stability| Rival {
            encoder: EncoderKind::Network,
            weights: Weights::Uniform,
            alike,
            stability,
            held_out: None,
        };
        // Of two shares of a half over 200 frames the standard error of the difference is 0.05.
        let better = |alike| better_network(&[network(0.5, 0.1), network(alike, 0.2)], 200);
        assert_eq!((better(0.49), better(0.54), better(0.56)), (0, 0, 1));
        assert_eq!(better_network(&[network(0.5, 0.2), network(0.9, 0.1)], 200), 0);
        assert_eq!(better_network(&[network(0.1, 0.1)], 200), 0);
    }

    #[test]
    fn a_model_that_collapsed_agrees_with_none() {
        let cut = || Some(vec![0, 1, 1, 0]);
        let rival = Rival::new(EncoderKind::Network, Weights::Uniform, &[[cut(), cut()], [cut(), None]]);
        assert_eq!((rival.alike, rival.stability), (0.5, 0.5));
    }

    #[test]
    fn of_two_stable_mixtures_the_likelier_is_taken_else_the_more_stable() {
        let mixture = |stability, held_out| Rival {
            encoder: EncoderKind::Identity,
            weights: Weights::Uniform,
            alike: stability,
            stability,
            held_out: Some(held_out),
        };
        let better = |uniform, learned| better_mixture(&[uniform, learned]);
        assert_eq!(better(mixture(1.0, -3.0), mixture(0.8, -2.0)), Some(1));
        assert_eq!(better(mixture(0.8, -2.0), mixture(1.0, -3.0)), Some(0));
        assert_eq!(better(mixture(0.9, -3.0), mixture(0.7, -2.0)), Some(0));
        assert_eq!(better(mixture(0.5, -2.0), mixture(0.6, -3.0)), Some(1));
        assert_eq!((better_mixture(&[mixture(0.1, 0.0)]), better_mixture(&[])), (Some(0), None));
    }
}
