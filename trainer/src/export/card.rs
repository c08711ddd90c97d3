//! The model card: what the file is, what it was made from, what it can and cannot do.

use super::windowing::windowing;
use super::{Folded, Precision, device_posterior};
use crate::config::{AugmentKind, CheckedConfig, EncoderKind};
use crate::data::FrontEnd;
use crate::data::SeenValues;
use crate::error::Result;
use crate::files::sha256;
use crate::fit::percent;
use crate::fitted::{Fitted, to_host};

/// The card as Markdown; `figures` is what [`figures`] gives, if there is any.
pub fn text(fitted: &Fitted, precision: Precision, onnx: &[u8], figures: Option<&str>) -> Result<String> {
    let config = &fitted.config;
    let folded = Folded::new(fitted)?;
    let scaling = match (&fitted.front_end, &fitted.scaling) {
        (Some(FrontEnd::Spectral(_)), _) => {
            "windows in the units of the training data; mean, log deviation and shares of the spectrum of every channel are \
             taken inside the graph"
        }
        (Some(FrontEnd::LogMel(_)), _) => {
            "windows of sound in the units of the training data; a picture of mel bands over time is made inside the graph"
        }
        (Some(FrontEnd::Tone(_)), _) => {
            "pictures in the units of the training data; shades along each picture's own main colour are taken inside the graph"
        }
        (None, None) => "values in [0, 1]; bytes are divided by 255",
        (None, Some(_)) => "values in the units of the training data; standardised inside the graph",
    };
    Ok(format!(
        "# Model card\n\n\
         | | |\n|---|---|\n\
         | file | `model.onnx`, {bytes} bytes, sha256 `{sha}` |\n\
         | weights | {precision:?}, {parameters} in encoder and heads |\n\
         | input | `frame` [N,{c},{h},{w}] f32, {scaling} |\n\
         | range of values in training | {range} |\n\
         {windows}{columns}\
         | outputs | `responsibilities` and `log_responsibilities` [N,{k}], `novelty` [N], `mu` and `log_var` [N,{d}] |\n\
         | clusters K, latent D | {k}, {d}{shares} |\n\
         | q(c\\|x) on the device | {posterior} |\n\
         | novel if novelty > | {threshold} nats, which {rate} of frames like those of the training exceed{few}, by {n} that it did not see |\n\
         {counts}| temperature of q(c\\|x) | {temperature}: {means} |\n\
         | seed | {seed} |\n\
         | training data (values) | sha256 `{data}` |\n\n\
         ## Limits\n\n\
         Clusters are numbered, not named: the model has never seen a label. It knows frames like those it was \
         fitted to, of the same size, scale and polarity. A frame with `novelty` past the threshold is unlike \
         them, and its cluster means little; a frame below it may still be of a kind that training never saw.\n\n\
         {figures}\
         ## Configuration\n\n```toml\n{toml}```\n",
        bytes = onnx.len(),
        sha = sha256(onnx),
        parameters = folded.parameters(),
        c = fitted.shape.channels,
        h = fitted.shape.height,
        w = fitted.shape.width,
        range = range(fitted.seen.as_ref()),
        windows = windows(fitted)?,
        columns = columns(fitted),
        k = config.clusters(),
        d = config.latent,
        shares = shares(fitted)?,
        posterior = device_posterior(config.cluster_posterior),
        threshold = fitted.calibration.novelty_threshold,
        temperature = fitted.calibration.temperature,
        means = meaning_of_confidence(config),
        rate = percent(config.novelty.expected_rate(fitted.calibrated_on)),
        few = if config.novelty.expected_rate(fitted.calibrated_on) > config.novelty.false_alarm_rate {
            format!(" (too few for {})", percent(config.novelty.false_alarm_rate))
        } else {
            String::new()
        },
        n = fitted.calibrated_on,
        counts = match fitted.novelty.dispersion_weight {
            0.0 => String::new(),
            weight => format!(
                "| novelty | -log p(z) + {weight} φ, φ the squared error of the frame over the one that the decoder, which \
                 is in the file, expects |\n"
            ),
        },
        seed = config.seed,
        data = fitted.data_sha256,
        figures = figures.map(|f| format!("## Figures\n\n{f}\n\n")).unwrap_or_default(),
        toml = config.to_toml()?,
    ))
}

