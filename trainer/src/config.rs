//! Every hyperparameter, its default and its range.
//!
//! A [`Config`] may hold anything; only [`Config::check`] makes the [`Checked`] one that can be fitted.

use std::ops::Deref;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result};
use crate::frame::{FrameKind, FrameShape};

/// All settings of a run. `config.toml` in a run directory is this, every default written out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seed of every random number of the run.
    pub seed: u64,
    /// What a frame is.
    pub frames: FrameChoice,
    /// Clusters K, or `"auto"` to find K between 2 and `mixture.most_clusters`.
    pub clusters: Clusters,
    /// Latent dimensions D.
    pub latent: usize,
    /// How q(c|x) is computed.
    pub cluster_posterior: ClusterPosterior,
    /// q(z|x).
    pub encoder: EncoderConfig,
    /// p(x|z,c).
    pub decoder: DecoderConfig,
    /// Random views of a frame.
    pub augment: AugmentConfig,
    /// Stage 1: a VAE without clusters.
    pub pretrain: PretrainConfig,
    /// Stage 2: EM on the latent means.
    pub mixture: MixtureConfig,
    /// Stage 3: the cluster VAE.
    pub refine: RefineConfig,
    /// When a clustering counts as collapsed.
    pub collapse: CollapseConfig,
    /// Novelty threshold.
    pub novelty: NoveltyConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            frames: FrameChoice::Auto,
            clusters: Clusters::Count(10),
            latent: 10,
            cluster_posterior: ClusterPosterior::Gmm,
            encoder: EncoderConfig::default(),
            decoder: DecoderConfig::default(),
            augment: AugmentConfig::default(),
            pretrain: PretrainConfig::default(),
            mixture: MixtureConfig::default(),
            refine: RefineConfig::default(),
            collapse: CollapseConfig::default(),
            novelty: NoveltyConfig::default(),
        }
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameChoice {
    /// By its shape: see [`FrameShape::kind`].
    Auto,
    /// `[C,H,W]`.
    Image,
    /// `[C,1,W]` or `[1,C,W]`: C sensor channels.
    Window,
    /// Values without order.
    Features,
}

impl FrameChoice {
    /// The kind of frames of this shape.
    pub fn of(self, shape: FrameShape) -> FrameKind {
        match self {
            Self::Auto => shape.kind(),
            Self::Image => FrameKind::Image,
            Self::Window => FrameKind::Window,
            Self::Features => FrameKind::Features,
        }
    }
}

/// How many clusters there are: a number, or the word `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clusters {
    /// K.
    Count(usize),
    /// To be found.
    Auto,
}

impl Serialize for Clusters {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Count(k) => serializer.serialize_u64(*k as u64),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Clusters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Clusters;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of clusters or \"auto\"")
            }

            fn visit_u64<E: de::Error>(self, k: u64) -> std::result::Result<Clusters, E> {
                let k = usize::try_from(k).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(k), &self))?;
                Ok(Clusters::Count(k))
            }

            fn visit_i64<E: de::Error>(self, k: i64) -> std::result::Result<Clusters, E> {
                let count = u64::try_from(k).map_err(|_| E::invalid_value(de::Unexpected::Signed(k), &self))?;
                self.visit_u64(count)
            }

            fn visit_str<E: de::Error>(self, word: &str) -> std::result::Result<Clusters, E> {
                if word == "auto" {
                    Ok(Clusters::Auto)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(word), &self))
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// How q(c|x) is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterPosterior {
    /// Responsibilities of the latent mixture: softmax over c of E_q(z|x) log N(z; μ_c, σ_c² I).
    Gmm,
    /// The best q(c|x) given the rest (E7): the decoder's reconstruction of x takes part.
    MeanField,
    /// A learned softmax on the encoder's last hidden layer.
    Amortised,
}

