//! EM for Gaussian mixtures: every step against its definition, and the degenerate cases.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use trainer::gmm::{
    self, ConjugatePrior, Covariance, CovarianceType, Criteria, Estimator, Fit, GmmError, Mixture, Points, Scale,
    Settings, TableMixture, e_step, fit_from, m_step,
};

const KINDS: [CovarianceType; 4] =
    [CovarianceType::Full, CovarianceType::Tied, CovarianceType::Diagonal, CovarianceType::Isotropic];

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// `per` points around each of these centres, stretched along the first axis.
fn blobs(centres: &[[f64; 2]], per: usize, seed: u64) -> Vec<f64> {
    let mut rng = rng(seed);
    let mut values = Vec::new();
    for centre in centres {
        for _ in 0..per {
            values.push(centre[0] + 1.5 * rng.sample::<f64, _>(StandardNormal));
            values.push(centre[1] + 0.5 * rng.sample::<f64, _>(StandardNormal));
        }
    }
    values
}

fn random_responsibilities(n: usize, k: usize, seed: u64) -> Vec<f64> {
    let mut rng = rng(seed);
    let raw: Vec<f64> = (0..n * k).map(|_| rng.random::<f64>() + 1e-3).collect();
    raw.chunks(k).flat_map(|row| row.iter().map(move |v| v / row.iter().sum::<f64>())).collect()
}

fn settings(components: usize, covariance: CovarianceType, estimator: Estimator) -> Settings {
    Settings { components, covariance, estimator, uniform_weights: false, tol: 1e-9, max_iter: 200, restarts: 6 }
}

fn estimators(points: Points<'_>, k: usize) -> [Estimator; 2] {
    [Estimator::Mle { reg_covar: 0.0 }, Estimator::Map(ConjugatePrior::weak(points, k))]
}

/// Of more points than a thread takes at once.
#[test]
fn the_number_of_threads_changes_no_bit() {
    let values = blobs(&[[0.0, 0.0], [3.0, 1.0], [-2.0, 4.0]], 2500, 5);
    let points = Points::new(&values, 2).unwrap();
    let settings = settings(4, CovarianceType::Full, Estimator::Mle { reg_covar: 1e-3 });
    let found = [1, 2, 5].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let fit =
            pool.install(|| gmm::split_and_merge(points, gmm::fit(points, &settings, rng).unwrap(), &settings, 2));
        let expectation = fit.expectation;
        let all = [fit.mixture.means, fit.objective, expectation.responsibilities, expectation.log_densities].concat();
        all.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    });
    assert!(found[0] == found[1] && found[0] == found[2]);
}

#[test]
fn work_that_is_no_longer_wanted_ends() {
    let values = blobs(&[[0.0, 0.0], [3.0, 1.0]], 500, 5);
    let stop = std::sync::atomic::AtomicBool::new(true);
    let points = Points::new(&values, 2).unwrap().until(&stop);
    let settings = settings(3, CovarianceType::Full, Estimator::Mle { reg_covar: 1e-3 });
    assert!(points.is_stopped() && gmm::fit(points, &settings, rng).is_err());
}

/// Components on one cloud are joined; between two there is a valley, which counts on other points give.
#[test]
fn components_are_joined_until_other_points_show_a_valley() {
    let estimator = Estimator::Pooled { reg_covar: 1e-3, share: 0.3 };
    let joined = |clouds: &[[f64; 2]]| {
        let (values, others) = (blobs(clouds, 200, 3), blobs(clouds, 200, 4));
        let (points, others) = (Points::new(&values, 2).unwrap(), Points::new(&others, 2).unwrap());
        let settings = settings(9, CovarianceType::Full, estimator.clone());
        let start = gmm::fit(points, &settings, rng).unwrap();
        gmm::join_without_valley(points, others, start, &settings).unwrap()
    };
    for (clouds, expected) in [(&[[0.0, 0.0]][..], 1), (&[[0.0, 0.0], [8.0, 0.0]], 2), (&[[0.0, 0.0], [0.0, 3.0]], 2)] {
        let found = joined(clouds);
        assert_eq!(found.fit.mixture.components(), expected);
        assert_eq!(found.evidence.is_some(), expected > 1);
    }
    // Twenty and thirty at the means, five between: (20 - 5) / sqrt(20 + 5), and of 19 the whole is one.
    for (between, expected) in [(5, Some(3.0)), (19, None)] {
        let values: Vec<f64> = [vec![0.0; 100], vec![0.1; 100], vec![1.0; 100], vec![1.1; 100]].concat();
        let others: Vec<f64> = [vec![0.05; 20], vec![1.05; 30], vec![0.55; between]].concat();
        let (points, others) = (Points::new(&values, 1).unwrap(), Points::new(&others, 1).unwrap());
        let settings = settings(2, CovarianceType::Full, Estimator::Mle { reg_covar: 0.0 });
        let start = gmm::fit(points, &settings, rng).unwrap();
        let found = gmm::join_without_valley(points, others, start, &settings).unwrap();
        assert_eq!(found.evidence.map(|e| (e * 1e9).round() / 1e9), expected);
    }
}

