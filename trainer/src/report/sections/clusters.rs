//! The clusters: shares, prototypes, walks through the latent.

use maud::{Markup, html};

use crate::error::Result;
use crate::prototypes::{PLACES, Prototype};
use crate::report::features;
use crate::report::material::{Findings, Part};
use crate::report::parts::{Section, count, percent};
use crate::report::pictures::Tile;

/// Number of pictures that a row has room for.
const COLUMNS: usize = PLACES.len();

/// One card for each cluster.
pub fn section(findings: &Findings<'_>) -> Result<Section> {
    let first = &findings.parts[0];
    let cards: Vec<Markup> = findings.prototypes.iter().map(|p| card(findings, first, p)).collect::<Result<_>>()?;
    let most = findings.prototypes.iter().map(|p| p.share).fold(0.0, f64::max);
    let body = html! {
        figure {
            (shares(findings, most))
            figcaption {
                "Share of the " (first.name()) " that each cluster holds, the mean of q(c|x); the line is an equal share, 1/K."
            }
        }
        figure {
            div class="clusters" { @for card in cards { (card) } }
            figcaption {
                strong { "Decoded mean" } ": the mean of p(x|\u{3bc}" sub { "c" } ",c), then the three " (first.name())
                " of the cluster nearest to it. " strong { "Typical" } ": the largest E log p(z|c). " strong { "Doubtful" }
                ": the smallest q(c|x). " strong { "Walks" } ": decoded from \u{2212}3 to +3 standard deviations through \u{3bc}"
                sub { "c" } " along the two directions in which the latents of the cluster vary most, the first two \
                eigenvectors of Cov(m) + E diag v over its frames. " (findings.look.legend())
                @if let Some(order) = features::order(findings.fitted) { " " (order) }
                @if findings.look.spectral().is_some() {
                    " " strong { "As windows" } ": the samples behind the features, a line a channel over time, within three standard \
                    deviations of its mean; beside the frames a window that has the features of the decoded mean, a sine in the \
                    middle of each band. " strong { "Their spectra" } ": logarithm of the power, from silence to a single tone, of \
                    all frequencies up to half of the rate."
                }
            }
        }
    };
    Ok(Section { id: "clusters", short: "Clusters", title: "Clusters and what they stand for", body })
}

fn shares(findings: &Findings<'_>, most: f64) -> Markup {
    let equal = 1.0 / findings.prototypes.len().max(1) as f64;
    let scale = most.max(equal) * 1.02;
    html! {
        div class="shares" role="img" aria-label="Share of the frames in each cluster" {
            @for p in &findings.prototypes {
                div class="row" {
                    span class="name" { (p.cluster) }
                    span class="track" style=(format!("--equal:{:.2}%", 100.0 * equal / scale)) {
                        span class={ "fill " (crate::report::chart::colour(p.cluster)) }
                            style=(format!("width:{:.2}%", 100.0 * p.share / scale)) {}
                    }
                    span class="value" { (percent(p.share)) }
                }
            }
        }
    }
}

fn card(findings: &Findings<'_>, part: &Part, p: &Prototype) -> Result<Markup> {
    let look = &findings.look;
    let frames = |which: &[usize]| which.iter().map(|&n| Tile::Frame(part.shown.frame(n))).collect::<Vec<_>>();
    let row = |name: &str, tiles: &[Tile<'_>]| -> Result<Markup> {
        let strip = look.strip(tiles, COLUMNS, &format!("Cluster {}: {name}", p.cluster))?;
        Ok(html! { div class="named" { span class="small" { (name) } (strip) } })
    };
    let mut rows =
        vec![row("decoded mean, nearest frames", &[vec![Tile::Frame(&p.decoded_mean)], frames(&p.nearest)].concat())?];
    let fitted = findings.fitted;
    let made = look.spectral().map(|spectral| spectral.window(&p.decoded_mean, fitted.shape.width));
    // The windows behind features, and their spectra.
    let behind = |first: &[&[f32]], which: &[usize]| -> Result<Vec<Markup>> {
        let windows: Vec<&[f32]> = first.iter().copied().chain(which.iter().map(|&n| part.frames.frame(n))).collect();
        let tiles = |tile: fn(&[f32]) -> Tile<'_>| windows.iter().map(|window| tile(window)).collect::<Vec<_>>();
        Ok(vec![row("as windows", &tiles(|w| Tile::Window(w)))?, row("their spectra", &tiles(|w| Tile::Spectrum(w)))?])
    };
    if let Some(made) = &made {
        rows.extend(behind(&[made], &p.nearest)?);
    }
    if p.frames > 0 {
        rows.push(row("typical", &frames(&p.typical))?);
        if made.is_some() {
            rows.extend(behind(&[], &p.typical)?);
        }
        rows.push(row("doubtful", &frames(&p.doubtful))?);
    }
    for (rank, walk) in p.traversals.iter().enumerate() {
        let tiles: Vec<Tile<'_>> =
            walk.decoded.chunks_exact(findings.fitted.inner_shape().len()).map(Tile::Frame).collect();
        let name = format!("walk {}, a step is {:.2} in the latent", rank + 1, walk.direction.deviation);
        rows.push(row(&name, &tiles)?);
    }
    Ok(html! {
        div class="card" {
            h3 {
                span class={ "swatch " (crate::report::chart::colour(p.cluster)) } {}
                "Cluster " (p.cluster)
                @if let Some(class) = findings.labelled.as_ref().and_then(|l| l.class(p.cluster).map(|class| l.name(class))) {
                    span class="aside" { "class " (class) }
                }
            }
            p class="small" {
                (count(p.frames)) " frames, " (percent(p.share)) "; \u{3c3}" sub { "c" } " = " (format!("{:.2}", p.deviation))
            }
            @if let Some(apart) = features::apart(findings.fitted, &p.decoded_mean) {
                p class="small" { "decoded mean: " (apart) }
            }
            @for row in rows { (row) }
        }
    })
}