/// q(z|x): convolutions with stride 2 (images only), then dense layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderConfig {
    /// Output channels of each convolution; empty for none. Ignored unless frames are images.
    pub channels: Vec<usize>,
    /// Side of the square kernel, odd.
    pub kernel: usize,
    /// Units of each dense layer.
    pub hidden: Vec<usize>,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self { channels: vec![16, 32], kernel: 5, hidden: vec![128] }
    }
}

/// p(x|z,c): dense layers; c is a bias of the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecoderConfig {
    /// Units of each dense layer.
    pub hidden: Vec<usize>,
    /// Distribution of a value of the frame.
    pub likelihood: Likelihood,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self { hidden: vec![256, 256], likelihood: Likelihood::Auto }
    }
}

/// Distribution of a value of the frame given z and c.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Likelihood {
    /// Bernoulli where every value lies in `[0, 1]`, else Gaussian.
    Auto,
    /// Bernoulli; values are means in `[0, 1]`.
    Bernoulli,
    /// Gaussian with one learned variance.
    Gaussian,
}

/// Which family of random maps makes the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AugmentKind {
    /// By what a frame is.
    Auto,
    /// No change.
    None,
    /// Rotation, scale, shear, shift, elastic displacement, thickness of strokes.
    Image,
    /// Shift, gain, noise, time-warp.
    Window,
    /// Noise, dropout.
    Features,
    /// No map: another frame near it stands for a view, which asks for no knowledge of what a frame is.
    Neighbours,
}

/// Half-widths of the uniform ranges that views are drawn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Family of maps.
    pub kind: AugmentKind,
    /// Rotation of an image, degrees.
    pub rotation: f64,
    /// Relative change of size of an image, or of the gain of a window.
    pub scale: f64,
    /// Shear of an image, columns a row.
    pub shear: f64,
    /// Shift, as a share of half the width (and height).
    pub shift: f64,
    /// Elastic displacement of an image, as a share of half the width (and height).
    pub elastic: f64,
    /// How far an image is blended with its dilation or its erosion over 3x3 pixels; 1 is all the way.
    pub thickness: f64,
    /// Warp in time of a window, as a share of half the width.
    pub warp: f64,
    /// Standard deviation of additive noise on windows and features.
    pub noise: f64,
    /// Share of the features that are set to their mean.
    pub dropout: f64,
    /// How many of the nearest frames may stand for a view.
    pub neighbours: usize,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            kind: AugmentKind::Auto,
            rotation: 20.0,
            scale: 0.15,
            shear: 0.3,
            shift: 0.15,
            elastic: 0.07,
            thickness: 0.3,
            warp: 0.1,
            noise: 0.1,
            dropout: 0.1,
            neighbours: 10,
        }
    }
}

/// Stage 1: a VAE that reconstructs the untouched frame from a view of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PretrainConfig {
    /// Training steps.
    pub steps: usize,
    /// Frames a step.
    pub batch: usize,
    /// Adam's learning rate at the start.
    pub learning_rate: f64,
    /// What becomes of it.
    ///
    /// A constant one keeps the latents of complete MNIST coarse. Falling to 0, it makes them fine enough to tell
    /// two ways of writing a digit apart, and EM then finds those: ACC of seed 1 is 0.986 at a constant 1e-3, and
    /// was 0.974 at 3e-3 falling to 0.
    pub schedule: Schedule,
    /// Weight of KL(q(z|x) ‖ N(0, I)).
    pub kl_weight: f64,
    /// Weight of the squared distance between the means of two views of a frame.
    pub pull: f64,
    /// Multiplies the augmentation ranges.
    pub strength: f64,
    /// Whether elastic displacement and thickness take part. They do in stage 3; here they would make the latents forget
    /// what tells some digits apart.
    pub deform: bool,
}

impl Default for PretrainConfig {
    fn default() -> Self {
        Self {
            steps: 3750,
            batch: 256,
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            kl_weight: 0.5,
            pull: 5.0,
            strength: 1.0,
            deform: false,
        }
    }
}

