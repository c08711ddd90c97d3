//! The contest of the [rivals](super::rivals): each is fitted to both halves of the frames, several times where these are
//! few.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use rand::seq::index;
use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::calibrate::log_responsibilities;
use super::check_count;
use super::event::{Event, Observer, Pass, beside};
use super::identity;
use super::rivals::{Cuts, Rival, Rivals, STABLE, alike, better_mixture, better_network};
use super::split::{halves, independent};
use super::stage::Ended;
use super::training_data::TrainingData;
use crate::config::{CheckedConfig, Count, EncoderKind, Weights};
use crate::data::{Part, Preparation, Source};
use crate::error::{Error, Result};
use crate::gmm::{self, Mixture, Points};
use crate::model::{ClusterVae, Likelihood};
use crate::ranking::argmax;
use crate::rng::{Purpose, stream};
use crate::stage::StageName;

/// Share of the frames from which on a mixture is taken without a look at networks: they could not be more stable.
const SURE: f64 = 0.999;
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
    fn what_was_won_is_read_again_if_it_is_of_these_frames() {
        let half = OfHalf { fitted: vec![0, 2], clusters: vec![0, 1, 1, 0] };
        let won = Won { weights: Weights::Learned, halves: vec![half] };
        let bytes = won.encode().unwrap();
        assert_eq!(Won::decode(&bytes, 3, 1).unwrap(), Some(won.clone()));
        assert_eq!(Won::decode(&[], 3, 1).unwrap(), None);
        // Fewer frames, another number of held-out ones, a cluster that no model has, no JSON.
        let mut hostile = won;
        hostile.halves[0].clusters[3] = runtime::MAX_CLUSTERS;
        let hostile = hostile.encode().unwrap();
        let damaged = [(&bytes[..], 2, 2), (&bytes[..], 3, 2), (&hostile[..], 3, 1), (&bytes[1..], 3, 1)];
        assert!(damaged.iter().all(|(bytes, training, held_out)| Won::decode(bytes, *training, *held_out).is_err()));
    }
}
