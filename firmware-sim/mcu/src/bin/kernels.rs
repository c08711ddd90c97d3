//! The kernels of a Cortex-M against sums in f64, and the instructions that the layers of the model take.
//!
//! Exits with failure at the first assertion that does not hold.
#![no_std]
#![no_main]

use core::ops::Range;

use cortex_m_rt::{ExceptionFrame, entry, exception};
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::hprintln;
use runtime::flash::FlashModel;
use runtime::kernels::Kernel;
use runtime::layer::{Conv, Dense, Layer, Layout, padded};

/// Most weights, and most values, of the layers that are tried.
const WEIGHTS: usize = 144 * 144;
const VALUES: usize = 1024;

/// Memory for one layer; weights begin at a multiple of 4 bytes, as in an image.
#[repr(C, align(4))]
struct Memory {
    weights: [u16; WEIGHTS + 1],
    bias: [f32; VALUES],
    x: [f32; VALUES],
    out: [f32; VALUES],
    list: [u32; VALUES],
}

mcu::marks!(
    begin_layer0 end_layer0, begin_layer1 end_layer1, begin_layer2 end_layer2,
    begin_dense0 end_dense0, begin_dense1 end_dense1, begin_dense2 end_dense2,
);

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory {
        weights: [0; WEIGHTS + 1],
        bias: [0.0; VALUES],
        x: [0.0; VALUES],
        out: [0.0; VALUES],
        list: [0; VALUES],
    };
    every_f16_is_widened_exactly(MEMORY);
    dense_layers_of_all_tails(MEMORY);
    convolutions_of_all_tails(MEMORY);
    a_value_that_is_not_finite_is_not_hidden(MEMORY);
    what_does_not_fit_is_refused(MEMORY);
    layers_of_the_model(MEMORY);
    hprintln!("kernels: {}, 5 passed, 0 failed", Kernel::best().name());
    loop {
        debug::exit(EXIT_SUCCESS);
    }
}

