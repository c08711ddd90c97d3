//! Every kernel of this machine against sums in f64 over weights converted by `half`.

use half::f16;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::kernels::Kernel;
use runtime::layer::{Conv, Dense, Layer, Layout, padded};

/// Random f16 weights, and inputs of which a share is 0.
struct Source(ChaCha8Rng);

impl Source {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.0.random::<f32>() * 2.0 - 1.0).collect()
    }

    fn halves(&mut self, count: usize) -> Vec<u16> {
        self.floats(count).iter().map(|v| f16::from_f32(*v).to_bits()).collect()
    }

    fn inputs(&mut self, count: usize, zeros: f32) -> Vec<f32> {
        (0..count).map(|_| if self.0.random::<f32>() < zeros { 0.0 } else { self.0.random::<f32>() }).collect()
    }
}

/// A sum in f64 and the bound that the kernels' docs state: n · 2⁻²³ of the sum of the absolute products.
fn check(found: f32, relu: bool, bias: f32, products: impl Iterator<Item = f64>, what: &str) {
    let (mut sum, mut absolute, mut count) = (f64::from(bias), f64::from(bias.abs()), 1.0);
    for product in products {
        sum += product;
        absolute += product.abs();
        count += 1.0;
    }
    let expected = if relu { sum.max(0.0) } else { sum };
    let bound = count * absolute * 2f64.powi(-23);
    assert!((f64::from(found) - expected).abs() <= bound, "{what}: {found}, expected {expected} ± {bound}");
}

fn half(bits: u16) -> f64 {
    f64::from(f16::from_bits(bits).to_f32())
}

#[test]
fn dense_layers_of_all_tails() {
    let mut source = Source::new(1);
    let sizes = |outputs: &[usize]| -> Vec<[usize; 2]> {
        let inputs = (1..=40).chain([63, 64, 65, 127, 128, 129, 500]);
        inputs.flat_map(|i| outputs.iter().map(move |o| [i, *o])).collect()
    };
    let shapes = sizes(&[1, 3, 4, 5, 15, 16, 17, 31, 33, 64, 100, 127, 128, 129, 200, 255, 257]);
    for (index, shape) in shapes.into_iter().enumerate() {
        let [inputs, outputs] = shape;
        for layout in [Layout::Rows, Layout::Panels] {
            let weights = source.halves(Dense::weight_count(shape, layout).unwrap());
            let bias = source.floats(padded(outputs));
            let relu = index % 2 == 0;
            let layer = Dense::new(shape, layout, relu, &bias, &weights).unwrap();
            let x = source.inputs(inputs, [0.0, 0.5, 0.9, 1.0][index % 4]);
            for kernel in Kernel::all() {
                let mut out = vec![f32::NAN; padded(outputs) + 3];
                assert!(kernel.dense(&layer, &x, &mut out, &mut vec![0; inputs]));
                for (o, &found) in out[..outputs].iter().enumerate() {
                    let products = x
                        .iter()
                        .enumerate()
                        .map(|(i, v)| f64::from(*v) * half(weights[Dense::place(inputs, outputs, layout, i, o)]));
                    check(found, relu, bias[o], products, &format!("{} {shape:?} {layout:?} {o}", kernel.name()));
                }
                assert!(out[padded(outputs)..].iter().all(|v| v.is_nan()), "{}: wrote past its outputs", kernel.name());
            }
        }
    }
}

