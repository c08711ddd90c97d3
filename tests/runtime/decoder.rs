//! Images whose novelty counts the decoder: the engine gives what the model says, and no damage goes unnoticed.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/repair.rs"]
mod repair;

use half::f16;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use repair::repair;
use runtime::flash::{
    Buffer, CriticSpec, DecoderModel, DecoderSpec, DenseSpec, FlashError, FlashModel, MAX_DECODER_LAYERS, ModelSpec,
    encode,
};
use runtime::kernels::Kernel;
use runtime::native::{
    Critic, DecoderEngine, Engine, EngineError, critic_scratch_len, decoder_scratch_len, scratch_len,
};
use runtime::{Calibration, Dispersion, FrameError, FrameShape};

/// Clusters, latent dimensions, values of a frame.
const K: usize = 3;
const D: usize = 2;
const P: usize = 6;

/// Decoders by the widths of their hidden layers: of one layer at a time, and with every layout.
fn spec(bernoulli: bool, hidden: &[usize]) -> ModelSpec {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut floats = |count: usize| -> Vec<f32> { (0..count).map(|_| 2.0 * rng.random::<f32>() - 1.0).collect() };
    let mut dense = |shape: [usize; 2], rows: usize| DenseSpec {
        shape,
        weight: floats(shape[0] * shape[1]),
        bias: floats(rows * shape[1]),
    };
    let encoder = dense([P, 2 * D], 1);
    let widths: Vec<usize> = [D].into_iter().chain(hidden.iter().copied()).chain([P]).collect();
    let decoder = widths.windows(2).enumerate().map(|(at, w)| dense([w[0], w[1]], if at == 0 { K } else { 1 }));
    let decoder = decoder.collect();
    let mut spec = ModelSpec {
        shape: FrameShape { channels: 1, height: 2, width: 3 },
        range: Some([vec![-1.0], vec![1.0]]),
        windowing: None,
        front_end: None,
        scaling: (!bernoulli).then(|| [floats(P), floats(P)]),
        convs: vec![],
        dense: vec![encoder],
        learned_head: false,
        log_var_range: [-8.0, 4.0],
        mu_c: floats(K * D),
        log_var_c: floats(K),
        log_weights: None,
        calibration: Calibration { novelty_threshold: 0.0, temperature: 1.25 },
        golden_frame: vec![0.5; P],
        golden_log_responsibilities: vec![0.0; K],
        golden_novelty: 0.0,
        critic: None,
        decoder: Some(DecoderSpec { dense: decoder, dispersion: Dispersion { bernoulli, noise: 0.4, weight: 1.5 } }),
    };
    let bytes = Buffer::copy_of(&encode(&spec));
    let model = DecoderModel::new(&bytes).unwrap();
    let mut scratch = vec![0.0; decoder_scratch_len(&model)];
    let answer = DecoderEngine::new(model, &mut scratch).unwrap().assign(&spec.golden_frame).unwrap();
    spec.golden_log_responsibilities = answer.log_responsibilities.to_vec();
    spec.golden_novelty = answer.novelty;
    spec.calibration.novelty_threshold = answer.novelty;
    spec
}

fn without_decoder(spec: &ModelSpec) -> Vec<u8> {
    encode(&ModelSpec { decoder: None, ..spec.clone() })
}

/// φ in f64, from the equation.
fn dispersion(spec: &ModelSpec, frame: &[f32], mu: &[f32], cluster: usize) -> f64 {
    let DecoderSpec { dense, dispersion } = spec.decoder.as_ref().unwrap();
    let mut x: Vec<f64> = mu.iter().map(|v| f64::from(*v)).collect();
    for (at, layer) in dense.iter().enumerate() {
        let [_, outputs] = layer.shape;
        let row = if at == 0 { cluster * outputs } else { 0 };
        let output = |o: usize| {
            let weight = |i: usize| f64::from(f16::from_f32(layer.weight[i * outputs + o]).to_f32());
            let sum: f64 = x.iter().enumerate().map(|(i, x)| x * weight(i)).sum();
            let sum = sum + f64::from(layer.bias[row + o]);
            if at + 1 < dense.len() { sum.max(0.0) } else { sum }
        };
        x = (0..outputs).map(output).collect();
    }
    let (mut found, mut expected) = (0.0, 0.0);
    for (at, out) in x.iter().enumerate() {
        let value = match &spec.scaling {
            Some([shift, factor]) => f64::from(frame[at] - shift[at]) * f64::from(factor[at]),
            None => f64::from(frame[at]),
        };
        let mean = if dispersion.bernoulli { 1.0 / (1.0 + (-out).exp()) } else { *out };
        found += (value - mean).powi(2);
        expected += if dispersion.bernoulli { mean * (1.0 - mean) } else { f64::from(dispersion.noise) }.max(1e-6);
    }
    found / expected
}

