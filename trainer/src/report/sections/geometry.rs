//! The latent: its map in two dimensions, and how far out frames lie.

use maud::html;
use rand::seq::index;

use crate::error::Result;
use crate::prototypes::components;
use crate::report::chart::{Group, Titles, histogram, scatter};
use crate::report::material::Findings;
use crate::report::parts::{Section, count, figure, percent};
use crate::report::projection::Discriminant;
use crate::rng::{Purpose, stream};

/// Stream of [`Purpose::Report`] that the frames on the map are drawn from.
const MAP_STREAM: u64 = 3;
/// Frames on the map: more would hide each other.
const ON_MAP: usize = 3000;

/// Both figures: the map of the latent, and the histogram of novelty.
pub fn section(findings: &Findings<'_>) -> Result<Section> {
    let (means, ..) = components(findings.fitted)?;
    let threshold = findings.fitted.calibration.novelty_threshold;
    let part = findings.last();
    let latents = &part.latents;
    let k = findings.fitted.config.clusters();
    let map = Discriminant::new(latents.means(), latents.log_qs(), latents.dim, k).map(|plane| {
        // Drawn over all: frames may lie sorted by class.
        let mut rng = stream(findings.fitted.config.seed, Purpose::Report, MAP_STREAM);
        let drawn = index::sample(&mut rng, latents.len(), latents.len().min(ON_MAP)).into_vec();
        let on_map = || drawn.iter().map(|&n| (latents.clusters[n], plane.place(latents.mean(n))));
        let groups: Vec<Group> = (0..k)
            .map(|c| Group {
                number: c,
                cross: plane.place(&means[c * latents.dim..][..latents.dim]),
                points: on_map().filter(|(cluster, _)| *cluster == c).map(|(_, point)| point).collect(),
            })
            .collect();
        let titles = Titles {
            spoken: "Latent means of frames in two dimensions, coloured and numbered by cluster",
            x: "first discriminant, standard deviations in a cluster",
            y: "second discriminant",
        };
        let caption = html! {
            "Latent means m of " (count(latents.len().min(ON_MAP))) " " (part.name()) ", coloured by cluster: its number \
            at their mean, a cross at \u{3bc}" sub { "c" } ". Of all planes through the latent this is the one in which the clusters lie furthest apart for \
            their width (Fisher's discriminant of q(c|x)); clusters that overlap here may be apart in another dimension."
        };
        figure("Map of the latent", &scatter(titles, &groups), &caption)
    });
    let titles =
        Titles { spoken: "Histogram of the novelty of frames, with the threshold", x: "novelty, nats", y: "frames" };
    // What a threshold from so many held-out frames has, which is what the card and the health line say.
    let rate = findings.fitted.config.novelty.expected_rate(findings.fitted.calibrated_on);
    let weight = findings.fitted.novelty.dispersion_weight;
    let caption = html! {
        "Novelty \u{2212}log \u{3a3}" sub { "c" } " p(c) exp E log p(z|c)"
        @if weight > 0.0 {
            " + " (format!("{weight:.1}")) " \u{3c6}, \u{3c6} the squared error of the reconstruction over the one that \
            the decoder expects,"
        }
        " of the " (part.name()) ". Past the threshold of "
        (format!("{threshold:.1}")) " nats a frame is called novel: " (percent(part.novel(threshold)))
        " are, and of frames like those of training " (percent(rate)) " at most on average. What lies past the axis is \
        counted in the last bar."
    };
    let body = html! {
        div class="charts wide" {
            @if let Some(map) = map { (map) }
            (figure("Novelty", &histogram(titles, &latents.novelty, f64::from(threshold)), &caption))
        }
    };
    Ok(Section { id: "latent", short: "Latent and novelty", title: "The latent, and novelty", body })
}
