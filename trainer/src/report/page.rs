//! The page: head, order of the sections, and the parts that they share.

use maud::{DOCTYPE, PreEscaped, html};

use super::chart::more_colours;
use super::material::Findings;
use super::sections;
use crate::error::Result;

/// The only style there is, in the page itself.
pub(super) const STYLE: &str = include_str!("style.css");
/// The browser refuses whatever is not in the page, should anything ask for it.
pub(super) const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// The text of the whole HTML file.
pub fn page(findings: &Findings<'_>) -> Result<String> {
    let recordings = sections::recordings::section(findings);
    let others = [
        sections::explanations::section(findings)?,
        sections::training::section(findings),
        sections::clusters::section(findings)?,
        sections::confusion::section(findings),
        sections::comparison::section(findings),
        sections::changes::section(findings)?,
        sections::geometry::section(findings)?,
        sections::calibration::section(findings),
        sections::about::section(findings)?,
    ];
    let sections: Vec<_> = recordings.into_iter().chain(others).collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                title { "Cluster VAE report: " (findings.run.display()) }
                style { (PreEscaped(STYLE)) (PreEscaped(more_colours(findings.fitted.config.clusters()))) }
            }
            body {
                header { (sections::overview::overview(findings)) }
                nav aria-label="Sections" {
                    ul { @for section in &sections { li { a href={ "#" (section.id) } { (section.short) } } } }
                }
                main {
                    @for section in &sections {
                        section id=(section.id) { h2 { (section.title) } (section.body) }
                    }
                }
                footer { p { "Written by trainer " (env!("CARGO_PKG_VERSION")) "." } }
            }
        }
    };
    Ok(page.into_string())
}
