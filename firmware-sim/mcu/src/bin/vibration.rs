//! A machine's accelerometer on a Cortex-M with an FPU: samples of 16 bits from flash, cut into windows by the image's own
//! numbers, each decided as the host says; the digits' model lies in the same flash, and says of a digit what the host does.
#![no_std]
#![no_main]

#[path = "../console.rs"]
mod console;
#[path = "../stack.rs"]
mod stack;

use console::{Console, Line, fail};
use cortex_m_rt::{ExceptionFrame, entry, exception};
use cortex_m_semihosting::debug::{self, EXIT_SUCCESS};
use firmware_sim::{Event, SampleLoop, Settings, Tracker, Window};
use mcu::stream;
use runtime::flash::DecoderModel;
use runtime::native::{DecoderEngine, Scratch};

/// What the engine needs: inputs and outputs of the largest layer of the decoder, the latent mean and the features.
const SCRATCH: usize = 256 + 256 + 128 + 16 + 32;
/// Axes times samples of a window.
const WINDOW: usize = 3 * 256;
/// Inputs and outputs of the first layer of the digits' model, and the kernel's list.
const DIGIT_SCRATCH: usize = 784 + 256 + 64;

mcu::marks!(begin_front_end end_front_end, begin_sample end_sample, begin_decision end_decision);

#[entry]
fn main() -> ! {
    static mut MEMORY: Scratch<SCRATCH> = Scratch::new();
    static mut RING: [i16; WINDOW] = [0; WINDOW];
    static mut DIGIT_MEMORY: Scratch<DIGIT_SCRATCH> = Scratch::new();
    static mut DIGITS: SampleLoop<'static> = SampleLoop::empty();

    let Some(mut console) = Console::new() else { fail("no console") };
    if DIGITS.init(&mcu::MODEL.0, &mut DIGIT_MEMORY.0, Settings::DEFAULT).is_err() {
        fail("the digits' model is refused");
    }
    let disagreeing = replay(&mut MEMORY.0, RING, &mut console);
    console.print(Line::new("stack: ").number(stack::used()).text(" bytes"));
    let Some((digit, expected)) = mcu::digits().next() else { fail("no digit") };
    DIGITS.step(0, digit);
    if !DIGITS.last().is_some_and(|found| expected.agrees(found)) {
        fail("the digit is not as the host says");
    }
    if disagreeing != 0 {
        fail("windows are not as the host says");
    }
    loop {
        debug::exit(EXIT_SUCCESS);
    }
}

/// Takes the stream through window, engine and votes; returns of how many windows the host says otherwise.
#[inline(never)]
fn replay(memory: &mut [f32], ring: &mut [i16], console: &mut Console) -> usize {
    let Ok(model) = DecoderModel::new(&stream::MODEL.0) else { fail("the model in flash is damaged") };
    front_end(&model, memory);
    let (shape, windowing) = (model.shape(), model.windowing());
    let Ok(mut tracker) = Tracker::new(Settings::DEFAULT, model.checksum(), model.head().clusters()) else {
        fail("settings")
    };
    let Ok(mut engine) = DecoderEngine::new(model, memory) else { fail("too little scratch memory for this model") };
    if engine.self_test().is_err() {
        fail("the golden window does not give its golden answer");
    }
    let Some(windowing) = windowing else { fail("the image does not say how windows are cut") };
    let window = Window::new(shape, windowing, ring).and_then(|window| window.with_scale(&stream::SCALE));
    let Ok(mut window) = window else { fail("too little memory for a window") };
    let (mut disagreeing, mut expected) = (0, stream::EXPECTED.iter());
    for (at, sample) in stream::samples().enumerate() {
        begin_sample();
        let whole = window.push(at as u64, &sample);
        end_sample();
        let Ok(Some(frame)) = whole else { continue };
        begin_decision();
        let found = engine.assign_values(frame);
        let event = tracker.observe(at as u64, found.as_ref().map_err(|error| *error));
        end_decision();
        let (Ok(found), Some(expected)) = (found, expected.next()) else { fail("a window was refused") };
        let mut line = Line::new("window of sample ");
        line.number(at).text(": cluster ").number(found.cluster);
        line.text(", confidence ").decimal(found.confidence);
        line.text(", novelty ").decimal(found.novelty);
        line.text(match event {
            Event::Decided { .. } => ", decided",
            Event::Alarm { .. } => ", alarm",
            Event::Novel { .. } => ", novel",
            _ => "",
        });
        if !expected.agrees(&found) {
            disagreeing += 1;
            line.text(": the host says otherwise");
        }
        console.print(&mut line);
    }
    disagreeing + expected.count()
}

/// The front end alone, for its instructions.
fn front_end(model: &DecoderModel<'_>, memory: &mut [f32]) {
    let Some(front_end) = model.front_end() else { fail("the model has no front end") };
    let Some((features, work)) = memory.split_at_mut_checked(front_end.shape().len()) else { fail("memory") };
    begin_front_end();
    let done = front_end.apply(model.golden().frame.iter().copied(), features, work);
    end_front_end();
    if !done {
        fail("too little memory for the front end");
    }
}

#[exception]
unsafe fn HardFault(_frame: &ExceptionFrame) -> ! {
    fail("hard fault")
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    fail("panic")
}