#[test]
fn the_objective_never_falls() {
    let values = blobs(&[[0.0, 0.0], [4.0, 3.0], [-5.0, 2.0]], 80, 1);
    let points = Points::new(&values, 2).unwrap();
    for kind in KINDS {
        for estimator in estimators(points, 3) {
            let start = random_responsibilities(points.len(), 3, 2);
            let fit = fit_from(points, &start, &settings(3, kind, estimator.clone())).unwrap();
            assert!(fit.objective.len() > 5);
            for pair in fit.objective.windows(2) {
                assert!(pair[1] >= pair[0] - 1e-9 * pair[0].abs(), "{kind:?} {estimator:?}: {pair:?}");
            }
        }
    }
}

#[test]
fn responsibilities_are_bayes_rule() {
    let mixture = Mixture {
        weights: vec![0.3, 0.7],
        means: vec![0.0, 0.0, 1.0, -1.0],
        covariances: vec![
            Covariance::Full(DMatrix::from_row_slice(2, 2, &[2.0, 0.5, 0.5, 1.0])),
            Covariance::Diagonal(vec![0.5, 3.0]),
        ],
    };
    let x = [0.7, 0.2];
    let found = e_step(Points::new(&x, 2).unwrap(), &mixture).unwrap();
    // Densities by hand: the inverse of [[2, .5], [.5, 1]] is [[1, -.5], [-.5, 2]] / 1.75.
    let m0 = (x[0] * x[0] - x[0] * x[1] + 2.0 * x[1] * x[1]) / 1.75;
    let p0 = 0.3 * (-0.5 * m0).exp() / (2.0 * std::f64::consts::PI * 1.75f64.sqrt());
    let m1 = (x[0] - 1.0).powi(2) / 0.5 + (x[1] + 1.0).powi(2) / 3.0;
    let p1 = 0.7 * (-0.5 * m1).exp() / (2.0 * std::f64::consts::PI * 1.5f64.sqrt());
    assert!((found.responsibilities[0] - p0 / (p0 + p1)).abs() < 1e-12);
    assert!((found.log_densities[0] - (p0 + p1).ln()).abs() < 1e-12);
}

