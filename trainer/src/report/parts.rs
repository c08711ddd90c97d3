//! What the sections of the page are made of.

use maud::{Markup, html};

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
