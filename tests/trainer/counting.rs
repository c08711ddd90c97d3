//! The number of clusters, found on clouds whose number is known.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use std::ops::ControlFlow;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use trainer::fit::{Counted, Counting, Space, count_clusters};

/// What a cloud is drawn from, around its centre.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Standard normal.
    Round,
    /// Normal, all clouds under one random linear map, which takes their distances with it.
    Sheared,
    /// Normal, each cloud with deviations of its own from 0.5 to 1 a dimension.
    Own,
    /// Student's t of five degrees of freedom, with the variance of a standard normal.
    HeavyTailed,
    /// Even in a box of side 6.
    Box,
}

/// Clouds of a known number.
#[derive(Clone, Copy, Debug)]
struct Clouds {
    clusters: usize,
    points: usize,
    dim: usize,
    /// Least distance of two centres, standard deviations.
    apart: f64,
    /// Points of the largest cloud for one of the smallest; in between sizes fall geometrically.
    ratio: f64,
    form: Form,
}

impl Clouds {
    const fn new(clusters: usize, points: usize, dim: usize, apart: f64, ratio: f64, form: Form) -> Self {
        Self { clusters, points, dim, apart, ratio, form }
    }

    /// Points `[points,dim]`.
    fn draw(&self, seed: u64) -> Vec<f64> {
        let (mut rng, d) = (ChaCha8Rng::seed_from_u64(seed), self.dim);
        let centres = self.centres(&mut rng);
        let last = self.clusters.max(2) as f64 - 1.0;
        let sizes: Vec<f64> = (0..self.clusters).map(|k| self.ratio.powf(-(k as f64) / last)).collect();
        let total: f64 = sizes.iter().sum();
        let shear: Vec<f64> = (0..d * d).map(|_| rng.sample(StandardNormal)).collect();
        let own: Vec<f64> = (0..self.clusters * d).map(|_| 0.5 + 0.5 * rng.random::<f64>()).collect();
        let mut points = Vec::new();
        for _ in 0..self.points {
            let mut left = rng.random::<f64>() * total;
            let cloud = sizes.iter().position(|size| {
                left -= size;
                left < 0.0
            });
            let k = cloud.unwrap_or(self.clusters - 1);
            let chi_squared: f64 = (0..5).map(|_| rng.sample::<f64, _>(StandardNormal).powi(2)).sum();
            let normal: Vec<f64> = (0..d).map(|_| rng.sample(StandardNormal)).collect();
            let around = |i: usize| match self.form {
                Form::Own => normal[i] * own[k * d + i],
                // t with 5 degrees of freedom has variance 5/3.
                Form::HeavyTailed => normal[i] * (3.0 / chi_squared).sqrt(),
                _ => normal[i],
            };
            let boxed: Vec<f64> = (0..d).map(|_| 6.0 * (rng.random::<f64>() - 0.5)).collect();
            let x: Vec<f64> =
                (0..d).map(|i| centres[k][i] + if let Form::Box = self.form { boxed[i] } else { around(i) }).collect();
            match self.form {
                Form::Sheared => {
                    points.extend(shear.chunks_exact(d).map(|row| row.iter().zip(&x).map(|(s, x)| s * x).sum::<f64>()));
                }
                _ => points.extend(x),
            }
        }
        points
    }

    /// Centres in a box that grows until they have room.
    fn centres(&self, rng: &mut impl Rng) -> Vec<Vec<f64>> {
        let (mut side, mut refused) = (self.apart, 0);
        let mut centres: Vec<Vec<f64>> = Vec::new();
        while centres.len() < self.clusters {
            let new: Vec<f64> = (0..self.dim).map(|_| side * rng.random::<f64>()).collect();
            let distance = |c: &Vec<f64>| c.iter().zip(&new).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            if centres.iter().all(|c| distance(c) >= self.apart) {
                centres.push(new);
            } else {
                refused += 1;
                side *= if refused % 200 == 0 { 1.1 } else { 1.0 };
            }
        }
        centres
    }

    fn count(&self, seed: u64) -> Counted {
        let counting = Counting { on: Space::Values, reg_covar: 1e-3, pooling: 0.3, most: 64, seed };
        count_clusters(&self.draw(seed), self.dim, &counting, &mut |_| ControlFlow::Continue(())).unwrap().unwrap()
    }
}

