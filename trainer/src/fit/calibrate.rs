//! The novelty threshold and the temperature of q(c|x), from frames that training did not see, without a label.
//!
//! **Threshold**: the order statistic of the held-out frames' novelty that a frame like them exceeds with a probability of
//! at most the false-alarm rate. **Temperature**: in the place of a label stands where a random view of the
//! frame goes, and where models of half of the frames put it; the larger T counts. T minimises the cross-entropy of softmax(log q(c|x) / T) with the cluster of the view; that is convex
//! in 1/T, so the sign of its derivative halves the range of T until it is small. A model that puts a frame and its
//! view apart more often than q(c|x) admits gets T above 1.

use runtime::Calibration;

use super::health::conformal_rank;
use super::training_data::{MAX_CALIBRATION, TrainingData};
use super::witness::Halves;
use crate::config::CheckedConfig;
use crate::data::Frames;
use crate::error::Result;
use crate::fitted::{encode, novelty, to_host};
use crate::model::ClusterVae;
use crate::ranking::argmax;
use crate::rng::{Purpose, stream};

/// Index of the random stream that draws the views; the split of the frames has index 0.
const VIEWS_STREAM: u64 = 1;

/// The novelty threshold, at the false-alarm rate of the settings, and the temperature, at least that of `halves`.
pub fn calibrate(
    model: &ClusterVae,
    config: &CheckedConfig,
    data: &TrainingData,
    halves: Option<&Halves>,
) -> Result<Calibration> {
    let of_views = temperature_of_views(model, config, data)?;
    Ok(Calibration {
        novelty_threshold: novelty_threshold(model, &data.held_out, config.novelty.false_alarm_rate)?,
        temperature: halves.map_or(of_views, |halves| of_views.max(halves.temperature as f32)),
    })
}

/// The novelty, nats, that a share `rate` of the frames exceeds.
fn novelty_threshold(model: &ClusterVae, frames: &Frames, rate: f64) -> Result<f32> {
    let device = model.prior.mu_c.val().device();
    let mut values = Vec::with_capacity(frames.len());
    encode(model, frames, &device, |_, _, posterior| {
        values.extend(to_host(novelty(model, &posterior))?);
        Ok(())
    })?;
    values.sort_by(f32::total_cmp);
    Ok(values[conformal_rank(values.len(), rate) - 1])
}

/// The temperature at which q(c|x) says best where a random view of x goes, the views being those of stage 3.
fn temperature_of_views(model: &ClusterVae, config: &CheckedConfig, data: &TrainingData) -> Result<f32> {
    let views_from = data.views(config, &config.augment, config.refine.strength);
    // Neighbours are known of training frames alone.
    let frames = if data.neighbours.is_some() { data.training() } else { &data.held_out };
    let frames = frames.select(&(0..frames.len().min(MAX_CALIBRATION)).collect::<Vec<_>>());
    let mut views = Frames { labels: None, ..frames.clone() };
    let mut rng = stream(config.seed, Purpose::Calibration, VIEWS_STREAM);
    for (n, view) in views.values.chunks_exact_mut(frames.shape.len()).enumerate() {
        views_from.draw(data.training(), frames.frame(n), n, view, &mut rng);
    }
    let k = model.prior.clusters();
    let log_q = log_responsibilities(model, &frames)?;
    let of_views = log_responsibilities(model, &views)?;
    let clusters: Vec<usize> = of_views.chunks_exact(k).map(argmax).collect();
    Ok(temperature(&log_q, &clusters) as f32)
}

/// log q(c|x) `[N,K]` of frames that are already scaled, at temperature 1.
pub fn log_responsibilities(model: &ClusterVae, frames: &Frames) -> Result<Vec<f32>> {
    let device = model.prior.mu_c.val().device();
    let mut values = Vec::with_capacity(frames.len() * model.prior.clusters());
    encode(model, frames, &device, |_, _, posterior| {
        values.extend(to_host(model.log_responsibilities(&posterior))?);
        Ok(())
    })?;
    Ok(values)
}

/// Range of the temperature, never below 1: no posterior is made surer than the model gives it.
const TEMPERATURES: [f64; 2] = [1.0, 20.0];
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
