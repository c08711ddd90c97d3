//! How many clusters there are, where nobody says: the criterion behind `clusters = "auto"`.
//!
//! No label is needed for either part. **Stability** (Ben-Hur et al. 2002; Lange et al. 2004): mixtures fitted to two
//! disjoint halves of the latents should cut the other half alike; with too many components, which cluster is cut in
//! two is an accident of the half. **Bound**: among the counts that are as stable as any, the one whose mixture gives
//! the latents that it was not fitted to the highest likelihood, less what a component gains that finds no cluster:
//! past the number of clusters the likelihood still grows, since no cluster is quite Gaussian, but evenly. Twice the
//! slope there is the charge for a component (slope heuristics: Baudry, Maugis and Michel 2012).

use rand::seq::SliceRandom;
use serde::Serialize;

use super::agreement::agreement;
use super::balance::Balance;
use crate::error::{Error, Result};
use crate::gmm::{self, EStep, Fit, Points, Settings};
use crate::ranking::argmax;
use crate::rng::{Purpose, stream};

/// Largest number of latents that take part.
const MAX_FRAMES: usize = 10_000;
/// Largest number of split-and-merge rounds on each half.
const MOVES: usize = 5;
/// Share of the highest stability from which on a count is as stable as any.
const AS_STABLE: f64 = 0.95;
/// One over the share of the counts, the largest ones, that give the slope: there is nothing left to find among them if
/// there is room enough.
const SLOPE_SHARE: usize = 3;

/// What is known of one number of clusters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Number of clusters K.
    pub clusters: usize,
    /// Agreement of the mixtures of the two halves on all latents: mutual information of their clusters over the mean
    /// entropy, in `[0, 1]`.
    pub stability: f64,
    /// Mean log-likelihood of a latent mean under the mixture of the half that it is not in, nats.
    pub held_out: f64,
    /// H(q̄) / log K, the smaller of the two halves.
    pub balance: f64,
}

/// Fits 2 to `most` components to each half of `means` `[N,dim]`; gives the count it picks, and what it found of every
/// one.
///
/// Each half is held out from the mixture of the other. A count costs two fits with all their starts and moves.
///
/// # Errors
/// [`Error::Config`] if no start of a mixture keeps its covariances positive definite.
pub fn choose(
    means: &[f64],
    dim: usize,
    settings: &Settings,
    most: usize,
    seed: u64,
) -> Result<(usize, Vec<Candidate>)> {
    let mut order: Vec<usize> = (0..means.len() / dim).collect();
    order.shuffle(&mut stream(seed, Purpose::Count, 0));
    order.truncate(MAX_FRAMES);
    let rows =
        |part: &[usize]| -> Vec<f64> { part.iter().flat_map(|&n| &means[n * dim..(n + 1) * dim]).copied().collect() };
    let (left, right) = order.split_at(order.len() / 2);
    let halves = [rows(left), rows(right)];
    let mut candidates = Vec::new();
    for components in 2..=most {
        let settings = Settings { components, ..settings.clone() };
        let fit = |half: usize| -> Result<Fit> {
            let points = Points::new(&halves[half], dim)?;
            // Streams of their own for every count and half.
            let purpose =
                |restart| stream(seed, Purpose::Count, (((components * 2 + half) as u64) << 32) | (restart + 1));
            Ok(gmm::split_and_merge(points, gmm::fit(points, &settings, purpose)?, &settings, MOVES))
        };
        candidates.push(compare([fit(0)?, fit(1)?], &halves, dim, components)?);
    }
    Ok((pick(&candidates), candidates))
}

/// What the held-out likelihood gains by one more component among the largest counts, nats, by least squares; 0 or
/// more.
fn slope(candidates: &[Candidate]) -> f64 {
    let last = &candidates[candidates.len() - candidates.len().div_ceil(SLOPE_SHARE)..];
    let n = last.len() as f64;
    let mean = |of: &dyn Fn(&Candidate) -> f64| last.iter().map(of).sum::<f64>() / n;
    let (k, bound) = (mean(&|c| c.clusters as f64), mean(&|c| c.held_out));
    let spread = mean(&|c| (c.clusters as f64 - k).powi(2));
    let together = mean(&|c| (c.clusters as f64 - k) * (c.held_out - bound));
    if spread > 0.0 { (together / spread).max(0.0) } else { 0.0 }
}

