//! The names in an exported ONNX model: written by the trainer, read by [`crate::Engine`].
//!
//! | tensor | meaning |
//! |---|---|
//! | input `frame` | `[N,C,H,W]` f32, values in the units of the training data (bytes divided by 255) |
//! | output `mu`, `log_var` | m and log v of q(z\|x), `[N,D]` f32 |
//! | output `log_responsibilities`, `responsibilities` | log q(c\|x), q(c\|x), `[N,K]` f32 |
//! | output `novelty` | -log p(z) under the mixture, with a decoder plus its weight times the dispersion, `[N]` f32, nats |
//! | initializer `head.mu_c` | `[K,D]` f32 |
//! | initializer `head.log_var_c` | `[K]` f32 |
//! | initializer `head.log_weights` | log K p(c) `[K]` f32, only in version 3, where p(c) is not 1/K |
//!
//! `decoder.onnx` takes `z` `[N,D]` f32 and `cluster` `[N]` i64 and gives `reconstruction` `[N,C,H,W]` f32; `critic.onnx`
//! takes `frame` and `mu` and gives `trust` `[N,C,H,W]` f32: exp(-(x - x̂)²/(2s²)) of every value,
//! x̂ what the critic expects of it, s the noise of a value.
//!
//! Nodes of the front end, where there is one, have names that begin with `frontend/`, from `frame` to [`FEATURES`]; an
//! engine can leave them to [`crate::FrontEnd`], whose numbers are the initializers [`CENTRE`], [`CHANNEL_FACTOR`] and
//! [`FLOOR`] and the keys [`FRONT_END_KEY`], [`LENGTH_KEY`] and [`EDGES_KEY`], of sound also [`STEPS_KEY`] and
//! [`FRONT_END_RATE_KEY`]. `reconstruction` and `trust` are then of features, `[N,C,1,F]`, of sound `[N,1,C·B,T]`.
//!
//! Nodes of the head have names that begin with `head/`, so that an engine can leave them to [`crate::Head`]. A model
//! whose novelty counts the decoder says so by [`DISPERSION_KEY`], and has the keys of `decoder.onnx` and its layers,
//! nodes and initializers that begin with `decoder/`, from `mu` and [`CLUSTER`] to [`DECODED`]; what becomes of those
//! begins with `dispersion/`, and is [`crate::Dispersion`]'s.

/// Input of the model, and of `critic.onnx`: frames `[N,C,H,W]` f32.
pub const INPUT: &str = "frame";
/// Output: the mean m of q(z|x) `[N,D]`.
pub const MU: &str = "mu";
/// Output: the log-variance log v of q(z|x) `[N,D]`.
pub const LOG_VAR: &str = "log_var";
/// Output: logits of a learned cluster head `[N,K]`; absent where the mixture gives the responsibilities.
pub const CLUSTER_LOGITS: &str = "cluster_logits";
/// Output: log q(c|x) `[N,K]`.
pub const LOG_RESPONSIBILITIES: &str = "log_responsibilities";
/// Output: q(c|x) `[N,K]`.
pub const RESPONSIBILITIES: &str = "responsibilities";
/// Output of `critic.onnx`, which takes the frame and [`MU`]: the trust of every value, in (0, 1].
pub const TRUST: &str = "trust";
/// Output: novelty, -log p(z) under the mixture, and what counts besides `[N]`, nats.
pub const NOVELTY: &str = "novelty";
/// Initializer: the means μ_c of the mixture `[K,D]`.
pub const MU_C: &str = "head.mu_c";
/// Initializer: the log-variances log σ_c² of the mixture `[K]`.
pub const LOG_VAR_C: &str = "head.log_var_c";
/// Initializer: log K p(c) of the mixture `[K]`; absent where p(c) is 1/K.
pub const LOG_WEIGHTS: &str = "head.log_weights";
/// How the names of the front end's nodes begin.
pub const FRONT_END_NODES: &str = "frontend/";
/// How the names of the front end's initializers begin.
pub const FRONT_END_INITIALIZERS: &str = "frontend.";
/// What the front end gives, `[N,C,1,F]`, of sound `[N,1,C·B,T]`; a frame takes its place in models without.
pub const FEATURES: &str = "features";
/// Initializer: what the front end subtracts from the samples of a channel `[C,1]`.
pub const CENTRE: &str = "frontend.centre";
/// Initializer: what the front end then multiplies them by `[C,1]`.
pub const CHANNEL_FACTOR: &str = "frontend.factor";
/// Initializer: the least power of a channel `[C,1]`, which is added to every power before its
/// logarithm; of [`TONE`] what is added to the contrast of a picture `[]`.
pub const FLOOR: &str = "frontend.floor";
/// Key of the kind of front end, [`SPECTRAL`], [`TONE`] or [`LOG_MEL`]; absent in models without.
pub const FRONT_END_KEY: &str = "cluster_vae.front_end";
/// The value of [`FRONT_END_KEY`] for [`crate::Spectral`].
pub const SPECTRAL: &str = "spectral";
/// The value of [`FRONT_END_KEY`] for [`crate::Tone`].
pub const TONE: &str = "tone";
/// The value of [`FRONT_END_KEY`] for [`crate::LogMel`].
pub const LOG_MEL: &str = "log-mel";
/// Key of the length N of the spectrum, a decimal number.
pub const LENGTH_KEY: &str = "cluster_vae.front_end_length";
/// Key of the first line of each band and the line after the last `[B+1]`, decimal numbers between commas; of sound the lines
/// at which triangles begin, peak and end `[B+2]`.
pub const EDGES_KEY: &str = "cluster_vae.front_end_edges";
/// Key of the samples from a spectrum to the next, the steps of time, and the spectra of a step ([`crate::Steps`]), decimal
/// numbers between commas.
pub const STEPS_KEY: &str = "cluster_vae.front_end_steps";
/// Key of the samples a second that the front end names its bands and times by.
pub const FRONT_END_RATE_KEY: &str = "cluster_vae.front_end_rate";
/// How the names of the head's nodes begin.
pub const HEAD_NODES: &str = "head/";

