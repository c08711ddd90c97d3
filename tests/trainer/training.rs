//! Training as a whole: that it can be interrupted anywhere, and what keeps the clusters from collapsing.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/mod.rs"]
mod common;

use std::ops::ControlFlow;

use burn::tensor::Device;
use common::{IMAGE, patterns, small};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use trainer::Error;
use trainer::config::{AugmentKind, CollapseConfig, Config, Count, DecoderPasses, EncoderKind, Preset, Weights};
use trainer::data::Frames;
use trainer::data::views::Neighbours;
use trainer::export::{Precision, encode};
use trainer::fit::{Balance, Checkpoint, Event, Place, epoch_of_model, fit, fit_on};
use trainer::fitted::Fitted;
use trainer::frame::FrameShape;
use trainer::model::Likelihood;
use trainer::stage::StageName;

/// Steps of a stage in [`short`].
const STEPS: usize = 20;

/// Few steps, in epochs of nine, and two starts of stage 1.
fn short() -> Config {
    let mut config = small();
    (config.pretrain.steps, config.refine.steps, config.pretrain.starts) = (STEPS.into(), STEPS.into(), 2.into());
    config
}

/// Runs to the end, or to the checkpoint after `until`, which then went through its bytes.
fn run(
    config: Config,
    frames: &Frames,
    resume: Option<Checkpoint>,
    until: Option<(StageName, usize)>,
) -> (Option<Fitted>, Option<Checkpoint>, Vec<String>) {
    let mut left = None;
    let mut epochs = Vec::new();
    let fitted = fit(&config.check(frames.shape).unwrap(), frames, &Device::flex(), resume, &mut |event| {
        match event {
            Event::Epoch(epoch) => epochs.push(serde_json::to_string(epoch).unwrap()),
            Event::Step { checkpoint, .. } if until.is_some() => {
                let checkpoint = checkpoint().unwrap();
                if Some((checkpoint.place.stage, checkpoint.place.step)) == until {
                    left = Some(Checkpoint::decode(&checkpoint.encode().unwrap()).unwrap());
                    return ControlFlow::Break(());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    (fitted.unwrap(), left, epochs)
}

/// What a run writes down.
#[derive(Clone, Debug, PartialEq)]
struct Written {
    /// Epochs, and those that were kept in place of the last.
    epochs: Vec<String>,
    model: Vec<u8>,
}

/// Runs to the end and takes a checkpoint, as bytes, at each of `places`, with the epochs that were told by then.
fn written(
    config: &Config,
    frames: &Frames,
    resume: Option<Checkpoint>,
    places: &[Place],
) -> (Written, Vec<(Place, Vec<u8>, usize)>) {
    let mut epochs = Vec::new();
    let mut taken = Vec::new();
    let config = config.clone().check(frames.shape).unwrap();
    let fitted = fit(&config, frames, &Device::flex(), resume, &mut |event| {
        match event {
            Event::Epoch(epoch) => epochs.push(serde_json::to_string(epoch).unwrap()),
            Event::Kept(kept) => epochs.push(serde_json::to_string(kept).unwrap()),
            Event::Step { checkpoint, .. } => {
                let checkpoint = checkpoint().unwrap();
                if places.contains(&checkpoint.place) {
                    taken.push((checkpoint.place, checkpoint.encode().unwrap(), epochs.len()));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    (Written { epochs, model: encode(&fitted.unwrap().unwrap(), Precision::F32).unwrap() }, taken)
}

/// At every boundary of stages and at 20 steps at random.
#[test]
fn a_resumed_run_is_the_uninterrupted_one_byte_for_byte() {
    let at = |start, stage, step| Place { attempt: 0, start, stage, step };
    let mut places: Vec<Place> = (0..2).map(|start| at(start, StageName::Pretrain, STEPS)).collect();
    places.extend([at(2, StageName::Mixture, 1), at(2, StageName::Refine, STEPS)]);
    let mut all: Vec<Place> =
        (0..2).flat_map(|start| (1..STEPS).map(move |step| at(start, StageName::Pretrain, step))).collect();
    all.extend((1..STEPS).map(|step| at(2, StageName::Refine, step)));
    all.shuffle(&mut ChaCha8Rng::seed_from_u64(20));
    places.extend(&all[..20]);

    let (config, frames) = (short(), patterns(304, IMAGE, 1));
    let (whole, taken) = written(&config, &frames, None, &places);
    assert_eq!(taken.len(), 24);
    for (place, bytes, told) in taken {
        let (rest, _) = written(&config, &frames, Some(Checkpoint::decode(&bytes).unwrap()), &[]);
        assert_eq!(rest.epochs, whole.epochs[told..], "{place:?}");
        assert!(rest.model == whole.model, "{place:?}");
    }
}

/// Steps of each gradient stage in [`by_heart`].
const LONG: [usize; 2] = [450, 1200];

/// Few rows that depend on two numbers and noise, and a network that learns them by heart.
fn by_heart() -> (Config, Frames) {
    let shape = FrameShape { channels: 1, height: 1, width: 12 };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut normal = || rng.sample::<f32, _>(StandardNormal);
    let mix: Vec<f32> = (0..2 * 12).map(|_| normal()).collect();
    let row = |_| {
        let hidden = [normal(), normal()];
        (0..12).map(|i| (0..2).map(|j| hidden[j] * mix[j * 12 + i]).sum::<f32>() + normal()).collect::<Vec<_>>()
    };
    let frames = Frames { shape, values: (0..120).flat_map(row).collect(), labels: None };
    let settings = [
        "frames=features",
        "encoder.kind=network",
        "encoder.hidden=[64]",
        "decoder.hidden=[128]",
        "augment.kind=none",
        "pretrain.learning_rate=1e-2",
        "pretrain.schedule=constant",
        "refine.learning_rate=2e-2",
    ];
    let mut config = small().set(&settings.map(str::to_owned)).unwrap();
    (config.pretrain.steps, config.refine.steps) = (LONG[0].into(), LONG[1].into());
    (config, frames)
}

/// In both stages, and resumed before the epoch that is kept, after it, and after it was chosen.
#[test]
fn rows_learned_by_heart_leave_the_weights_of_the_epoch_that_held_out_frames_liked_best() {
    let (config, frames) = by_heart();
    let places: Vec<Place> = [StageName::Pretrain, StageName::Refine]
        .into_iter()
        .zip(LONG)
        .flat_map(|(stage, steps)| [9, steps / 2, steps - 1, steps].map(|step| (stage, step)))
        .map(|(stage, step)| Place { attempt: 0, start: usize::from(stage > StageName::Pretrain), stage, step })
        .collect();
    let (whole, taken) = written(&config, &frames, None, &places);
    assert_eq!(taken.len(), places.len());
    let lines: Vec<serde_json::Value> = whole.epochs.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for stage in ["pretrain", "refine"] {
        let kept = lines.iter().find(|line| line["stage"] == stage && line["kept_epoch"].is_u64()).unwrap();
        let (epoch, epochs) = (kept["kept_epoch"].as_u64().unwrap(), kept["epochs"].as_u64().unwrap());
        assert!(epoch < epochs && kept["gain"].as_f64().unwrap() > 0.0, "{kept}");
    }
    let elbo = |line: &serde_json::Value| line["held_out"]["elbo"].as_f64().unwrap();
    let last = lines.iter().rfind(|line| line["epoch"].is_u64()).unwrap();
    let kept = epoch_of_model(&lines).unwrap();
    assert!(elbo(kept) > elbo(last), "{kept} {last}");
    for (place, bytes, told) in taken {
        let (rest, _) = written(&config, &frames, Some(Checkpoint::decode(&bytes).unwrap()), &[]);
        assert_eq!(rest.epochs, whole.epochs[told..], "{place:?}");
        assert!(rest.model == whole.model, "{place:?}");
    }
}

/// The observer that breaks off gets no model, and what it had saved goes on: with learned shares too, which are those of
/// the model that stage 3 begins with.
#[test]
fn a_training_can_be_broken_off() {
    let frames = patterns(304, IMAGE, 1);
    let short = || {
        let mut config = short();
        config.mixture.weights = Weights::Learned;
        config
    };
    let (whole, _, epochs) = run(short(), &frames, None, None);
    for until in [(StageName::Pretrain, 9), (StageName::Mixture, 1), (StageName::Refine, 7)] {
        let (none, checkpoint, mut told) = run(short(), &frames, None, Some(until));
        assert!(none.is_none());
        let (rest, _, more) = run(short(), &frames, checkpoint, None);
        told.extend(more);
        assert_eq!(told, epochs, "{until:?}");
        let bytes = |fitted: &Fitted| encode(fitted, Precision::F32).unwrap();
        assert!(bytes(&rest.unwrap()) == bytes(whole.as_ref().unwrap()), "{until:?}");
    }
}

/// Means over the epochs of a short training in batches of `batch` frames, on so many handles of the CPU.
fn curve(frames: &Frames, devices: usize, passes: DecoderPasses, batch: usize) -> Vec<(String, f64)> {
    let mut config = small();
    (config.pretrain.steps, config.refine.steps, config.refine.decoder_passes) = (12.into(), 12.into(), passes);
    (config.pretrain.batch, config.refine.batch) = (batch.into(), batch.into());
    let mut told = Vec::new();
    fit_on(&config.check(frames.shape).unwrap(), frames, &vec![Device::flex(); devices], None, &mut |event| {
        if let Event::Epoch(epoch) = event {
            told.extend(
                epoch.values.iter().map(|(name, value)| (format!("{} {name}", epoch.stage), f64::from(*value))),
            );
            // With the running statistics of the normalisation.
            told.extend(epoch.held_out.map(|bound| (format!("{} held-out ELBO", epoch.stage), bound.elbo)));
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    told
}

/// Several handles of the CPU take the path of several GPUs, but for the copies between them; the loss is that of the
/// whole batch, whatever a loss is a mean of, so it is the same loss. A training that loses half of every batch is not.
#[test]
fn a_batch_spread_over_devices_trains_as_on_one() {
    /// What rounding may come to in 24 steps, relative to 1 + the value.
    const ROUNDING: f64 = 1e-4;
    let frames = patterns(304, IMAGE, 1);
    let apart = |one: &[(String, f64)], other: &[(String, f64)]| {
        assert!(one.iter().map(|(name, _)| name).eq(other.iter().map(|(name, _)| name)));
        let relative = |((_, a), (_, b)): (&(String, f64), &(String, f64))| (a - b).abs() / (1.0 + a.abs());
        one.iter().zip(other).map(relative).fold(0.0, f64::max)
    };
    for passes in [DecoderPasses::Sampled, DecoderPasses::Exact] {
        let one = curve(&frames, 1, passes, 32);
        // Parts of 16 rows, and of 11, 11 and 10.
        for devices in [2, 3] {
            let found = apart(&one, &curve(&frames, devices, passes, 32));
            assert!(found < ROUNDING, "{passes:?} on {devices}: {found}");
        }
        // As many epochs of as many steps, from half of the frames.
        let half = curve(&frames.select(&(0..152).collect::<Vec<_>>()), 1, passes, 16);
        assert!(apart(&one, &half) > 100.0 * ROUNDING, "{passes:?}");
    }
}

#[test]
fn a_checkpoint_that_is_damaged_or_of_other_frames_is_refused() {
    let frames = patterns(304, IMAGE, 1);
    let (_, checkpoint, _) = run(short(), &frames, None, Some((StageName::Pretrain, 5)));
    let checkpoint = checkpoint.unwrap();
    let expected = Place { attempt: 0, start: 0, stage: StageName::Pretrain, step: 5 };
    assert_eq!(checkpoint.place, expected);
    let bytes = checkpoint.encode().unwrap();
    for length in (0..bytes.len()).step_by(97) {
        assert!(Checkpoint::decode(&bytes[..length]).is_err(), "{length}");
    }
    for at in (bytes.len() / 2..bytes.len()).step_by(1009) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 4;
        assert!(Checkpoint::decode(&bytes).is_err(), "{at}");
    }
    let other =
        fit(&short().check(IMAGE).unwrap(), &patterns(304, IMAGE, 2), &Device::flex(), Some(checkpoint), &mut |_| {
            ControlFlow::Continue(())
        });
    assert!(matches!(other, Err(Error::Data { .. })));
}

/// The patterns at a third of their contrast and three times their noise, which EM only just tells apart.
fn faint(n: usize, seed: u64) -> Frames {
    let mut frames = patterns(n, IMAGE, seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed + 1);
    for value in &mut frames.values {
        let noise: f32 = rng.sample(StandardNormal);
        *value = (0.5 + (*value - 0.5) / 3.0 + 0.3 * noise).clamp(0.0, 1.0);
    }
    frames
}

/// E12: the bound charges for I(x;c). EM hands both trainings the same clear clusters; without the information terms
/// the charge makes one Gaussian of them, which the collapse watch refuses.
#[test]
fn without_the_information_terms_the_clusters_of_em_collapse_and_with_them_they_do_not() {
    let frames = faint(400, 4);
    let fitted = |config: &Config| {
        let (mut of_em, mut restarts) = (Vec::new(), 0);
        let config = config.clone().check(IMAGE).unwrap();
        let fitted = fit(&config, &frames, &Device::flex(), None, &mut |event| {
            match event {
                Event::Mixture(report) => of_em.push(report.clusters),
                Event::Restart { .. } => restarts += 1,
                _ => {}
            }
            ControlFlow::Continue(())
        });
        (fitted, of_em, restarts)
    };
    let mut guarded = small();
    (guarded.pretrain.steps, guarded.refine.steps, guarded.refine.learning_rate) = (300.into(), 1500.into(), 5e-3);
    guarded.collapse = CollapseConfig { restarts: 1, ..CollapseConfig::default() };
    let mut bare = guarded.clone();
    // Eq. (6.1) as it stands.
    (bare.refine.charge, bare.refine.information, bare.refine.consistency) = (true, 0.0, 0.0);
    let mut unwatched = bare.clone();
    unwatched.collapse = CollapseConfig { information: 0.0, active: 0.0, restarts: 0 };

    let log_k = (guarded.clusters() as f64).ln();
    let bounds = CollapseConfig::default();
    let balance = |fitted: Fitted| Balance::of_model(&fitted.model, &frames).unwrap();
    let (kept, from, restarts) = fitted(&guarded);
    let kept = balance(kept.unwrap().unwrap());
    assert!(from[0].mutual_information > 0.8 * log_k && restarts == 0, "{from:?}");
    assert!(kept.mutual_information > 0.9 * log_k && kept.fault(&bounds, 3).is_none(), "{kept:?}");

    let (lost, same, _) = fitted(&unwatched);
    let lost = balance(lost.unwrap().unwrap());
    assert_eq!(same, from);
    assert!(lost.mutual_information < 0.02 * log_k, "{lost:?}");
    assert!(lost.fault(&bounds, 3).is_some_and(|why| why.contains("collapse.information")), "{lost:?}");

    // With its default bounds the watch begins again as often as it may, and then gives no model.
    let (refused, tried, restarts) = fitted(&bare);
    let refused = refused.unwrap_err();
    assert_eq!((refused.exit_code(), tried.len(), restarts), (4, 2, 1), "{refused}");
    assert!(refused.to_string().contains("collapsed in 2 attempts"), "{refused}");
}

/// Against all distances, sorted.
#[test]
fn neighbours_are_the_nearest_frames() {
    let frames = patterns(300, IMAGE, 9);
    let near = Neighbours::find(&frames, 7, 0, &Device::flex()).unwrap();
    for n in 0..300 {
        let distance = |m: usize| -> f64 {
            frames.frame(n).iter().zip(frames.frame(m)).map(|(a, b)| f64::from(a - b).powi(2)).sum()
        };
        let mut others: Vec<usize> = (0..300).filter(|m| *m != n).collect();
        others.sort_by(|a, b| distance(*a).total_cmp(&distance(*b)));
        let farthest = distance(others[6]) + 1e-4;
        let found = near.of(n);
        assert!(found.iter().all(|&m| m as usize != n && distance(m as usize) <= farthest), "{n}: {found:?}");
        let mut distinct = found.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 7);
    }
    assert!(Neighbours::find(&frames.select(&[0, 1, 2]), 3, 0, &Device::flex()).is_err());
}

#[test]
fn an_unbalanced_mixture_starts_again_and_the_last_attempt_goes_on() {
    // Nine of ten frames are of one pattern.
    let all = patterns(3000, IMAGE, 6);
    let labels = all.labels.clone().unwrap();
    let chosen: Vec<usize> = (0..3000).filter(|n| labels[*n] == 0 || n % 20 == 1).take(400).collect();
    let frames = all.select(&chosen);
    let mut config = short();
    (config.clusters, config.mixture.balance, config.collapse.restarts) = (Count::Of(2), 1.0, 2);
    let (mut restarts, mut refined) = (Vec::new(), 0);
    let fitted = fit(&config.check(frames.shape).unwrap(), &frames, &Device::flex(), None, &mut |event| {
        match event {
            Event::Restart { restarts: count, why } => {
                assert!(why.contains("mixture.balance"), "{why}");
                restarts.push(count);
            }
            Event::Stage { name: StageName::Refine, .. } => refined += 1,
            _ => {}
        }
        ControlFlow::Continue(())
    });
    assert!(fitted.unwrap().is_some());
    assert_eq!((restarts, refined), (vec![1, 2], 1));
}

/// A frame's neighbours in place of views, and no views at all.
#[test]
fn presets_without_maps_train() {
    let frames = patterns(304, IMAGE, 1);
    for preset in [Preset::NoAugment, Preset::Vade] {
        let from = preset.config();
        let mut config = short();
        config.augment.kind = from.augment.kind;
        assert!(matches!(config.augment.kind, AugmentKind::Neighbours | AugmentKind::None));
        (config.pretrain.pull, config.pretrain.kl_weight) = (from.pretrain.pull, from.pretrain.kl_weight);
        config.refine = trainer::config::RefineConfig { steps: 20.into(), batch: 32.into(), ..from.refine };
        let (whole, _, epochs) = run(config.clone(), &frames, None, None);
        let (_, checkpoint, _) = run(config.clone(), &frames, None, Some((StageName::Refine, 5)));
        let (rest, _, _) = run(config, &frames, checkpoint, None);
        let bytes = |fitted: Option<Fitted>| encode(&fitted.unwrap(), Precision::F32).unwrap();
        assert!(bytes(whole) == bytes(rest));
        // The bounds of held-out frames stand beside the means of training, in every epoch of stage 3.
        let last: serde_json::Value = serde_json::from_str(epochs.last().unwrap()).unwrap();
        for name in ["elbo", "marginal_bound", "nested_bound", "jensen_gap", "nested_gain", "importance_weighted"] {
            assert!(last["held_out"][name].as_f64().is_some_and(f64::is_finite), "{name}: {last}");
        }
        assert!(last["held_out"]["jensen_gap"].as_f64().unwrap() >= -1e-5);
    }
}

#[test]
fn the_number_of_clusters_can_be_found_and_the_run_resumed() {
    let frames = patterns(600, IMAGE, 2);
    let mut config = short();
    config.clusters = Count::Auto;
    (config.mixture.most_clusters, config.pretrain.steps, config.mixture.restarts) = (6, 100.into(), 4);
    let (whole, _, epochs) = run(config.clone(), &frames, None, None);
    let whole = whole.unwrap();
    assert_eq!((whole.config.clusters, whole.model.prior.clusters()), (Count::Of(3), 3));
    let expected = encode(&whole, Precision::F32).unwrap();
    for until in [(StageName::Pretrain, 13), (StageName::Mixture, 1), (StageName::Refine, 7)] {
        let (_, checkpoint, mut told) = run(config.clone(), &frames, None, Some(until));
        let (rest, _, more) = run(config.clone(), &frames, checkpoint, None);
        told.extend(more);
        assert_eq!(told, epochs, "{until:?}");
        assert!(encode(&rest.unwrap(), Precision::F32).unwrap() == expected, "{until:?}");
    }
}

/// Of few frames one in eight is kept from training, and at least one.
#[test]
fn a_batch_that_is_set_must_be_filled_and_one_that_is_not_adapts() {
    let mut config = short();
    (config.pretrain.batch, config.refine.batch) = (16.into(), 16.into());
    let fitted = |config: &Config, n| {
        let config = config.clone().check(IMAGE).unwrap();
        fit(&config, &patterns(n, IMAGE, 1), &Device::flex(), None, &mut |_| ControlFlow::Continue(()))
    };
    // Two of 17 are kept to calibrate.
    let refused = fitted(&config, 17).unwrap_err().to_string();
    assert!(refused.contains("17 frames, 2 of them kept to calibrate, are too few for batches of 16"), "{refused}");
    assert!(fitted(&config, 18).unwrap().is_some());
    // A batch that is not set adapts, down to two frames a cluster.
    (config.pretrain.batch, config.refine.batch) = (Count::Auto, Count::Auto);
    let refused = fitted(&config, 6).unwrap_err();
    assert_eq!((refused.exit_code(), refused.to_string().contains("6 frames are too few")), (2, true), "{refused}");
    assert!(fitted(&config, 7).unwrap().is_some());
}

/// Rows between 0 and 1 are rows like any other; Bernoulli is there for who asks for it.
#[test]
fn rows_between_0_and_1_are_standardised_and_pictures_are_not() {
    let rows = FrameShape { channels: 1, height: 1, width: 6 };
    let of = |shape, likelihood: &str| {
        let settings = [format!("decoder.likelihood={likelihood}"), "pretrain.steps=2".into(), "refine.steps=2".into()];
        let config = short().set(&settings).unwrap().check(shape).unwrap();
        let fitted = fit(&config, &patterns(120, shape, 1), &Device::flex(), None, &mut |_| ControlFlow::Continue(()));
        let fitted = fitted.unwrap().unwrap();
        (fitted.scaling.is_some(), fitted.likelihood)
    };
    assert_eq!(of(rows, "auto"), (true, Likelihood::Gaussian));
    assert_eq!(of(rows, "bernoulli"), (false, Likelihood::Bernoulli));
    assert_eq!(of(IMAGE, "auto"), (false, Likelihood::Bernoulli));
    assert_eq!(of(IMAGE, "gaussian"), (false, Likelihood::Gaussian));
}

/// Three clouds of rows, sheared so that no feature tells them apart, of very different size.
fn sheared(sizes: [usize; 3], seed: u64) -> Frames {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for (class, size) in sizes.into_iter().enumerate() {
        for _ in 0..size {
            let [a, b]: [f32; 2] = [rng.sample(StandardNormal), rng.sample(StandardNormal)];
            let b = 0.3 * b + 3.0 * class as f32;
            values.extend([1e-6 * (a + b), 1e3 * (a - 0.5 * b)]);
            labels.push(class as u32);
        }
    }
    Frames { shape: FrameShape { channels: 1, height: 1, width: 2 }, values, labels: Some(labels) }
}

/// Whatever the units and the shares: the mixture on the values is the model, and its q(c|x) is the mixture's own.
#[test]
fn rows_whose_halves_agree_are_clustered_by_the_mixture_on_their_values() {
    for (sizes, clusters) in
        [([200; 3], Count::Of(3)), ([200; 3], Count::Auto), ([900, 40, 40], Count::Of(3)), ([900, 40, 40], Count::Auto)]
    {
        let frames = sheared(sizes, 3);
        let config = Config { clusters, ..Config::default() };
        let (mut rivals, mut log_likelihood) = (None, f64::NAN);
        let fitted = fit(&config.check(frames.shape).unwrap(), &frames, &Device::flex(), None, &mut |event| {
            match event {
                Event::Rivals(found) => rivals = Some(found.clone()),
                Event::Mixture(report) => log_likelihood = report.log_likelihood,
                Event::Stage { .. } => panic!("a network is trained"),
                _ => {}
            }
            ControlFlow::Continue(())
        });
        let fitted = fitted.unwrap().unwrap();
        assert_eq!(fitted.config.clusters, Count::Of(3));
        assert_eq!(rivals.unwrap().best().unwrap().encoder, EncoderKind::Identity);
        let found = trainer::evaluate(&fitted, &frames, 100, &Device::flex()).unwrap();
        let accuracy = found.scores.unwrap().acc;
        assert!(accuracy > 0.99, "{sizes:?}: {accuracy}");
        // log p(x) of the cluster VAE is that of the mixture, its weights included.
        let difference = found.bound.importance_weighted - log_likelihood;
        assert!(difference.abs() < 0.05, "{sizes:?}: {difference}");
        assert_eq!(fitted.config.mixture.weights == Weights::Learned, sizes[0] > sizes[1]);
        encode(&fitted, Precision::F32).unwrap();
    }
}

/// Networks of even and of learned shares are compared on the same halves, and the model is made as the better of them; of
/// more frames than may be halved some take part.
#[test]
fn a_network_takes_the_shares_that_halves_of_the_frames_agree_on() {
    let frames = patterns(400, IMAGE, 1);
    for (weights, halves, tried) in [(Weights::Auto, 400, 2), (Weights::Auto, 120, 2), (Weights::Learned, 400, 1)] {
        let mut config = small();
        config.confidence.halves = halves;
        config.mixture.weights = weights;
        let (mut rivals, mut witnessed, mut begun) = (None, false, false);
        let fitted = fit(&config.check(IMAGE).unwrap(), &frames, &Device::flex(), None, &mut |event| {
            match event {
                Event::Rivals(found) => {
                    assert!(!begun, "they come before the model");
                    rivals = Some(found.clone());
                }
                Event::Stage { .. } => begun = true,
                Event::Witnessed(_) => witnessed = true,
                _ => {}
            }
            ControlFlow::Continue(())
        });
        let (fitted, rivals) = (fitted.unwrap().unwrap(), rivals.unwrap());
        let best = rivals.best().unwrap();
        assert!(
            rivals.rivals.len() == tried && rivals.rivals.iter().all(|rival| rival.alike <= best.alike),
            "{rivals:?}"
        );
        // Learned shares are not always found in so few steps.
        assert!(best.alike > if tried == 2 { 0.95 } else { 0.5 }, "{rivals:?}");
        assert_eq!(best.encoder, EncoderKind::Network);
        assert_eq!(fitted.config.mixture.weights, best.weights);
        assert_eq!(fitted.model.prior.log_weights.is_some(), best.weights == Weights::Learned);
        // Halves of some of the frames do not say how sure a model of all may be.
        assert_eq!((rivals.halved, witnessed), (halves.min(350), halves == 400));
    }
}

/// What is told before the first step stands in the log of the run already.
#[test]
fn a_resumed_training_does_not_tell_its_beginning_again() {
    let frames = patterns(304, IMAGE, 1);
    let mut config = short();
    config.augment.reach = 0.01;
    config.confidence.halves = 304;
    let config = config.check(IMAGE).unwrap();
    let told = |resume: Option<Checkpoint>| {
        let (mut weaker, mut halves, mut saved) = (0, [0; 3], None);
        let fitted = fit(&config, &frames, &Device::flex(), resume, &mut |event| {
            match event {
                Event::Weaker { strength } => {
                    assert!(strength < 1.0);
                    weaker += 1;
                }
                // Models of halves are fitted once, and what they said is in the checkpoint.
                Event::Half { .. } => halves[0] = 1,
                Event::Rivals(_) => halves[1] += 1,
                Event::Witnessed(_) => halves[2] += 1,
                Event::Step { checkpoint, .. } if saved.is_none() => saved = Some(checkpoint().unwrap()),
                _ => {}
            }
            ControlFlow::Continue(())
        });
        (encode(&fitted.unwrap().unwrap(), Precision::F32).unwrap(), (weaker, halves), saved)
    };
    let (whole, first, saved) = told(None);
    let (resumed, again, _) = told(saved);
    assert_eq!((first, again), ((1, [1, 1, 1]), (0, [0, 0, 1])));
    assert!(whole == resumed);
}
