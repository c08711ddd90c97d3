//! The novelty threshold and the temperature of q(c|x), from frames that training did not see, without a label.
//!
//! **Novelty**: that of the latent, and the dispersion times a weight, the ratio of their interquartile ranges among the
//! held-out frames: both then tell ordinary frames apart by as much. A linear encoder leaves its decoder no error that
//! would tell anything, so its weight is 0.
//!
//! **Threshold**: the order statistic of the held-out frames' novelty that a frame like them exceeds with a probability of
//! at most the false-alarm rate. **Temperature**: in the place of a label stands where a random view of the
//! frame goes, and where models of half of the frames put it; the larger T counts. T minimises the cross-entropy of
//! softmax(log q(c|x) / T) with the cluster of the view; that is convex in 1/T, so the sign of its
//! derivative halves the range of T until it is small. A model that puts a frame and its view apart more often than q(c|x)
//! admits gets T above 1.

use std::ops::ControlFlow;

use burn::tensor::Device;
use runtime::Calibration;

use super::event::{Observer, Pass, told};
use super::health::conformal_rank;
use super::prepare::pictures;
use super::sha256_of;
use super::split::MAX_CALIBRATION;
use super::training_data::TrainingData;
use crate::config::{CheckedConfig, EncoderKind};
use crate::data::batches::to_tensor;
use crate::data::{Part, Preparation, SeenValues, Source, Watched, chunks_of};
use crate::error::{Error, Result};
use crate::fitted::{Fitted, NoveltyScore, dispersion, encode, encoded_at_once, latent_novelty, to_host};
use crate::model::ClusterVae;
use crate::ranking::argmax;
use crate::rng::{Purpose, stream};

/// What rounding may do to a novelty, as a share of it and of a nat.
const ROUNDING: f32 = 1e-3;
/// Index of the random stream that draws the views; the split of the frames has index 0.
const VIEWS_STREAM: u64 = 1;

/// The novelty, its threshold at the false-alarm rate of the settings, and the temperature, at least `least`.
pub fn calibrate(
    model: &ClusterVae,
    config: &CheckedConfig,
    data: &TrainingData<'_>,
    least: f32,
    observer: &mut Observer<'_>,
) -> Result<(Calibration, NoveltyScore)> {
    let mut tell = told(observer, Pass::Calibration, data.held_out.len());
    let (latent, dispersion) = scores(model, &Watched::new(&data.held_out, &mut tell))?;
    let rate = config.novelty.false_alarm_rate;
    let counts_decoder = config.encoder.kind != EncoderKind::Identity;
    let dispersion_weight = if counts_decoder { dispersion_weight(&latent, &dispersion) } else { 0.0 };
    let whole = latent.iter().zip(&dispersion).map(|(latent, found)| latent + dispersion_weight * found).collect();
    let novelty = NoveltyScore { dispersion_weight, latent_threshold: threshold(latent, rate) };
    let temperature = temperature_of_views(model, config, data)?.max(least);
    Ok((Calibration { novelty_threshold: threshold(whole, rate), temperature }, novelty))
}

/// The calibration of a model that is fitted already, from the frames it was fitted to, of which training kept some aside;
/// for another false-alarm rate, or a model that was calibrated by an earlier version. What models of halves said of its
/// temperature stays: that is not lowered. A run that did not keep the range of their values has it then.
///
/// # Errors
/// [`Error::Data`] if they are other frames.
pub fn recalibrate(fitted: &Fitted, frames: &(dyn Source + Sync), device: &Device) -> Result<Fitted> {
    if sha256_of(frames)? != fitted.data_sha256 {
        return Err(Error::data("--data", "not the frames that the model was fitted to"));
    }
    let goes_on: &mut Observer<'_> = &mut |_| ControlFlow::Continue(());
    let (config, pictures) = (fitted.inner_config(), pictures(fitted.front_end.as_ref(), frames)?);
    let (seen_by_networks, preparation) = match &pictures {
        Some(pictures) => (pictures as &(dyn Source + Sync), Preparation::new(None, fitted.scaling.as_ref())),
        None => (frames, fitted.preparation()),
    };
    let data = TrainingData::new(&config, seen_by_networks, preparation, std::slice::from_ref(device), goes_on)?;
    let least = fitted.calibration.temperature;
    let (calibration, novelty) = calibrate(&fitted.model, &config, &data, least, goes_on)?;
    let seen = Some(SeenValues::of(frames, fitted.config.kind())?);
    Ok(Fitted { calibration, novelty, seen, calibrated_on: data.held_out.len(), ..fitted.clone() })
}

/// Novelty of the latent and dispersion of each frame, which is scaled already, `[N]` both.
fn scores(model: &ClusterVae, frames: &dyn Source) -> Result<(Vec<f32>, Vec<f32>)> {
    let device = model.prior.mu_c.val().device();
    let (mut latent, mut found) = (Vec::with_capacity(frames.len()), Vec::with_capacity(frames.len()));
    encode(model, frames, &device, |_, x, posterior| {
        latent.extend(to_host(latent_novelty(model, &posterior))?);
        found.extend(to_host(dispersion(model, x, &posterior))?);
        Ok(())
    })?;
    Ok((latent, found))
}

