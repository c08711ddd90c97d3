//! The device's program: 100 digits from flash through the loop, on a Cortex-M with an FPU.
//!
//! Prints what it says of each by semihosting, and exits with failure unless all is as the host said, every step was
//! in time, and memory is within its bounds.
#![no_std]
#![no_main]

mod console;
mod stack;

use console::{Console, Line, fail};
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use cortex_m_semihosting::debug::{self, EXIT_SUCCESS};
use firmware_sim::{SampleLoop, Settings, StartError};
use runtime::native::{EngineError, Scratch};

/// Inputs and outputs of the first layer of 784-256-128-10, and the kernel's list.
const SCRATCH: usize = 784 + 256 + 64;
/// Ticks of the core clock that a step may take. QEMU's clock of 168 MHz ticks 1.344 times in the 8 ns of an
/// instruction.
const STEP_TICKS: u32 = 400_000;
/// Bytes of stack that the program may use.
const STACK_BYTES: usize = 1024;
/// Milliseconds from a frame to the next.
const PERIOD: u64 = 20;

mcu::marks!(begin_digit end_digit);

#[entry]
fn main() -> ! {
    static mut SCRATCH_MEMORY: Scratch<SCRATCH> = Scratch::new();
    static mut FRAME: [u8; mcu::PIXELS] = [0; mcu::PIXELS];
    static mut DEVICE: SampleLoop<'static> = SampleLoop::empty();

    let Some(mut console) = Console::new() else { fail("no console") };
    let Some(mut peripherals) = cortex_m::Peripherals::take() else { fail("the peripherals are taken") };
    start(DEVICE, &mut SCRATCH_MEMORY.0);
    let disagreeing = replay(DEVICE, FRAME, &mut peripherals.SYST, &mut console);
    conclude(disagreeing, &mut console)
}

/// Ends the run, as failed unless all is as it should be.
#[inline(never)]
fn conclude(disagreeing: usize, console: &mut Console) -> ! {
    let stack = stack::used();
    console.print(Line::new("stack: ").number(stack).text(" bytes"));
    if disagreeing != 0 {
        fail("digits are not as the host says");
    }
    if stack > STACK_BYTES {
        fail("the stack has grown too far");
    }
    loop {
        debug::exit(EXIT_SUCCESS);
    }
}

/// Takes the digits through the loop; returns of how many the host says otherwise.
#[inline(never)]
fn replay(
    device: &mut SampleLoop<'_>,
    frame: &mut [u8; mcu::PIXELS],
    timer: &mut SYST,
    console: &mut Console,
) -> usize {
    let mut disagreeing = 0;
    for (index, (digit, expected)) in mcu::digits().enumerate() {
        frame.iter_mut().zip(digit).for_each(|(to, from)| *to = *from);
        start_deadline(timer);
        begin_digit();
        device.step(index as u64 * PERIOD, &*frame);
        end_digit();
        timer.disable_counter();
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
    disagreeing
}

/// Gives the loop its model.
#[inline(never)]
fn start(device: &mut SampleLoop<'static>, scratch: &'static mut [f32]) {
    match device.init(&mcu::MODEL.0, scratch, Settings::DEFAULT) {
        Ok(()) => {}
        Err(StartError::Engine(EngineError::Flash(_))) => fail("the model in flash is damaged"),
        Err(StartError::Engine(EngineError::Scratch { .. })) => fail("too little scratch memory for this model"),
        Err(StartError::Engine(EngineError::SelfTest)) => fail("the golden frame does not give its golden answer"),
        Err(StartError::Settings(_)) => fail("settings"),
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
