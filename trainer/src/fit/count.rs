//! How many clusters there are, where nobody says: `clusters = "auto"`.
//!
//! The points are halved. To each half a mixture of many components is fitted, and components are joined until the other
//! half shows a valley between any two ([`join_without_valley`]); so what is left is stable against the null that it is of
//! one mode, and one cluster is an answer. The number is the median over the halves of several splits.
//!
//! The range is extended until there is a plateau: the components that are begun with are doubled until the number no
//! longer depends on them. Fewer than there are clusters would hold several each. No label is needed, and the constants
//! were set on synthetic clouds.

use std::fmt;
use std::ops::ControlFlow;

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::agreement::agreement;
use super::event::{Event, Observer};
use crate::config::{CheckedConfig, MixtureConfig};
use crate::error::{Error, Result};
use crate::gmm::{self, CovarianceType, EStep, EVIDENCE, Estimator, Joined, Mixture, Points, Settings};
use crate::ranking::argmax;
use crate::rng::{Purpose, stream};

/// Largest number of points that take part.
const MAX_POINTS: usize = 10_000;
/// Components that are begun with at first; the largest number that is counted to is never more than half of the last.
const FIRST: usize = 32;
/// Least number of points of a half for a component: with fewer a valley cannot be told from chance.
const POINTS_A_COMPONENT: usize = 8;
/// Splits into halves of many points, and of at most [`FEW_POINTS`], whose halves differ more.
const SPLITS: [usize; 2] = [2, 4];
/// See [`SPLITS`].
const FEW_POINTS: usize = 2000;
/// One over the share by which the numbers from half the components and from all may differ on a plateau; by one they may
/// differ always.
const LEVEL: usize = 5;
/// Most iterations of EM between joins, which only have to follow a join.
const ITERATIONS: usize = 10;
/// Gain under which EM has converged between joins, nats a point.
const TOLERANCE: f64 = 1e-3;
/// Indices of the random streams that halve; those of starts lie below.
const HALVES: u64 = 1 << 40;

/// What points are counted, and how their mixtures are fitted.
#[derive(Clone, Copy, Debug)]
pub struct Counting {
    /// What the points are.
    pub on: Space,
    /// What is added to the diagonal of the covariances.
    pub reg_covar: f64,
    /// Share of the pooled covariance in that of every component, 0 to 1.
    pub pooling: f64,
    /// The largest number to count to.
    pub most: usize,
    /// Seed of halves and starts.
    pub seed: u64,
}

/// What points are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Space {
    /// The values of frames, standardised.
    Values,
    /// Latent means.
    Latents,
    /// Mean colours of pictures.
    Colours,
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Values => "values",
            Self::Latents => "latents",
            Self::Colours => "mean colours",
        })
    }
}

/// What is found from one number of components.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Number of components that were begun with.
    pub components: usize,
    /// Number of clusters, median over all halves, of two medians the higher one: half the points
    /// miss a cluster more often than they make one up.
    pub clusters: usize,
    /// Fewest clusters that a half has.
    pub least: usize,
    /// Most clusters that a half has.
    pub most: usize,
    /// Agreement of the cuts by both halves on all points (NMI), mean over splits, in `[0, 1]`.
    pub stability: f64,
    /// The least evidence of a valley between two clusters, standard errors, median over the halves that have two; None
    /// if none has.
    pub valley: Option<f64>,
    /// What counts as a valley, standard errors: 95 % of pairs without one have less.
    pub null: f64,
    /// Mean log-density of a point under the joined mixture of the half that it is not in, nats.
    pub held_out: f64,
    /// The same of a single Gaussian.
    pub held_out_of_one: f64,
}

/// The number of clusters, and how it was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counted {
    /// What was counted.
    pub counted_on: Space,
    /// Number of clusters; None if there is no plateau.
    pub clusters: Option<usize>,
    /// What was found from every number of components, few first.
    pub candidates: Vec<Candidate>,
}

impl Counted {
    /// The number of clusters if it is one that a model can have.
    ///
    /// # Errors
    /// [`Error::Uncounted`] if there is one cluster, no plateau, or if there are more than `most`.
    pub fn number(&self, most: usize) -> Result<usize> {
        let why = match self.clusters {
            Some(1) => format!("the {} form one cluster, with no valley that is more than chance", self.counted_on),
            Some(k) if k > most => format!("there are {k} clusters, mixture.most_clusters allows {most}"),
            Some(k) => return Ok(k),
            None => {
                let found = |c: &Candidate| format!("{} from {} components", c.clusters, c.components);
                let all: Vec<String> = self.candidates.iter().map(found).collect();
                format!("the {} have no plateau: {} clusters; more frames may help", self.counted_on, all.join(", "))
            }
        };
        Err(Error::Uncounted { why })
    }
}