/// How the names of the decoder's nodes and initializers begin, in a model whose novelty counts it.
pub const DECODER_NODES: &str = "decoder/";
/// How the names of the nodes begin that make novelty of what the decoder gives.
pub const DISPERSION_NODES: &str = "dispersion/";
/// The most probable cluster `[N]` i64, which the decoder in a model is run for.
pub const CLUSTER: &str = "head.cluster";
/// What the decoder in a model gives `[N,P]`, as [`NATURAL`].
pub const DECODED: &str = "decoder/natural";

/// Output of the decoder: logits (Bernoulli) or means after scaling (Gaussian), `[N,P]` f32.
pub const NATURAL: &str = "natural";
/// Shift of the standardisation (value - shift) · factor, an initializer of the shape of what the encoder takes.
pub const SHIFT: &str = "scaling.shift";
/// Factor of the standardisation (value - shift) · factor, an initializer of the shape of what the encoder takes.
pub const FACTOR: &str = "scaling.factor";
/// Key of the decoder's likelihood, `bernoulli` or `gaussian`.
pub const LIKELIHOOD_KEY: &str = "cluster_vae.likelihood";
/// Key of s², the noise of a value after scaling, a decimal number.
pub const NOISE_KEY: &str = "cluster_vae.noise";
/// Key of the nats that novelty counts for a dispersion of 1, a decimal number; a model without it has no decoder.
pub const DISPERSION_KEY: &str = "cluster_vae.dispersion_weight";
/// Key of the format's version in `metadata_props`.
pub const VERSION_KEY: &str = "cluster_vae.version";
/// The version of the format, as a value of [`VERSION_KEY`], of a model with p(c) = 1/K.
pub const VERSION: &str = "2";
/// The version of a model with [`LOG_WEIGHTS`], which who knows version 2 alone would leave out.
pub const VERSION_WEIGHTED: &str = "3";
/// Key of the novelty threshold, a decimal number, nats, where novelty is that of the latent alone.
pub const THRESHOLD_KEY: &str = "cluster_vae.novelty_threshold";
/// Key of the novelty threshold where novelty counts the decoder; [`THRESHOLD_KEY`] is then absent, so that a reader that
/// knows no decoder refuses the model.
pub const DECODER_THRESHOLD_KEY: &str = "cluster_vae.decoder_novelty_threshold";
/// Key of the temperature of q(c|x), a decimal number; the graph divides by it too.
pub const TEMPERATURE_KEY: &str = "cluster_vae.temperature";
/// Key of what a frame is, `image`, `window` or `features`; absent where its shape says so.
pub const KIND_KEY: &str = "cluster_vae.kind";
/// Key of the encoder's kind in `decoder.onnx`; absent of a network.
pub const ENCODER_KEY: &str = "cluster_vae.encoder";
/// [`ENCODER_KEY`] of a mixture on the values: the decoder is linear with orthogonal columns, and the encoder its inverse.
pub const IDENTITY: &str = "identity";
/// Key of the names of the features in the order of the frame, a list in JSON; absent where they have none.
pub const COLUMNS_KEY: &str = "cluster_vae.columns";
/// Key of how files of frames were read that the model was fitted to, an object in JSON; for the trainer alone.
pub const MANNER_KEY: &str = "cluster_vae.manner";
/// Key of the least value that training saw of every channel or column `[G]`, decimal numbers between commas, in the units
/// of the training data; a model without it, as those of before 2026-11-27, does not say.
pub const LEAST_KEY: &str = "cluster_vae.range_least";
/// Key of the largest value that training saw, as [`LEAST_KEY`].
pub const MOST_KEY: &str = "cluster_vae.range_most";
/// Key of the standard deviation of the values that training saw, as [`LEAST_KEY`]; no engine needs it.
pub const DEVIATION_KEY: &str = "cluster_vae.range_deviation";
/// Key of the samples from the begin of a window to that of the next, a decimal number; absent where frames are not cut out
/// of recordings.
pub const HOP_KEY: &str = "cluster_vae.hop";
/// Key of the samples a second of those recordings, a decimal number; absent where that is not known.
pub const RATE_KEY: &str = "cluster_vae.rate";
/// Key of the checksum: CRC-32C of the whole file with the checksum's own digits read as `0`.
pub const CHECKSUM_KEY: &str = "cluster_vae.crc32c";
/// Digits of the checksum, hexadecimal.
pub const CHECKSUM_DIGITS: usize = 8;
