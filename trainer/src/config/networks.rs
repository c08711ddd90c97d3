//! Settings of the networks: q(z|x), p(x|z,c) and how q(c|x) is computed.

use serde::{Deserialize, Serialize};

use super::ranges::at_least;
use super::widths::Widths;
use crate::error::{Error, Result};

/// How q(c|x) is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterPosterior {
    /// Responsibilities of the latent mixture: softmax over c of E_q(z|x) log N(z; μ_c, σ_c² I).
    Gmm,
    /// Near the best q(c|x) given the rest (E7): the decoder's reconstruction of x takes part. Its expectation over q(z|x)
    /// is one sample of z in training and as many as are asked for in evaluation, apart from those that the bound is
    /// estimated from.
    MeanField,
    /// A learned softmax on the encoder's last hidden layer.
    Amortised,
}

/// What the encoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncoderKind {
    /// For rows of at most 32 features, whichever of `identity` and `network` puts more frames alike when fitted to two
    /// halves of them; else `network`.
    Auto,
    /// Layers that are trained.
    Network,
    /// A linear map that whitens the values, so that the mixture of section 5 on the values themselves is the model.
    Identity,
}

/// q(z|x): convolutions with stride 2 (images only), then dense layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderConfig {
    /// What the encoder is; default `auto`. What follows is of networks.
    pub kind: EncoderKind,
    /// Output channels of each convolution, each at least 1; empty for none, and ignored unless frames are images or of sound;
    /// default `auto`: none of windows, of images 16, 32, and beyond 128x128 ones of 8 before them, until at most 32,768 values are left.
    pub channels: Widths,
    /// Side of the square kernel of every convolution, an odd number; default 5.
    pub kernel: usize,
    /// Units of each dense layer, at least one layer of at least one unit; default 128.
    pub hidden: Vec<usize>,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self { kind: EncoderKind::Auto, channels: Widths::AUTO, kernel: 5, hidden: vec![128] }
    }
}

impl EncoderConfig {
    pub(super) fn check(&self) -> Result<()> {
        for &units in self.channels.list().iter().chain(&self.hidden) {
            at_least("encoder.channels, encoder.hidden", units, 1)?;
        }
        if self.hidden.is_empty() {
            return Err(Error::config("encoder.hidden", "is empty, expected at least one layer"));
        }
        if self.kernel.is_multiple_of(2) {
            return Err(Error::config("encoder.kernel", format!("{}, expected an odd number", self.kernel)));
        }
        Ok(())
    }
}

/// p(x|z,c): dense layers; c is a bias of the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecoderConfig {
    /// Units of each dense layer, at least one layer of at least one unit; default `auto`: 256, 256, of which the last is
    /// narrower where a frame has more than 65,536 values, so that it has at most 2^24 weights to these.
    pub hidden: Widths,
    /// Distribution of a value of the frame; default `auto`.
    pub likelihood: LikelihoodChoice,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self { hidden: Widths::AUTO, likelihood: LikelihoodChoice::Auto }
    }
}

impl DecoderConfig {
    pub(super) fn check(&self) -> Result<()> {
        if self.hidden == Widths::Of(Vec::new()) || self.hidden.list().contains(&0) {
            return Err(Error::config("decoder.hidden", "expected at least one layer, each of 1 or more units"));
        }
        Ok(())
    }
}

/// Distribution of a value of the frame given z and c.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LikelihoodChoice {
    /// Bernoulli for images whose values all lie in `[0, 1]`, else Gaussian on standardised values.
    Auto,
    /// Bernoulli, for any frames whose values all lie in `[0, 1]`: they are its means.
    Bernoulli,
    /// Gaussian with one learned variance.
    Gaussian,
}
