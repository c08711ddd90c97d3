//! The device's program: 100 digits from flash through the loop, on a Cortex-M with an FPU.
//!
//! Prints what it says of each by semihosting, and exits with failure unless all is as the host said, every step was
//! in time, and memory is within its bounds.
#![no_std]
#![no_main]

mod console;
mod stack;

use core::mem::MaybeUninit;

use console::{Console, Line, fail};
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use cortex_m_semihosting::debug::{self, EXIT_SUCCESS};
use firmware_sim::{SampleLoop, Settings};
use runtime::image::Image;
use runtime::native::{Engine, EngineError, Scratch};

/// Inputs and outputs of the first layer of 784-256-128-10, and the kernel's list.
const SCRATCH: usize = 784 + 256 + 64;
/// Ticks of the core clock that a step may take. QEMU's clock of 168 MHz ticks 1.344 times in the 8 ns of an
/// instruction.
const STEP_TICKS: u32 = 400_000;
/// Bytes of stack that a step may use.
const STEP_STACK: usize = 1024;
/// Milliseconds from a frame to the next.
const PERIOD: u64 = 20;

mcu::marks!(begin_digit end_digit);

#[entry]
fn main() -> ! {
    static mut SCRATCH_MEMORY: Scratch<SCRATCH> = Scratch::new();
    static mut FRAME: [u8; mcu::PIXELS] = [0; mcu::PIXELS];
    static mut DEVICE: MaybeUninit<SampleLoop<'static>> = MaybeUninit::uninit();

    let Some(mut console) = Console::new() else { fail("no console") };
    let Some(mut peripherals) = cortex_m::Peripherals::take() else { fail("the peripherals are taken") };
    let device = start(&mut SCRATCH_MEMORY.0, DEVICE);
    console.print(Line::new("stack of the start: ").number(stack::used()).text(" bytes"));
    stack::paint();

    let mut disagreeing = 0;
    for (index, (digit, expected)) in mcu::digits().enumerate() {
        FRAME.iter_mut().zip(digit).for_each(|(to, from)| *to = *from);
        start_deadline(&mut peripherals.SYST);
        begin_digit();
        device.step(index as u64 * PERIOD, &*FRAME);
        end_digit();
        peripherals.SYST.disable_counter();
        let Some(assignment) = device.last() else { fail("a digit was refused") };
        let mut line = Line::new("digit ");
        line.number(index).text(": cluster ").number(assignment.cluster);
        line.text(", confidence ").decimal(assignment.confidence);
        line.text(", novelty ").decimal(assignment.novelty);
        if !expected.agrees(assignment) {
            disagreeing += 1;
            line.text(": the host says otherwise");
        }
        console.print(&mut line);
    }
    let stack = stack::used();
    console.print(Line::new("stack of a step: ").number(stack).text(" bytes"));
    if disagreeing != 0 {
        fail("digits are not as the host says");
    }
    if stack > STEP_STACK {
        fail("the stack has grown too far");
    }
    loop {
        debug::exit(EXIT_SUCCESS);
    }
}

/// Checks the model, makes the loop, and puts it where it stays.
#[inline(never)]
fn start(
    scratch: &'static mut [f32],
    device: &'static mut MaybeUninit<SampleLoop<'static>>,
) -> &'static mut SampleLoop<'static> {
    let Ok(image) = Image::new(&mcu::MODEL.0) else { fail("the model in flash is damaged") };
    let mut engine = match Engine::new(image, scratch) {
        Ok(engine) => engine,
        Err(EngineError::Scratch { .. }) => fail("too little scratch memory for this model"),
        Err(EngineError::SelfTest) => fail("self-test"),
    };
    if engine.self_test().is_err() {
        fail("the golden frame does not give its golden answer");
    }
    match SampleLoop::new(engine, Settings::default()) {
        Ok(made) => device.write(made),
        Err(_) => fail("settings"),
    }
}

/// The timer interrupts what is still running after [`STEP_TICKS`].
fn start_deadline(timer: &mut SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(STEP_TICKS);
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
}

#[exception]
fn SysTick() {
    fail("a step took too long");
}

#[exception]
unsafe fn HardFault(_frame: &ExceptionFrame) -> ! {
    fail("hard fault")
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    fail("panic")
}
