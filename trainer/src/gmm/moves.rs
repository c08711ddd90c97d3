//! Split-and-merge moves (Ueda et al. 2000).
//!
//! EM cannot leave a solution where one component holds two modes and another mode is shared by two
//! components; merging the two and splitting the one can.
//!
//! A round looks at the pairs of components that overlap most, Σ_n r_ni r_nj, each with every third
//! component to split. It makes the responsibilities of each move: those of the pair are added, and
//! the points of the split component go to one of its two halves, by the side on which they lie of
//! the plane through its mean across its longest axis. From there a few EM iterations tell the
//! moves apart, all moves in parallel; the best is run to its end, and is kept only if the
//! objective gains more than `tol` a point. So the objective never falls, and the rounds end at the
//! first that gains nothing. At most 5 (K - 2) moves are screened in a round, 15 iterations each.

use nalgebra::SymmetricEigen;
use rayon::prelude::*;

use super::{Fit, Points, Settings, fit_from};

/// Pairs to merge that are looked at in a round, most overlapping first.
const MERGES: usize = 5;
/// EM iterations that decide which move is worth finishing.
const SCREENING_ITERATIONS: usize = 15;

/// Repeats the move with the largest gain until none gains, at most `rounds` times.
pub fn split_and_merge(points: Points<'_>, mut fit: Fit, settings: &Settings, rounds: usize) -> Fit {
    if settings.components < 3 {
        return fit;
    }
    let screening = Settings { max_iter: SCREENING_ITERATIONS, ..settings.clone() };
    for _ in 0..rounds {
        let moves = candidates(points, &fit, settings.components);
        let screened: Vec<(usize, Option<Fit>)> = moves
            .par_iter()
            .enumerate()
            .map(|(index, &(merge, split))| {
                (index, fit_from(points, &apply(points, &fit, settings.components, merge, split), &screening))
            })
            .collect();
        let best = screened
            .into_iter()
            .filter_map(|(index, candidate)| Some((index, candidate?)))
            .reduce(|a, b| if b.1.best() > a.1.best() { b } else { a });
        let finished =
            best.and_then(|(_, candidate)| fit_from(points, &candidate.expectation.responsibilities, settings));
        match finished {
            Some(better) if better.best() > fit.best() + settings.tol * points.total_weight() => fit = better,
            _ => break,
        }
    }
    fit
}

/// Two components, by their numbers.
type Pair = (usize, usize);

/// Moves of a round: the pairs that share most responsibility, each with every other component to
/// split.
fn candidates(points: Points<'_>, fit: &Fit, k: usize) -> Vec<(Pair, usize)> {
    let mut overlap = vec![0.0; k * k];
    for (row, weight) in fit.expectation.responsibilities.chunks_exact(k).zip(points.weights()) {
        for i in 0..k {
            for j in 0..i {
                overlap[i * k + j] += weight * row[i] * row[j];
            }
        }
    }
    let mut pairs: Vec<Pair> = (0..k).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
    pairs.sort_by(|&(a, b), &(c, d)| overlap[c * k + d].total_cmp(&overlap[a * k + b]));
    pairs.truncate(MERGES);
    let others = |(i, j): Pair| (0..k).filter(move |&s| s != i && s != j);
    pairs.into_iter().flat_map(|pair| others(pair).map(move |s| (pair, s))).collect()
}

/// Responsibilities with component `merge.1` joined to `merge.0` and `split` cut in two across its
/// longest axis.
///
/// The axis is the eigenvector of the largest eigenvalue of its covariance. The half on the
/// positive side becomes component `merge.1`, which the merger has set free.
fn apply(points: Points<'_>, fit: &Fit, k: usize, merge: Pair, split: usize) -> Vec<f64> {
    let d = points.dim();
    let eigen = SymmetricEigen::new(fit.mixture.covariances[split].to_matrix(d));
    let axis = eigen.eigenvectors.column(eigen.eigenvalues.imax()).into_owned();
    let centre = fit.mixture.mean(split);
    let mut responsibilities = fit.expectation.responsibilities.clone();
    for (x, row) in points.rows().zip(responsibilities.chunks_exact_mut(k)) {
        row[merge.0] += row[merge.1];
        row[merge.1] = 0.0;
        let side: f64 = x.iter().zip(centre).zip(axis.iter()).map(|((x, m), a)| (x - m) * a).sum();
        if side > 0.0 {
            row[merge.1] = row[split];
            row[split] = 0.0;
        }
    }
    responsibilities
}
