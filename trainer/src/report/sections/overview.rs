//! The head of the page: what it is about, and the figures that matter most.

use maud::{Markup, html};

use crate::report::material::Findings;
use crate::report::parts::{count, percent};

/// Title, sentence and tiles.
pub fn overview(findings: &Findings<'_>) -> Markup {
    let config = &findings.fitted.config;
    let held_out = |key: &str| findings.metrics.as_ref().and_then(|m| m["last_epoch"]["held_out"][key].as_f64());
    let log_k = (config.clusters() as f64).ln();
    let mut tiles = vec![(config.clusters().to_string(), format!("clusters, {} latent dimensions", config.latent))];
    if let Some(labelled) = &findings.labelled {
        let s = labelled.scores;
        tiles.push((format!("{:.4}", s.acc), "accuracy, one cluster to one class".to_owned()));
        tiles.push((format!("{:.4}", s.nmi), "normalised mutual information".to_owned()));
    }
    if let Some(elbo) = held_out("elbo") {
        tiles.push((format!("{elbo:.1}").replace('-', "\u{2212}"), "ELBO, nats a held-out frame".to_owned()));
    }
    if let Some(information) = held_out("mutual_information") {
        tiles.push((format!("{information:.2}"), format!("I(x;c), nats, of at most {log_k:.2}")));
    }
    if let Some(confidence) = &findings.confidence {
        tiles.push((format!("{:.4}", confidence.reliability.ece), "expected calibration error".to_owned()));
    }
    let last = findings.last();
    tiles.push((
        percent(last.novel(findings.fitted.calibration.novelty_threshold)),
        format!("of {} called novel", last.name()),
    ));
    html! {
        p class="kicker" { "Cluster VAE" }
        h1 { "Report of " (findings.run.display()) }
        p class="lead" {
            "Fitted to unlabelled frames of " (findings.fitted.shape) "; shown on "
            @for (i, part) in findings.parts.iter().enumerate() {
                @if i > 0 { " and " }
                (count(part.total)) " " (part.name())
            }
            " from " span class="path" { (findings.source) } "."
            @if findings.parts.iter().any(|p| p.total > p.frames.len()) {
                " Of each part, " (count(crate::report::material::MOST_FRAMES)) " frames drawn at random are looked at."
            }
            @if findings.labelled.is_some() { " Labels only score; no part of the model has seen one." }
        }
        dl class="tiles" {
            @for (value, name) in tiles {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}