/// How the learning rate changes over a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// It falls to 0 along a cosine.
    Cosine,
}

impl Schedule {
    /// The learning rate of `step`, counted from 0, of `steps`.
    pub fn at(self, start: f64, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => start,
            Self::Cosine => start * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos()),
        }
    }
}

/// Stage 2: a Gaussian mixture fitted to the latent means by EM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MixtureConfig {
    /// Starts; the highest likelihood is kept. 0 leaves EM out: every cluster starts as the same Gaussian, which
    /// shows what EM is for.
    pub restarts: usize,
    /// EM iterations of a start.
    pub max_iter: usize,
    /// Gain in mean log-likelihood under which EM has converged, nats.
    pub tol: f64,
    /// Added to the diagonal of the covariances.
    pub reg_covar: f64,
    /// Share of the pooled covariance in that of every component. Without it a component that has grown wide gathers
    /// what is rare in the others, such as crossed sevens, and stage 3 keeps them there.
    pub pooling: f64,
    /// Rounds of split-and-merge moves tried on the best start.
    pub moves: usize,
    /// Least H(q̄) / log K of EM's clusters: below it stage 1 begins again from other weights, as long as
    /// `collapse.restarts` allows; the last attempt goes on whatever its balance. For data whose classes are about as
    /// frequent, where a partition that puts two classes into one cluster shows in its balance.
    pub balance: f64,
    /// Least share of the latent dimensions that stage 1 must have put to use, those whose mean varies by more than 0.01
    /// over the frames (active units, Burda et al. 2016): below it stage 1 begins again, as for `balance`. A latent that
    /// has collapsed to fewer dimensions than the frames need lays kinds of frames over each other: of 10 digits need 7, with
    /// the convolutional encoder. Looked at for images only.
    pub active_units: f64,
    /// Frames EM looks at.
    pub max_frames: usize,
    /// Most clusters that `clusters = "auto"` looks for.
    pub most_clusters: usize,
}

impl Default for MixtureConfig {
    fn default() -> Self {
        Self {
            restarts: 12,
            max_iter: 100,
            tol: 1e-4,
            reg_covar: 1e-3,
            pooling: 0.3,
            moves: 10,
            balance: 0.0,
            active_units: 0.0,
            max_frames: 20_000,
            most_clusters: 16,
        }
    }
}

/// Stage 3: the bound of eq. (6.1), with its charge on information given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefineConfig {
    /// Training steps.
    pub steps: usize,
    /// Frames a step.
    pub batch: usize,
    /// Adam's learning rate at the start; it falls to 0 along a cosine.
    pub learning_rate: f64,
    /// Whether the bound charges for I(x;c), as eq. (6.1) does as it stands (E12).
    pub charge: bool,
    /// Weight λ of the mutual information between the clusters of a frame and of its view.
    pub information: f64,
    /// Weight κ of the divergence between the two.
    pub consistency: f64,
    /// Multiplies the augmentation ranges.
    pub strength: f64,
    /// How the expectation over c of the reconstruction is computed.
    pub decoder_passes: DecoderPasses,
}

/// How Σ_c q(c|x) log p(x|z,c) is computed in training; evaluation always takes the exact sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecoderPasses {
    /// K passes of the decoder. `mean-field` always does this.
    Exact,
    /// Two passes, without bias: the most probable cluster, and one of the rest drawn at random.
    Sampled,
}

impl Default for RefineConfig {
    fn default() -> Self {
        Self {
            steps: 4200,
            batch: 256,
            learning_rate: 1e-3,
            charge: false,
            information: 200.0,
            consistency: 300.0,
            strength: 0.75,
            decoder_passes: DecoderPasses::Sampled,
        }
    }
}

/// Bounds under which training starts again from other weights, and at last gives up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollapseConfig {
    /// Least I(x;c) / log K.
    pub information: f64,
    /// Least H(q̄) / log K.
    pub balance: f64,
    /// How often training may start again.
    pub restarts: usize,
}