/// One line for each number of components, and one that says what they are.
impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "components  clusters  of halves  stability  valley  null  held-out  one Gaussian")?;
        for c in &self.candidates {
            let (halves, valley) = (format!("{}-{}", c.least, c.most), c.valley.map(|v| format!("{v:.2}")));
            let valley = valley.as_deref().unwrap_or("none");
            write!(f, "{:>10}  {:>8}  {halves:>9}  {:>9.3}  {valley:>6}", c.components, c.clusters, c.stability)?;
            writeln!(f, "  {:>4.2}  {:>8.3}  {:>12.3}", c.null, c.held_out, c.held_out_of_one)?;
        }
        match self.clusters {
            Some(k) => write!(f, "clusters of the {}: {k}", self.counted_on),
            None => write!(f, "clusters of the {}: no plateau", self.counted_on),
        }
    }
}

/// Counts the clusters of `values` `[N,dim]` as the settings say, and tells what it finds; None if the observer broke off.
///
/// # Errors
/// Those of [`count_clusters`].
pub(super) fn run(
    config: &CheckedConfig,
    on: Space,
    reg_covar: f64,
    values: &[f64],
    dim: usize,
    observer: &mut Observer<'_>,
) -> Result<Option<Counted>> {
    let MixtureConfig { pooling, most_clusters: most, .. } = config.mixture;
    let counting = Counting { on, reg_covar, pooling, most, seed: config.seed };
    let counted =
        count_clusters(values, dim, &counting, &mut |components| observer(Event::Counting { on, components }))?;
    Ok(counted.filter(|counted| observer(Event::Counted(counted)).is_continue()))
}

