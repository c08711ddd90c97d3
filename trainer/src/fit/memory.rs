//! How much memory a fit takes beside its frames, told before it begins.
//!
//! Nothing of it grows with the number of frames but lists of their indices, and latents up to the number that is looked
//! at. The rest is the network's, most of all the layers that see every value of a frame, and a batch's.

use std::fmt;

use super::split::kept_from_training;
use super::training_data::MOST_LOOKED_AT;
use crate::config::{AugmentKind, CheckedConfig, DecoderPasses, EncoderKind};
use crate::data::batches::ahead;
use crate::data::views::Neighbours;
use crate::fitted::encoded_at_once;
use crate::frame::{FrameKind, FrameShape};

/// Copies of the weights: themselves, their gradients, Adam's two moments, and at a checkpoint all but the gradients again,
/// with those of the best epoch.
const COPIES: u64 = 8;
/// Copies of a layer's output in a step: before and after its normalisation, and the gradients of both.
const LAYERS: u64 = 4;
/// Copies of what a decoder gives in a step: itself, its frames, and its gradient.
const DECODED: u64 = 3;
/// Batches that are drawn and in use, beside those that wait, each with its frames and views.
const BATCHES: u64 = 2;
/// Views of a frame in a step, at most.
const VIEWS: u64 = 2;
/// What the program itself has.
const PROGRAM: u64 = 64 << 20;

/// What needs memory in a fit, and how many bytes, about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Each need, and what makes it less.
    pub needs: Vec<Need>,
}

/// A need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// What needs it, in words.
    pub what: String,
    /// Bytes.
    pub bytes: u64,
    /// What makes it less, in words.
    pub less: &'static str,
}

impl Memory {
    /// What a fit to `frames` frames of a shape needs beside the frames themselves.
    pub fn of(config: &CheckedConfig, shape: FrameShape, frames: usize) -> Self {
        let float = size_of::<f32>() as u64;
        let (n, p, k) = (frames as u64, shape.len() as u64, config.least_clusters() as u64);
        let training = frames - kept_from_training(frames).min(frames);
        let looked_at = training.min(MOST_LOOKED_AT) as u64;
        let mut needs = vec![Need { what: "the program".into(), bytes: PROGRAM, less: "" }];
        let mut need = |what: String, bytes: u64, less| needs.push(Need { what, bytes, less });
        // In the order of the split, the part to train on, the part that is looked at, the order of an epoch.
        need(format!("lists of {n} frames"), 4 * n * size_of::<u32>() as u64, "fewer frames");
        let per_frame = config.latent as u64 + 1 + 2 * k;
        need(
            format!("latents of {looked_at} frames"),
            looked_at * per_frame * size_of::<f64>() as u64,
            "fewer clusters",
        );
        if config.encoder.kind != EncoderKind::Identity {
            let Layers { parameters, outputs } = Layers::of(config, shape);
            let less = "smaller frames (--resize), or smaller layers (--set decoder.hidden=..., encoder.hidden=...)";
            need(format!("{parameters} weights and what trains them"), COPIES * parameters * float, less);
            let batch = config.pretrain.size(training, config.least_clusters()).batch;
            let batch = batch.max(config.refine.size(training, config.least_clusters()).batch) as u64;
            let passes = if config.refine.decoder_passes == DecoderPasses::Exact { k.max(VIEWS) } else { VIEWS };
            let batches = BATCHES + ahead(shape, (batch * (1 + VIEWS)) as usize) as u64;
            let of_frame = VIEWS * LAYERS * outputs + passes * DECODED * p + batches * (1 + VIEWS) * p;
            let less = "smaller batches (--set pretrain.batch=..., refine.batch=...)";
            need(format!("batches of {batch} frames"), batch * of_frame * float, less);
            let encoded = encoded_at_once(shape).min(frames) as u64;
            need(format!("{encoded} frames that are encoded at once"), encoded * (2 * outputs + 2 * p) * float, "");
        }
        if config.augment.kind == AugmentKind::Neighbours {
            let among = Neighbours::among(shape, training);
            let values = 3 * among * shape.len() + Neighbours::distances(among) + frames * config.augment.neighbours;
            let bytes = values as u64 * float;
            need(format!("neighbours among {among} frames"), bytes, "other views (--set augment.kind=...)");
        }
        Self { needs }
    }