impl Default for CollapseConfig {
    fn default() -> Self {
        Self { information: 0.1, balance: 0.5, restarts: 2 }
    }
}

/// The threshold past which a frame is called novel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoveltyConfig {
    /// Share of ordinary frames that may be called novel.
    pub false_alarm_rate: f64,
}

impl Default for NoveltyConfig {
    fn default() -> Self {
        Self { false_alarm_rate: 0.01 }
    }
}

/// A [`Config`] whose every value is in range.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked(Config);

impl Deref for Checked {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

impl Checked {
    /// The same settings for a start from other weights; attempt 0 is the run's own seed.
    pub fn attempt(&self, attempt: usize) -> Self {
        let mut config = self.0.clone();
        // Seeds of users are small numbers; this keeps attempts apart from them and from each other.
        config.seed ^= (attempt as u64) << 48;
        Self(config)
    }

    /// The same settings once K is known.
    pub fn with_clusters(&self, k: usize) -> Self {
        Self(Config { clusters: Clusters::Count(k), ..self.0.clone() })
    }
}

/// Settings with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// For tens of thousands of frames
    Default,
    /// Shorter stages with larger steps, for 8,000 digits
    Demo,
    /// No map of a frame: its nearest frames stand for views, so nothing is known of what a frame is
    NoAugment,
    /// A dense encoder 784-256-128 for a microcontroller with 1 MB of flash
    Small,
    /// The reference recipe: autoencoder, mixture, then eq. (6.1) as it stands; a baseline
    Vade,
}

impl Preset {
    /// The settings.
    pub fn config(self) -> Config {
        match self {
            Self::Default => Config::images(),
            Self::Demo => Config::demo(),
            Self::NoAugment => Config::no_augment(),
            Self::Small => Config::small(),
            Self::Vade => Config::vade(),
        }
    }
}

impl Config {
    /// K; the most that there may be as long as it is to be found.
    pub fn clusters(&self) -> usize {
        match self.clusters {
            Clusters::Count(k) => k,
            Clusters::Auto => self.mixture.most_clusters,
        }
    }

    fn images() -> Self {
        let mut config = Self::default();
        config.mixture.active_units = 0.7;
        config
    }

    fn no_augment() -> Self {
        let mut config = Self::default();
        config.augment.kind = AugmentKind::Neighbours;
        // A neighbour may belong elsewhere, so it is trusted less than a map; these are the values that were measured.
        (config.refine.information, config.refine.consistency) = (100.0, 100.0);
        // Neighbours are fixed, so views are exhausted sooner than random maps.
        (config.pretrain.steps, config.refine.steps) = (2500, 1800);
        // Without maps one of the two starts that were looked at had no balanced partition.
        (config.mixture.balance, config.collapse.restarts) = (0.99, 5);
        config
    }

    fn small() -> Self {
        let mut config = Self::default();
        (config.encoder.channels, config.encoder.hidden) = (Vec::new(), vec![256, 128]);
        config
    }

    fn vade() -> Self {
        let mut config = Self::default();
        config.augment.kind = AugmentKind::None;
        (config.pretrain.pull, config.pretrain.kl_weight) = (0.0, 0.0);
        // The mixture as scikit-learn fits it, each component with a covariance of its own.
        config.mixture.pooling = 0.0;
        let refine = &mut config.refine;
        (refine.information, refine.consistency, refine.charge) = (0.0, 0.0, true);
        refine.steps = 2800;
        config
    }

