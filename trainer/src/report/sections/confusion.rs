//! Clusters against labels.

use maud::html;

use crate::report::material::{Findings, Labelled};
use crate::report::parts::{Section, count};

/// A table of counts, or a sentence where there are no labels.
pub fn section(findings: &Findings<'_>) -> Section {
    let part = findings.last();
    let body = match (&findings.labelled, &part.frames.labels) {
        (Some(labelled), Some(labels)) => {
            let counts = counts(labelled, &part.latents.clusters, labels, findings.fitted.config.clusters());
            let mut order: Vec<usize> = (0..counts.len()).collect();
            order.sort_by_key(|&c| (labelled.class(c).is_none(), labelled.class(c), c));
            let s = labelled.scores;
            html! {
                figure {
                    div class="scroll" tabindex="0" role="region" aria-label="Clusters against labels" {
                        table class="confusion" {
                            thead {
                                tr {
                                    th scope="col" { "cluster" }
                                    @for class in &labelled.classes { th scope="col" { (labelled.name(*class)) } }
                                    th scope="col" class="sum" { "all" }
                                }
                            }
                            tbody {
                                @for c in order {
                                    @let sum: usize = counts[c].iter().sum();
                                    tr {
                                        th scope="row" { (c) }
                                        @for (rank, &n) in counts[c].iter().enumerate() {
                                            @let share = n as f64 / sum.max(1) as f64;
                                            @let matched = labelled.matched.get(c).copied().flatten() == Some(rank);
                                            @let strong = share > 0.4;
                                            td class=(match (matched, strong) {
                                                (true, true) => "matched strong",
                                                (true, false) => "matched",
                                                (false, true) => "strong",
                                                (false, false) => "",
                                            }) style=(format!("--share:{:.3}", share.sqrt())) {
                                                @if n > 0 { (count(n)) } @else { "\u{b7}" }
                                            }
                                        }
                                        td class="sum" { (count(sum)) }
                                    }
                                }
                            }
                        }
                    }
                    figcaption {
                        "The " (part.name()) " by cluster (rows) and label (columns). Framed cells are the best matching of one cluster to \
                        one class, which accuracy counts: ACC " (format!("{:.4}", s.acc)) ", NMI " (format!("{:.4}", s.nmi))
                        ", ARI " (format!("{:.4}", s.ari)) " over " (count(s.n)) " frames."
                    }
                }
            }
        }
        _ => html! { p { "These frames carry no labels, so there is nothing to compare the clusters with." } },
    };
    Section { id: "confusion", short: "Labels", title: "Clusters against labels", body }
}

/// Frames of each class in each cluster, `[clusters][classes]`.
fn counts(labelled: &Labelled, clusters: &[usize], labels: &[u32], k: usize) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; labelled.classes.len()]; k];
    for (cluster, label) in clusters.iter().zip(labels) {
        if let Ok(rank) = labelled.classes.binary_search(label) {
            counts[*cluster][rank] += 1;
        }
    }
    counts
}
