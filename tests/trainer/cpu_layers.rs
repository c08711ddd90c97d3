//! The CPU's own layers against Burn's operations: values, gradients, and the same bits for any number of threads.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use burn::module::Param;
use burn::nn::conv::Conv2dConfig;
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::module::batch_norm_train;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trainer::cpu;
use trainer::elbo::reconstruction::log_bernoulli;

const EPSILON: f64 = 1e-5;

fn random<const D: usize>(rng: &mut ChaCha8Rng, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random::<f32>() * 2.0 - 1.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as::<f32>().unwrap()
}

/// The largest difference, relative to the largest value.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    found.iter().zip(expected).fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / largest
}

/// Frames, height, width, channels, outputs, kernel.
const SHAPES: [[usize; 6]; 4] =
    [[70, 28, 28, 1, 16, 5], [37, 14, 14, 16, 32, 5], [5, 7, 9, 3, 5, 3], [33, 1, 6, 2, 1, 7]];

/// Output, mean, variance, then the gradients by maps, weight, gamma, beta.
fn outcome([b, h, w, c, o, k]: [usize; 6], own: bool) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let maps = random(&mut rng, [b, h * w * c], &device).require_grad();
    let weight = random(&mut rng, [o, c, k, k], &device).require_grad();
    let bias = random(&mut rng, [o], &device);
    let gamma = random(&mut rng, [o], &device).require_grad();
    let beta = random(&mut rng, [o], &device).require_grad();
    let pixels = h.div_ceil(2) * w.div_ceil(2);
    let (output, mean, variance) = if own {
        let affine = [gamma.clone(), beta.clone()];
        let done = cpu::conv_block(maps.clone(), [h, w], weight.clone(), bias, affine, EPSILON);
        (done.output, done.mean, done.variance)
    } else {
        let pad = k / 2;
        let mut conv = Conv2dConfig::new([c, o], [k, k])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .init(&device);
        conv.weight = Param::from_tensor(weight.clone());
        conv.bias = Some(Param::from_tensor(bias));
        let first = maps.clone().reshape([b, h * w, c]).swap_dims(1, 2).reshape([b, c, h, w]);
        // The parameter detaches its tensor, so the convolution is asked for directly.
        let out = burn::tensor::module::conv2d(
            first,
            weight.clone(),
            conv.bias.map(|bias| bias.val()),
            burn::tensor::ops::ConvOptions::new([2, 2], [pad, pad], [1, 1], 1),
        );
        let done = batch_norm_train(out, gamma.clone(), beta.clone(), EPSILON);
        let output = relu(done.output).reshape([b, o, pixels]).swap_dims(1, 2).reshape([b, pixels * o]);
        (output, done.mean, done.variance)
    };
    let direction = random(&mut rng, [b, pixels * o], &device);
    let gradients = (output.clone() * direction).sum().backward();
    vec![
        values(output),
        values(mean),
        values(variance),
        values(maps.grad(&gradients).unwrap()),
        values(weight.grad(&gradients).unwrap()),
        values(gamma.grad(&gradients).unwrap()),
        values(beta.grad(&gradients).unwrap()),
    ]
}

#[test]
fn the_conv_block_is_burns_convolution_normalisation_and_relu() {
    let names = ["output", "mean", "variance", "by maps", "by weight", "by gamma", "by beta"];
    for shape in SHAPES {
        let (own, burns) = (outcome(shape, true), outcome(shape, false));
        for ((name, found), expected) in names.iter().zip(&own).zip(&burns) {
            let worst = difference(found, expected);
            assert!(worst < 1e-4, "{name} of {shape:?}: {worst}");
        }
    }
}