#[test]
fn convolutions_of_all_tails() {
    let mut source = Source::new(2);
    let mut shapes = Vec::new();
    for (height, width) in [(1, 1), (2, 3), (5, 4), (7, 9), (14, 14)] {
        for channels in [1, 2, 3, 8, 16, 17] {
            for outputs in [1, 4, 15, 16, 17, 32, 40, 129, 140] {
                shapes.push(([height, width, channels], outputs));
            }
        }
    }
    for (index, (input, outputs)) in shapes.into_iter().enumerate() {
        let [height, width, channels] = input;
        let kernel_and_stride = [[1, 1], [3, 1], [3, 2], [5, 2], [5, 3]][index % 5];
        let [side, stride] = kernel_and_stride;
        let weights = source.halves(Conv::weight_count(channels, outputs, side).unwrap());
        let bias = source.floats(padded(outputs));
        let relu = index % 2 == 1;
        let layer = Conv::new(input, outputs, kernel_and_stride, relu, &bias, &weights).unwrap();
        let x = source.inputs(height * width * channels, [0.0, 0.6, 1.0][index % 3]);
        let [rows, columns, _] = layer.output_shape();
        for kernel in Kernel::all() {
            let count = rows * columns * outputs;
            let mut out = vec![f32::NAN; count + 3];
            let mut list = vec![0; x.len() + height * width + 1];
            assert!(kernel.conv(&layer, &x, &mut out, &mut list));
            for (at, &found) in out[..count].iter().enumerate() {
                let (row, column, o) = (at / outputs / columns, at / outputs % columns, at % outputs);
                let mut products = Vec::new();
                for ky in 0..side {
                    for kx in 0..side {
                        let (y, x_) = (row * stride + ky, column * stride + kx);
                        let inside =
                            (side / 2..height + side / 2).contains(&y) && (side / 2..width + side / 2).contains(&x_);
                        if !inside {
                            continue;
                        }
                        let pixel = (y - side / 2) * width + x_ - side / 2;
                        for c in 0..channels {
                            let weight = weights[((ky * side + kx) * channels + c) * padded(outputs) + o];
                            products.push(f64::from(x[pixel * channels + c]) * half(weight));
                        }
                    }
                }
                let what = format!("{} {input:?} {outputs} {kernel_and_stride:?} at {at}", kernel.name());
                check(found, relu, bias[o], products.into_iter(), &what);
            }
            assert!(out[count..].iter().all(|v| v.is_nan()), "{}: wrote past its outputs", kernel.name());
        }
    }
}

#[test]
fn every_f16_is_widened_as_half_does() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    for kernel in Kernel::all() {
        // An odd start and length, so that no vector is aligned and the last is not full.
        for part in [&all[..], &all[1..], &all[..65_521]] {
            let mut wide = vec![0.0; part.len()];
            kernel.widen(part, &mut wide);
            for (bits, found) in part.iter().zip(wide) {
                let expected = f16::from_bits(*bits).to_f32();
                let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
                assert!(same, "{}: {bits:#06x} gives {found}, expected {expected}", kernel.name());
            }
        }
    }
}

/// As a sum of products it would be subnormal somewhere, over which processors take a hundred times as long.
#[test]
fn relu_leaves_no_value_that_is_next_to_0() {
    for outputs in [3, 64, 70] {
        let bias: Vec<f32> = (0..padded(outputs)).map(|o| [1e-40, 1e-24, -1e-40, 2e-23][o % 4]).collect();
        for layout in [Layout::Rows, Layout::Panels] {
            let weights = vec![0; Dense::weight_count([16, outputs], layout).unwrap()];
            let dense = Dense::new([16, outputs], layout, true, &bias, &weights).unwrap();
            for kernel in Kernel::all() {
                let (mut one, mut many) = (vec![1.0; padded(outputs)], vec![1.0; 7 * padded(outputs)]);
                assert!(kernel.dense(&dense, &[1.0; 16], &mut one, &mut [0; 16]));
                let mut wide = vec![0.0; Kernel::wide_len(&Layer::Dense(dense))];
                let strides = [16, padded(outputs)];
                assert!(kernel.dense_batch(&dense, &[1.0; 7 * 16], &mut many, strides, 7, &mut wide));
                for found in many.chunks_exact(padded(outputs)).chain([&one[..]]) {
                    let expected = (0..outputs).map(|o| if o % 4 == 3 { 2e-23 } else { 0.0 });
                    assert!(found.iter().copied().zip(expected).all(|(a, b)| a == b), "{} {layout:?}", kernel.name());
                }
            }
        }
    }
}

#[test]
fn a_value_that_is_not_finite_is_not_hidden() {
    for layout in [Layout::Rows, Layout::Panels] {
        let shape = [40, 64];
        let (weights, bias) = (vec![0x3c00; Dense::weight_count(shape, layout).unwrap()], vec![0.0; 64]);
        let layer = Dense::new(shape, layout, true, &bias, &weights).unwrap();
        for kernel in Kernel::all() {
            for bad in [f32::NAN, f32::INFINITY] {
                for at in [0, 17, 39] {
                    let mut x = vec![0.0; 40];
                    x[at] = bad;
                    let mut out = vec![0.0; 64];
                    assert!(kernel.dense(&layer, &x, &mut out, &mut [0; 40]));
                    assert!(out.iter().all(|v| !v.is_finite()), "{} {layout:?} {bad} {at}", kernel.name());
                }
            }
        }
    }
}

