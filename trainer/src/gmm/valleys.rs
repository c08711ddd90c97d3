//! Components joined until there is a valley between any two of them, on points that the mixture was not fitted to.
//!
//! A mixture of more components than there are clusters cuts clusters in pieces (Hennig 2010). Two components are pieces
//! of one cluster if the points of both have one mode along the line that tells them apart best, Fisher's discriminant.
//! Three stretches of that line of equal length are looked at: around the means, and around the place between them where
//! the mixture is thinnest. Points with one mode leave at least as many in the stretch between as in the emptier of the
//! other two, whatever their distribution; this is the null, and by how many standard errors fewer there are, the
//! evidence. Means, line and stretches are of the fitted points, the counts of others, so a valley that EM cut into noise
//! is not counted.
//!
//! Of the pairs without a valley the nearest are joined, a pair a component and a quarter of the components at once; EM
//! goes on from there, and everything is looked at anew.

use nalgebra::{Cholesky, DMatrix, DVector};

use super::{Fit, GmmError, Mixture, Points, Settings, e_step, fit_from};

/// Standard errors from which on a valley is one: 5 % of pairs without a valley seem to have one.
pub const EVIDENCE: f64 = 1.645;
/// Largest share of the lower mode that a valley may hold; two equal Gaussians 3 standard deviations apart have 0.78.
const DEEP: f64 = 0.75;
/// Places between two means where the mixture is looked at.
const PLACES: usize = 64;
/// One over the share of the components that are joined at once, at most.
const AT_ONCE: usize = 4;

/// A mixture whose components all have valleys between them.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The mixture, fitted.
    pub fit: Fit,
    /// The least evidence of a valley between two components, standard errors; None if there is one component.
    pub evidence: Option<f64>,
}

/// What lies between two components.
struct Between {
    /// Mahalanobis distance of the means under the mean covariance.
    distance: f64,
    /// Standard errors by which the valley is emptier than the lower mode.
    evidence: f64,
    /// Whether it is a valley.
    valley: bool,
}

/// Joins components of `start`, fitted to `points`, until `held_out` points show a valley between any two.
///
/// `settings` are those of `start`, but for the number of components.
///
/// # Errors
/// [`GmmError::Singular`] if a covariance is not positive definite.
pub fn join_without_valley(
    points: Points<'_>,
    held_out: Points<'_>,
    start: Fit,
    settings: &Settings,
) -> Result<Joined, GmmError> {
    let mut fit = start;
    loop {
        let k = fit.mixture.components();
        let seen = e_step(held_out, &fit.mixture).ok_or(GmmError::Singular)?;
        let mut members = vec![Vec::new(); k];
        for (x, row) in held_out.rows().zip(seen.responsibilities.chunks_exact(k)) {
            let owner = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(c, _)| c);
            members[owner].push(x);
        }
        let mut least: Option<f64> = None;
        let mut open = Vec::new();
        for (i, j) in (0..k).flat_map(|i| (0..i).map(move |j| (i, j))) {
            let between = between(&fit.mixture, [i, j], &members)?;
            least = Some(least.map_or(between.evidence, |least| least.min(between.evidence)));
            if !between.valley {
                open.push((between.distance, i, j));
            }
        }
        if open.is_empty() {
            return Ok(Joined { fit, evidence: least });
        }
        open.sort_by(|a, b| a.0.total_cmp(&b.0));
        let names = names(&open, k);
        let left = names.iter().max().map_or(0, |last| last + 1);
        let joined = joined(&fit.expectation.responsibilities, &names, left);
        let settings = Settings { components: left, ..settings.clone() };
        fit = fit_from(points, &joined, &settings).ok_or(GmmError::Singular)?;
    }
}

/// What the `members` of two components, those of each `[K]`, show between them.
fn between(mixture: &Mixture, pair: [usize; 2], members: &[Vec<&[f64]>]) -> Result<Between, GmmError> {
    let d = mixture.dim();
    let [a, b] = pair.map(|k| mixture.covariances[k].to_matrix(d));
    let [from, to] = pair.map(|k| DVector::from_column_slice(mixture.mean(k)));
    let apart = to - &from;
    let line = Cholesky::new((&a + &b) * 0.5).ok_or(GmmError::Singular)?.solve(&apart);
    let length = line.dot(&apart);
    let distance = length.sqrt();
    let none = Between { distance, evidence: 0.0, valley: false };
    // Means that are the same to the last bits have no line between them.
    if length < f64::EPSILON {
        return Ok(none);
    }
    // Along the line the first mean is at 0, the second at 1.
    let deviation = |m: &DMatrix<f64>| line.dot(&(m * &line)).sqrt() / length;
    let (widths, weights) = ([deviation(&a), deviation(&b)], pair.map(|k| mixture.weights[k]));
    let density = |t: f64| {
        let of = |k: usize, mean: f64| weights[k] / widths[k] * (-0.5 * ((t - mean) / widths[k]).powi(2)).exp();
        of(0, 0.0) + of(1, 1.0)
    };
    let places = (0..=PLACES).map(|place| place as f64 / PLACES as f64);
    let thinnest = places.min_by(|s, t| density(*s).total_cmp(&density(*t))).unwrap_or(0.0);
    let reach = 0.5 * thinnest.min(1.0 - thinnest);
    let origin = line.dot(&from);
    let (mut modes, mut inside) = ([0.0; 2], 0.0);
    for x in pair.iter().flat_map(|&k| &members[k]) {
        let t = (line.iter().zip(*x).map(|(w, x)| w * x).sum::<f64>() - origin) / length;
        modes[0] += f64::from(t.abs() < reach);
        modes[1] += f64::from((t - 1.0).abs() < reach);
        inside += f64::from((t - thinnest).abs() < reach);
    }
    let mode = modes[0].min(modes[1]);
    if inside + mode == 0.0 {
        return Ok(none);
    }
    let evidence = (mode - inside) / (mode + inside).sqrt();
    Ok(Between { distance, evidence, valley: evidence >= EVIDENCE && inside <= DEEP * mode })
}

/// The component that each of `k` becomes: the nearest pairs are joined, none with two others.
fn names(open: &[(f64, usize, usize)], k: usize) -> Vec<usize> {
    let mut into: Vec<usize> = (0..k).collect();
    let mut busy = vec![false; k];
    let mut left = (k / AT_ONCE).max(1);
    for &(_, i, j) in open {
        if left > 0 && !busy[i] && !busy[j] {
            (busy[i], busy[j], into[i]) = (true, true, j);
            left -= 1;
        }
    }
    let mut place = vec![0; k];
    for (next, c) in (0..k).filter(|&c| into[c] == c).enumerate() {
        place[c] = next;
    }
    into.into_iter().map(|c| place[c]).collect()
}

/// Responsibilities `[N,K]` of components under their new `names` `[K]`, added where two share one `[N,left]`.
fn joined(responsibilities: &[f64], names: &[usize], left: usize) -> Vec<f64> {
    let mut sums = vec![0.0; responsibilities.len() / names.len() * left];
    for (row, old) in sums.chunks_exact_mut(left).zip(responsibilities.chunks_exact(names.len())) {
        old.iter().zip(names).for_each(|(r, &c)| row[c] += r);
    }
    sums
}