/// One to forty clusters, even and uneven, near and apart, 2 to 20 dimensions.
const CASES: [Clouds; 20] = [
    Clouds::new(1, 400, 2, 0.0, 1.0, Form::Round),
    Clouds::new(1, 2000, 10, 0.0, 1.0, Form::Sheared),
    Clouds::new(1, 2000, 2, 0.0, 1.0, Form::Box),
    Clouds::new(1, 1500, 5, 0.0, 1.0, Form::HeavyTailed),
    Clouds::new(2, 400, 2, 8.0, 1.0, Form::Round),
    Clouds::new(2, 1000, 10, 4.0, 1.0, Form::Sheared),
    Clouds::new(2, 2000, 5, 6.0, 10.0, Form::Round),
    Clouds::new(5, 600, 2, 8.0, 1.0, Form::Round),
    Clouds::new(5, 2000, 5, 4.0, 1.0, Form::Sheared),
    Clouds::new(5, 2000, 10, 5.0, 10.0, Form::Own),
    Clouds::new(14, 2000, 5, 5.0, 1.0, Form::Sheared),
    Clouds::new(14, 3000, 2, 6.0, 5.0, Form::Round),
    Clouds::new(14, 3000, 20, 6.0, 1.0, Form::HeavyTailed),
    Clouds::new(20, 2000, 8, 8.0, 1.0, Form::Round),
    Clouds::new(20, 4000, 4, 5.0, 1.0, Form::Sheared),
    Clouds::new(20, 4000, 2, 6.0, 5.0, Form::Round),
    Clouds::new(40, 4000, 10, 8.0, 1.0, Form::Round),
    Clouds::new(40, 8000, 10, 5.0, 1.0, Form::Sheared),
    Clouds::new(40, 8000, 2, 6.0, 1.0, Form::Round),
    Clouds::new(40, 8000, 5, 6.0, 10.0, Form::Own),
];

/// How many cases of a draw are within one; tells those that are not.
fn within_one(cases: &[Clouds], seed: u64) -> usize {
    let right = |clouds: &&Clouds| {
        let counted = clouds.count(seed);
        let within = counted.clusters.is_some_and(|k| k.abs_diff(clouds.clusters) <= 1);
        println!("seed {seed}, {clouds:?}: {:?}", counted.clusters);
        if !within {
            println!("{counted}");
        }
        within
    };
    cases.iter().filter(right).count()
}

#[test]
fn on_twenty_clouds_the_number_is_within_one() {
    assert_eq!(within_one(&CASES, 0), CASES.len());
}

/// Other draws of the same clouds, and clouds of other sizes, dimensions and distances.
#[test]
#[ignore = "minutes; the gate has the twenty"]
fn on_other_clouds_the_number_is_within_one_nine_times_in_ten() {
    let others = [
        Clouds::new(1, 300, 8, 0.0, 1.0, Form::HeavyTailed),
        Clouds::new(1, 3000, 4, 0.0, 1.0, Form::Box),
        Clouds::new(1, 800, 16, 0.0, 1.0, Form::Sheared),
        Clouds::new(1, 8000, 10, 0.0, 1.0, Form::Round),
        Clouds::new(2, 600, 15, 5.0, 10.0, Form::Sheared),
        Clouds::new(3, 500, 3, 4.0, 1.0, Form::HeavyTailed),
        Clouds::new(3, 3000, 2, 9.0, 1.0, Form::Box),
        Clouds::new(7, 2500, 7, 4.0, 3.0, Form::Own),
        Clouds::new(10, 5000, 12, 4.0, 10.0, Form::Sheared),
        Clouds::new(25, 6000, 6, 5.0, 5.0, Form::HeavyTailed),
        Clouds::new(30, 3000, 3, 7.0, 1.0, Form::Own),
        Clouds::new(55, 8000, 8, 6.0, 1.0, Form::Sheared),
    ];
    let cases: Vec<Clouds> = CASES.into_iter().chain(others).collect();
    let found: usize = (1..=5).map(|seed| within_one(&cases, seed)).sum();
    println!("{found} of {} within one", 5 * cases.len());
    assert!(10 * found >= 9 * 5 * cases.len());
}

#[test]
fn more_clusters_than_a_model_may_have_are_an_error() {
    let counted = Clouds::new(150, 8000, 2, 8.0, 1.0, Form::Round).count(0);
    let error = counted.number(64).unwrap_err();
    assert_eq!(error.exit_code(), 8, "{error}");
}

#[test]
fn counting_breaks_off_and_a_seed_gives_the_same_again() {
    let clouds = Clouds::new(3, 300, 2, 6.0, 1.0, Form::Round);
    assert_eq!(clouds.count(5), clouds.count(5));
    let counting = Counting { on: Space::Values, reg_covar: 1e-3, pooling: 0.3, most: 64, seed: 0 };
    let mut told = Vec::new();
    let stopped = count_clusters(&clouds.draw(0), 2, &counting, &mut |components| {
        told.push(components);
        if told.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    // 150 points of a half have room for 18 components.
    assert_eq!((stopped.unwrap(), told), (None, vec![18, 18]));
    let few = count_clusters(&[0.0; 31], 1, &counting, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(few.to_string().contains("31 points are too few"), "{few}");
}
