//! The device's program: 100 digits from flash through the engine, on a Cortex-M with an FPU.
//!
//! Prints what it says of each by semihosting, and exits with failure unless all is as the host said, every step was
//! in time, and the stack stayed small.
#![no_std]
#![no_main]

mod console;

use console::{Console, Line, fail};
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use cortex_m_semihosting::debug::{self, EXIT_SUCCESS};
use runtime::image::Image;
use runtime::native::{Engine, EngineError, Scratch};

/// Inputs and outputs of the first layer of 784-256-128-10, and the kernel's list.
const SCRATCH: usize = 784 + 256 + 128;
/// Ticks of the core clock that a step may take. QEMU's clock of 168 MHz ticks 1.344 times in the 8 ns of an
/// instruction.
const STEP_TICKS: u32 = 400_000;
/// Bytes of stack that the program may use.
const STACK_BYTES: usize = 1024;

#[entry]
fn main() -> ! {
    static mut SCRATCH_MEMORY: Scratch<SCRATCH> = Scratch::new();
    static mut FRAME: [u8; mcu::PIXELS] = [0; mcu::PIXELS];
    static mut ENGINE: Option<Engine<'static>> = None;

    let Some(mut console) = Console::new() else { fail("no console") };
    let Some(mut peripherals) = cortex_m::Peripherals::take() else { fail("the peripherals are taken") };
    let image = match Image::new(&mcu::MODEL.0) {
        Ok(image) => image,
        Err(_) => fail("the model in flash is damaged"),
    };
    let engine = match Engine::new(image, &mut SCRATCH_MEMORY.0) {
        Ok(engine) => ENGINE.insert(engine),
        Err(EngineError::Scratch { needed, .. }) => {
            console.print(Line::new("values of scratch memory needed: ").number(needed));
            fail("too little scratch memory")
        }
        Err(EngineError::SelfTest) => fail("self-test"),
    };
    if engine.self_test().is_err() {
        fail("the golden frame does not give its golden answer");
    }
    let mut disagreeing = 0;
    for (index, (digit, expected)) in mcu::digits().enumerate() {
        FRAME.iter_mut().zip(digit).for_each(|(to, from)| *to = *from);
        start_deadline(&mut peripherals.SYST);
        begin_digit();
        let assignment = engine.assign_u8(FRAME);
        end_digit();
        peripherals.SYST.disable_counter();
        let Ok(assignment) = assignment else { fail("a digit was refused") };
        let line = Line::new("digit ").number(index).text(": cluster ").number(assignment.cluster);
        let line = line.text(", confidence ").decimal(assignment.confidence);
        let line = line.text(", novelty ").decimal(assignment.novelty);
        let agrees = expected.agrees(&assignment);
        disagreeing += usize::from(!agrees);
        console.print(if agrees { line } else { line.text(": the host says otherwise") });
    }
    let stack = stack_used();
    console.print(Line::new("stack ").number(stack).text(" bytes"));
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

/// Marks for the counter of instructions.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn begin_digit() {
    cortex_m::asm::nop();
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn end_digit() {
    cortex_m::asm::nop();
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

/// Bytes of stack that were ever written to: the start-up code has painted all of it.
fn stack_used() -> usize {
    unsafe extern "C" {
        static _stack_end: u32;
        static _stack_start: u32;
    }
    let (end, start) = (&raw const _stack_end, &raw const _stack_start);
    let mut at = end;
    // SAFETY: all words between the two addresses are memory, of which the lower part is not in use.
    while at < start && unsafe { at.read_volatile() } == cortex_m_rt::STACK_PAINT_VALUE {
        at = at.wrapping_add(1);
    }
    start as usize - at as usize
}
