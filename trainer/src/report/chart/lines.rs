//! A line chart: quantities over the steps of training.

use maud::{Markup, html};

use super::{Plot, Titles, n};

/// Curve of one quantity.
#[derive(Clone, Debug)]
pub struct Line {
    /// Name of the quantity in the legend, and its class in the style sheet.
    pub name: &'static str,
    /// Points (x, y) of the curve, x rising; a curve without points is left out.
    pub points: Vec<[f64; 2]>,
}

/// A place on the x axis where something ends.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Place on the x axis.
    pub x: f64,
    /// Name of what begins at that place, written above the plot.
    pub name: &'static str,
}

/// The chart, or nothing if no line has a point; `span` is what the x axis shows.
pub fn lines(titles: Titles<'_>, span: [f64; 2], lines: &[Line], marks: &[Mark]) -> Option<Markup> {
    let values = || lines.iter().flat_map(|l| &l.points).map(|p| p[1]);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if !low.is_finite() || !high.is_finite() {
        return None;
    }
    let plot = Plot::new(360.0, 220.0, span, [low, high], [false, true]);
    let inside = html! {
        @for mark in marks.iter().filter(|m| m.x >= span[0] && m.x < span[1]) {
            line class="mark" x1=(n(plot.x.at(mark.x))) x2=(n(plot.x.at(mark.x))) y1=(n(plot.y.from)) y2=(n(plot.y.to)) {}
            text class="note" x=(n(plot.x.at(mark.x) + 3.0)) y=(n(plot.y.to - 3.0)) { (mark.name) }
        }
        @for line in lines.iter().filter(|l| !l.points.is_empty()) {
            @let at: Vec<String> = line.points.iter().map(|p| format!("{},{}", n(plot.x.at(p[0])), n(plot.y.at(p[1])))).collect();
            polyline class={ "line " (line.name) } points=(at.join(" ")) {}
            @if let [only] = line.points[..] {
                circle class={ "dot " (line.name) } cx=(n(plot.x.at(only[0]))) cy=(n(plot.y.at(only[1]))) r="3" {}
            }
        }
    };
    Some(plot.draw(titles, &inside))
}