/// Nats a unit of dispersion at which it tells frames apart by as much as the latent: the ratio of interquartile ranges,
/// which a few odd frames do not move; 0 where the dispersion is the same for all.
///
/// # Shapes
/// - `latent`, `dispersion`: `[N]`, of the same frames
pub fn dispersion_weight(latent: &[f32], dispersion: &[f32]) -> f32 {
    let range = |values: &[f32]| {
        let mut values = values.to_vec();
        values.sort_by(f32::total_cmp);
        let quartile = |quarters: usize| values.get(values.len() * quarters / 4).copied().unwrap_or_default();
        quartile(3) - quartile(1)
    };
    let weight = range(latent) / range(dispersion);
    if weight.is_finite() { weight } else { 0.0 }
}

/// The novelty, nats, that a share `rate` of the frames exceeds by more than rounding.
///
/// An engine rounds otherwise than training does. Where many frames are alike, as rows of categories are, they would all be
/// as novel as the threshold here and past it there.
fn threshold(mut novelty: Vec<f32>, rate: f64) -> f32 {
    novelty.sort_by(f32::total_cmp);
    let value = novelty[conformal_rank(novelty.len(), rate) - 1];
    value + ROUNDING * (1.0 + value.abs())
}

/// The temperature at which q(c|x) says best where a random view of x goes, the views being those of stage 3.
fn temperature_of_views(model: &ClusterVae, config: &CheckedConfig, data: &TrainingData<'_>) -> Result<f32> {
    let views_from = data.views(config, &config.augment, config.refine.strength);
    // Neighbours are known of training frames alone.
    let windows = data.windows_of(&views_from);
    let frames = if data.neighbours.is_some() { data.training() } else { &data.held_out };
    let first: Vec<u32> = (0..frames.len().min(MAX_CALIBRATION) as u32).collect();
    let of_views = windows.map(|windows| if data.neighbours.is_some() { &windows.training } else { &windows.held_out });
    let sources: Part<'_> = Part::of(of_views.unwrap_or(frames), first.clone(), Preparation::default());
    let frames: Part<'_> = Part::of(frames, first, Preparation::default());
    let nearby = data.near_of(&sources);
    let log_q = log_responsibilities(model, &frames)?;
    let (k, p, device) = (model.prior.clusters(), frames.shape().len(), model.prior.mu_c.val().device());
    let mut rng = stream(config.seed, Purpose::Calibration, VIEWS_STREAM);
    let mut clusters: Vec<usize> = Vec::with_capacity(frames.len());
    for chunk in chunks_of(&sources, encoded_at_once(sources.shape())) {
        let (first, values) = chunk?;
        let of_source = sources.shape().len();
        let values = match &nearby {
            Some(nearby) => {
                let drawn: Vec<usize> =
                    (first..first + values.len() / of_source).map(|n| nearby.draw(n, &mut rng)).collect();
                sources.gather(&drawn)?.values
            }
            None => values,
        };
        let mut views = vec![0.0; values.len() / of_source * p];
        for (n, (frame, view)) in (first..).zip(values.chunks_exact(of_source).zip(views.chunks_exact_mut(p))) {
            views_from.draw(data.training(), frame, n, view, &mut rng)?;
        }
        let posterior = model.encoder.forward(to_tensor(&views, p, &device));
        clusters.extend(to_host(model.log_responsibilities(&posterior))?.chunks_exact(k).map(argmax));
    }
    Ok(temperature(&log_q, &clusters) as f32)
}

/// log q(c|x) `[N,K]` of frames that are already scaled, at temperature 1.
pub fn log_responsibilities(model: &ClusterVae, frames: &dyn Source) -> Result<Vec<f32>> {
    let device = model.prior.mu_c.val().device();
    let mut values = Vec::with_capacity(frames.len() * model.prior.clusters());
    encode(model, frames, &device, |_, _, posterior| {
        values.extend(to_host(model.log_responsibilities(&posterior))?);
        Ok(())
    })?;
    Ok(values)
}

/// Least temperature: no posterior is made surer than the model gives it.
pub const LEAST_TEMPERATURE: f32 = 1.0;
/// Range of the temperature.
const TEMPERATURES: [f64; 2] = [LEAST_TEMPERATURE as f64, 20.0];
/// Number of times the range is halved, to one part in 10⁸.
const HALVINGS: usize = 30;

/// The temperature T, 1 to 20, that minimises the mean of -log softmax(log q / T) at `clusters`, a convex function of
/// 1/T (temperature scaling: C. Guo et al., On Calibration of Modern Neural Networks, 2017).
///
/// # Shapes
/// - `log_q`: `[N,K]`, each row up to a constant; `clusters`: `[N]`, below K
///
/// # Panics
/// If `clusters` is empty, or `log_q` does not make N rows.
pub fn temperature(log_q: &[f32], clusters: &[usize]) -> f64 {
    let k = log_q.len() / clusters.len();
    // Derivative of the mean by 1/T: what softmax expects of log q, less what it is at the cluster.
    let slope = |sharpness: f64| -> f64 {
        let of_frame = |(row, &cluster): (&[f32], &usize)| {
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let weights = row.iter().map(|&v| (sharpness * f64::from(v - max)).exp());
            let (mut sum, mut mean) = (0.0, 0.0);
            for (weight, &value) in weights.zip(row) {
                sum += weight;
                mean += weight * f64::from(value);
            }
            mean / sum - f64::from(row[cluster])
        };
        log_q.chunks_exact(k).zip(clusters).map(of_frame).sum()
    };
    let [mut low, mut high] = TEMPERATURES;
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        // A positive slope by 1/T asks for a smaller 1/T.
        if slope(1.0 / middle) > 0.0 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}