#[test]
fn memory_that_is_too_short_and_shapes_that_do_not_fit_are_refused() {
    let (weights, bias) = (vec![0; 16 * 16], vec![0.0; 16]);
    let layer = Dense::new([10, 16], Layout::Panels, true, &bias, &weights[..160]).unwrap();
    for kernel in Kernel::all() {
        assert!(!kernel.dense(&layer, &[0.0; 9], &mut [0.0; 16], &mut [0; 10]));
        assert!(!kernel.dense(&layer, &[0.0; 10], &mut [0.0; 15], &mut [0; 10]));
        assert!(!kernel.dense(&layer, &[0.0; 10], &mut [0.0; 16], &mut [0; 9]));
    }
    assert!(Dense::new([10, 16], Layout::Panels, true, &bias, &weights[..159]).is_none());
    assert!(Dense::new([10, 16], Layout::Rows, true, &bias[..15], &weights).is_none());
    assert!(Dense::new([0, 16], Layout::Rows, true, &bias, &[]).is_none());
    assert!(Dense::new([usize::MAX, 16], Layout::Rows, true, &bias, &[]).is_none());

    let weights = vec![0; 3 * 3 * 2 * 16];
    let conv = |input, kernel| Conv::new(input, 5, kernel, true, &bias, &weights);
    let layer = conv([4, 4, 2], [3, 2]).unwrap();
    assert_eq!(layer.output_shape(), [2, 2, 5]);
    for kernel in Kernel::all() {
        assert!(!kernel.conv(&layer, &[0.0; 31], &mut [0.0; 20], &mut [0; 49]));
        assert!(!kernel.conv(&layer, &[0.0; 32], &mut [0.0; 19], &mut [0; 49]));
        assert!(!kernel.conv(&layer, &[0.0; 32], &mut [0.0; 20], &mut [0; 48]));
    }
    for kernel in [[2, 1], [3, 0], [3, 4], [33, 1]] {
        assert!(conv([4, 4, 2], kernel).is_none(), "{kernel:?}");
    }
    assert!(conv([4, 4, 3], [3, 2]).is_none());
    assert!(conv([usize::MAX, usize::MAX, 2], [3, 2]).is_none());
}

/// Every number of frames, of inputs and of vectors of outputs that a tile or a stretch of inputs can leave over.
#[test]
fn dense_layers_for_many_frames_of_all_tails() {
    let mut source = Source::new(7);
    for inputs in (1..=20).chain([255, 256, 257, 271, 272, 273, 513]) {
        for outputs in [1, 15, 16, 17, 33, 49, 64, 65, 81, 97, 113, 128, 129, 200] {
            for layout in [Layout::Rows, Layout::Panels] {
                let shape = [inputs, outputs];
                let weights = source.halves(Dense::weight_count(shape, layout).unwrap());
                let bias = source.floats(padded(outputs));
                let relu = (inputs + outputs) % 2 == 0;
                let layer = Dense::new(shape, layout, relu, &bias, &weights).unwrap();
                let (frames, width) = (1 + (inputs + outputs) % 13, padded(outputs));
                let x = source.inputs(inputs * frames, 0.3);
                for kernel in Kernel::all() {
                    let mut out = vec![f32::NAN; width * frames];
                    let mut wide = vec![f32::NAN; Kernel::wide_len(&Layer::Dense(layer))];
                    assert!(kernel.dense_batch(&layer, &x, &mut out, [inputs, width], frames, &mut wide));
                    for (row, (x, out)) in x.chunks_exact(inputs).zip(out.chunks_exact(width)).enumerate() {
                        for (o, &found) in out[..outputs].iter().enumerate() {
                            let place = |i| half(weights[Dense::place(inputs, outputs, layout, i, o)]);
                            let products = x.iter().enumerate().map(|(i, v)| f64::from(*v) * place(i));
                            let what = format!("{} {shape:?} {layout:?} {row} {o}", kernel.name());
                            check(found, relu, bias[o], products, &what);
                        }
                    }
                }
            }
        }
    }
}

