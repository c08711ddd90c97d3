//! A recording in front of the device: sample by sample through its loop, an answer a window.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use runtime::Windowing;
use serde::Serialize;

use super::device::{Device, StreamModel};
use super::recording::{Columns, Recording};
use crate::{Event, Window, WindowError};

/// Ticks a second of the clock that stamps samples.
const TICKS: f64 = 1e9;

/// What a recording is, and what the sensor makes of it.
#[derive(Args, Clone, Debug)]
pub struct StreamArgs {
    /// The recording: an .npy file of samples `[T,C]`, or a table (CSV, TSV) with a sample a row
    #[arg(value_name = "RECORDING")]
    pub recording: PathBuf,
    /// Which columns are what.
    #[command(flatten)]
    pub columns: Columns,
    /// The recording has the counts of a 16-bit sensor: what a count is worth in the units of the training data, one for all
    /// channels or one each
    #[arg(long, value_name = "UNITS", value_delimiter = ',', conflicts_with = "quantise")]
    pub scale: Vec<f32>,
    /// The recording has units, and the device a 16-bit sensor: it sees counts of so many units each
    #[arg(long, value_name = "UNITS", value_delimiter = ',')]
    pub quantise: Vec<f32>,
}

/// What the device says of a window.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// Time of the last sample of the window, seconds; its number from 0 where no time is known.
    pub time: f64,
    /// The most probable cluster; None if the window was refused.
    pub cluster: Option<usize>,
    /// Its probability.
    pub confidence: Option<f32>,
    /// Novelty, nats.
    pub novelty: Option<f32>,
    /// `novel`, `outside`, `refused`, or nothing.
    pub mark: &'static str,
    /// Whether the alarm is on.
    pub alarm: bool,
    /// The cluster that has the votes.
    pub state: Option<usize>,
}

/// What the device says of a recording.
#[derive(Clone, Debug, Serialize)]
pub struct Answers {
    /// An answer a window.
    pub windows: Vec<Answer>,
    /// Samples with a value that is missing.
    pub missing: usize,
    /// Counts past the 16 bits of the sensor, which it cuts off.
    pub clipped: usize,
    /// Times that windows began anew.
    pub gaps: u32,
}

/// Takes a recording through the loop of a device.
///
/// # Errors
/// If the recording is none for the model.
pub fn stream(model: &StreamModel<'_>, args: &StreamArgs) -> Result<Answers> {
    let shape = model.shape;
    let recording = Recording::read(&args.recording, shape.channels, &args.columns)
        .with_context(|| format!("{}", args.recording.display()))?;
    let each = |given: &[f32]| match given {
        [one] => vec![*one; shape.channels],
        many => many.to_vec(),
    };
    let (worth, are_counts) =
        if args.scale.is_empty() { (each(&args.quantise), false) } else { (each(&args.scale), true) };
    let mut scratch = model.scratch();
    let mut device = model.device(&mut scratch)?;
    if worth.is_empty() {
        let mut ring = vec![0.0f32; shape.len()];
        let window = window(model, &mut ring, &recording)?;
        return run(&mut device, model.windowing, &recording, window, |sample| Ok(sample.to_vec()));
    }
    ensure!(worth.iter().all(|worth| worth.is_finite() && *worth > 0.0), "what a count is worth must be above 0");
    let mut ring = vec![0i16; shape.len()];
    let window = window(model, &mut ring, &recording)?.with_scale(&worth)?;
    let mut clipped = 0;
    let mut count = |(value, worth): (&f32, &f32)| -> Result<i16> {
        let count = if are_counts { *value } else { (value / worth).round() };
        let seen = count as i16;
        if f32::from(seen) != count {
            ensure!(!are_counts, "{value} is no count of 16 bits; --quantise is for recordings in units");
            clipped += 1;
        }
        Ok(seen)
    };
    let answers = run(&mut device, model.windowing, &recording, window, |sample| {
        sample.iter().zip(&worth).map(&mut count).collect()
    });
    answers.map(|answers| Answers { clipped, ..answers })
}

/// The window of the model, with time stamps if the recording has them.
fn window<'m, T: Copy + Into<f32>>(
    model: &StreamModel<'_>,
    ring: &'m mut [T],
    recording: &Recording,
) -> Result<Window<'m, T>> {
    let window = Window::new(model.shape, model.windowing, ring)?;
    if recording.times.is_none() {
        return Ok(window);
    }
    window.with_clock(TICKS as f32).map_err(|error| match error {
        WindowError::Clock => anyhow!("{error}: leave --time out, and gaps are not looked for"),
        error => error.into(),
    })
}

fn run<T: Copy + Into<f32>>(
    device: &mut Device<'_>,
    windowing: Windowing,
    recording: &Recording,
    mut window: Window<'_, T>,
    mut sensed: impl FnMut(&[f32]) -> Result<Vec<T>>,
) -> Result<Answers> {
    let begin = recording.times.as_ref().and_then(|times| times.iter().copied().reduce(f64::min)).unwrap_or_default();
    let mut answers = Answers { windows: Vec::new(), missing: 0, clipped: 0, gaps: 0 };
    for (number, sample) in recording.samples.iter().enumerate() {
        let time = match (&recording.times, windowing.rate()) {
            (Some(times), _) => times[number],
            (None, Some(rate)) => number as f64 / f64::from(rate),
            (None, None) => number as f64,
        };
        let Some(sample) = sample else {
            answers.missing += 1;
            window.restart();
            continue;
        };
        let sample = sensed(sample).with_context(|| format!("sample {}", number + 1))?;
        let at = if recording.times.is_some() { ((time - begin) * TICKS).round() as u64 } else { number as u64 };
        let Some((event, last)) = device.sample(at, &sample, &mut window) else { continue };
        let answer = Answer {
            time,
            cluster: last.map(|last| last.cluster),
            confidence: last.map(|last| last.confidence),
            novelty: last.map(|last| last.novelty),
            mark: match (event, last) {
                (Event::Refused(_), _) => "refused",
                (_, Some(last)) if last.is_outside => "outside",
                (_, Some(last)) if last.is_novel => "novel",
                _ => "",
            },
            alarm: device.alarmed(),
            state: device.decision(),
        };
        answers.windows.push(answer);
    }
    answers.gaps = window.gaps();
    Ok(answers)
}

impl fmt::Display for Answers {
    /// A line of comma-separated values a window.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |value: Option<String>| value.unwrap_or_default();
        writeln!(f, "time,cluster,confidence,novelty,mark,alarm,state")?;
        self.windows.iter().try_for_each(|answer| {
            let Answer { time, cluster, confidence, novelty, mark, alarm, state } = answer;
            let [cluster, state] = [cluster, state].map(|number| field(number.map(|number| number.to_string())));
            let confidence = field(confidence.map(|confidence| format!("{confidence:.4}")));
            let novelty = field(novelty.map(|novelty| format!("{novelty:.3}")));
            let alarm = if *alarm { "on" } else { "" };
            writeln!(f, "{time:.6},{cluster},{confidence},{novelty},{mark},{alarm},{state}")
        })
    }
}
