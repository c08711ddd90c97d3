//! Rows about novelty and confidence.
//!
//! Novelty is the run's, which counts the decoder; what the latent alone tells, as files exported by default, stands
//! beside it without a bar.

use burn::tensor::Device;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::{Bar, Row, Subject};
use crate::data::Frames;
use crate::error::Result;
use crate::eval::{Predictions, against_labels, against_views, auroc, predict};
use crate::fitted::Fitted;
use crate::frame::FrameKind;
use crate::rng::{Purpose, stream};

/// Stream of [`Purpose::Quality`] that shuffles the values of frames.
const SHUFFLES: u64 = 3 << 32;
/// Stream of [`Purpose::Quality`] that draws frames of noise.
const NOISE: u64 = 4 << 32;
/// Stream of [`Purpose::Quality`] that draws random views.
const VIEWS: u64 = 5 << 32;

/// Bar of frames that were moved: their values and what they show stay, only the places are new.
const MOVED: Bar = Bar::AtLeast(0.95);

/// Measures novelty and confidence on all frames.
pub fn rows(subject: &Subject<'_>, progress: &mut dyn FnMut(&str)) -> Result<Vec<Row>> {
    let Subject { fitted, all, novel, device, .. } = subject;
    progress("novelty and confidence, on all frames");
    let known = predict(fitted, all, device)?;
    let threshold = fitted.calibration.novelty_threshold;
    let stated = fitted.config.novelty.false_alarm_rate;
    let rate = known.novelty.iter().filter(|v| **v > threshold).count() as f64 / all.len() as f64;
    let mut rows = vec![
        Row::new("novelty: rate of false alarms", Bar::None, rate),
        Row::new(
            format!("novelty: that rate against the {stated} that was asked for, relative"),
            Bar::Below(1.0 / 3.0),
            (rate / stated - 1.0).abs(),
        ),
    ];
    let latent = fitted.with_latent_novelty();
    let known_by_latent = predict(&latent, all, device)?;
    let mut against = |name: &str, bar: Bar, frames: &Frames| -> Result<()> {
        let value = separation(fitted, &known, frames, device)?.unwrap_or(f64::NAN);
        rows.push(Row::new(format!("novelty: AUROC against {name}"), bar, value));
        if fitted.novelty.dispersion_weight > 0.0 {
            let value = separation(&latent, &known_by_latent, frames, device)?.unwrap_or(f64::NAN);
            rows.push(Row::new(format!("novelty: AUROC against {name}, latent alone"), Bar::None, value));
        }
        Ok(())
    };
    against("uniform noise", Bar::None, &noise(fitted, all))?;
    against("frames with shuffled values", Bar::None, &shuffled(fitted, all))?;
    if fitted.config.kind() == FrameKind::Image {
        against("frames shifted by a quarter", MOVED, &moved(all, shifted))?;
        if fitted.shape.height == fitted.shape.width {
            against("frames turned by 90 degrees", MOVED, &moved(all, turned))?;
        }
    }
    for (name, frames) in *novel {
        against(name, Bar::AtLeast(0.97), frames)?;
    }
    if let Some(labels) = &all.labels {
        let error = against_labels(&known, labels).ece;
        rows.push(Row::new("confidence: calibration error against labels", Bar::Below(0.02), error));
    }
    let mut views = stream(fitted.config.seed, Purpose::Quality, VIEWS);
    if let Some(found) = against_views(fitted, all, &known, &mut views, device)? {
        rows.push(Row::new("confidence: calibration error against random views", Bar::Below(0.02), found.ece));
    }
    Ok(rows)
}

/// AUROC of the novelty of other frames against that of known ones.
fn separation(fitted: &Fitted, known: &Predictions, others: &Frames, device: &Device) -> Result<Option<f64>> {
    let others = predict(fitted, others, device)?.novelty;
    let scores: Vec<f32> = known.novelty.iter().chain(&others).copied().collect();
    let positive: Vec<bool> = (0..scores.len()).map(|n| n >= known.novelty.len()).collect();
    Ok(auroc(&scores, &positive))
}

/// Values drawn evenly between the smallest and the largest of the data.
fn noise(fitted: &Fitted, frames: &Frames) -> Frames {
    let mut rng = stream(fitted.config.seed, Purpose::Quality, NOISE);
    let low = frames.values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = frames.values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let values = frames.values.iter().map(|_| low + (high - low) * rng.random::<f32>()).collect();
    Frames { shape: frames.shape, values, labels: None }
}

/// Every frame with its values in a random order, so that only their places are new.
fn shuffled(fitted: &Fitted, frames: &Frames) -> Frames {
    let mut rng = stream(fitted.config.seed, Purpose::Quality, SHUFFLES);
    let mut values = frames.values.clone();
    values.chunks_exact_mut(frames.shape.len()).for_each(|frame| frame.shuffle(&mut rng));
    Frames { shape: frames.shape, values, labels: None }
}

/// Every channel of every image with each value taken from another place, 0 from outside.
fn moved(frames: &Frames, from: fn([isize; 2], [isize; 2]) -> [isize; 2]) -> Frames {
    let (h, w) = (frames.shape.height as isize, frames.shape.width as isize);
    let map = |image: &[f32]| -> Vec<f32> {
        let value = |at: isize| {
            let [row, column] = from([at / w, at % w], [h, w]);
            let inside = (0..h).contains(&row) && (0..w).contains(&column);
            if inside { image[(row * w + column) as usize] } else { 0.0 }
        };
        (0..h * w).map(value).collect()
    };
    let values = frames.values.chunks_exact((h * w) as usize).flat_map(map).collect();
    Frames { shape: frames.shape, values, labels: None }
}

/// Where a frame shifted right by a quarter of its width takes a value from.
fn shifted([row, column]: [isize; 2], [_, w]: [isize; 2]) -> [isize; 2] {
    [row, column - w / 4]
}

/// Where a frame turned by 90 degrees takes a value from.
fn turned([row, column]: [isize; 2], [_, w]: [isize; 2]) -> [isize; 2] {
    [column, w - 1 - row]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameShape;

    #[test]
    fn images_are_shifted_and_turned() {
        let shape = FrameShape { channels: 1, height: 4, width: 4 };
        let values: Vec<f32> = (1..=16).map(|v| v as f32).collect();
        let frames = Frames { shape, values, labels: None };
        assert_eq!(moved(&frames, shifted).values[..8], [0.0, 1.0, 2.0, 3.0, 0.0, 5.0, 6.0, 7.0]);
        assert_eq!(moved(&frames, turned).values[..8], [4.0, 8.0, 12.0, 16.0, 3.0, 7.0, 11.0, 15.0]);
    }
}
