//! Recordings in the colours of their clusters.

use maud::html;

use crate::report::chart::timeline;
use crate::report::material::Findings;
use crate::report::parts::{Section, figure};

/// Timelines of recordings; None where frames are of none.
pub fn section(findings: &Findings<'_>) -> Option<Section> {
    let timelines = findings.timelines.as_ref()?;
    let caption = html! {
        "Windows of " (timelines.strips.len()) " of " (timelines.of) " recordings, each in the colour of its cluster, the \
        paler the less sure; a dot is a novel window. Below, the cluster that two of the last three windows have, as the \
        device decides."
    };
    let body = html! { (figure("Recordings", &timeline(&timelines.strips, timelines.unit), &caption)) };
    Some(Section { id: "recordings", short: "Recordings", title: "Recordings", body })
}
