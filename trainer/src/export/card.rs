//! The model card: what the file is, what it was made from, what it can and cannot do.

use super::{Folded, Precision, device_posterior};
use crate::error::Result;
use crate::fit::Fitted;

/// The card as Markdown; `scores` is a paragraph on measured quality, if there is one.
pub fn text(fitted: &Fitted, precision: Precision, onnx: &[u8], scores: Option<&str>) -> Result<String> {
    let config = &fitted.config;
    let folded = Folded::new(fitted)?;
    let scaling = match &fitted.scaling {
        None => "values in [0, 1]; bytes are divided by 255",
        Some(_) => "values in the units of the training data; standardised inside the graph",
    };
    Ok(format!(
        "# Model card\n\n\
         | | |\n|---|---|\n\
         | file | `model.onnx`, {bytes} bytes, sha256 `{sha}` |\n\
         | weights | {precision:?}, {parameters} in encoder and heads |\n\
         | input | `frame` [N,{c},{h},{w}] f32, {scaling} |\n\
         | outputs | `responsibilities` and `log_responsibilities` [N,{k}], `novelty` [N], `mu` and `log_var` [N,{d}] |\n\
         | clusters K, latent D | {k}, {d} |\n\
         | q(c\\|x) on the device | {posterior} |\n\
         | novel if novelty > | {threshold} nats, exceeded by {rate} of held-out training frames |\n\
         | seed | {seed} |\n\
         | training data (values) | sha256 `{data}` |\n\n\
         Clusters are numbered, not named: the model has never seen a label. A frame with `novelty` past the \
         threshold is unlike the training frames, and its cluster means little.\n\n\
         {scores}\
         ## Configuration\n\n```toml\n{toml}```\n",
        bytes = onnx.len(),
        sha = crate::run::sha256(onnx),
        parameters = folded.parameters(),
        c = fitted.shape.channels,
        h = fitted.shape.height,
        w = fitted.shape.width,
        k = config.clusters,
        d = config.latent,
        posterior = device_posterior(config.cluster_posterior),
        threshold = fitted.novelty_threshold,
        rate = config.novelty.false_alarm_rate,
        seed = config.seed,
        data = fitted.data_sha256,
        scores = scores.map(|s| format!("{s}\n\n")).unwrap_or_default(),
        toml = config.to_toml()?,
    ))
}