/// With `std` the machine is asked, without it only what the program is compiled for counts.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_best_kernel_is_the_widest_that_there_is() {
    macro_rules! has {
        ($feature:tt) => {
            if cfg!(feature = "std") {
                std::arch::is_x86_feature_detected!($feature)
            } else {
                cfg!(target_feature = $feature)
            }
        };
    }
    let expected = match (has!("avx512f"), has!("avx2") && has!("fma") && has!("f16c")) {
        (true, _) => "AVX-512F",
        (_, true) => "AVX2 + F16C",
        _ => "scalar",
    };
    assert_eq!(Kernel::best().name(), expected);
}

/// Many frames at once give what one at a time gives, up to the order of additions.
#[test]
fn layers_for_many_frames() {
    let close =
        |a: f32, b: f32, what: &str| assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{what}: {a}, expected {b}");
    let mut source = Source::new(6);
    for (index, shape) in [[3, 2], [17, 16], [300, 70], [520, 128], [64, 200], [784, 257]].into_iter().enumerate() {
        for layout in [Layout::Rows, Layout::Panels] {
            let [inputs, outputs] = shape;
            let weights = source.halves(Dense::weight_count(shape, layout).unwrap());
            let bias = source.floats(padded(outputs));
            let layer = Dense::new(shape, layout, index % 2 == 0, &bias, &weights).unwrap();
            for frames in [1, 2, 5, 6, 7, 23] {
                let (wider, width) = (inputs + index, padded(outputs) + index);
                let x = source.inputs(wider * frames, 0.3);
                for kernel in Kernel::all() {
                    let mut out = vec![f32::NAN; width * frames];
                    let mut wide = vec![f32::NAN; Kernel::wide_len(&Layer::Dense(layer))];
                    assert!(kernel.dense_batch(&layer, &x, &mut out, [wider, width], frames, &mut wide));
                    for (x, out) in x.chunks_exact(wider).zip(out.chunks_exact(width)) {
                        let mut one = vec![0.0; padded(outputs)];
                        assert!(Kernel::SCALAR.dense(&layer, x, &mut one, &mut vec![0; inputs]));
                        for (a, b) in out.iter().zip(&one[..outputs]) {
                            close(*a, *b, &format!("{} {shape:?} {layout:?} {frames}", kernel.name()));
                        }
                        assert!(out[padded(outputs)..].iter().all(|v| v.is_nan()), "wrote between the rows");
                    }
                    let short = out.len() - index - 1;
                    assert!(!kernel.dense_batch(&layer, &x, &mut out[..short], [wider, width], frames, &mut wide));
                    assert!(!kernel.dense_batch(&layer, &x, &mut out, [inputs - 1, width], frames, &mut wide));
                    assert!(!kernel.dense_batch(&layer, &x, &mut out, [wider, width], frames, &mut wide[1..]));
                }
            }
        }
    }
    for (index, (input, outputs)) in
        [([5, 4, 1], 16), ([7, 9, 3], 5), ([14, 14, 16], 32), ([3, 3, 2], 140)].into_iter().enumerate()
    {
        let kernel_and_stride = [[5, 2], [3, 1], [5, 2], [3, 2]][index];
        let weights = source.halves(Conv::weight_count(input[2], outputs, kernel_and_stride[0]).unwrap());
        let bias = source.floats(padded(outputs));
        let layer = Conv::new(input, outputs, kernel_and_stride, true, &bias, &weights).unwrap();
        let (inputs, width) = (Layer::Conv(layer).inputs(), Layer::Conv(layer).outputs());
        for frames in [1, 4, 6, 13] {
            let x = source.inputs(inputs * frames, 0.3);
            for kernel in Kernel::all() {
                let mut out = vec![f32::NAN; width * frames];
                let mut wide = vec![f32::NAN; Kernel::wide_len(&Layer::Conv(layer))];
                assert!(kernel.conv_batch(&layer, &x, &mut out, [inputs, width], frames, &mut wide));
                for (x, out) in x.chunks_exact(inputs).zip(out.chunks_exact(width)) {
                    let mut one = vec![0.0; width];
                    let mut list = vec![0; inputs + input[0] * input[1] + 1];
                    assert!(Kernel::SCALAR.conv(&layer, x, &mut one, &mut list));
                    for (a, b) in out.iter().zip(&one) {
                        close(*a, *b, &format!("{} {input:?} {outputs} {frames}", kernel.name()));
                    }
                }
                assert!(!kernel.conv_batch(&layer, &x[1..], &mut out, [inputs, width], frames, &mut wide));
                assert!(!kernel.conv_batch(&layer, &x, &mut out[1..], [inputs, width], frames, &mut wide));
            }
        }
    }
}