#[test]
fn far_points_keep_responsibilities_that_sum_to_one() {
    let mixture = Mixture {
        weights: vec![0.5, 0.5],
        means: vec![0.0, 1.0],
        covariances: vec![Covariance::Isotropic(1e-4), Covariance::Isotropic(1e-4)],
    };
    let found = e_step(Points::new(&[1e4, -1e4], 1).unwrap(), &mixture).unwrap();
    for row in found.responsibilities.chunks(2) {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}

/// log p(x, assignments | θ) expected under the responsibilities, plus log p(θ) under MAP.
fn expected_objective(points: Points<'_>, r: &[f64], mixture: &Mixture, estimator: &Estimator) -> f64 {
    let k = mixture.components();
    let mut sum = 0.0;
    for c in 0..k {
        let alone = Mixture {
            weights: vec![1.0],
            means: mixture.mean(c).to_vec(),
            covariances: vec![mixture.covariances[c].clone()],
        };
        let densities = e_step(points, &alone).unwrap().log_densities;
        for (row, density) in r.chunks(k).zip(densities) {
            sum += row[c] * (mixture.weights[c].ln() + density);
        }
    }
    match estimator {
        Estimator::Mle { .. } | Estimator::Pooled { .. } | Estimator::Proportional { .. } => sum,
        Estimator::Map(prior) => sum + prior.log_density(mixture),
    }
}

/// The M-step is a maximum: no small change of any parameter gains.
#[test]
fn no_neighbour_of_the_m_step_is_better() {
    let values = blobs(&[[0.0, 0.0], [3.0, 1.0]], 30, 3);
    let points = Points::new(&values, 2).unwrap();
    let r = random_responsibilities(points.len(), 2, 4);
    let mut rng = rng(5);
    for kind in KINDS {
        for estimator in estimators(points, 2) {
            let best = m_step(points, &r, 2, kind, &estimator);
            let at_best = expected_objective(points, &r, &best, &estimator);
            for _ in 0..300 {
                let mut other = best.clone();
                let mut change = || 0.05 * rng.sample::<f64, _>(StandardNormal);
                let shift = change() * 0.2;
                other.weights = vec![best.weights[0] + shift, best.weights[1] - shift];
                other.means.iter_mut().for_each(|m| *m += change());
                let (a, b, c) = (change(), change(), change());
                let common = DMatrix::from_row_slice(2, 2, &[a, b, b, c]);
                for covariance in &mut other.covariances {
                    match covariance {
                        Covariance::Full(m) => {
                            let (a, b, c) = (change(), change(), change());
                            *m += DMatrix::from_row_slice(2, 2, &[a, b, b, c]);
                        }
                        Covariance::Tied(m) => *m += &common,
                        Covariance::Diagonal(v) => v.iter_mut().for_each(|v| *v *= 1.0 + change()),
                        Covariance::Isotropic(v) => *v *= 1.0 + change(),
                    }
                }
                let at_other = expected_objective(points, &r, &other, &estimator);
                assert!(at_other <= at_best + 1e-9, "{kind:?} {estimator:?}: {at_other} > {at_best}");
            }
        }
    }
}

#[test]
fn one_component_is_the_sample_mean_and_covariance() {
    let values = blobs(&[[1.0, -2.0]], 200, 6);
    let points = Points::new(&values, 2).unwrap();
    let fit = gmm::fit(points, &settings(1, CovarianceType::Full, Estimator::Mle { reg_covar: 0.0 }), rng).unwrap();
    let n = points.len() as f64;
    let mean: Vec<f64> = (0..2).map(|d| points.rows().map(|x| x[d]).sum::<f64>() / n).collect();
    let rows = fit.mixture.covariances[0].to_rows(2);
    for i in 0..2 {
        assert!((fit.mixture.means[i] - mean[i]).abs() < 1e-10);
        for j in 0..2 {
            let covariance = points.rows().map(|x| (x[i] - mean[i]) * (x[j] - mean[j])).sum::<f64>() / n;
            assert!((rows[i][j] - covariance).abs() < 1e-10);
        }
    }
}

#[test]
fn map_updates_are_the_closed_forms() {
    let values = blobs(&[[1.0, 2.0]], 12, 7);
    let points = Points::new(&values, 2).unwrap();
    let prior = ConjugatePrior {
        alpha: 3.0,
        kappa: 0.5,
        mean: vec![0.3, -0.2],
        nu: 5.0,
        scale: DMatrix::from_row_slice(2, 2, &[1.0, 0.2, 0.2, 2.0]),
        shape: 2.5,
        rate: vec![0.5, 1.0],
    };
    let r = random_responsibilities(12, 2, 8);
    let (n, d) = (12.0, 2.0);
    for kind in KINDS {
        let found = m_step(points, &r, 2, kind, &Estimator::Map(prior.clone()));
        // S₀ + Σ_k (S_k + h δδᵀ), off the diagonal, over N + ν₀ + D + 1 + K.
        let mut tied = prior.scale[(0, 1)] / (n + 5.0 + d + 1.0 + 2.0);
        for k in 0..2 {
            let weight = |i: usize| r[i * 2 + k];
            let count: f64 = (0..12).map(weight).sum();
            let centre: Vec<f64> =
                (0..2).map(|a| (0..12).map(|i| weight(i) * points.row(i)[a]).sum::<f64>() / count).collect();
            let scatter = |a: usize, b: usize| -> f64 {
                (0..12).map(|i| weight(i) * (points.row(i)[a] - centre[a]) * (points.row(i)[b] - centre[b])).sum()
            };
            let delta: Vec<f64> = (0..2).map(|a| centre[a] - prior.mean[a]).collect();
            let h = 0.5 * count / (0.5 + count);
            assert!((found.weights[k] - (count + 2.0) / (n + 4.0)).abs() < 1e-12);
            for ((centre, m0), found) in centre.iter().zip(&prior.mean).zip(found.mean(k)) {
                assert!((found - (count * centre + 0.5 * m0) / (count + 0.5)).abs() < 1e-12);
            }
            tied += (scatter(0, 1) + h * delta[0] * delta[1]) / (n + 5.0 + d + 1.0 + 2.0);
            let expected = match kind {
                CovarianceType::Tied => continue,
                CovarianceType::Full => {
                    (prior.scale[(0, 1)] + scatter(0, 1) + h * delta[0] * delta[1]) / (count + 5.0 + d + 2.0)
                }
                CovarianceType::Diagonal => {
                    (0.5 + 0.5 * scatter(0, 0) + 0.5 * h * delta[0] * delta[0]) / (2.5 + count / 2.0 + 1.5)
                }
                CovarianceType::Isotropic => {
                    let square = delta[0] * delta[0] + delta[1] * delta[1];
                    (1.5 + 0.5 * (scatter(0, 0) + scatter(1, 1)) + 0.5 * h * square)
                        / (2.5 + count * d / 2.0 + d / 2.0 + 1.0)
                }
            };
            let value = match &found.covariances[k] {
                Covariance::Full(m) | Covariance::Tied(m) => m[(0, 1)],
                Covariance::Diagonal(v) => v[0],
                Covariance::Isotropic(v) => *v,
            };
            assert!((value - expected).abs() < 1e-12, "{kind:?}: {value} {expected}");
        }
        if kind == CovarianceType::Tied {
            assert!(found.covariances.iter().all(|c| (c.to_rows(2)[0][1] - tied).abs() < 1e-12), "{found:?} {tied}");
        }
    }
}

#[test]
fn ten_identical_points_stay_finite() {
    let values = [2.5, -1.0].repeat(10);
    let points = Points::new(&values, 2).unwrap();
    for kind in KINDS {
        let map = Estimator::Map(ConjugatePrior::weak(points, 2));
        let fit = gmm::fit(points, &settings(2, kind, map), rng).unwrap();
        assert!(fit.best().is_finite());
        assert!(fit.mixture.covariances.iter().all(|c| c.trace(2) > 0.0 && c.trace(2).is_finite()));
        // MLE has no maximum here: without a floor that is an error, with one the variance is the floor.
        assert!(gmm::fit(points, &settings(2, kind, Estimator::Mle { reg_covar: 0.0 }), rng).is_err());
        let floored = gmm::fit(points, &settings(2, kind, Estimator::Mle { reg_covar: 1e-6 }), rng).unwrap();
        assert!(floored.mixture.covariances.iter().all(|c| (c.trace(2) / 2.0 - 1e-6).abs() < 1e-12));
    }
}

#[test]
fn the_best_start_finds_planted_components() {
    let centres = [[0.0, 0.0], [12.0, 0.0], [0.0, 9.0]];
    let values = blobs(&centres, 200, 9);
    let points = Points::new(&values, 2).unwrap();
    let fit = gmm::fit(points, &settings(3, CovarianceType::Full, Estimator::Mle { reg_covar: 1e-6 }), rng).unwrap();
    assert!(fit.converged);
    for centre in centres {
        let nearest = (0..3).map(|k| (fit.mixture.mean(k)[0] - centre[0]).hypot(fit.mixture.mean(k)[1] - centre[1]));
        assert!(nearest.fold(f64::INFINITY, f64::min) < 0.4);
    }
}

/// Two components on one blob and one on two: EM alone stays there, a split-and-merge move leaves.
#[test]
fn a_move_frees_em_from_a_merged_solution() {
    let centres = [[0.0, 0.0], [20.0, 0.0], [26.0, 9.0]];
    let per = 150;
    let values = blobs(&centres, per, 10);
    let points = Points::new(&values, 2).unwrap();
    let settings = settings(3, CovarianceType::Full, Estimator::Mle { reg_covar: 1e-6 });
    let mut bad = vec![0.0; points.len() * 3];
    for (n, row) in bad.chunks_mut(3).enumerate() {
        match n / per {
            0 => row[usize::from(points.row(n)[1] > 0.0)] = 1.0,
            _ => row[2] = 1.0,
        }
    }
    let stuck: Fit = fit_from(points, &bad, &settings).unwrap();
    let freed = gmm::split_and_merge(points, stuck.clone(), &settings, 3);
    assert!(freed.best() > stuck.best() + 50.0);
    for share in freed.expectation.shares(3) {
        assert!((share - 1.0 / 3.0).abs() < 0.02, "{share}");
    }
}

#[test]
fn the_same_seed_gives_the_same_fit() {
    let values = blobs(&[[0.0, 0.0], [3.0, 3.0]], 60, 11);
    let points = Points::new(&values, 2).unwrap();
    let settings = settings(2, CovarianceType::Diagonal, Estimator::Mle { reg_covar: 1e-6 });
    let (a, b) = (gmm::fit(points, &settings, rng).unwrap(), gmm::fit(points, &settings, rng).unwrap());
    assert_eq!(a.mixture.means, b.mixture.means);
    assert_eq!(a.objective, b.objective);
}

#[test]
fn points_must_be_finite_rows() {
    assert!(Points::new(&[], 2).is_err());
    assert!(Points::new(&[1.0, 2.0, 3.0], 2).is_err());
    assert!(Points::new(&[1.0, f64::NAN], 2).is_err());
    let two = [1.0, 2.0];
    let points = Points::new(&two, 1).unwrap();
    assert!(gmm::fit(points, &settings(3, CovarianceType::Full, Estimator::Mle { reg_covar: 1e-6 }), rng).is_err());
}

#[test]
fn pooled_covariances_run_from_each_ones_own_to_one_for_all() {
    let values = blobs(&[[0.0, 0.0], [4.0, 3.0], [-5.0, 2.0]], 40, 8);
    let points = Points::new(&values, 2).unwrap();
    let r = random_responsibilities(points.len(), 3, 9);
    for kind in KINDS {
        let rows = |estimator: &Estimator| -> Vec<Vec<Vec<f64>>> {
            m_step(points, &r, 3, kind, estimator).covariances.iter().map(|c| c.to_rows(2)).collect()
        };
        let own = rows(&Estimator::Mle { reg_covar: 0.0 });
        let counts: Vec<f64> = (0..3).map(|k| r.iter().skip(k).step_by(3).sum()).collect();
        let total: f64 = counts.iter().sum();
        for share in [0.0, 0.3, 1.0] {
            let found = rows(&Estimator::Pooled { reg_covar: 0.01, share });
            for k in 0..3 {
                for (i, j) in [(0, 0), (0, 1), (1, 1)] {
                    let pooled: f64 = own.iter().zip(&counts).map(|(c, n)| n / total * c[i][j]).sum();
                    let floor = if i == j { 0.01 } else { 0.0 };
                    let expected = (1.0 - share) * own[k][i][j] + share * pooled + floor;
                    assert!((found[k][i][j] - expected).abs() < 1e-12, "{kind:?} {share} {k}");
                }
            }
        }
    }
}

/// Pooling draws the covariances away from the likeliest ones, so EM with it is a fixed-point iteration: it climbs nothing,
/// and says by how much the likelihood fell on its way. Without a share of pooling, it does climb.
#[test]
fn pooled_em_comes_to_rest_and_tells_how_far_the_likelihood_fell() {
    let values = blobs(&[[0.0, 0.0], [1.0, 0.5], [-5.0, 2.0]], 60, 3);
    let points = Points::new(&values, 2).unwrap();
    let mut fell = 0;
    for seed in 0..20 {
        let start = random_responsibilities(points.len(), 3, seed);
        let of = |share: f64, reg_covar: f64| {
            let estimator = Estimator::Pooled { reg_covar, share };
            let settings = Settings { max_iter: 2000, tol: 1e-9, ..settings(3, CovarianceType::Full, estimator) };
            fit_from(points, &start, &settings).unwrap()
        };
        assert!(of(0.0, 0.0).largest_fall() < 1e-9 * points.len() as f64);
        let pooled = of(0.5, 1e-3);
        let falls = pooled.objective.windows(2).map(|pair| pair[0] - pair[1]).fold(0.0, f64::max);
        assert_eq!(pooled.largest_fall(), falls);
        fell += usize::from(falls > 1e-3);
        // At rest: another step changes nothing.
        assert!(pooled.converged);
        let again = m_step(
            points,
            &pooled.expectation.responsibilities,
            3,
            CovarianceType::Full,
            &Estimator::Pooled { reg_covar: 1e-3, share: 0.5 },
        );
        assert!(apart(&again, &pooled.mixture) < 1e-2, "{}", apart(&again, &pooled.mixture));
    }
    assert!(fell > 0, "no likelihood fell");
}

#[test]
fn no_pooled_component_gathers_what_is_rare_in_the_others() {
    // Two narrow blobs and strays of each, far out on its own side.
    let centres = [[-4.0, 0.0], [4.0, 0.0]];
    let mut values = blobs(&centres, 300, 10);
    let mut rng = rng(11);
    for n in 0..60 {
        let side = if n % 2 == 0 { -1.0 } else { 1.0 };
        values.push(side * 4.0 + 4.0 * rng.sample::<f64, _>(StandardNormal));
        values.push(4.0 * rng.sample::<f64, _>(StandardNormal));
    }
    let points = Points::new(&values, 2).unwrap();
    // One component has the blob on the right, the other all else.
    let start: Vec<f64> =
        values.chunks(2).flat_map(|x| if (x[0] - 4.0).hypot(x[1]) < 3.0 { [1.0, 0.0] } else { [0.0, 1.0] }).collect();
    let ratio = |estimator| {
        let fit = fit_from(points, &start, &settings(2, CovarianceType::Full, estimator)).unwrap();
        let areas: Vec<f64> = fit.mixture.covariances.iter().map(|c| c.whitening(2).unwrap().1).collect();
        (areas[0] - areas[1]).abs()
    };
    let own = ratio(Estimator::Mle { reg_covar: 1e-6 });
    let pooled = ratio(Estimator::Pooled { reg_covar: 1e-6, share: 0.3 });
    assert!(own > 1.0 && pooled < 0.5 * own, "{own} {pooled}");
}

/// Two planted clouds of one shape, the second nine times as large as a covariance.
#[test]
fn proportional_covariances_have_one_shape_and_a_size_each() {
    let shape = [[2.0, 0.9], [0.9, 0.5]];
    let lower = [[2f64.sqrt(), 0.0], [0.9 / 2f64.sqrt(), (0.5f64 - 0.405).sqrt()]];
    let mut rng = rng(11);
    let mut values = Vec::new();
    for (centre, scale) in [([0.0, 0.0], 1.0), ([20.0, 5.0], 3.0)] {
        for _ in 0..4000 {
            let noise: [f64; 2] = [rng.sample(StandardNormal), rng.sample(StandardNormal)];
            for d in 0..2 {
                values.push(centre[d] + scale * (lower[d][0] * noise[0] + lower[d][1] * noise[1]));
            }
        }
    }
    let points = Points::new(&values, 2).unwrap();
    let estimator = Estimator::Proportional { reg_covar: 0.0 };
    let found = gmm::fit(points, &settings(2, CovarianceType::Full, estimator.clone()), self::rng).unwrap();
    let mut rows: Vec<_> = found.mixture.covariances.iter().map(|c| c.to_rows(2)).collect();
    rows.sort_by(|a, b| a[0][0].total_cmp(&b[0][0]));
    let size = rows[1][0][0] / rows[0][0][0];
    assert!((size / 9.0 - 1.0).abs() < 0.05, "{size}");
    for i in 0..2 {
        for j in 0..2 {
            assert!((rows[1][i][j] / rows[0][i][j] - size).abs() < 1e-9);
            assert!((rows[0][i][j] / shape[i][j] - 1.0).abs() < 0.05, "{rows:?}");
        }
    }
    // The M-step is a maximum among covariances of one shape, up to the one point a component that is added.
    let r = &found.expectation.responsibilities;
    let best = m_step(points, r, 2, CovarianceType::Full, &estimator);
    let at_best = expected_objective(points, r, &best, &estimator);
    for _ in 0..100 {
        let mut other = best.clone();
        let mut change = || 0.01 * rng.sample::<f64, _>(StandardNormal);
        let (a, b, c) = (change(), change(), change());
        let turned = DMatrix::from_row_slice(2, 2, &[a, b, b, c]);
        for covariance in &mut other.covariances {
            let Covariance::Full(m) = covariance else { panic!("full") };
            let size = m[(0, 0)];
            *m = (&*m + &turned * size) * (1.0 + 0.1 * rng.sample::<f64, _>(StandardNormal)).abs();
        }
        let at_other = expected_objective(points, r, &other, &estimator);
        assert!(at_other <= at_best + 1.0, "{at_other} > {at_best}");
    }
}

/// Largest difference of two mixtures in weights, means and covariances.
fn apart(a: &Mixture, b: &Mixture) -> f64 {
    let numbers = |m: &Mixture| -> Vec<f64> {
        let rows = m.covariances.iter().flat_map(|c| c.to_rows(m.dim())).flatten();
        m.weights.iter().chain(&m.means).copied().chain(rows).collect()
    };
    numbers(a).iter().zip(numbers(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn a_whole_weight_is_as_many_rows() {
    let values = blobs(&[[0.0, 0.0], [4.0, 3.0]], 30, 12);
    let n = values.len() / 2;
    let weights: Vec<f64> = (0..n).map(|i| (i % 4) as f64).collect();
    let repeat = |rows: &[f64]| -> Vec<f64> {
        rows.chunks(2).zip(&weights).flat_map(|(row, w)| row.repeat(*w as usize)).collect()
    };
    let repeated = repeat(&values);
    let (weighted, repeated) =
        (Points::new(&values, 2).unwrap().weighted(&weights).unwrap(), Points::new(&repeated, 2).unwrap());
    assert_eq!(weighted.total_weight(), repeated.len() as f64);
    let start = random_responsibilities(n, 2, 13);
    for kind in KINDS {
        for (ours, theirs) in estimators(weighted, 2).into_iter().zip(estimators(repeated, 2)) {
            let a = fit_from(weighted, &start, &settings(2, kind, ours)).unwrap();
            let b = fit_from(repeated, &repeat(&start), &settings(2, kind, theirs)).unwrap();
            assert!(apart(&a.mixture, &b.mixture) < 1e-9, "{kind:?}: {:?} {:?}", a.mixture, b.mixture);
            assert_eq!(a.objective.len(), b.objective.len());
            let (found, expected) = (a.expectation.log_likelihood, b.expectation.log_likelihood);
            assert!((found - expected).abs() < 1e-9 * expected.abs(), "{kind:?}: {found} {expected}");
            let bic = |points, fit: &Fit| Criteria::new(points, &fit.mixture, fit.expectation.log_likelihood).bic;
            assert!((bic(weighted, &a) - bic(repeated, &b)).abs() < 1e-6);
        }
    }
    // From starts of their own, of which the draws differ: the best is the same.
    let inertia = |points| {
        let of = |seed| gmm::inertia(points, &gmm::kmeans(points, 2, &mut rng(seed)));
        (0..8).map(of).fold(f64::INFINITY, f64::min)
    };
    assert!((inertia(weighted) / inertia(repeated) - 1.0).abs() < 1e-9);
    let best = |points| {
        let settings = settings(2, CovarianceType::Full, Estimator::Mle { reg_covar: 1e-6 });
        gmm::fit(points, &settings, rng).unwrap().best()
    };
    assert!((best(weighted) - best(repeated)).abs() < 1e-5 * best(repeated).abs());
}

#[test]
fn starts_are_drawn_by_weight() {
    let (values, weights) = ([0.0, 1.0, 5.0], [3.0, 1.0, 0.0]);
    let points = Points::new(&values, 1).unwrap().weighted(&weights).unwrap();
    let first = |seed| gmm::kmeans_plus_plus(points, 1, &mut rng(seed))[0];
    let share = (0..4000).filter(|seed| first(*seed) == 0.0).count() as f64 / 4000.0;
    // Four standard errors.
    assert!((share - 0.75).abs() < 4.0 * (0.75f64 * 0.25 / 4000.0).sqrt(), "{share}");
    // What has no weight is no start, no mean and no different row.
    for seed in 0..50 {
        let mut centres = gmm::kmeans(points, 2, &mut rng(seed));
        centres.sort_by(f64::total_cmp);
        assert_eq!(centres, [0.0, 1.0]);
    }
    assert_eq!((points.distinct(9), points.distinct(1)), (2, 1));
    assert_eq!(Points::new(&[0.0, -0.0, 1.0], 1).unwrap().distinct(3), 2);
    for wrong in [&[1.0, 1.0][..], &[0.0; 3], &[1.0, -1.0, 1.0], &[1.0, f64::NAN, 1.0]] {
        let refused = Points::new(&values, 1).unwrap().weighted(wrong);
        assert!(matches!(refused, Err(GmmError::Weight { .. } | GmmError::Weights { .. })), "{wrong:?}");
    }
}

#[test]
fn a_tied_covariance_is_counted_once() {
    let values = blobs(&[[0.0, 0.0], [9.0, 3.0], [-9.0, 2.0]], 50, 14);
    let points = Points::new(&values, 2).unwrap();
    for (kind, parameters) in
        KINDS.into_iter().zip([3 * 2 + 3 * 3 + 2, 3 * 2 + 3 + 2, 3 * 2 + 3 * 2 + 2, 3 * 2 + 3 + 2])
    {
        let fit = gmm::fit(points, &settings(3, kind, Estimator::Mle { reg_covar: 0.0 }), rng).unwrap();
        assert_eq!(fit.mixture.free_parameters(), parameters, "{kind:?}");
        let one = fit.mixture.covariances[0].to_rows(2);
        let same = fit.mixture.covariances.iter().all(|c| c.to_rows(2) == one);
        assert_eq!(same, kind == CovarianceType::Tied, "{kind:?}");
    }
}

/// Time stamps, and counts with an offset: differences of neighbouring values of f64 there are 2e-7 and 1e-8.
#[test]
fn an_offset_and_a_unit_cost_no_digit() {
    let plain = blobs(&[[0.0, 0.0], [6.0, 3.0], [-7.0, 2.0]], 60, 15);
    let (offsets, units) = ([1.7e9, 1e8], [1e-3, 1.0]);
    let far: Vec<f64> = plain.iter().enumerate().map(|(i, v)| offsets[i % 2] + units[i % 2] * v).collect();
    // The same rows without the offset; the difference is exact.
    let near: Vec<f64> = far.iter().enumerate().map(|(i, v)| (v - offsets[i % 2]) / units[i % 2]).collect();
    let of = |values: &[f64], kind| {
        let points = Points::new(values, 2).unwrap();
        let scale = Scale::of(points, kind);
        let scaled = scale.apply(points);
        let fit =
            gmm::fit(points.with_values(&scaled).unwrap(), &settings(3, kind, Estimator::Mle { reg_covar: 1e-6 }), rng);
        TableMixture { columns: None, covariance: kind, scale, mixture: fit.unwrap().mixture }
    };
    for kind in KINDS {
        let (far_fit, near_fit) = (of(&far, kind), of(&near, kind));
        // Isotropic covariances know one unit, so there the columns must have one.
        if kind == CovarianceType::Isotropic {
            assert_eq!(near_fit.scale.deviation[0], near_fit.scale.deviation[1]);
            continue;
        }
        let seen = far_fit.e_step(Points::new(&far, 2).unwrap()).unwrap();
        let expected = near_fit.e_step(Points::new(&near, 2).unwrap()).unwrap();
        let volume = plain.len() as f64 / 2.0 * units[0].ln();
        let difference = seen.log_likelihood + volume - expected.log_likelihood;
        assert!(difference.abs() < 1e-6, "{kind:?}: {difference}");
        let mut found = far_fit.in_units_of_data();
        for (i, mean) in found.means.iter_mut().enumerate() {
            *mean = (*mean - offsets[i % 2]) / units[i % 2];
        }
        found.covariances.iter_mut().for_each(|c| *c = c.stretched(&[1.0 / units[0], 1.0 / units[1]]));
        // The last bit of a mean of 1.7e9 is a part in 4,000 of its unit.
        assert!(apart(&found, &near_fit.in_units_of_data()) < 1e-3, "{kind:?}: {found:?}");
        // Means of scaled rows lie where the shift was rounded to.
        assert!(apart(&far_fit.mixture, &near_fit.mixture) < 0.02, "{kind:?}");
    }
    // A constant column keeps its unit, and squares of columns far from 1 do not leave the range of f64.
    let values = [7.0, 1e-200, 1e200, 7.0, 3e-200, 3e200];
    let scale = Scale::of(Points::new(&values, 3).unwrap(), CovarianceType::Full);
    assert_eq!((scale.shift[0], scale.deviation[0]), (7.0, 1.0));
    assert!((scale.shift[1] / 2e-200 - 1.0).abs() < 0.01 && (scale.shift[2] / 2e200 - 1.0).abs() < 0.01);
    assert!((scale.deviation[1] / 1e-200 - 1.0).abs() < 1e-12 && (scale.deviation[2] / 1e200 - 1.0).abs() < 1e-12);
}

#[test]
fn a_saved_mixture_says_what_it_said_and_a_damaged_one_is_refused() {
    let values: Vec<f64> = blobs(&[[0.0, 0.0], [6.0, 3.0]], 40, 16).iter().map(|v| 1.7e9 + 1e-3 * v).collect();
    let points = Points::new(&values, 2).unwrap();
    for covariance in KINDS {
        let scale = Scale::of(points, covariance);
        let scaled = scale.apply(points);
        let scaled = points.with_values(&scaled).unwrap();
        let fit = gmm::fit(scaled, &settings(2, covariance, Estimator::Mle { reg_covar: 1e-6 }), rng).unwrap();
        let columns = Some(vec!["x".to_owned(), "y".to_owned()]);
        let table = TableMixture { columns, covariance, scale, mixture: fit.mixture };
        let text = serde_json::to_string(&table).unwrap();
        let read: TableMixture = serde_json::from_str(&text).unwrap();
        assert_eq!(read.scale.shift, table.scale.shift);
        assert_eq!((&read.columns, read.covariance), (&table.columns, covariance));
        assert_eq!(read.mixture.free_parameters(), table.mixture.free_parameters());
        let (found, expected) = (read.e_step(points).unwrap(), table.e_step(points).unwrap());
        for (a, b) in found.log_densities.iter().zip(&expected.log_densities) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
        assert!(matches!(
            read.e_step(Points::new(&values, 4).unwrap()),
            Err(GmmError::Columns { columns: 4, expected: 2 })
        ));

        let broken = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
            change(&mut value);
            serde_json::from_value::<TableMixture>(value).unwrap_err().to_string()
        };
        assert!(broken(&|v| v["version"] = 9.into()).contains("version 9, expected 1"));
        assert!(broken(&|v| v["weights"][0] = (-0.1).into()).contains("out of its range"));
        assert!(broken(&|v| v["scale"]["deviation"][1] = 0.0.into()).contains("out of its range"));
        assert!(broken(&|v| v["means"] = serde_json::json!([[1.0], [2.0]])).contains("sizes do not fit"));
        assert!(broken(&|v| v["covariances"][0][0][0] = (-1.0).into()).contains("not positive definite"));
    }
}
