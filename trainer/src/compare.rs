//! A run beside k-means and mixtures on the values themselves: was the network worth it?
//!
//! Without labels two figures tell. **Agreement**: how alike a method and the run cut the frames; near 1 the run has found
//! nothing that the plain method does not. **Stability**: how alike the method cuts all frames when it is fitted to one
//! half of them and to the other; low is an accident of the sample. With labels there is the accuracy too.
//!
//! Neither figure names a winner by itself, so [`Comparison::reading`] says what they come to together. Its two bounds are
//! what the words mean, and no data set has set them.

use burn::tensor::Device;
use nalgebra::{DMatrix, SymmetricEigen};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::Serialize;

use crate::data::scaling::Scaling;
use crate::data::{Frames, FrontEnd, Source};
use crate::error::Result;
use crate::eval::{predict, scores};
use crate::fit::agreement;
use crate::fitted::Fitted;
use crate::gmm::{self, CovarianceType, Estimator, Points, Settings};
use crate::ranking::argmax;
use crate::rng::{Purpose, stream};

/// Most frames that take part, drawn at random.
pub const MOST_FRAMES: usize = 2_000;
/// Most values of a frame that take part as they are; more give way to their principal components.
const MOST_VALUES: usize = 50;
/// Most values of a frame whose principal components are found; of more k-means alone is fitted, to all of them.
const MOST_FOR_COMPONENTS: usize = 1024;
/// Share of the variance that the principal components hold.
const HELD: f64 = 0.9;
/// Starts of each method.
const STARTS: usize = 10;
/// Agreement from which on two methods cut the frames alike.
const ALIKE: f64 = 0.9;
/// Stability from which on a method finds its clusters again; what the mixture on the values needs to be the model.
const FOUND_AGAIN: f64 = 0.75;
/// What is added to variances, as a share of their mean.
const REG_COVAR: f64 = 1e-3;

/// A way to cluster, beside the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The run, k-means, or the family of the mixture.
    pub method: &'static str,
    /// What it looked at.
    pub values: String,
    /// Normalised mutual information with the run's clusters, in `[0, 1]`.
    pub agreement: f64,
    /// Normalised mutual information of what two halves of the frames make of all, in `[0, 1]`; None for the run.
    pub stability: Option<f64>,
    /// Accuracy, one cluster to one class, if there are labels.
    pub acc: Option<f64>,
}

/// A run and what it is set beside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Number of frames that took part.
    pub frames: usize,
    /// The run, then the plain methods.
    pub rows: Vec<Row>,
    /// Methods that could not be fitted, and why, in words.
    pub left_out: Vec<String>,
}

impl Comparison {
    /// What the figures come to, in words: which plain method is best without labels, and whether the run is worth more.
    pub fn reading(&self) -> String {
        let plain = || self.rows.iter().filter(|row| row.stability.is_some());
        let by = |figure: fn(&Row) -> Option<f64>| {
            plain().filter(|row| figure(row).is_some()).reduce(|a, b| if figure(b) > figure(a) { b } else { a })
        };
        let Some((steady, stability)) = by(|row| row.stability).and_then(|row| Some((row, row.stability?))) else {
            return "No plain method can be fitted to these frames, so nothing says what the run adds.".to_owned();
        };
        let name = |row: &Row| format!("{} ({})", row.method, row.values);
        let nearest = by(|row| Some(row.agreement)).unwrap_or(steady);
        let mut text =
            format!("Without labels the best plain method is {}, the most stable: {stability:.3}. ", name(steady));
        text += &match (nearest.agreement >= ALIKE, stability >= FOUND_AGAIN) {
            (true, _) => format!(
                "The run cuts the frames as {} does (agreement {:.3}), so for the clusters alone the plain method will do; \
                 the run is worth its confidence, novelty and maps.",
                name(nearest),
                nearest.agreement
            ),
            (false, true) => format!(
                "It finds its clusters again in other frames, and they are not the run's (agreement {:.3}): both are \
                 there, and which is wanted the prototypes must say.",
                steady.agreement
            ),
            (false, false) => format!(
                "No plain method finds its clusters again in other frames, and none cuts them as the run does (agreement \
                 {:.3} at most): what the run finds is not to be had without it.",
                nearest.agreement
            ),
        };
        if let (Some(run), Some(acc)) = (self.rows[0].acc, by(|row| row.acc).and_then(|row| row.acc)) {
            text += &format!(
                " Against the labels, which chose nothing, the run has ACC {run:.3}, the best plain method {acc:.3}."
            );
        }
        text
    }
}

