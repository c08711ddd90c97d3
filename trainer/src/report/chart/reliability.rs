//! A reliability diagram: how often predictions of a confidence are right.

use maud::{Markup, html};

use super::{Plot, Titles, n};
use crate::eval::calibration::Bin;

/// The diagram: accuracy of each bin as a bar, mean confidence of each as a dot on the diagonal of
/// perfect calibration.
pub fn reliability(titles: Titles<'_>, bins: &[Bin]) -> Markup {
    let plot = Plot::new(360.0, 300.0, [0.0, 1.0], [0.0, 1.0], [false, false]);
    let edge = |bin: usize| plot.x.at(bin as f64 / bins.len().max(1) as f64);
    let inside = html! {
        @for (i, bin) in bins.iter().enumerate().filter(|(_, b)| b.count > 0) {
            @let top = plot.y.at(bin.accuracy);
            rect class="bar" x=(n(edge(i) + 1.0)) y=(n(top)) width=(n(edge(i + 1) - edge(i) - 2.0))
                height=(n((plot.y.from - top).max(1.0))) {
                title {
                    (bin.count) " with mean confidence " (format!("{:.3}", bin.confidence)) ", of which "
                    (format!("{:.3}", bin.accuracy)) " right"
                }
            }
        }
        line class="ideal" x1=(n(plot.x.at(0.0))) x2=(n(plot.x.at(1.0))) y1=(n(plot.y.at(0.0))) y2=(n(plot.y.at(1.0))) {}
        @for bin in bins.iter().filter(|b| b.count > 0) {
            circle class="dot mean" cx=(n(plot.x.at(bin.confidence))) cy=(n(plot.y.at(bin.confidence))) r="3.5" {}
        }
    };
    plot.draw(titles, &inside)
}
