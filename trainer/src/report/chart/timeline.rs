//! Timelines: which cluster each moment of a recording is of, a strip a recording.

use std::collections::BTreeSet;

use maud::{Markup, PreEscaped, html};

use super::{Axis, colour, more_colours, n};
use crate::report::page::STYLE;
use crate::timelines::Strip;

/// Sizes of the drawing, in its own units.
const WIDTH: f64 = 960.0;
const NAMES: f64 = 200.0;
const ROW: f64 = 26.0;
const BAR: f64 = 12.0;
const BAND: f64 = 4.0;
const TOP: f64 = 8.0;
const LEGEND: f64 = 24.0;
/// Room of a cluster in the legend, and how many stand side by side.
const KEY: f64 = 74.0;
const KEYS: usize = 10;
const BOTTOM: f64 = 40.0;
/// Longest name that has room.
const LETTERS: usize = 30;

/// The strips over a common time; `unit` is that of the times. Above, clusters of windows, the paler the less sure; the thin
/// band below, what the votes decide; a dot, a novel window.
pub fn timeline(strips: &[Strip], unit: &str) -> Markup {
    let ends = strips.iter().flat_map(|strip| &strip.windows).map(|moment| moment.end);
    let axis = Axis::new([0.0, ends.fold(f64::MIN_POSITIVE, f64::max)], [NAMES, WIDTH - 14.0], false);
    let clusters: BTreeSet<usize> =
        strips.iter().flat_map(|strip| &strip.windows).map(|moment| moment.cluster).collect();
    let first = TOP + LEGEND * clusters.len().div_ceil(KEYS) as f64;
    let height = first + ROW * strips.len() as f64 + BOTTOM;
    let base = height - BOTTOM + 4.0;
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {}", n(height))) role="img"
            aria-label="Clusters of the windows of recordings over time" {
            @for (at, cluster) in clusters.iter().enumerate() {
                @let (x, y) = (NAMES + KEY * (at % KEYS) as f64, TOP + LEGEND * (at / KEYS) as f64);
                rect class=(colour(*cluster)) x=(n(x)) y=(n(y)) width="12" height=(n(BAR)) fill="var(--cluster)" {}
                text x=(n(x + 17.0)) y=(n(y + BAR - 1.5)) { "cluster " (cluster) }
            }
            @for (row, strip) in strips.iter().enumerate() {
                @let y = first + ROW * row as f64;
                text x=(n(NAMES - 8.0)) y=(n(y + BAR)) text-anchor="end" { (shortened(&strip.name)) }
                (bars(strip, &axis, y))
            }
            g class="grid" {
                line class="base" x1=(n(axis.from)) x2=(n(axis.to)) y1=(n(base)) y2=(n(base)) {}
                @for tick in axis.ticks() {
                    line x1=(n(axis.at(tick))) x2=(n(axis.at(tick))) y1=(n(base)) y2=(n(base + 4.0)) {}
                    text x=(n(axis.at(tick))) y=(n(base + 17.0)) text-anchor="middle" { (axis.label(tick)) }
                }
            }
            text class="title" x=(n((NAMES + WIDTH) / 2.0)) y=(n(height - 5.0)) text-anchor="middle" { "time, " (unit) }
        }
    }
}

/// The bars of a recording whose upper edge is at `y`.
fn bars(strip: &Strip, axis: &Axis, y: f64) -> Markup {
    let next = |at: usize| strip.windows.get(at + 1).map_or(f64::INFINITY, |next| next.begin);
    html! {
        @for (at, moment) in strip.windows.iter().enumerate() {
            // A window lasts in the drawing until the next begins, and over a gap no longer than it is.
            @let (from, to) = (axis.at(moment.begin), axis.at(moment.end.min(next(at))));
            rect class=(colour(moment.cluster)) x=(n(from)) y=(n(y)) width=(n(to - from)) height=(n(BAR))
                fill="var(--cluster)" fill-opacity=(format!("{:.2}", moment.confidence.clamp(0.15, 1.0))) {
                title { "cluster " (moment.cluster) ", " (format!("{:.3}", moment.confidence)) }
            }
            @if let Some(decided) = moment.decided {
                rect class=(colour(decided)) x=(n(from)) y=(n(y + BAR + 2.0)) width=(n(to - from)) height=(n(BAND))
                    fill="var(--cluster)" {}
            }
            @if moment.is_novel {
                circle cx=(n((from + to) / 2.0)) cy=(n(y + BAR / 2.0)) r="2.2" fill="var(--ink)" {}
            }
        }
    }
}

/// The end of a name that has no room.
fn shortened(name: &str) -> String {
    let letters = name.chars().count();
    if letters <= LETTERS {
        return name.to_owned();
    }
    let rest: String = name.chars().skip(letters - LETTERS + 1).collect();
    format!("\u{2026}{rest}")
}

/// The drawing as the text of an SVG file.
pub fn timeline_file(strips: &[Strip], unit: &str) -> String {
    let drawn = timeline(strips, unit).into_string();
    let clusters = strips.iter().flat_map(|strip| &strip.windows).map(|moment| moment.cluster + 1).max().unwrap_or(0);
    let style = html! { style { (PreEscaped(STYLE)) (PreEscaped(more_colours(clusters))) } }.into_string();
    match drawn.find('>') {
        Some(end) => format!("{}>{style}{}", &drawn[..end], &drawn[end + 1..]),
        None => drawn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timelines::Moment;

    #[test]
    fn a_window_is_drawn_until_the_next_begins_and_not_over_a_gap() {
        let at = |begin: f64, cluster| Moment {
            begin,
            end: begin + 2.0,
            cluster,
            confidence: 0.9,
            decided: None,
            is_novel: false,
        };
        let strip = Strip { name: "a <b>".into(), windows: vec![at(0.0, 1), at(1.0, 2), at(8.0, 12)] };
        let text = timeline_file(&[strip], "s");
        let width = |class: &str| {
            let tag = text.split("<rect").skip(4).find(|tag| tag.contains(&format!("class=\"{class}\"")))?;
            tag.split("width=\"").nth(1)?.split('"').next()?.parse::<f64>().ok()
        };
        // A key in the legend, and a bar.
        let (first, second, third) = (width("c1").unwrap(), width("c2"), text.matches("class=\"c12\"").count());
        assert_eq!((third, second.map(|w| (w / first - 2.0).abs() < 0.02)), (2, Some(true)));
        assert!(text.contains("a &lt;b&gt;") && text.contains(".c12 {"));
    }
}
