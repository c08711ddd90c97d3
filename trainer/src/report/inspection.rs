//! What data are taken for, in numbers and on a page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, PreEscaped, html};
use serde::Serialize;

use super::page::{POLICY, STYLE};
use crate::data::DataSet;
use crate::error::Result;
use crate::explain::heatmap;
use crate::frame::FrameKind;

/// Bars of a histogram.
const BARS: usize = 24;
/// Columns that are told of one by one.
const COLUMNS: usize = 40;
/// Frames that are drawn.
const DRAWN: usize = 60;

/// How the values of a column, or all values, spread.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Name of the column, or what the values are.
    pub name: String,
    /// Least value.
    pub least: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub deviation: f64,
    /// Greatest value.
    pub most: f64,
    /// How many values lie in each of equal parts from least to most.
    pub histogram: Vec<usize>,
}

impl Spread {
    fn of(name: String, values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count().max(1) as f64;
        let (least, most) =
            values.clone().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), v| (v.min(least), v.max(most)));
        let mean = values.clone().sum::<f64>() / count;
        let variance = values.clone().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let mut histogram = vec![0; BARS];
        for v in values {
            let share = if most > least { (v - least) / (most - least) } else { 0.0 };
            histogram[((share * BARS as f64) as usize).min(BARS - 1)] += 1;
        }
        Self { name, least, mean, deviation: variance.sqrt(), most, histogram }
    }

    /// The histogram in characters; a part in which there is anything shows.
    pub fn bars(&self) -> String {
        const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let most = self.histogram.iter().copied().max().unwrap_or(0).max(1);
        let bar = |&count: &usize| if count == 0 { ' ' } else { HEIGHTS[(count * 8).div_ceil(most).min(8) - 1] };
        self.histogram.iter().map(bar).collect()
    }
}

/// The spread of every column of rows, of every channel of windows and pictures; of all values where those are many.
pub fn spreads(set: &DataSet) -> Vec<Spread> {
    let (shape, values) = (set.frames.shape, &set.frames.values);
    let (groups, what) = match set.taken.kind {
        FrameKind::Features => (shape.len(), "column"),
        _ => (shape.channels, "channel"),
    };
    let size = shape.len() / groups.max(1);
    if groups > COLUMNS || groups == 1 {
        return vec![Spread::of("all values".into(), values.iter().map(|v| f64::from(*v)))];
    }
    let of = |group: usize| {
        let name = set.columns.as_ref().map_or_else(|| format!("{what} {}", group + 1), |names| names[group].clone());
        let frames = values.chunks_exact(shape.len());
        Spread::of(name, frames.flat_map(move |frame| &frame[group * size..][..size]).map(|v| f64::from(*v)))
    };
    (0..groups).map(of).collect()
}

/// A page about data: what they are taken for, how values spread, and frames drawn evenly over them.
///
/// # Errors
/// [`crate::Error::Resource`] if a picture cannot be encoded.
pub fn inspection(name: &str, set: &DataSet) -> Result<String> {
    let (frames, kind) = (&set.frames, set.taken.kind);
    let range = match kind {
        FrameKind::Image => heatmap::range(&frames.values),
        _ => [
            frames.values.iter().copied().fold(f32::INFINITY, f32::min),
            frames.values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        ],
    };
    let shown = frames.len().min(DRAWN);
    let places = (0..shown).map(|i| i * frames.len() / shown);
    let pictures = places.map(|n| {
        let png = heatmap::png(&heatmap::frame(frames.frame(n), frames.shape, kind, range))?;
        let title = set.files.as_ref().map_or_else(|| format!("frame {n}"), |files| files[n].clone());
        Ok((title, format!("data:image/png;base64,{}", STANDARD.encode(png))))
    });
    let pictures = pictures.collect::<Result<Vec<_>>>()?;
    let number = |v: f64| format!("{v:.5}");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                title { "Data: " (name) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { h1 { (name) } p { (set.taken) } }
                main {
                    section {
                        h2 { "Values" }
                        table {
                            thead { tr { th {} th { "least" } th { "mean" } th { "deviation" } th { "most" } th { "histogram" } } }
                            tbody { @for spread in spreads(set) {
                                tr {
                                    th { (spread.name) }
                                    @for v in [spread.least, spread.mean, spread.deviation, spread.most] { td { (number(v)) } }
                                    td { code { (spread.bars()) } }
                                }
                            } }
                        }
                    }
                    section {
                        h2 { "Frames" }
                        p { "Drawn evenly over the data, in their order." }
                        p { @for (title, data) in &pictures { img src=(data) alt=(title) title=(title); " " } }
                    }
                }
                footer { p { "Written by trainer " (env!("CARGO_PKG_VERSION")) "." } }
            }
        }
    };
    Ok(page.into_string())
}