#[test]
fn novelty_is_the_latents_and_the_weighted_dispersion() {
    for (bernoulli, hidden) in [(true, vec![5]), (false, vec![5]), (true, vec![70, 130]), (false, vec![3, 4, 66])] {
        let spec = spec(bernoulli, &hidden);
        let (with, without) = (Buffer::copy_of(&encode(&spec)), Buffer::copy_of(&without_decoder(&spec)));
        for kernel in Kernel::all() {
            let latent = FlashModel::new(&without).unwrap();
            let model = DecoderModel::new(&with).unwrap();
            let mut of_latent = vec![0.0; scratch_len(&latent)];
            // What was in the memory before changes nothing.
            let mut scratch = vec![f32::NAN; decoder_scratch_len(&model)];
            let mut latent = Engine::with_kernel(latent, &mut of_latent, kernel).unwrap();
            let mut engine = DecoderEngine::with_kernel(model, &mut scratch, kernel).unwrap();
            engine.self_test().unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let mut novel = 0;
            for _ in 0..200 {
                let frame: Vec<f32> = (0..P).map(|_| rng.random()).collect();
                let mu = latent.encode(&frame).unwrap().mu.to_vec();
                let by_latent = latent.assign(&frame).unwrap();
                let found = engine.assign(&frame).unwrap();
                let expected = f64::from(by_latent.novelty) + 1.5 * dispersion(&spec, &frame, &mu, found.cluster);
                let difference = (f64::from(found.novelty) - expected).abs();
                assert!(difference < 1e-4 * (1.0 + expected.abs()), "{}: {found:?} {expected}", kernel.name());
                assert_eq!(found.is_novel, found.novelty > spec.calibration.novelty_threshold);
                assert_eq!(found.log_responsibilities, by_latent.log_responsibilities);
                novel += usize::from(found.is_novel);
            }
            assert!((1..200).contains(&novel), "{novel}: the frames do not try what they should");
            let bytes = [0, 51, 102, 153, 204, 255];
            let values = bytes.map(|byte| f32::from(byte) / 255.0);
            assert_eq!(engine.assign_u8(&bytes).unwrap(), engine.assign(&values).unwrap());
            assert!(matches!(engine.assign(&frame_of(f32::NAN)), Err(FrameError::NotFinite { .. })));
            assert!(engine.assign(&frame_of(1e30)).is_err());
            assert!(engine.assign(&[0.5; P - 1]).is_err() && engine.assign_u8(&[0; P + 1]).is_err());
        }
    }
}

fn frame_of(value: f32) -> [f32; P] {
    [value; P]
}

#[test]
fn each_reader_refuses_the_other_images() {
    let spec = spec(true, &[5]);
    let (with, without) = (Buffer::copy_of(&encode(&spec)), Buffer::copy_of(&without_decoder(&spec)));
    assert!(FlashModel::new(&with).unwrap_err().to_string().contains("DecoderModel"));
    assert!(DecoderModel::new(&without).unwrap_err().to_string().contains("--novelty decoder"));
    let model = DecoderModel::new(&with).unwrap();
    assert_eq!((model.layers().len(), model.shape(), model.head().clusters()), (1, spec.shape, K));
    let mut short = vec![0.0; decoder_scratch_len(&model) - 1];
    let refused = DecoderEngine::new(model, &mut short).err();
    assert!(matches!(refused, Some(EngineError::Scratch { .. })));
}

/// A critic lies before the decoder, and draws what it draws without one.
#[test]
fn a_critic_and_a_decoder_share_an_image() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut dense = |inputs, outputs| DenseSpec {
        shape: [inputs, outputs],
        weight: (0..inputs * outputs).map(|_| rng.random::<f32>() - 0.5).collect(),
        bias: vec![0.25; outputs],
    };
    let critic = CriticSpec {
        dense: [dense(D, 3), dense(3, 4), dense(4, 2)],
        bias: vec![0.1; P],
        local: vec![0.5],
        side: 1,
        factor: 2,
        bernoulli: true,
        sharpness: 1.0,
    };
    let spec = ModelSpec { critic: Some(critic), ..spec(true, &[5]) };
    let (with, without) = (Buffer::copy_of(&encode(&spec)), Buffer::copy_of(&without_decoder(&spec)));
    let (model, plain) = (DecoderModel::new(&with).unwrap(), FlashModel::new(&without).unwrap());
    let needed = critic_scratch_len(&model.critic().unwrap().unwrap());
    let (mut first, mut second) = (vec![0.0; needed], vec![0.0; needed]);
    let (mut of_model, mut of_plain) = (vec![0.0; decoder_scratch_len(&model)], vec![0.0; scratch_len(&plain)]);
    let mut by_plain = Critic::new(&plain, &mut second).unwrap();
    let mut engine = DecoderEngine::new(model, &mut of_model).unwrap();
    let mut plain = Engine::new(plain, &mut of_plain).unwrap();
    let mut critic = engine.critic(&mut first).unwrap();
    let frame = [0.1, 0.9, 0.4, 0.6, 0.0, 1.0];
    let (mut trust, mut expected) = ([0.0; P], [0.0; P]);
    let found = engine.explain(&mut critic, &frame, &mut trust).unwrap();
    plain.explain(&mut by_plain, &frame, &mut expected).unwrap();
    assert_eq!((trust, found), (expected, engine.assign(&frame).unwrap()));
    assert!(engine.explain(&mut critic, &frame, &mut [0.0; P - 1]).is_err());
}

