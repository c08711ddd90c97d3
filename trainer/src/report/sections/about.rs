//! The model's card, with the configuration of the run.

use maud::{PreEscaped, html};
use pulldown_cmark::{Event, Options, Parser};

use crate::error::Result;
use crate::export::{Precision, card, figures};
use crate::report::material::Findings;
use crate::report::parts::Section;

/// The card as HTML, without its title.
pub fn section(findings: &Findings<'_>) -> Result<Section> {
    let figures = findings.metrics.as_ref().and_then(figures);
    let markdown = card(findings.fitted, Precision::F16, figures.as_deref())?;
    let markdown = markdown.trim_start_matches("# Model card").replace("\n## ", "\n### ");
    // The card is ours, but what it quotes is not: HTML in it stays text.
    let events = Parser::new_ext(&markdown, Options::ENABLE_TABLES).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        other => other,
    });
    let mut text = String::new();
    pulldown_cmark::html::push_html(&mut text, events);
    let text =
        text.replace("<table>", "<div class=\"scroll\" tabindex=\"0\"><table>").replace("</table>", "</table></div>");
    let body = html! { div class="prose" { (PreEscaped(text)) } };
    Ok(Section { id: "about", short: "Card", title: "Model card and configuration", body })
}
