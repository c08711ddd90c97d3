//! The run beside plain methods: was the network worth it?

use maud::{Markup, html};

use crate::compare::{Comparison, Row};
use crate::report::material::Findings;
use crate::report::parts::{Section, count};

/// A table of label-free figures with what they come to, and how to read them fairly.
pub fn section(findings: &Findings<'_>) -> Section {
    let body = match &findings.comparison {
        Some(comparison) => html! {
            p { (comparison.reading()) }
            (table(comparison, findings.last().name()))
        },
        None => html! { p { "Nothing was compared." } },
    };
    Section { id: "comparison", short: "Plain methods", title: "Beside k-means and mixtures", body }
}

fn table(comparison: &Comparison, frames: &str) -> Markup {
    let has_labels = comparison.rows.iter().any(|row| row.acc.is_some());
    html! {
        figure {
            div class="scroll" tabindex="0" role="region" aria-label="The run beside plain methods" {
                table class="figures" {
                    thead {
                        tr {
                            th scope="col" { "method" }
                            th scope="col" { "on" }
                            th scope="col" { "agreement" }
                            th scope="col" { "stability" }
                            @if has_labels { th scope="col" { "ACC" } }
                        }
                    }
                    tbody { @for row in &comparison.rows { (line(row, has_labels)) } }
                }
            }
            figcaption {
                "As " code { "trainer compare" } " prints it, on " (count(comparison.frames)) " " (frames)
                ". Agreement: normalised mutual information of a method's clusters with the run's. Stability: the same between \
                what the method makes of all frames when it is fitted to one half of them and to the other. The plain methods \
                get the run's number of clusters and the values themselves, no views of them; a difference of some hundredths \
                may be chance. The stability of the run would take two more trainings and is not here."
                @for reason in &comparison.left_out { " Left out: " (reason) "." }
            }
        }
    }
}

fn line(row: &Row, has_labels: bool) -> Markup {
    let number = |value: Option<f64>| value.map_or("\u{2013}".to_owned(), |value| format!("{value:.3}"));
    html! {
        tr {
            th scope="row" { (row.method) }
            td class="words" { (row.values) }
            td { (number(Some(row.agreement))) }
            td { (number(row.stability)) }
            @if has_labels { td { (number(row.acc)) } }
        }
    }
}