#[test]
fn every_flipped_bit_and_every_truncation_is_noticed() {
    let image = encode(&spec(true, &[2]));
    let mut bytes = Buffer::copy_of(&image);
    assert!(DecoderModel::new(&bytes).is_ok());
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(DecoderModel::new(&bytes).is_err(), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    for length in 0..bytes.len() {
        assert!(matches!(DecoderModel::new(&bytes[..length]), Err(FlashError::Short { .. })), "{length}");
    }
}

/// Past the checksums: words of the decoder's section are changed, and the checksums made to hold again.
#[test]
fn a_decoder_that_makes_no_sense_is_refused_without_a_panic() {
    let good = encode(&spec(false, &[5, 4]));
    let entry = 64 + 16 * 5;
    let section = u32::from_le_bytes(good[entry..entry + 4].try_into().unwrap()) as usize;
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let values = [0, 1, 2, 3, 4, 5, 16, 17, 0x10_0000, 0x10_0001, 0x7fc0_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut bytes = Buffer::copy_of(&good);
        for _ in 0..rng.random_range(1..4) {
            let at = section + 4 * rng.random_range(0..20);
            bytes[at..at + 4].copy_from_slice(&values[rng.random_range(0..values.len())].to_le_bytes());
        }
        repair(&mut bytes);
        match DecoderModel::new(&bytes) {
            Err(_) => refused += 1,
            // Some changes (noise, weight, a bias) make another whole model: that one must run.
            Ok(model) => {
                let mut scratch = vec![0.0; decoder_scratch_len(&model)];
                let _ = DecoderEngine::new(model, &mut scratch).unwrap().assign(&[0.5; P]);
            }
        }
    }
    assert!((1..20_000).contains(&refused), "{refused}");
}

#[test]
fn what_is_not_finite_and_what_does_not_fit_is_named() {
    let refused = |change: &dyn Fn(&mut DecoderSpec)| {
        let mut bad = spec(true, &[5]);
        change(bad.decoder.as_mut().unwrap());
        DecoderModel::new(&Buffer::copy_of(&encode(&bad))).unwrap_err()
    };
    assert!(matches!(refused(&|d| d.dense[1].weight[0] = 1e6), FlashError::NotFinite(_)));
    assert!(matches!(refused(&|d| d.dense[0].bias[7] = f32::NAN), FlashError::NotFinite(_)));
    for weight in [-1.0, f32::NAN, f32::INFINITY] {
        assert!(matches!(refused(&|d| d.dispersion.weight = weight), FlashError::NotFinite(_)));
    }
    for noise in [0.0, -1.0, f32::NAN] {
        assert!(matches!(refused(&|d| d.dispersion.noise = noise), FlashError::NotFinite(_)));
    }
    let does_not_fit = |found: FlashError| assert!(matches!(found, FlashError::Inconsistent(_)), "{found}");
    does_not_fit(refused(&|d| drop(d.dense.pop())));
    does_not_fit(refused(&|d| d.dense[0].bias.truncate(5 * (K - 1))));
    does_not_fit(refused(&|d| d.dense[1].shape = [5, P + 1]));
    // The most layers that the header has words for.
    assert!(DecoderModel::new(&Buffer::copy_of(&encode(&spec(true, &[2; MAX_DECODER_LAYERS - 1])))).is_ok());
}

/// A value that the decoder is sure of has a variance all the same.
#[test]
fn a_certain_decoder_gives_a_finite_dispersion() {
    let sure = Dispersion { bernoulli: true, noise: 1.0, weight: 1.0 };
    assert_eq!(sure.of([(0.0, -200.0); P].into_iter()), 0.0);
    let found = sure.of([(1.0, -200.0); P].into_iter());
    assert!((found / 1e6 - 1.0).abs() < 1e-3, "{found}");
    let gaussian = Dispersion { bernoulli: false, noise: 4.0, weight: 1.0 };
    assert_eq!(gaussian.of([(3.0, 1.0), (1.0, 1.0)].into_iter()), 0.5);
}