#[test]
fn the_likelihood_is_that_of_its_definition() {
    let device = Device::flex().autodiff();
    for (n, repeat, p) in [(19, 1, 784), (6, 10, 100), (1, 3, 7)] {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let frames = random(&mut rng, [n, p], &device).abs();
        let logits = (random(&mut rng, [n * repeat, p], &device) * 20.0).require_grad();
        let direction = random(&mut rng, [n * repeat], &device);

        let found = cpu::bernoulli(frames.clone(), logits.clone());
        let by_logits = logits.grad(&(found.clone() * direction.clone()).sum().backward()).unwrap();

        let repeated = frames.unsqueeze_dim::<3>(1).repeat_dim(1, repeat).reshape([n * repeat, p]);
        let expected = log_bernoulli(repeated, logits.clone()).sum_dim(1).squeeze_dim::<1>(1);
        let by_logits_expected = logits.grad(&(expected.clone() * direction).sum().backward()).unwrap();
        assert!(difference(&values(found), &values(expected)) < 1e-5);
        assert!(difference(&values(by_logits), &values(by_logits_expected)) < 1e-5);
    }
}

/// Output, mean, variance, then the gradients by input, gamma, beta.
fn normalised([b, w]: [usize; 2], own: bool) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let input = (random(&mut rng, [b, w], &device) * 3.0 + 1.0).detach().require_grad();
    let gamma = random(&mut rng, [w], &device).require_grad();
    let beta = random(&mut rng, [w], &device).require_grad();
    let (output, mean, variance) = if own {
        let done = cpu::norm_block(input.clone(), [gamma.clone(), beta.clone()], EPSILON);
        (done.output, done.mean, done.variance)
    } else {
        let done = batch_norm_train(input.clone(), gamma.clone(), beta.clone(), EPSILON);
        (relu(done.output), done.mean, done.variance)
    };
    let gradients = (output.clone() * random(&mut rng, [b, w], &device)).sum().backward();
    let by = [values(input.grad(&gradients).unwrap()), values(gamma.grad(&gradients).unwrap())];
    [vec![values(output), values(mean), values(variance)], by.to_vec(), vec![values(beta.grad(&gradients).unwrap())]]
        .concat()
}

#[test]
fn the_norm_block_is_burns_normalisation_and_relu() {
    let names = ["output", "mean", "variance", "by input", "by gamma", "by beta"];
    for shape in [[512, 2000], [70, 33], [2, 1]] {
        for ((name, found), expected) in names.iter().zip(normalised(shape, true)).zip(normalised(shape, false)) {
            let worst = difference(&found, &expected);
            assert!(worst < 1e-4, "{name} of {shape:?}: {worst}");
        }
    }
}

/// Twenty steps of both on the same gradients, to the same bits: a run may be resumed under either.
#[test]
fn the_optimiser_is_burns_adam() {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut own = LinearConfig::new(300, 70).init(&device);
    own.weight = Param::from_tensor(random(&mut rng, [300, 70], &device));
    own.bias = Some(Param::from_tensor(random(&mut rng, [70], &device)));
    let mut burns = own.clone();
    let (mut a, mut b) = (cpu::optimizer(), AdamConfig::new().init());
    for step in 0..20 {
        let x = random(&mut rng, [9, 300], &device);
        let gradients = |layer: &Linear| {
            let loss = layer.forward(x.clone()).square().sum().backward();
            GradientsParams::from_grads(loss, layer)
        };
        let rate = 1e-2 / f64::from(step + 1);
        (own, burns) = (a.step(rate, own.clone(), gradients(&own)), b.step(rate, burns.clone(), gradients(&burns)));
        if step == 9 {
            // The moments are saved in the same form.
            (a, b) = (
                cpu::optimizer().from_bytes(b.into_bytes().unwrap()).unwrap(),
                AdamConfig::new().init().from_bytes(a.into_bytes().unwrap()).unwrap(),
            );
        }
    }
    assert!(values(own.weight.val()) == values(burns.weight.val()));
    assert!(values(own.bias.unwrap().val()) == values(burns.bias.unwrap().val()));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| [outcome(SHAPES[0], true), normalised([300, 70], true)].concat())
    };
    let bits = |outcome: Vec<Vec<f32>>| -> Vec<u32> { outcome.concat().into_iter().map(f32::to_bits).collect() };
    assert_eq!(bits(with(1)), bits(with(3)));
}
