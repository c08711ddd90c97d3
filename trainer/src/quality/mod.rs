//! What the project claims of a model, measured: one row a claim, with its bar. A bar that is
//! missed is shown as missed.
//!
//! No claim uses a label. Frames, strokes and weights that are drawn come from the run's seed.

mod completeness;
mod curves;
mod exported;
mod maps;
mod novelty;
mod planted;
pub mod statistics;

pub use curves::{Curves, curves, order, sobel};
pub use exported::as_exported;
pub use planted::{Planted, occluder, stroke};

use burn::tensor::Device;
use rand::seq::index;
use serde::{Serialize, Serializer};

use crate::critic::{self, Critic};
use crate::data::{Frames, Source};
use crate::error::{Error, Result};
use crate::fitted::Fitted;
use crate::rng::{Purpose, stream};

/// Most frames that anything is measured on.
pub const MOST_FRAMES: usize = 100_000;

/// Bar that a measured value has to meet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// The value has to be below this.
    Below(f64),
    /// The value has to be this or more.
    AtLeast(f64),
    /// The value has to be above this with 95 % confidence: the whole interval lies above.
    IntervalAbove(f64),
    /// No bar: the value is told, not judged.
    None,
}

impl std::fmt::Display for Bar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Below(bar) => write!(f, "< {bar}"),
            Self::AtLeast(bar) => write!(f, ">= {bar}"),
            Self::IntervalAbove(bar) => write!(f, "interval > {bar}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl Serialize for Bar {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One claim, its bar, and what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the measured value, with its unit.
    pub name: String,
    /// Bar that the value has to meet.
    pub bar: Bar,
    /// Measured value; a mean over frames where there is an interval.
    pub measured: f64,
    /// Interval of the mean with 95 % confidence, where there is a mean.
    pub interval: Option<[f64; 2]>,
    /// Whether the value meets its bar; NaN never does.
    pub met: bool,
}

impl Row {
    /// A value without an interval, which [`Bar::IntervalAbove`] never takes for met.
    pub fn new(name: impl Into<String>, bar: Bar, measured: f64) -> Self {
        Self::with(name.into(), bar, measured, None)
    }

    /// The mean of one value a frame, with its interval.
    pub fn mean(name: impl Into<String>, bar: Bar, values: &[f64]) -> Self {
        let (mean, interval) = statistics::mean_interval(values);
        Self::with(name.into(), bar, mean, Some(interval))
    }

    /// A row, judged by its bar.
    fn with(name: String, bar: Bar, measured: f64, interval: Option<[f64; 2]>) -> Self {
        let met = match bar {
            Bar::Below(bar) => measured < bar,
            Bar::AtLeast(bar) => measured >= bar,
            Bar::IntervalAbove(bar) => interval.is_some_and(|[low, _]| low > bar),
            Bar::None => true,
        };
        Self { name, bar, measured, interval, met }
    }
}

/// Model that is measured, and the frames it is measured on.
pub struct Subject<'a> {
    /// The model that is measured.
    pub fitted: &'a Fitted,
    /// Amortised critic of the model, if it has one.
    pub critic: Option<&'a Critic>,
    /// Some of the frames that the model was not fitted to, in the units of the data, for what
    /// takes long.
    pub frames: &'a Frames,
    /// All frames that the model was not fitted to, or as many as [`Subject::all_of`] takes, in the units of the data, for
    /// the rest.
    pub all: &'a Frames,
    /// Frames of other kinds, which should be novel, by name.
    pub novel: &'a [(String, Frames)],
    /// Device to compute on.
    pub device: &'a Device,
}

impl<'a> Subject<'a> {
    /// All frames, of very many [`MOST_FRAMES`] drawn at random, in memory.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn all_of(fitted: &Fitted, frames: &dyn Source) -> Result<Frames> {
        if frames.len() <= MOST_FRAMES {
            return frames.all();
        }
        let mut rng = stream(fitted.config.seed, Purpose::Sample, 1);
        let mut chosen = index::sample(&mut rng, frames.len(), MOST_FRAMES).into_vec();
        chosen.sort_unstable();
        frames.gather(&chosen)
    }

    /// The first `count` frames of a random order, or all if there are fewer.
    pub fn draw(fitted: &'a Fitted, frames: &Frames, count: usize) -> Frames {
        use rand::seq::SliceRandom;
        let mut order: Vec<usize> = (0..frames.len()).collect();
        order.shuffle(&mut stream(fitted.config.seed, Purpose::Quality, 0));
        order.truncate(count);
        frames.select(&order)
    }
}

/// Measures every claim, and tells `progress` what comes next.
///
/// # Errors
/// [`Error::Data`] if the frames do not fit the model.
pub fn measure(subject: &Subject<'_>, progress: &mut dyn FnMut(&str)) -> Result<Vec<Row>> {
    // Maps are of features, where there is a front end.
    let (fitted, frames) = (subject.fitted.of_features(), subject.fitted.features(subject.frames)?.all()?);
    let mut rows = maps::rows(&Subject { fitted: &fitted, frames: &frames, ..*subject }, progress)?;
    rows.extend(amortised(subject)?);
    rows.extend(novelty::rows(subject, progress)?);
    Ok(rows)
}

/// How near the amortised critic, if there is one, comes to the exact map.
fn amortised(subject: &Subject<'_>) -> Result<Option<Row>> {
    let Subject { fitted, critic: Some(critic), frames, device, .. } = subject else { return Ok(None) };
    let exact = critic::exact(fitted, frames, device)?;
    let found = critic::agreement(&exact, &critic.maps(fitted, frames, device)?, fitted.inner_shape().len());
    Ok(Some(Row::new("amortised critic: R² against the exact trust map", Bar::AtLeast(0.9), found.r_squared)))
}

/// The rows as a Markdown table.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from("| what | bar | measured | 95 % interval | |\n|---|---|---|---|---|\n");
    for row in rows {
        let interval = row.interval.map_or(String::new(), |[low, high]| format!("{} to {}", digits(low), digits(high)));
        let verdict = match row.bar {
            Bar::None => "",
            _ if row.met => "met",
            _ => "MISSED",
        };
        let Row { name, bar, measured, .. } = row;
        text.push_str(&format!("| {name} | {bar} | {} | {interval} | {verdict} |\n", digits(*measured)));
    }
    text
}

/// A number with four decimals, or with three significant digits where it is small.
fn digits(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:.2e}") } else { format!("{value:.4}") }
}

/// Refuses rows of which one is missed.
///
/// # Errors
/// [`Error::Quality`].
pub fn gate(rows: &[Row]) -> Result<()> {
    let missed: Vec<String> = rows.iter().filter(|row| !row.met).map(|row| row.name.clone()).collect();
    if missed.is_empty() { Ok(()) } else { Err(Error::Quality { missed, of: rows.len() }) }
}
