//! What adaptation is worth where something drifts, and what it costs where nothing does.

use std::fmt;

use anyhow::Result;
use clap::{Args, ValueEnum};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use runtime::native::{Engine, Latent, scratch_len};
use serde::Serialize;

use super::digits::{Digits, digits_model};
use super::drift::Drift;
use super::score::Counts;
use crate::{AdaptSettings, Adaptation};

/// Settings of the trial of adaptation.
#[derive(Args, Clone, Copy, Debug)]
pub struct TrialArgs {
    /// Frames of each stream; the drift grows from a tenth of them on and is whole from six tenths
    /// on.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(10..))]
    pub frames: u32,
    /// Streams of each kind, seeded one after the other.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub streams: u32,
}

/// Accuracies under one kind of drift, %, over the frames where it is whole.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// Name of the kind of drift.
    pub drift: String,
    /// Accuracy of the trained mixture on each stream, %.
    pub trained: Vec<f64>,
    /// Accuracy of the mixture that follows on each stream, %.
    pub adapted: Vec<f64>,
    /// Frames past the novelty threshold, %, of all streams: by the trained mixture, by the one
    /// that follows.
    pub novel: [f64; 2],
}

/// The trials of all kinds of drift, printed as a table.
#[derive(Clone, Debug, Serialize)]
pub struct Trials(pub Vec<Trial>);

/// Shows streams with every kind of drift to the trained mixture and to one that follows.
///
/// Labels only score: clusters are matched to them on the digits as they are, by the trained model.
///
/// # Errors
/// [`ModelError`](super::digits::ModelError).
pub fn trials(model: &[u8], args: &TrialArgs, seed: u64) -> Result<Trials> {
    let image = digits_model(model)?;
    let mut scratch = vec![0.0; scratch_len(&image)];
    let mut engine = Engine::new(image, &mut scratch)?;
    let digits = Digits::embedded()?;
    let mut counts = Counts::new(engine.model().head().clusters());
    for index in 0..digits.len() {
        counts.add(engine.assign_u8(digits.image(index))?.cluster, digits.label(index));
    }
    let classes = counts.classes();
    let trial = |drift: &Drift| {
        let streams = (0..args.streams).map(|stream| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(u64::from(stream));
            stream_of(*drift, args.frames as usize, &digits, &classes, &mut engine, &mut rng)
        });
        let streams = streams.collect::<Result<Vec<_>>>()?;
        let of = |at: usize| -> Vec<f64> { streams.iter().map(|stream| stream[at][0]).collect() };
        let novel = |at: usize| streams.iter().map(|stream| stream[at][1]).sum::<f64>() / streams.len() as f64;
        let name = drift.to_possible_value().map(|value| value.get_name().into()).unwrap_or_default();
        Ok(Trial { drift: name, trained: of(0), adapted: of(1), novel: [novel(0), novel(1)] })
    };
    Ok(Trials(Drift::value_variants().iter().map(trial).collect::<Result<_>>()?))
}

/// Accuracy and share of novel frames, %, of the trained mixture and of the one that follows.
fn stream_of(
    drift: Drift,
    frames: usize,
    digits: &Digits,
    classes: &[usize],
    engine: &mut Engine<'_>,
    rng: &mut ChaCha8Rng,
) -> Result<[[f64; 2]; 2]> {
    let trained = engine.model().head().clone();
    let mut memory = vec![0.0; Adaptation::memory_len(&trained)];
    let mut adaptation = Adaptation::new(trained.clone(), AdaptSettings::default(), &mut memory)?;
    let (mut counts, mut scored) = ([[0u32; 2]; 2], 0u32);
    for frame in 0..frames {
        let amount = Drift::amount(frame, frames);
        let index = drift.draw(digits, amount, rng);
        let latent: Latent<'_> = engine.encode_u8(&drift.seen(digits.image(index), amount))?;
        let answers = [latent.assign(&trained)?, adaptation.assign(&latent)?];
        if amount < 1.0 {
            continue;
        }
        scored += 1;
        for (count, answer) in counts.iter_mut().zip(answers) {
            count[0] += u32::from(classes[answer.cluster] == digits.label(index));
            count[1] += u32::from(answer.is_novel);
        }
    }
    Ok(counts.map(|count| count.map(|n| 100.0 * f64::from(n) / f64::from(scored.max(1)))))
}

impl fmt::Display for Trials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        writeln!(f, "| drift | accuracy as trained, % | that follows, % | difference, each stream | novel, % |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for Trial { drift, trained, adapted, novel } in &self.0 {
            let [before, after] = [mean(trained), mean(adapted)];
            let differences: Vec<_> = trained.iter().zip(adapted).map(|(a, b)| format!("{:+.2}", b - a)).collect();
            let [novel, novel_after] = novel;
            writeln!(
                f,
                "| {drift} | {before:.2} | {after:.2} | {:+.2} ({}) | {novel:.1}, {novel_after:.1} |",
                after - before,
                differences.join(", ")
            )?;
        }
        Ok(())
    }
}
