//! How often values occur, with a threshold.

use maud::{Markup, html};

use super::{Plot, Titles, n};

/// Number of bars of the histogram.
const BINS: usize = 40;

/// The histogram of `values`, with `threshold` marked.
///
/// The axis ends at 1.6 times the threshold or the 99.5th percentile; what lies past it is counted
/// in its last bar.
pub fn histogram(titles: Titles<'_>, values: &[f32], threshold: f64) -> Markup {
    let mut sorted: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
    sorted.sort_by(f64::total_cmp);
    let low = sorted.first().copied().unwrap_or(0.0).min(threshold);
    let far = sorted.get((sorted.len().saturating_sub(1)) * 995 / 1000).copied().unwrap_or(0.0);
    let high = far.max(threshold + 0.3 * (threshold - low)).max(low + 1e-6);
    let mut counts = [0usize; BINS];
    for value in &sorted {
        counts[(((value - low) / (high - low) * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let plot = Plot::new(360.0, 240.0, [low, high], [0.0, most * 1.05], [false, false]);
    let edge = |bin: usize| plot.x.at(low + (high - low) * bin as f64 / BINS as f64);
    let at = plot.x.at(threshold);
    let inside = html! {
        @for (bin, count) in counts.iter().enumerate().filter(|(_, c)| **c > 0) {
            @let top = plot.y.at(*count as f64);
            @let novel = edge(bin) >= at - 1e-6;
            rect class=(if novel { "bar novel" } else { "bar" }) x=(n(edge(bin) + 0.4)) y=(n(top))
                width=(n(edge(bin + 1) - edge(bin) - 0.8)) height=(n((plot.y.from - top).max(0.5))) {}
        }
        line class="threshold" x1=(n(at)) x2=(n(at)) y1=(n(plot.y.from)) y2=(n(plot.y.to)) {}
        text class="note" x=(n(at - 4.0)) y=(n(plot.y.to + 8.0)) text-anchor="end" { "threshold " (format!("{threshold:.1}")) }
    };
    plot.draw(titles, &inside)
}
