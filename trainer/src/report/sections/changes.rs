//! What would move a doubtful frame to its runner-up.

use maud::{Markup, html};

use crate::error::Result;
use crate::explain::{Map, heatmap};
use crate::prototypes::Change;
use crate::report::material::{Findings, Part};
use crate::report::parts::{Section, percent};
use crate::report::pictures::Tile;

/// One card for each frame that is moved.
pub fn section(findings: &Findings<'_>) -> Result<Section> {
    let last = findings.last();
    let cards: Vec<Markup> = findings.changes.iter().map(|c| card(findings, last, c)).collect::<Result<_>>()?;
    let body = if cards.is_empty() {
        html! { p { "No step in the latent makes a doubtful frame's two best clusters equal." } }
    } else {
        html! {
            figure {
                div class="explained" { @for card in cards { (card) } }
                figcaption {
                    "Of each cluster the one of the " (last.name()) " nearest to a confidence of 0.9, from below: as decoded from m \
                    under its own cluster c" sub { "1" } ", then from m + \u{3b4} under the runner-up c" sub { "2" } ". The step \
                    \u{3b4} is the smallest in the latent after which E log p(z|c" sub { "1" } ") = E log p(z|c" sub { "2" }
                    "): to the nearest point of a sphere, or of a plane where both clusters are as wide. Red is added on the way, \
                    blue taken away, white stays."
                }
            }
        }
    };
    Ok(Section { id: "changes", short: "Changes", title: "What would change the answer", body })
}

fn card(findings: &Findings<'_>, part: &Part, change: &Change) -> Result<Markup> {
    let [first, second] = change.clusters;
    let [one, two] = change.probabilities;
    let difference: Vec<f32> = change.after.iter().zip(&change.before).map(|(after, before)| after - before).collect();
    let tiles = [
        Tile::Frame(part.shown.frame(change.frame)),
        Tile::Frame(&change.before),
        Tile::Frame(&change.after),
        Tile::Map(Map::Contrast, &difference, heatmap::span(Map::Contrast, &difference)),
    ];
    let spoken =
        format!("Frame, its reconstruction in cluster {first}, at the border in cluster {second}, and the difference");
    Ok(html! {
        div class="card" {
            div class="four" aria-hidden="true" {
                span { "input" } span { "in " (first) } span { "in " (second) } span { "difference" }
            }
            (findings.look.strip(&tiles, tiles.len(), &spoken)?)
            p class="small" {
                strong { "Cluster " (first) } ", " (percent(one)) "; then " (second) ", " (percent(two))
                "; step of " (format!("{:.2}", change.length))
                @if let Some(labels) = &part.frames.labels { "; label " (labels[change.frame]) }
            }
        }
    })
}
