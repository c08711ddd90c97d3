//! What data are taken for, in numbers and on a page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, PreEscaped, html};
use serde::Serialize;

use super::page::{POLICY, STYLE};
use crate::data::{DataSet, Source, each_frame};
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
    /// The spread of each of groups of `size` values that lie side by side in a frame, by their names.
    fn of_groups(names: Vec<String>, size: usize, frames: &dyn Source) -> Result<Vec<Self>> {
        let empty = |name| Self {
            name,
            least: f64::INFINITY,
            mean: 0.0,
            deviation: 0.0,
            most: f64::NEG_INFINITY,
            histogram: vec![0; BARS],
        };
        let mut spreads: Vec<Self> = names.into_iter().map(empty).collect();
        let each = |spreads: &mut Vec<Self>, visit: fn(&mut Self, f64)| {
            each_frame(frames, |frame| {
                for (spread, values) in spreads.iter_mut().zip(frame.chunks_exact(size)) {
                    values.iter().for_each(|v| visit(spread, f64::from(*v)));
                }
            })
        };
        let count = (frames.len() * size).max(1) as f64;
        each(&mut spreads, |spread, v| {
            (spread.least, spread.most) = (v.min(spread.least), v.max(spread.most));
            spread.mean += v;
        })?;
        spreads.iter_mut().for_each(|spread| spread.mean /= count);
        each(&mut spreads, |spread, v| {
            spread.deviation += (v - spread.mean).powi(2);
            let range = spread.most - spread.least;
            let share = if range > 0.0 { (v - spread.least) / range } else { 0.0 };
            spread.histogram[((share * BARS as f64) as usize).min(BARS - 1)] += 1;
        })?;
        spreads.iter_mut().for_each(|spread| spread.deviation = (spread.deviation / count).sqrt());
        Ok(spreads)
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
///
/// # Errors
/// If the frames cannot be read.
pub fn spreads(set: &DataSet) -> Result<Vec<Spread>> {
    let shape = set.frames.shape;
    let (groups, what) = match set.taken.kind {
        FrameKind::Features => (shape.len(), "column"),
        _ => (shape.channels, "channel"),
    };
    if groups > COLUMNS || groups == 1 {
        return Spread::of_groups(vec!["all values".into()], shape.len(), &set.frames);
    }
    let name = |group: usize| {
        set.columns.as_ref().map_or_else(|| format!("{what} {}", group + 1), |names| names[group].clone())
    };
    Spread::of_groups((0..groups).map(name).collect(), shape.len() / groups, &set.frames)
}

/// A page about data: what they are taken for, how values spread, and frames drawn evenly over them.
///
/// # Errors
/// [`crate::Error::Resource`] if a picture cannot be encoded.
pub fn inspection(name: &str, set: &DataSet) -> Result<String> {
    let (frames, kind) = (&set.frames, set.taken.kind);
    let spreads = spreads(set)?;
    let ends = spreads.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], s| [a.min(s.least), b.max(s.most)]);
    let ends = ends.map(|end| end as f32);
    let range = if kind == FrameKind::Image { heatmap::range(&ends) } else { ends };
    let shown = frames.len().min(DRAWN);
    let places: Vec<usize> = (0..shown).map(|i| i * frames.len() / shown).collect();
    let drawn = frames.gather(&places)?;
    let pictures = places.iter().zip(drawn.values.chunks_exact(frames.shape.len())).map(|(&n, frame)| {
        let png = heatmap::png(&heatmap::frame(frame, frames.shape, kind, range))?;
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
                            tbody { @for spread in &spreads {
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
