//! Whether the confidence means what it says.

use maud::html;

use crate::eval::calibration::BINS;
use crate::report::chart::{Titles, reliability};
use crate::report::material::Findings;
use crate::report::parts::{Section, count, figure, percent};

/// The reliability diagram, or a sentence where nothing can be compared.
pub fn section(findings: &Findings<'_>) -> Section {
    let body = match &findings.confidence {
        None => html! {
            p {
                "These frames carry no labels and this model was trained without views of a frame, so there is nothing to compare \
                its confidence with."
            }
        },
        Some(confidence) => {
            let found = &confidence.reliability;
            let right = if confidence.against_labels { "share with the label" } else { "share in the same cluster" };
            let titles = Titles { spoken: "Reliability diagram", x: "confidence, max q(c|x)", y: right };
            let all: usize = found.bins.iter().map(|b| b.count).sum();
            let surest = found.bins.last().map_or(0, |b| b.count);
            let caption = html! {
                @if confidence.against_labels {
                    "How often a frame carries the label that its cluster is matched to"
                } @else {
                    "Without labels: how often a random view of a frame goes to its cluster"
                }
                ", by the confidence it was given. On the diagonal a confidence of 0.8 is right four times in five; bars below \
                their dot are overconfident. " (percent(surest as f64 / all.max(1) as f64)) " of " (count(all)) " frames lie in the \
                last bin, so that the others rest on few."
            };
            html! {
                div class="charts wide" {
                    (figure("Reliability", &reliability(titles, &found.bins), &caption))
                    dl class="tiles column" {
                        div { dt { "expected calibration error, " (BINS) " bins" } dd { (format!("{:.4}", found.ece)) } }
                        div {
                            dt { "AUROC of confidence, right against wrong" }
                            dd { @if let Some(auroc) = found.auroc { (format!("{auroc:.4}")) } @else { "all alike" } }
                        }
                        div { dt { "frames compared" } dd { (count(all)) } }
                    }
                }
            }
        }
    };
    Section { id: "calibration", short: "Calibration", title: "Calibration", body }
}