/// The run, then plain methods with as many clusters, on at most 2,000 of `frames`.
///
/// # Errors
/// [`crate::Error::Data`] if the frames have another shape than the model takes.
pub fn compare(fitted: &Fitted, frames: &dyn Source, device: &Device) -> Result<Comparison> {
    let seed = fitted.config.seed;
    let mut order: Vec<usize> = (0..frames.len()).collect();
    order.shuffle(&mut stream(seed, Purpose::Compare, 0));
    order.truncate(MOST_FRAMES);
    let frames = frames.gather(&order)?;
    let of_run = predict(fitted, &frames, device)?.clusters;
    let k = fitted.config.clusters();
    let acc = |cut: &[usize]| frames.labels.as_ref().map(|labels| scores(cut, labels).acc);
    let mut rows = vec![Row {
        method: "run",
        values: format!("{} values", frames.shape.len()),
        agreement: 1.0,
        stability: None,
        acc: acc(&of_run),
    }];
    let mut left_out = Vec::new();
    for (name, values) in spaces(fitted, &frames)? {
        let width = values.len() / frames.len();
        let space = Space::new(values, width);
        for method in [Method::KMeans, Method::Mixture(CovarianceType::Diagonal), Method::Mixture(CovarianceType::Full)]
        {
            let (left, right) = (0..frames.len()).partition::<Vec<usize>, _>(|n| n % 2 == 0);
            let all: Vec<usize> = (0..frames.len()).collect();
            let cut = |part: &[usize], index: u64| space.cut(method, part, k, seed, index);
            let (method_name, values) = (method.name(), format!("{name}{}", space.told()));
            if space.dim > MOST_VALUES && matches!(method, Method::Mixture(_)) {
                left_out.push(format!("{method_name}, {values}: more than {MOST_FOR_COMPONENTS} values"));
                continue;
            }
            let (Some(halves), Some(whole)) = (cut(&left, 1).zip(cut(&right, 2)), cut(&all, 0)) else {
                left_out.push(format!("{method_name}, {values}: cannot be fitted to half of {} frames", frames.len()));
                continue;
            };
            rows.push(Row {
                method: method_name,
                values,
                agreement: agreement(&of_run, &whole),
                stability: Some(agreement(&halves.0, &halves.1)),
                acc: acc(&whole),
            });
        }
    }
    Ok(Comparison { frames: frames.len(), rows, left_out })
}

/// The values as they are, and where that is another thing to the methods, standardised by kind of frame; then the features
/// of the front end, if there is one.
fn spaces(fitted: &Fitted, frames: &Frames) -> Result<Vec<(&'static str, Vec<f64>)>> {
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect();
    let mut spaces = vec![("raw", wide(&frames.values))];
    if fitted.front_end.as_ref().is_some_and(FrontEnd::is_sound) {
        // No method makes anything of thousands of samples that begin anywhere.
        return Ok(vec![("features", wide(&fitted.prepare(frames)?.all()?.values))]);
    }
    let mut scaled = frames.values.clone();
    let scaling = Scaling::fit(frames, fitted.config.kind())?;
    scaling.apply(&mut scaled);
    // One factor for all values changes nothing.
    if scaling.factor.iter().any(|f| *f != scaling.factor[0]) {
        spaces.push(("standardised", wide(&scaled)));
    }
    if fitted.front_end.is_some() {
        spaces.push(("features", wide(&fitted.prepare(frames)?.all()?.values)));
    }
    Ok(spaces)
}

