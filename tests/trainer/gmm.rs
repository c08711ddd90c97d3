//! EM for Gaussian mixtures: every step against its definition, and the degenerate cases.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use trainer::gmm::{
    self, ConjugatePrior, Covariance, CovarianceType, Estimator, Fit, Mixture, Points, Settings, e_step, fit_from,
    m_step,
};

const KINDS: [CovarianceType; 3] = [CovarianceType::Full, CovarianceType::Diagonal, CovarianceType::Isotropic];

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
                for covariance in &mut other.covariances {
                    match covariance {
                        Covariance::Full(m) => {
                            let (a, b, c) = (change(), change(), change());
                            *m += DMatrix::from_row_slice(2, 2, &[a, b, b, c]);
                        }
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
            let expected = match kind {
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
                Covariance::Full(m) => m[(0, 1)],
                Covariance::Diagonal(v) => v[0],
                Covariance::Isotropic(v) => *v,
            };
            assert!((value - expected).abs() < 1e-12, "{kind:?}: {value} {expected}");
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