    /// The settings of `demo` and of `fit` without `--data`: shorter stages with larger steps, for 8,000 digits.
    pub fn demo() -> Self {
        let mut config = Self::default();
        let (pretrain, refine) = (&mut config.pretrain, &mut config.refine);
        (pretrain.steps, pretrain.batch, pretrain.learning_rate) = (2000, 128, 3e-3);
        pretrain.schedule = Schedule::Cosine;
        (refine.steps, refine.batch, refine.learning_rate) = (1000, 128, 2e-3);
        (refine.information, refine.consistency, refine.strength) = (100.0, 100.0, 1.0);
        // Elastic views were not measured on so few frames.
        (config.augment.elastic, config.augment.thickness) = (0.0, 0.0);
        config
    }

    /// Reads a TOML file; what it leaves out keeps the value of `self`.
    pub fn merge_file(self, path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| Error::config(&name, e))?;
        let changes: toml::Table = toml::from_str(&text).map_err(|e| Error::config(&name, e))?;
        let mut table = self.to_table()?;
        merge(&mut table, changes);
        Self::from_table(table, &name)
    }

    /// Applies `key=value` settings, keys dotted as in the TOML file.
    pub fn set(self, settings: &[String]) -> Result<Self> {
        let mut table = self.to_table()?;
        for setting in settings {
            let (key, value) = setting.split_once('=').ok_or_else(|| Error::config(setting, "expected key=value"))?;
            let slot = find(&mut table, key).ok_or_else(|| Error::config(key, unknown_key(key)))?;
            *slot = parse_value(value);
        }
        Self::from_table(table, "--set")
    }

    /// The settings as TOML, every default written out.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::config("config.toml", e))
    }

    fn to_table(&self) -> Result<toml::Table> {
        toml::Table::try_from(self).map_err(|e| Error::config("config", e))
    }

    fn from_table(table: toml::Table, origin: &str) -> Result<Self> {
        table.try_into().map_err(|e: toml::de::Error| Error::config(origin, e.to_string().trim_end()))
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] with the key, its value and what is accepted.
    pub fn check(self) -> Result<Checked> {
        if let Clusters::Count(k) = self.clusters {
            at_least("clusters", k, 2)?;
            at_most("clusters", k, runtime::MAX_CLUSTERS)?;
        }
        at_least("mixture.most_clusters", self.mixture.most_clusters, 3)?;
        at_most("mixture.most_clusters", self.mixture.most_clusters, runtime::MAX_CLUSTERS)?;
        at_least("latent", self.latent, 1)?;
        at_most("latent", self.latent, 1024)?;
        at_most("seed", self.seed as usize, i64::MAX as usize)?;
        for &units in self.encoder.channels.iter().chain(&self.encoder.hidden) {
            at_least("encoder.channels, encoder.hidden", units, 1)?;
        }
        if self.encoder.hidden.is_empty() {
            return Err(Error::config("encoder.hidden", "is empty, expected at least one layer"));
        }
        if self.encoder.kernel.is_multiple_of(2) {
            return Err(Error::config("encoder.kernel", format!("{}, expected an odd number", self.encoder.kernel)));
        }
        if self.decoder.hidden.is_empty() || self.decoder.hidden.contains(&0) {
            return Err(Error::config("decoder.hidden", "expected at least one layer, each of 1 or more units"));
        }
        let a = &self.augment;
        within("augment.rotation", a.rotation, 0.0, 180.0)?;
        within("augment.scale", a.scale, 0.0, 0.9)?;
        within("augment.shear", a.shear, 0.0, 2.0)?;
        within("augment.shift", a.shift, 0.0, 1.0)?;
        within("augment.elastic", a.elastic, 0.0, 0.5)?;
        within("augment.thickness", a.thickness, 0.0, 1.0)?;
        within("augment.warp", a.warp, 0.0, 0.3)?;
        within("augment.noise", a.noise, 0.0, 10.0)?;
        within("augment.dropout", a.dropout, 0.0, 0.99)?;
        at_least("augment.neighbours", a.neighbours, 1)?;
        at_most("augment.neighbours", a.neighbours, 1000)?;
        stage("pretrain", self.pretrain.batch, self.pretrain.learning_rate, self.pretrain.strength)?;
        within("pretrain.kl_weight", self.pretrain.kl_weight, 0.0, 1e3)?;
        within("pretrain.pull", self.pretrain.pull, 0.0, 1e6)?;
        stage("refine", self.refine.batch, self.refine.learning_rate, self.refine.strength)?;
        within("refine.information", self.refine.information, 0.0, 1e6)?;
        within("refine.consistency", self.refine.consistency, 0.0, 1e6)?;
        at_most("mixture.restarts", self.mixture.restarts, 10_000)?;
        at_least("mixture.max_iter", self.mixture.max_iter, 1)?;
        at_least("mixture.max_frames", self.mixture.max_frames, self.clusters())?;
        within("mixture.tol", self.mixture.tol, 0.0, 1e3)?;
        within("mixture.balance", self.mixture.balance, 0.0, 1.0)?;
        within("mixture.active_units", self.mixture.active_units, 0.0, 1.0)?;
        within("mixture.reg_covar", self.mixture.reg_covar, 0.0, 1e3)?;
        within("mixture.pooling", self.mixture.pooling, 0.0, 1.0)?;
        within("collapse.information", self.collapse.information, 0.0, 1.0)?;
        within("collapse.balance", self.collapse.balance, 0.0, 1.0)?;
        at_most("collapse.restarts", self.collapse.restarts, 100)?;
        within("novelty.false_alarm_rate", self.novelty.false_alarm_rate, 1e-4, 0.5)?;
        Ok(Checked(self))
    }
}

