//! Charts as SVG, a file each: sized by the page, coloured by its style sheet, readable without a
//! script.

mod histogram;
mod lines;
mod reliability;
mod scatter;
mod timeline;

pub use histogram::histogram;
pub use lines::{Line, Mark, lines};
pub use reliability::reliability;
pub use scatter::{Group, scatter};
pub use timeline::{timeline, timeline_file};

use maud::{Markup, html};

/// Room around the plot for ticks and titles: left, top, right, bottom.
const MARGIN: [f64; 4] = [66.0, 16.0, 14.0, 42.0];
/// Colours that the style sheet has.
const COLOURS: usize = 10;

/// Class of the style sheet that holds the colour of cluster `c`.
pub fn colour(c: usize) -> String {
    format!("c{c}")
}

/// Rules of the style sheet for the colours of K clusters beyond those that it has: hues a golden angle apart, so that any
/// number of them lie apart, in two tones, each for a light and a dark page.
pub fn more_colours(k: usize) -> String {
    let rule = |c: usize| {
        let (hue, tone) = ((c as f64 * 137.508) % 360.0, 12 * (c % 2));
        format!(
            ".c{c} {{ --cluster: light-dark(hsl({hue:.0} 65% {}%), hsl({hue:.0} 75% {}%)); }}\n",
            30 + tone,
            74 - tone
        )
    };
    (COLOURS..k).map(rule).collect()
}

/// Titles of a chart, for the eye and for the ear.
#[derive(Clone, Copy, Debug)]
pub struct Titles<'a> {
    /// Words for a reader who does not see the chart.
    pub spoken: &'a str,
    /// Quantity and unit under the plot.
    pub x: &'a str,
    /// Quantity and unit beside the plot.
    pub y: &'a str,
}

/// Values of one direction, and where they are drawn.
#[derive(Clone, Copy, Debug)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    step: f64,
}

impl Axis {
    /// Values `low..high` on the places `from..to`; `wide` leaves some room at both ends.
    fn new([low, high]: [f64; 2], [from, to]: [f64; 2], wide: bool) -> Self {
        let span = if high > low { high - low } else { low.abs().max(1.0) };
        let [low, high] = if high > low { [low, high] } else { [low - span / 2.0, low + span / 2.0] };
        let room = if wide { 0.06 * span } else { 0.0 };
        Self { low: low - room, high: high + room, from, to, step: step(high - low + 2.0 * room) }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Round values within the axis.
    fn ticks(&self) -> Vec<f64> {
        let slack = 1e-9 * (self.high - self.low);
        let first = ((self.low - slack) / self.step).ceil() as i64;
        let last = ((self.high + slack) / self.step).floor() as i64;
        (first..=last).map(|i| i as f64 * self.step).collect()
    }

    fn label(&self, value: f64) -> String {
        let decimals = (-self.step.log10().floor()).clamp(0.0, 6.0) as usize;
        let text = format!("{value:.decimals$}");
        // The minus sign, and thousands apart: both as in print.
        let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("\u{2212}", rest));
        let whole = digits.split('.').next().unwrap_or(digits);
        let grouped = if whole.len() > 4 {
            let (head, tail) = digits.split_at(whole.len() - 3);
            format!("{head}\u{202f}{tail}")
        } else {
            digits.to_owned()
        };
        if value == 0.0 { grouped } else { format!("{sign}{grouped}") }
    }
}

/// 1, 2 or 5 times a power of ten, so that about five of them make up `span`.
fn step(span: f64) -> f64 {
    let rough = span / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

/// The plot of a chart: two axes, and the size of the whole.
#[derive(Clone, Copy, Debug)]
struct Plot {
    width: f64,
    height: f64,
    x: Axis,
    y: Axis,
}

impl Plot {
    fn new(width: f64, height: f64, x: [f64; 2], y: [f64; 2], wide: [bool; 2]) -> Self {
        let [left, top, right, bottom] = MARGIN;
        Self {
            width,
            height,
            x: Axis::new(x, [left, width - right], wide[0]),
            y: Axis::new(y, [height - bottom, top], wide[1]),
        }
    }

    /// The chart with `inside` drawn over the grid.
    fn draw(&self, titles: Titles<'_>, inside: &Markup) -> Markup {
        let (x, y) = (&self.x, &self.y);
        let middle = (y.from + y.to) / 2.0;
        html! {
            svg viewBox=(format!("0 0 {} {}", self.width, self.height)) role="img" aria-label=(titles.spoken) {
                g class="grid" {
                    @for tick in y.ticks() {
                        line x1=(n(x.from)) x2=(n(x.to)) y1=(n(y.at(tick))) y2=(n(y.at(tick))) {}
                        text x=(n(x.from - 6.0)) y=(n(y.at(tick) + 4.0)) text-anchor="end" { (y.label(tick)) }
                    }
                    @for tick in x.ticks() {
                        line x1=(n(x.at(tick))) x2=(n(x.at(tick))) y1=(n(y.from)) y2=(n(y.from + 4.0)) {}
                        text x=(n(x.at(tick))) y=(n(y.from + 17.0)) text-anchor="middle" { (x.label(tick)) }
                    }
                    line class="base" x1=(n(x.from)) x2=(n(x.to)) y1=(n(y.from)) y2=(n(y.from)) {}
                }
                (inside)
                text class="title" x=(n((x.from + x.to) / 2.0)) y=(n(self.height - 6.0)) text-anchor="middle" { (titles.x) }
                text class="title" transform=(format!("translate(12 {}) rotate(-90)", n(middle))) text-anchor="middle" {
                    (titles.y)
                }
            }
        }
    }
}

/// A coordinate with a tenth of a unit: finer is not seen.
fn n(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_lie_within_the_axis() {
        for (low, high, expected) in [
            (0.0, 1.0, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (-105.0, -62.0, vec![-100.0, -90.0, -80.0, -70.0]),
            (0.0, 4200.0, vec![0.0, 1000.0, 2000.0, 3000.0, 4000.0]),
            (0.0, 0.03, vec![0.0, 0.01, 0.02, 0.03]),
        ] {
            let axis = Axis::new([low, high], [0.0, 100.0], false);
            let found = axis.ticks();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        }
    }

    #[test]
    fn labels_have_the_decimals_of_their_step() {
        let label = |low, high, value| Axis::new([low, high], [0.0, 1.0], false).label(value);
        assert_eq!(label(0.0, 1.0, 0.2), "0.2");
        assert_eq!(label(0.0, 0.03, 0.01), "0.01");
        assert_eq!(label(-105.0, -62.0, -90.0), "\u{2212}90");
        assert_eq!(label(0.0, 60_000.0, 20_000.0), "20\u{202f}000");
        assert_eq!(label(-1.0, 1.0, -0.0), "0.0".trim_start_matches('-'));
    }

    #[test]
    fn an_axis_of_one_value_has_room_around_it() {
        let axis = Axis::new([3.0, 3.0], [0.0, 100.0], false);
        assert!((axis.at(3.0) - 50.0).abs() < 1e-9 && !axis.ticks().is_empty());
    }
}
