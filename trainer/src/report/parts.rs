//! Parts that the sections of the page have in common.

use maud::{Markup, html};

/// A section that has something to show.
pub struct Section {
    /// Address of the section in the page.
    pub id: &'static str,
    /// Name of the section in the list of sections.
    pub short: &'static str,
    /// Heading of the section.
    pub title: &'static str,
    /// Content of the section.
    pub body: Markup,
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