/// What an f16 is worth; powers of two are exact, and so are their products with at most 11 bits.
fn value(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let size = match exponent {
        0 => fraction * power_of_two(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * power_of_two(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << 23)
}

/// All 65,536 one by one, and all finite ones as weights: at even and at odd places, by input and by output.
fn every_f16_is_widened_exactly(memory: &mut Memory) {
    let kernel = Kernel::best();
    for bits in 0..=u16::MAX {
        let mut wide = [0.0];
        kernel.widen(&[bits], &mut wide);
        let expected = value(bits);
        assert!(wide[0].to_bits() == expected.to_bits() || wide[0].is_nan() && expected.is_nan(), "{bits:#06x}");
    }
    let finite = |bits: u16| if bits & 0x7c00 == 0x7c00 { 0 } else { bits };
    for shift in 0..2u16 {
        for first in (0..=u16::MAX).step_by(16) {
            let bits = |place: usize| finite(first.wrapping_add(place as u16).wrapping_add(shift));
            memory.weights[..16].iter_mut().enumerate().for_each(|(place, weight)| *weight = bits(place));
            let Some(layer) = Dense::new([1, 16], Layout::Panels, false, &[0.0; 16], &memory.weights[..16]) else {
                panic!("a layer of 16 outputs")
            };
            assert!(kernel.dense(&layer, &[1.0], &mut memory.out, &mut [0]));
            for (place, found) in memory.out[..16].iter().enumerate() {
                assert!(*found == value(bits(place)), "{:#06x}: {found}", bits(place));
            }
            let Some(layer) = Dense::new([16, 1], Layout::Rows, false, &[0.0; 16], &memory.weights[..16]) else {
                panic!("a layer of 16 inputs")
            };
            for place in 0..16 {
                let mut x = [0.0; 16];
                x[place] = 1.0;
                assert!(kernel.dense(&layer, &x, &mut memory.out, &mut [0; 16]));
                assert!(memory.out[0] == value(bits(place)), "{:#06x}: {}", bits(place), memory.out[0]);
            }
        }
    }
}

/// Xorshift: the same numbers every time.
struct Source(u32);

impl Source {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// A value of [-1, 1).
    fn float(&mut self) -> f32 {
        self.next() as i32 as f32 / 2_147_483_648.0
    }

    /// Fills the places with weights of any size below 2, subnormal ones included, and values of which a quarter times
    /// `zeros` are 0 of either sign.
    fn fill(&mut self, memory: &mut Memory, weights: Range<usize>, zeros: u32) {
        memory.weights[weights].iter_mut().for_each(|weight| *weight = self.next() as u16 & 0xbfff);
        memory.bias.iter_mut().for_each(|value| *value = self.float());
        for value in &mut memory.x {
            *value = self.float();
            if self.next() % 4 < zeros {
                *value *= 0.0;
            }
        }
        memory.out.fill(f32::NAN);
    }
}

/// A sum in f64, and the bound that the kernels' docs state: n · 2⁻²³ of the sum of the absolute products.
#[derive(Default)]
struct Sum {
    sum: f64,
    absolute: f64,
    count: f64,
}

impl Sum {
    fn add(&mut self, product: f64) {
        self.sum += product;
        self.absolute += product.abs();
        self.count += 1.0;
    }

    fn allows(&self, found: f32, relu: bool) -> bool {
        let expected = if relu { self.sum.max(0.0) } else { self.sum };
        (f64::from(found) - expected).abs() <= self.count * self.absolute / 8_388_608.0
    }
}

fn dense_layers_of_all_tails(memory: &mut Memory) {
    let mut source = Source(1);
    let mut round = 0;
    for inputs in [1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 129] {
        for outputs in [1, 3, 15, 16, 17, 48, 127, 128, 129, 144] {
            for layout in [Layout::Rows, Layout::Panels] {
                round += 1;
                let Some(count) = Dense::weight_count([inputs, outputs], layout) else { panic!("a small layer") };
                source.fill(memory, 0..count, round % 5);
                let (relu, out) = (round % 2 == 0, padded(outputs));
                let layer = Dense::new([inputs, outputs], layout, relu, &memory.bias[..out], &memory.weights[..count]);
                let Some(layer) = layer else { panic!("a layer that fits") };
                let list = &mut memory.list[..Kernel::best().list_len(&Layer::Dense(layer))];
                assert!(Kernel::best().dense(&layer, &memory.x[..inputs], &mut memory.out[..out], list));
                for output in 0..outputs {
                    let mut sum = Sum::default();
                    sum.add(f64::from(memory.bias[output]));
                    for (input, x) in memory.x[..inputs].iter().enumerate() {
                        let weight = memory.weights[Dense::place(inputs, outputs, layout, input, output)];
                        sum.add(f64::from(*x) * f64::from(value(weight)));
                    }
                    let found = memory.out[output];
                    assert!(sum.allows(found, relu), "{inputs} {outputs} {layout:?} {output}: {found}, {}", sum.sum);
                }
                assert!(memory.out[out..].iter().all(|v| v.is_nan()), "wrote past its outputs");
            }
        }
    }
}

fn convolutions_of_all_tails(memory: &mut Memory) {
    let mut source = Source(2);
    let mut round = 0;
    for [height, width, channels] in [[1, 1, 1], [2, 3, 17], [5, 4, 2], [7, 9, 3]] {
        for outputs in [1, 5, 16, 17, 40] {
            let [side, step] = [[1, 1], [3, 1], [3, 2], [5, 2], [5, 3]][round % 5];
            round += 1;
            let Some(count) = Conv::weight_count(channels, outputs, side) else { panic!("a small layer") };
            source.fill(memory, 0..count, round as u32 % 5);
            let (relu, bias) = (round % 2 == 0, padded(outputs));
            let layer = Conv::new(
                [height, width, channels],
                outputs,
                [side, step],
                relu,
                &memory.bias[..bias],
                &memory.weights[..count],
            );
            let Some(layer) = layer else { panic!("a layer that fits") };
            let [rows, columns, _] = layer.output_shape();
            let inputs = height * width * channels;
            let out = &mut memory.out[..rows * columns * outputs];
            assert!(Kernel::best().conv(&layer, &memory.x[..inputs], out, &mut memory.list));
            for (at, &found) in out.iter().enumerate() {
                let (row, column, output) = (at / outputs / columns, at / outputs % columns, at % outputs);
                let mut sum = Sum::default();
                sum.add(f64::from(memory.bias[output]));
                for tap in 0..side * side {
                    let (y, x) = (row * step + tap / side, column * step + tap % side);
                    let (Some(y), Some(x)) = (y.checked_sub(side / 2), x.checked_sub(side / 2)) else { continue };
                    if y >= height || x >= width {
                        continue;
                    }
                    for channel in 0..channels {
                        let weight = memory.weights[(tap * channels + channel) * bias + output];
                        let x = memory.x[(y * width + x) * channels + channel];
                        sum.add(f64::from(x) * f64::from(value(weight)));
                    }
                }
                assert!(sum.allows(found, relu), "{height} {width} {channels} {outputs} at {at}: {found}, {}", sum.sum);
            }
            assert!(memory.out[rows * columns * outputs..].iter().all(|v| v.is_nan()), "wrote past its outputs");
        }
    }
}

fn a_value_that_is_not_finite_is_not_hidden(memory: &mut Memory) {
    for (layout, bad) in [Layout::Rows, Layout::Panels].into_iter().flat_map(|l| [(l, f32::NAN), (l, f32::INFINITY)]) {
        memory.weights.fill(0x3c00);
        let Some(count) = Dense::weight_count([40, 16], layout) else { panic!("a small layer") };
        let Some(layer) = Dense::new([40, 16], layout, true, &[0.0; 16], &memory.weights[..count]) else {
            panic!("a layer that fits")
        };
        for at in [0, 17, 39] {
            let mut x = [0.0; 40];
            x[at] = bad;
            assert!(Kernel::best().dense(&layer, &x, &mut memory.out, &mut memory.list));
            assert!(memory.out[..16].iter().all(|v| !v.is_finite()), "{layout:?} {bad} {at}");
        }
    }
}

fn what_does_not_fit_is_refused(memory: &mut Memory) {
    let kernel = Kernel::best();
    let layer = |weights| match Dense::new([100, 16], Layout::Panels, true, &[0.0; 16], weights) {
        Some(layer) => layer,
        None => panic!("a layer that fits"),
    };
    let whole = layer(&memory.weights[..1600]);
    let needed = kernel.list_len(&Layer::Dense(whole));
    assert!(kernel.dense(&whole, &[0.0; 100], &mut [0.0; 16], &mut memory.list[..needed]));
    assert!(!kernel.dense(&whole, &[0.0; 99], &mut [0.0; 16], &mut memory.list[..needed]));
    assert!(!kernel.dense(&whole, &[0.0; 100], &mut [0.0; 15], &mut memory.list[..needed]));
    assert!(!kernel.dense(&whole, &[0.0; 100], &mut [0.0; 16], &mut memory.list[..needed - 1]));
    // Weights that `vldm` would fault on.
    assert!(!kernel.dense(&layer(&memory.weights[1..1601]), &[0.0; 100], &mut [0.0; 16], &mut memory.list));
}

/// Ten digits through each layer, between marks; then inputs without zeros.
fn layers_of_the_model(memory: &mut Memory) {
    let Ok(image) = FlashModel::new(&mcu::MODEL.0) else { panic!("the model is damaged") };
    let digits = [begin_layer0, end_layer0, begin_layer1, end_layer1, begin_layer2, end_layer2];
    let dense = [begin_dense0, end_dense0, begin_dense1, end_dense1, begin_dense2, end_dense2];
    for (digit, _) in mcu::digits() {
        memory.x.iter_mut().zip(digit).for_each(|(value, byte)| *value = f32::from(*byte) / 255.0);
        run_marked(&image, &digits, memory, |_| ());
    }
    for (index, layer) in image.layers().iter().enumerate() {
        hprintln!("layer {}: {} x {}", index, layer.inputs(), layer.outputs());
    }
    let mut source = Source(3);
    run_marked(&image, &dense, memory, |x| x.iter_mut().for_each(|v| *v = source.float() + 1.5));
}

fn run_marked(
    image: &FlashModel<'_>,
    marks: &[extern "C" fn()],
    memory: &mut Memory,
    mut before: impl FnMut(&mut [f32]),
) {
    for (layer, mark) in image.layers().iter().zip(marks.chunks_exact(2)) {
        let Layer::Dense(layer) = layer else { return };
        before(&mut memory.x[..layer.inputs()]);
        mark[0]();
        let done = Kernel::best().dense(layer, &memory.x, &mut memory.out, &mut memory.list[..64]);
        mark[1]();
        assert!(done);
        memory.x.copy_from_slice(&memory.out);
    }
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    hprintln!("failed: hard fault at {:#010x}", frame.pc());
    loop {
        debug::exit(EXIT_FAILURE);
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    hprintln!("failed: {}", info);
    loop {
        debug::exit(EXIT_FAILURE);
    }
}