fn stage(name: &str, batch: usize, learning_rate: f64, strength: f64) -> Result<()> {
    at_least(&format!("{name}.batch"), batch, 2)?;
    within(&format!("{name}.learning_rate"), learning_rate, 1e-8, 1.0)?;
    within(&format!("{name}.strength"), strength, 0.0, 5.0)
}

fn at_least(key: &str, value: usize, least: usize) -> Result<()> {
    if value < least {
        return Err(Error::config(key, format!("{value}, expected at least {least}")));
    }
    Ok(())
}

fn at_most(key: &str, value: usize, most: usize) -> Result<()> {
    if value > most {
        return Err(Error::config(key, format!("{value}, expected at most {most}")));
    }
    Ok(())
}

fn within(key: &str, value: f64, least: f64, most: f64) -> Result<()> {
    // Written so that NaN is refused too.
    if !(value >= least && value <= most) {
        return Err(Error::config(key, format!("{value}, expected {least} to {most}")));
    }
    Ok(())
}

fn merge(base: &mut toml::Table, changes: toml::Table) {
    for (key, change) in changes {
        match (base.get_mut(&key), change) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(changes)) => merge(inner, changes),
            (_, change) => {
                base.insert(key, change);
            }
        }
    }
}

fn find<'a>(table: &'a mut toml::Table, key: &str) -> Option<&'a mut toml::Value> {
    match key.split_once('.') {
        None => table.get_mut(key).filter(|v| !v.is_table()),
        Some((head, rest)) => find(table.get_mut(head)?.as_table_mut()?, rest),
    }
}

fn parse_value(text: &str) -> toml::Value {
    // A bare word such as `mean-field` is not TOML; it stands for itself.
    toml::from_str::<toml::Table>(&format!("v = {text}"))
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn unknown_key(key: &str) -> String {
    let mut known = Vec::new();
    if let Ok(table) = Config::default().to_table() {
        collect_keys("", &table, &mut known);
    }
    let last = key.rsplit('.').next().unwrap_or(key);
    let near: Vec<_> = known.iter().filter(|k| k.rsplit('.').next() == Some(last)).cloned().collect();
    let offer = if near.is_empty() { known } else { near };
    format!("unknown key; known: {}", offer.join(", "))
}

fn collect_keys(prefix: &str, table: &toml::Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => collect_keys(&format!("{prefix}{key}."), inner, keys),
            _ => keys.push(format!("{prefix}{key}")),
        }
    }
}