/// The count with the highest likelihood less its charge, of those as stable as any; the smaller of equals.
fn pick(candidates: &[Candidate]) -> usize {
    let charge = 2.0 * slope(candidates);
    let bound = |c: &Candidate| c.held_out - charge * c.clusters as f64;
    let best = candidates.iter().map(|c| c.stability).fold(f64::NEG_INFINITY, f64::max);
    candidates
        .iter()
        .filter(|c| c.stability >= AS_STABLE * best)
        .reduce(|a, b| if bound(b) > bound(a) { b } else { a })
        .map_or(2, |c| c.clusters)
}

/// How alike two mixtures, each fitted to one of the `halves`, see all latents.
fn compare(fits: [Fit; 2], halves: &[Vec<f64>; 2], dim: usize, clusters: usize) -> Result<Candidate> {
    let points = [Points::new(&halves[0], dim)?, Points::new(&halves[1], dim)?];
    let singular = || Error::config("mixture.reg_covar", "a covariance became singular; raise it");
    // By half that was fitted, then by half that is looked at.
    let mut seen = Vec::new();
    for fit in &fits {
        let of = |p: &Points<'_>| gmm::e_step(*p, &fit.mixture).ok_or_else(singular);
        seen.push(points.iter().map(of).collect::<Result<Vec<EStep>>>()?);
    }
    let labels = |fit: &[EStep]| -> Vec<usize> {
        fit.iter().flat_map(|e| e.responsibilities.chunks_exact(clusters).map(argmax)).collect()
    };
    let held_out = [&seen[0][1], &seen[1][0]];
    let frames: usize = held_out.iter().map(|e| e.log_densities.len()).sum();
    let balance = |fit: &Fit| Balance::of_responsibilities(&fit.expectation.responsibilities, clusters).balance;
    Ok(Candidate {
        clusters,
        stability: agreement(&labels(&seen[0]), &labels(&seen[1])),
        held_out: held_out.iter().map(|e| e.log_likelihood).sum::<f64>() / frames as f64,
        balance: balance(&fits[0]).min(balance(&fits[1])),
    })
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::gmm::{CovarianceType, Estimator};

    #[test]
    fn as_many_clusters_are_found_as_there_are_blobs() {
        let settings = Settings {
            components: 2,
            covariance: CovarianceType::Full,
            estimator: Estimator::Mle { reg_covar: 1e-3 },
            uniform_weights: true,
            tol: 1e-4,
            max_iter: 100,
            restarts: 6,
        };
        for blobs in [3, 5] {
            let mut rng = stream(7, Purpose::Count, 0);
            let means: Vec<f64> = (0..2000)
                .flat_map(|n| {
                    let angle = (n % blobs) as f64 / blobs as f64 * std::f64::consts::TAU;
                    let noise: [f64; 2] = [rng.sample(StandardNormal), rng.sample(StandardNormal)];
                    [6.0 * angle.cos() + noise[0], 6.0 * angle.sin() + noise[1]]
                })
                .collect();
            let (found, candidates) = choose(&means, 2, &settings, 8, 1).unwrap();
            assert_eq!(found, blobs, "{candidates:?}");
            assert_eq!(candidates.len(), 7);
        }
    }

    #[test]
    fn of_counts_as_stable_as_any_the_one_with_the_best_bound() {
        let candidate = |clusters, stability, held_out| Candidate { clusters, stability, held_out, balance: 1.0 };
        assert_eq!(pick(&[candidate(2, 0.99, -5.0), candidate(3, 0.98, -4.0), candidate(4, 0.7, -3.0)]), 3);
        assert_eq!(pick(&[candidate(2, 0.99, -5.0), candidate(3, 0.7, -4.0), candidate(4, 0.99, -5.0)]), 2);
        // Three clusters, then 0.1 a component: without the charge it would be 7.
        let bounds = [-5.0, -3.0, -2.9, -2.8, -2.7, -2.6];
        let even: Vec<Candidate> = (2..).zip(bounds).map(|(k, bound)| candidate(k, 0.9, bound)).collect();
        assert!((slope(&even) - 0.1).abs() < 1e-12);
        assert_eq!(pick(&even), 3);
    }
}
