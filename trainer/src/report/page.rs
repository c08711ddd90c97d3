//! The page: head, order of the sections, and the parts that they share.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Material, sections};
use crate::error::Result;

/// The only style there is, in the page itself.
const STYLE: &str = include_str!("style.css");
/// The browser refuses whatever is not in the page, should anything ask for it.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// A section that has something to show.
pub struct Section {
    /// Its address in the page.
    pub id: &'static str,
    /// What it is called in the list of sections.
    pub short: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What it shows.
    pub body: Markup,
}

/// The whole file.
pub fn page(material: &Material<'_>) -> Result<String> {
    let sections = [
        sections::explanations::section(material)?,
        sections::training::section(material),
        sections::clusters::section(material)?,
        sections::confusion::section(material),
        sections::changes::section(material)?,
        sections::geometry::section(material)?,
        sections::calibration::section(material),
        sections::about::section(material)?,
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                title { "Cluster VAE report: " (material.run.display()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { (sections::overview::overview(material)) }
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

/// A figure with its heading above and what to look for below.
pub fn figure(title: &str, body: &Markup, caption: &Markup) -> Markup {
    html! {
        figure {
            @if !title.is_empty() { h3 { (title) } }
            (body)
            figcaption { (caption) }
        }
    }
}

/// A share as a percentage with one decimal.
pub fn percent(share: f64) -> String {
    format!("{:.1}\u{202f}%", 100.0 * share)
}

/// A count, with its thousands apart.
pub fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && digits.len() > 4 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}