#[derive(Clone, Copy)]
enum Method {
    KMeans,
    Mixture(CovarianceType),
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::KMeans => "k-means",
            Self::Mixture(CovarianceType::Full) => "mixture, full",
            Self::Mixture(CovarianceType::Tied) => "mixture, tied",
            Self::Mixture(CovarianceType::Diagonal) => "mixture, diagonal",
            Self::Mixture(CovarianceType::Isotropic) => "mixture, isotropic",
        }
    }
}

/// Rows that the methods look at.
struct Space {
    values: Vec<f64>,
    dim: usize,
    components: bool,
}

impl Space {
    /// The values `[N,P]`, or their principal components where there are more than [`MOST_VALUES`] but not too many.
    fn new(values: Vec<f64>, p: usize) -> Self {
        if p <= MOST_VALUES || p > MOST_FOR_COMPONENTS {
            return Self { values, dim: p, components: false };
        }
        let n = values.len() / p;
        let rows = DMatrix::from_row_slice(n, p, &values);
        let mean = rows.row_mean();
        let centred = DMatrix::from_fn(n, p, |i, j| rows[(i, j)] - mean[j]);
        let eigen = SymmetricEigen::new(centred.transpose() * &centred / n as f64);
        let mut order: Vec<usize> = (0..p).collect();
        order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
        let total: f64 = eigen.eigenvalues.iter().sum();
        let mut held = 0.0;
        let mut kept = Vec::new();
        for at in order.into_iter().take(MOST_VALUES) {
            kept.push(eigen.eigenvectors.column(at).into_owned());
            held += eigen.eigenvalues[at];
            if held >= HELD * total {
                break;
            }
        }
        let projected = centred * DMatrix::from_columns(&kept);
        // Column by column in memory, and wanted row by row.
        Self { values: projected.transpose().as_slice().to_vec(), dim: kept.len(), components: true }
    }

    fn told(&self) -> String {
        if self.components { format!(", {} principal components", self.dim) } else { String::new() }
    }

    /// The clusters of all rows, by a method fitted to `part` of them; None if it cannot be fitted there.
    fn cut(&self, method: Method, part: &[usize], k: usize, seed: u64, index: u64) -> Option<Vec<usize>> {
        let all = Points::new(&self.values, self.dim).ok()?;
        let rows: Vec<f64> = part.iter().flat_map(|&n| all.row(n)).copied().collect();
        let points = Points::new(&rows, self.dim).ok()?;
        let rng = |start: u64| stream(seed, Purpose::Compare, (index + 1) << 32 | start);
        match method {
            Method::KMeans => {
                let start = |start: u64| {
                    let centres = gmm::kmeans(points, k, &mut rng(start));
                    (gmm::inertia(points, &centres), centres)
                };
                let starts: Vec<(f64, Vec<f64>)> = (0..STARTS as u64).into_par_iter().map(start).collect();
                let (_, best) = starts.into_iter().min_by(|a, b| a.0.total_cmp(&b.0))?;
                Some(gmm::assign(all, &best))
            }
            Method::Mixture(covariance) => {
                let n = points.len() as f64;
                let square: f64 = rows.iter().map(|v| v * v).sum::<f64>() / n;
                let means: f64 = (0..self.dim).map(|d| (points.rows().map(|x| x[d]).sum::<f64>() / n).powi(2)).sum();
                let reg_covar = REG_COVAR * (square - means).max(f64::MIN_POSITIVE) / self.dim as f64;
                let settings = Settings {
                    components: k,
                    covariance,
                    estimator: Estimator::Mle { reg_covar },
                    uniform_weights: false,
                    tol: 1e-5,
                    max_iter: 200,
                    restarts: STARTS,
                };
                let fit = gmm::fit(points, &settings, rng).ok()?;
                let seen = gmm::e_step(all, &fit.mixture)?;
                Some(seen.responsibilities.chunks_exact(k).map(argmax).collect())
            }
        }
    }
}