/// p(c) of every cluster, where it is learned; empty where it is 1/K.
fn shares(fitted: &Fitted) -> Result<String> {
    let Some(log_weights) = fitted.model.prior.log_weights() else { return Ok(String::new()) };
    let k = fitted.model.prior.clusters() as f64;
    let shares = to_host(log_weights)?.into_iter().map(|log| format!("{:.3}", f64::from(log).exp() / k));
    Ok(format!("; p(c) is learned: {}", shares.collect::<Vec<_>>().join(", ")))
}

/// How recordings are cut into frames, where that is known.
fn windows(fitted: &Fitted) -> Result<String> {
    let Some(windowing) = windowing(fitted)? else { return Ok(String::new()) };
    let rate = windowing.rate().map_or("a rate that is not known".into(), |rate| format!("{rate} samples a second"));
    let (samples, hop) = (fitted.shape.width, windowing.hop());
    Ok(format!("| windows of a stream | {samples} samples, the next one {hop} samples later, at {rate} |\n"))
}

/// Names of channels or features in the order in which the model takes them.
fn columns(fitted: &Fitted) -> String {
    let listed = fitted.columns.as_ref().map(|columns| columns.join(", ").replace('|', "\\|"));
    listed.map_or(String::new(), |listed| format!("| columns in their order | {listed} |\n"))
}

/// Most channels whose ranges the card lists.
const MOST_LISTED: usize = 4;

/// The range of values seen in training, of every channel where there are few.
fn range(seen: Option<&SeenValues>) -> String {
    let Some(seen) = seen else { return "not known".into() };
    let ends = seen.least.iter().zip(&seen.most).map(|(least, most)| format!("{least} to {most}"));
    let what = match seen.least.len() {
        count @ 0..=MOST_LISTED => ends.take(count).collect::<Vec<_>>().join("; "),
        count => format!("of each of {count} columns or channels, in the file's metadata"),
    };
    what + "; a frame with a value a whole width past it is said to lie outside, and its answer is not to be trusted"
}

/// The last epoch of a run's `metrics.json` as Markdown; None if it has none.
pub fn figures(metrics: &serde_json::Value) -> Option<String> {
    let epoch = metrics.get("last_epoch")?.as_object()?;
    let names = [
        ("elbo", "evidence lower bound, eq. (6.1), nats"),
        ("reconstruction", "+ reconstruction"),
        ("alignment", "+ latent alignment"),
        ("cluster_kl", "- KL(q(c\\|x) ‖ p(c))"),
        ("latent_entropy", "+ latent entropy"),
        ("mutual_information", "I(x;c), nats"),
        ("balance", "balance H(q̄) / log K"),
        ("smallest_share", "smallest share of a cluster"),
    ];
    let row = |(key, name)| Some(format!("\n| {name} | {:.4} |", epoch.get(key)?.as_f64()?));
    let rows: Option<String> = names.into_iter().map(row).collect();
    Some(format!("Means over the epoch of training that the weights are from:\n\n| | |\n|---|---|{}", rows?))
}

/// What a confidence is the rate of, as the temperature was fitted.
fn meaning_of_confidence(config: &CheckedConfig) -> String {
    let views = match config.augment.kind {
        AugmentKind::None => "the responsibility of the model, there being no views to fit a temperature to",
        _ => "how often a random view of a held-out training frame goes to the same cluster",
    };
    let halves = match (config.encoder.kind, config.confidence.halves) {
        (EncoderKind::Identity, _) | (_, 0) => String::new(),
        (_, most) => format!(
            "; of up to {most} training frames it is no more than how often a model of half of them, which has not seen a \
             frame, puts it there"
        ),
    };
    format!("a confidence is {views}{halves}")
}