    /// Bytes of all needs.
    pub fn bytes(&self) -> u64 {
        self.needs.iter().map(|need| need.bytes).sum()
    }

    /// Why a fit cannot begin where so many bytes are to be had, and what to do; None if it can.
    pub fn problem(&self, available: u64) -> Option<String> {
        let largest = self.needs.iter().max_by_key(|need| need.bytes).filter(|_| self.bytes() > available)?;
        let less = if largest.less.is_empty() { String::new() } else { format!("; less with {}", largest.less) };
        Some(format!("the fit takes about {self}, and {} are free{less}", size(available)))
    }
}

/// The sum, then what it is made of, the largest first.
impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut needs: Vec<&Need> = self.needs.iter().collect();
        needs.sort_by_key(|need| std::cmp::Reverse(need.bytes));
        let told: Vec<String> = needs.iter().map(|need| format!("{} {}", need.what, size(need.bytes))).collect();
        write!(f, "{} of memory ({})", size(self.bytes()), told.join(", "))
    }
}

/// A number of bytes in words.
fn size(bytes: u64) -> String {
    match bytes >> 20 {
        mebibytes @ 0..10_000 => format!("{mebibytes} MiB"),
        mebibytes => format!("{} GiB", mebibytes >> 10),
    }
}

/// The size of a network.
struct Layers {
    /// Number of weights.
    parameters: u64,
    /// Values that the layers of the encoder give for a frame.
    outputs: u64,
}

impl Layers {
    fn of(config: &CheckedConfig, shape: FrameShape) -> Self {
        let (mut parameters, mut outputs) = (0, 0);
        let [mut channels, mut height, mut width] = [shape.channels, shape.height, shape.width];
        let convolutions: &[usize] =
            if config.kind() == FrameKind::Image { config.encoder.channels.list() } else { &[] };
        for &next in convolutions {
            parameters += channels * next * config.encoder.kernel.pow(2);
            (channels, height, width) = (next, height.div_ceil(2), width.div_ceil(2));
            outputs += channels * height * width;
        }
        let mut dense = |from: usize, layers: &[usize]| {
            layers.iter().fold(from, |inputs, &next| {
                parameters += inputs * next;
                outputs += next;
                next
            })
        };
        let features = dense(channels * height * width, &config.encoder.hidden);
        dense(features, &[2 * config.latent]);
        let decoded = dense(config.latent + config.least_clusters(), config.decoder.hidden.list());
        Self { parameters: (parameters + decoded * shape.len()) as u64, outputs: outputs as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_fit_that_does_not_fit_is_refused_by_what_needs_most() {
        let memory = |side: usize, frames: usize| {
            let shape = FrameShape { channels: 3, height: side, width: side };
            Memory::of(&Config::default().check(shape).unwrap(), shape, frames)
        };
        // Pictures as they are usually cut: 929 MB measured, of which the estimate must not be far above.
        let usual = memory(224, 60);
        assert_eq!(usual.problem((1 << 30) + (1 << 28)), None, "{usual}");
        let large = memory(1024, 60);
        let problem = large.problem(1 << 30).unwrap();
        assert!(problem.contains("batches of 53 frames") && problem.contains("1024 MiB are free"), "{problem}");
        assert!(problem.ends_with("refine.batch=...)"), "{problem}");
        let wide = FrameShape { channels: 1, height: 1, width: 200_000 };
        let wide = Memory::of(&Config::default().check(wide).unwrap(), wide, 60);
        assert!(wide.problem(1 << 28).unwrap().contains("weights and what trains them"), "{wide}");
        assert_eq!(large.problem(large.bytes()), None);
        // A frame more is four indices, once there are more than are looked at.
        let [few, more] = [10_000_000, 10_001_000].map(|n| memory(28, n).bytes());
        assert_eq!(more - few, 16_000);
        assert!(more < 2 << 30, "{more}");
    }
}
