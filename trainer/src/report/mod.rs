//! The report of a run: one HTML file that needs no network and no script.
//!
//! `material` gathers what is shown, `page` and `sections` put it into words out of `parts`,
//! `chart` and `pictures` draw it. Everything that goes into the page passes through maud, which
//! escapes it.

mod chart;
mod features;
mod history;
mod inspection;
mod material;
mod page;
mod parts;
mod pictures;
mod projection;
mod sections;

pub use chart::timeline_file;
pub use inspection::{Spread, inspection, spreads};

use std::path::Path;

use burn::tensor::Device;

use crate::compare::compare;
use crate::data::{Input, Taken};
use crate::error::Result;
use crate::fitted::Fitted;

use crate::prototypes::{changes, nearly_sure, prototypes};
use crate::timelines::timelines;
use history::History;
use material::{CHANGED, Confidence, DOUBT, Findings, Labelled, Part};
use pictures::Look;

/// The report of a fitted model as the text of an HTML file.
///
/// `run` is the run directory of the model, `input` the frames that it is shown on; `tell` hears what they were taken
/// for. Of a data set with two parts, prototypes come from the part that models are fitted on,
/// scores, calibration, novelty and the comparison with plain methods from the other. The comparison is that of
/// `trainer compare`, on at most 10,000 frames, and takes most of the time.
///
/// # Errors
/// [`crate::Error::Data`] if the frames cannot be read or have another shape than the model takes,
/// [`crate::Error::Model`] if a file of the run is damaged.
pub fn report(
    fitted: &Fitted,
    run: &Path,
    input: &Input,
    device: &Device,
    tell: &mut dyn FnMut(&Taken),
) -> Result<String> {
    let roles = input.parts();
    let alone = roles.len() == 1;
    let (mut parts, mut comparison, mut classes, mut shown) = (Vec::new(), None, None, None);
    for (index, role) in roles.iter().enumerate() {
        let set = input.open_for(*role, &fitted.expected())?;
        tell(&set.taken);
        let frames = set.frames;
        classes = set.classes;
        if index + 1 == roles.len() {
            comparison = Some(compare(fitted, &frames, device)?);
            shown = timelines(fitted, &frames, device)?;
        }
        parts.push(Part::new(fitted, (!alone).then_some(*role), &frames, device)?);
    }
    let (first, last) = (&parts[0], &parts[parts.len() - 1]);
    let labelled = last.frames.labels.as_deref().map(|labels| Labelled::new(&last.latents, labels, classes));
    let findings = Findings {
        fitted,
        run,
        source: input.name(),
        look: Look::new(fitted),
        history: History::read(run)?,
        metrics: crate::run::metrics(run)?,
        prototypes: prototypes(fitted, &first.frames, &first.latents, device)?,
        changes: changes(fitted, &last.latents, &nearly_sure(&last.latents, DOUBT, CHANGED), device)?,
        confidence: Confidence::new(fitted, last, device)?,
        labelled,
        comparison,
        timelines: shown,
        parts,
    };
    page::page(&findings)
}
