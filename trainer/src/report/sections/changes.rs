//! What would move a doubtful frame to its runner-up.

use maud::{Markup, html};

use crate::error::Result;
use crate::prototypes::Change;
use crate::report::page::{Section, percent};
use crate::report::pictures::Tile;
use crate::report::{Material, Part};

/// A card a frame.
pub fn section(material: &Material<'_>) -> Result<Section> {
    let last = material.last();
    let cards: Vec<Markup> = material.changes.iter().map(|c| card(material, last, c)).collect::<Result<_>>()?;
    let body = if cards.is_empty() {
        html! { p { "No step in the latent makes a doubtful frame's two best clusters equal." } }
    } else {
        html! {
            figure {
                div class="explained" { @for card in cards { (card) } }
                figcaption {
                    "The " (last.name()) " the model is least sure of. The step is the smallest \u{3b4} in the latent after which \
                    E log p(z|c" sub { "1" } ") = E log p(z|c" sub { "2" } ") at m + \u{3b4}: the nearest point of a sphere, or of a \
                    plane where both clusters are as wide. The last two pictures are decoded there, under either cluster; where \
                    they differ is what the choice comes down to."
                }
            }
        }
    };
    Ok(Section { id: "changes", short: "Changes", title: "What would change the answer", body })
}

fn card(material: &Material<'_>, part: &Part, change: &Change) -> Result<Markup> {
    let [first, second] = change.clusters;
    let [one, two] = change.probabilities;
    let tiles = [
        Tile::Frame(part.frames.frame(change.frame)),
        Tile::Frame(&change.before),
        Tile::Frame(&change.at_border[0]),
        Tile::Frame(&change.at_border[1]),
    ];
    let spoken =
        format!("Frame, its reconstruction in cluster {first}, and at the border in clusters {first} and {second}");
    Ok(html! {
        div class="card" {
            div class="four" aria-hidden="true" {
                span { "input" } span { "at m, " (first) } span { "border, " (first) } span { "border, " (second) }
            }
            (material.look.strip(&tiles, tiles.len(), &spoken)?)
            p class="small" {
                strong { "Cluster " (first) } ", " (percent(one)) "; then " (second) ", " (percent(two))
                "; step of " (format!("{:.2}", change.length))
                @if let Some(labels) = &part.frames.labels { "; label " (labels[change.frame]) }
            }
        }
    })
}
