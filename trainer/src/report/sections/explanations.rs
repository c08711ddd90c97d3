//! The critic heatmap: figures 2 and 3 of the paper.

use maud::{Markup, html};

use crate::data::Role;
use crate::error::Result;
use crate::explain::{Explanation, Map, heatmap};
use crate::report::features;
use crate::report::material::{Findings, Part};
use crate::report::parts::{Section, figure, percent};
use crate::report::pictures::{Tile, scale, span};

/// Both figures of the critic heatmap, under a legend of the maps.
pub fn section(findings: &Findings<'_>) -> Result<Section> {
    let maps = |map: Map| {
        let shape = findings.fitted.inner_shape();
        let kind = findings.fitted.inner_kind();
        let all = findings.parts.iter().flat_map(|part| &part.explained);
        let joined: Vec<Vec<f32>> = all.map(|(_, e)| heatmap::joined(map, e.map(map), shape, kind)).collect();
        span(map, joined.iter().map(Vec::as_slice))
    };
    let spans = Map::ALL.map(maps);
    let figures: Vec<Markup> =
        findings.parts.iter().map(|part| of_part(findings, part, spans)).collect::<Result<_>>()?;
    let body = html! {
        p {
            "Each frame with its reconstruction, the mean of p(x|m,c" sub { "1" } ") under its most probable cluster c"
            sub { "1" } ", and three maps that say, value by value, what the decision rests on. " (findings.look.legend()) " The colours of a map are the same throughout \
            the page; the outermost half percent of its values takes the last colour."
        }
        (legend(spans)?)
        @for figure in figures { (figure) }
    };
    Ok(Section { id: "explanations", short: "Heatmaps", title: "Why a frame goes to its cluster", body })
}

/// The three maps: what they are, and their colours.
fn legend(spans: [[f32; 2]; 3]) -> Result<Markup> {
    let text = |map: Map| match map {
        Map::Trust => (
            "Trust",
            html! { "exp(\u{2212}\u{bd} E(x" sub { "p" } " \u{2212} x\u{302}" sub { "p" } ")\u{b2} / s\u{b2})" },
            "Where the reconstruction holds. Dark places are not explained by the model.",
        ),
        Map::Contrast => (
            "Contrast",
            html! {
                "E log p(x" sub { "p" } "|z,c" sub { "1" } ") \u{2212} E log p(x" sub { "p" } "|z,c" sub { "2" } ")"
            },
            "What speaks for the cluster (red) and for the runner-up (blue), in nats. It adds up to what the decoder has to \
             say on the choice between the two.",
        ),
        Map::Surprise => (
            "Surprise",
            html! { "\u{2212}log p(x" sub { "p" } "|x,c" sub { "1" } "), standardised" },
            "Where the frame is not what its cluster leads to expect, in standard deviations. Novelty shows here.",
        ),
    };
    let bars = Map::ALL.map(scale).into_iter().collect::<Result<Vec<_>>>()?;
    Ok(html! {
        ul class="legend" {
            @for ((map, bar), [low, high]) in Map::ALL.into_iter().zip(bars).zip(spans) {
                @let (name, equation, meaning) = text(map);
                li {
                    strong { (name) } " " span class="equation" { (equation) }
                    div class="scale" {
                        span { (signed(low)) }
                        img src=(bar) alt={ "Colours of " (map) ", from low to high" };
                        span { (signed(high)) }
                    }
                    (meaning)
                }
            }
        }
    })
}

fn signed(value: f32) -> String {
    let text = if value.abs() >= 10.0 || value.fract() == 0.0 {
        format!("{:.0}", value.abs())
    } else {
        format!("{:.1}", value.abs())
    };
    if value < 0.0 { format!("\u{2212}{text}") } else { text }
}

fn of_part(findings: &Findings<'_>, part: &Part, spans: [[f32; 2]; 3]) -> Result<Markup> {
    let cards: Vec<Markup> =
        part.explained.iter().map(|(n, e)| card(findings, part, *n, e, spans)).collect::<Result<_>>()?;
    let (title, caption) = match part.role {
        None => ("Frames", "As figures 2 and 3 of the paper, for the frames given."),
        Some(Role::Fit) => ("Training frames", "As figure 2 of the paper."),
        Some(Role::Score) => ("Test frames", "As figure 3 of the paper: frames that training never saw."),
    };
    let body = html! { div class="explained" { @for card in cards { (card) } } };
    let caption = html! {
        (caption) " The first frame of each cluster, then the frames the model is least sure of. A good model shows bright \
        trust on both kinds; a contrast that is pale all over belongs to a frame that could be either."
    };
    Ok(figure(title, &body, &caption))
}

fn card(findings: &Findings<'_>, part: &Part, n: usize, e: &Explanation, spans: [[f32; 2]; 3]) -> Result<Markup> {
    let tiles = [
        Tile::Frame(part.shown.frame(n)),
        Tile::Frame(&e.reconstruction),
        Tile::Map(Map::Trust, &e.trust, spans[0]),
        Tile::Map(Map::Contrast, &e.contrast, spans[1]),
        Tile::Map(Map::Surprise, &e.surprise, spans[2]),
    ];
    let sure = |cluster: usize| percent(f64::from(e.log_q[cluster]).exp());
    let spoken = format!("Frame of cluster {}: input, reconstruction, trust, contrast, surprise", e.cluster);
    Ok(html! {
        div class="card" {
            div class="five" aria-hidden="true" {
                span { "input" } span { "recon." } span { "trust" } span { "contrast" } span { "surprise" }
            }
            (findings.look.strip(&tiles, tiles.len(), &spoken)?)
            @if findings.look.spectral().is_some() {
                @let window = part.frames.frame(n);
                (findings.look.strip(&[Tile::Window(window), Tile::Spectrum(window)], 2, "The window, and its spectrum")?)
            }
            p class="small" {
                strong { "Cluster " (e.cluster) } ", " (sure(e.cluster)) "; then " (e.runner_up) ", " (sure(e.runner_up))
                @if let Some(labels) = &part.frames.labels {
                    "; label " (findings.labelled.as_ref().map_or_else(|| labels[n].to_string(), |l| l.name(labels[n]).to_string()))
                }
                @if let Some(features) = features::rests_on(findings.fitted, e) { "; most in the contrast: " (features) }
            }
        }
    })
}