/// Counts the clusters of `values` `[N,dim]`; None if `goes_on`, which is told the number of components before every
/// split, breaks off.
///
/// # Errors
/// [`Error::Uncounted`] if there are fewer than 32 points, [`Error::Config`] if values are not finite or a covariance is
/// not positive definite.
pub fn count_clusters(
    values: &[f64],
    dim: usize,
    counting: &Counting,
    goes_on: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Counted>> {
    let points = Points::new(values, dim)?;
    let half = points.len().min(MAX_POINTS) / 2;
    let room = half / POINTS_A_COMPONENT;
    if room < 2 {
        let why = format!("{} points are too few to count clusters, which takes 32", points.len());
        return Err(Error::Uncounted { why });
    }
    let last = room.min(2 * counting.most.max(FIRST));
    let mut components = FIRST.min(last);
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut clusters = None;
    while clusters.is_none() {
        let Some(found) = candidate(points, components, counting, goes_on)? else { return Ok(None) };
        // Where there are no points for more, it is enough that half the components were joined.
        let level = candidates.last().is_some_and(|before| is_level(before.clusters, found.clusters));
        clusters = (level || components == room && 2 * found.clusters <= components).then_some(found.clusters);
        candidates.push(found);
        if components == last {
            break;
        }
        components = (2 * components).min(last);
    }
    Ok(Some(Counted { counted_on: counting.on, clusters, candidates }))
}

/// Whether numbers from half the components and from all are about the same.
fn is_level(before: usize, now: usize) -> bool {
    before.abs_diff(now) <= (now / LEVEL).max(1)
}

/// What is found from one number of components; None if `goes_on` breaks off.
fn candidate(
    points: Points<'_>,
    components: usize,
    counting: &Counting,
    goes_on: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Candidate>> {
    let splits = SPLITS[usize::from(points.len() <= FEW_POINTS)];
    let (mut counts, mut valleys, [mut stability, mut held_out, mut of_one]) = (Vec::new(), Vec::new(), [0.0; 3]);
    for split in 0..splits as u64 {
        if goes_on(components).is_break() {
            return Ok(None);
        }
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.shuffle(&mut stream(counting.seed, Purpose::Count, HALVES + split));
        order.truncate(MAX_POINTS);
        let half = order.len() / 2;
        let rows: Vec<f64> = order.iter().flat_map(|&n| points.row(n)).copied().collect();
        let (left, right) = rows.split_at(half * points.dim());
        let (left, right) = (Points::new(left, points.dim())?, Points::new(right, points.dim())?);
        let start = ((components as u64) << 8) | (2 * split);
        let (a, b) = rayon::join(
            || joined([left, right], components, counting, start),
            || joined([right, left], components, counting, start + 1),
        );
        let halves = [a?, b?];
        let all = Points::new(&rows, points.dim())?;
        let [a, b] = [&halves[0], &halves[1]].map(|half| cut(all, &half.joined.fit.mixture));
        stability += agreement(&a?, &b?) / splits as f64;
        for half in &halves {
            counts.push(half.joined.fit.mixture.components());
            valleys.extend(half.joined.evidence);
            held_out += half.held_out / (2 * splits) as f64;
            of_one += half.held_out_of_one / (2 * splits) as f64;
        }
    }
    counts.sort_unstable();
    valleys.sort_by(f64::total_cmp);
    Ok(Some(Candidate {
        components,
        clusters: counts[counts.len() / 2],
        least: counts[0],
        most: counts[counts.len() - 1],
        stability,
        valley: (!valleys.is_empty()).then(|| valleys[valleys.len() / 2]),
        null: EVIDENCE,
        held_out,
        held_out_of_one: of_one,
    }))
}

/// The mixture of one half, and what the other half says of it.
struct Half {
    joined: Joined,
    held_out: f64,
    held_out_of_one: f64,
}

/// Fits `components` to the first half and joins them by what the second shows.
fn joined([half, other]: [Points<'_>; 2], components: usize, counting: &Counting, start: u64) -> Result<Half> {
    let settings = Settings {
        components,
        covariance: CovarianceType::Full,
        estimator: Estimator::Pooled { reg_covar: counting.reg_covar, share: counting.pooling },
        uniform_weights: false,
        tol: TOLERANCE,
        max_iter: ITERATIONS,
        restarts: 1,
    };
    let rng = |_| stream(counting.seed, Purpose::Count, start);
    let fit = gmm::fit(half, &settings, rng)?;
    let one = gmm::fit(half, &Settings { components: 1, ..settings.clone() }, rng)?;
    let joined = gmm::join_without_valley(half, other, fit, &settings)?;
    let mean = |seen: EStep| seen.log_likelihood / other.len() as f64;
    let held_out = mean(seen(other, &joined.fit.mixture)?);
    Ok(Half { held_out, held_out_of_one: mean(seen(other, &one.mixture)?), joined })
}

fn seen(points: Points<'_>, mixture: &Mixture) -> Result<EStep> {
    gmm::e_step(points, mixture)
        .ok_or_else(|| Error::config("mixture.reg_covar", "a covariance became singular; raise it"))
}

/// The component of every point.
fn cut(points: Points<'_>, mixture: &Mixture) -> Result<Vec<usize>> {
    let seen = seen(points, mixture)?;
    Ok(seen.responsibilities.chunks_exact(mixture.components()).map(argmax).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(components: usize, clusters: usize) -> Candidate {
        let (least, most, valley) = (clusters, clusters, None);
        let [stability, null, held_out, held_out_of_one] = [1.0, EVIDENCE, 0.0, 0.0];
        Candidate { components, clusters, least, most, stability, valley, null, held_out, held_out_of_one }
    }

    #[test]
    fn what_is_no_number_for_a_model_says_why_and_what_to_do() {
        let counted =
            |clusters| Counted { counted_on: Space::Latents, clusters, candidates: vec![from(32, 21), from(64, 45)] };
        assert_eq!(counted(Some(2)).number(64).unwrap(), 2);
        for (clusters, expected) in [
            (Some(1), "the latents form one cluster"),
            (Some(65), "there are 65 clusters, mixture.most_clusters allows 64"),
            (None, "the latents have no plateau: 21 from 32 components, 45 from 64 components clusters"),
        ] {
            let error = counted(clusters).number(64).unwrap_err();
            assert_eq!(error.exit_code(), 8);
            let text = error.to_string();
            assert!(text.contains(expected) && text.contains("--set clusters=K"), "{text}");
        }
    }

    #[test]
    fn a_plateau_is_level_within_one_or_a_fifth() {
        assert!(is_level(1, 2) && is_level(3, 2) && is_level(10, 12) && is_level(48, 40));
        assert!(!is_level(1, 3) && !is_level(9, 12) && !is_level(31, 40));
    }
}
