//! Pictures without their colours, beside the definition.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::{FrameShape, FrontEnd, Tone};

const SHAPE: FrameShape = FrameShape { channels: 3, height: 9, width: 7 };
const PIXELS: usize = 63;
const FLOOR: f32 = 1e-3;

/// What becomes of a picture.
fn shades(channels: usize, picture: &[f32]) -> Vec<f32> {
    let front_end = FrontEnd::Tone(Tone::new(FrameShape { channels, ..SHAPE }, FLOOR).unwrap());
    assert_eq!(front_end.shape(), FrameShape { channels: 1, ..SHAPE });
    let (mut out, mut work) = (vec![f32::NAN; PIXELS], vec![f32::NAN; front_end.work()]);
    assert!(front_end.apply(picture.iter().copied(), &mut out, &mut work));
    out
}

/// The same in f64, the main colour by power iteration.
fn by_definition(channels: usize, picture: &[f32]) -> Vec<f64> {
    let x: Vec<f64> = picture.iter().map(|v| f64::from(*v)).collect();
    let centred = |channel: &[f64]| {
        let mean = channel.iter().sum::<f64>() / PIXELS as f64;
        channel.iter().map(|v| v - mean).collect::<Vec<_>>()
    };
    let d: Vec<Vec<f64>> = x.chunks_exact(PIXELS).map(centred).collect();
    let along =
        |axis: &[f64]| -> Vec<f64> { (0..PIXELS).map(|p| (0..channels).map(|c| axis[c] * d[c][p]).sum()).collect() };
    let mut axis: Vec<f64> = (0..channels).map(|c| 1.0 + 0.1 * c as f64).collect();
    for _ in 0..2000 {
        let tones = along(&axis);
        let next: Vec<f64> = d.iter().map(|d| d.iter().zip(&tones).map(|(d, t)| d * t).sum()).collect();
        let length = next.iter().map(|v| v * v).sum::<f64>().sqrt();
        axis = next.into_iter().map(|v| v / length).collect();
    }
    let rarer = along(&axis).iter().map(|t| t.powi(3)).sum::<f64>().signum();
    let tones: Vec<f64> = along(&axis).iter().map(|t| t * rarer).collect();
    let least = tones.iter().copied().fold(f64::INFINITY, f64::min);
    let most = tones.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    tones.into_iter().map(|t| (t - least) / (most - least + f64::from(FLOOR))).collect()
}

/// A drawing of ink, 0 to 1, that covers a fifth of the paper.
fn ink(rng: &mut ChaCha8Rng) -> Vec<f32> {
    (0..PIXELS).map(|p| if p % 5 == 0 { 0.8 + 0.2 * rng.random::<f32>() } else { 0.1 * rng.random::<f32>() }).collect()
}

/// The drawing in one colour on another.
fn coloured(ink: &[f32], paper: [f32; 3], pen: [f32; 3]) -> Vec<f32> {
    (0..3).flat_map(|c| ink.iter().map(move |ink| paper[c] + (pen[c] - paper[c]) * ink)).collect()
}

#[test]
fn shades_are_as_they_are_defined() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for channels in 1..=4 {
        for _ in 0..20 {
            // Skewed noise, most along one colour of many.
            let colour: Vec<f32> = (0..channels).map(|_| rng.random::<f32>() - 0.5).collect();
            let tones: Vec<f32> = (0..PIXELS).map(|_| rng.random::<f32>().powi(4)).collect();
            let noise = |rng: &mut ChaCha8Rng| 0.02 * rng.random::<f32>();
            let picture: Vec<f32> = colour
                .iter()
                .flat_map(|c| tones.iter().map(|t| 0.4 + c * t + noise(&mut rng)).collect::<Vec<_>>())
                .collect();
            for (a, b) in shades(channels, &picture).iter().zip(by_definition(channels, &picture)) {
                assert!((f64::from(*a) - b).abs() < 2e-3, "{channels} channels: {a} {b}");
            }
        }
    }
}

#[test]
fn ink_and_paper_of_any_colours_are_the_same() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let drawing = ink(&mut rng);
    let expected = shades(3, &coloured(&drawing, [0.0; 3], [1.0; 3]));
    assert!(expected.iter().enumerate().all(|(p, shade)| (*shade > 0.5) == (p % 5 == 0)), "ink is bright");
    for (paper, pen) in [
        ([1.0; 3], [0.0; 3]),
        ([0.9, 0.1, 0.2], [0.1, 0.3, 0.9]),
        ([0.5, 0.5, 0.5], [0.5, 1.0, 0.5]),
        ([0.0, 0.6, 0.0], [0.6, 0.0, 0.3]),
    ] {
        for (a, b) in shades(3, &coloured(&drawing, paper, pen)).iter().zip(&expected) {
            assert!((a - b).abs() < 4e-3, "{paper:?} {pen:?}: {a} {b}");
        }
    }
}

/// An even picture stays even, its noise not blown up; what is not finite, or too large to be squared, is told.
#[test]
fn even_and_unusual_pictures() {
    assert_eq!(shades(3, &[0.3; 3 * PIXELS]), [0.0; PIXELS]);
    let noisy: Vec<f32> = (0..3 * PIXELS).map(|i| 0.3 + 1e-6 * (i % 3) as f32).collect();
    assert!(shades(3, &noisy).iter().all(|shade| *shade < 0.02));
    for bad in [f32::NAN, f32::INFINITY, 1e30] {
        let mut picture = vec![0.5; 3 * PIXELS];
        picture[70] = bad;
        assert!(!shades(3, &picture).iter().all(|shade| shade.is_finite()), "{bad}");
    }
    let tone = Tone::new(SHAPE, FLOOR).unwrap();
    let (mut out, mut work) = ([0.0; PIXELS], [0.0; 3 * PIXELS]);
    assert!(!tone.apply([0.0; 3 * PIXELS - 1], &mut out, &mut work), "too few values");
    assert!(
        !tone.apply([0.0; 3 * PIXELS], &mut out[1..], &mut work)
            && !tone.apply([0.0; 3 * PIXELS], &mut out, &mut work[1..])
    );
    for (channels, floor) in
        [(0, FLOOR), (5, FLOOR), (3, 0.0), (3, -1.0), (3, f32::NAN), (3, f32::INFINITY), (3, 1e-40)]
    {
        assert_eq!(Tone::new(FrameShape { channels, ..SHAPE }, floor), None);
    }
}
