//! The front end of windows on a Cortex-M: a whole decision as the host says it, and the instructions of both.
#![no_std]
#![no_main]

use cortex_m_rt::{ExceptionFrame, entry, exception};
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::hprintln;
use runtime::flash::{Aligned, FlashModel};
use runtime::native::{Engine, Scratch};

/// A model of windows 6x100 with random weights, 60-128-20, and what the host said of its golden window.
static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/window.cvi")));
/// Features, and what the front end works in.
const FEATURES: usize = 60;
const LENGTH: usize = 128;

mcu::marks!(begin_front_end end_front_end, begin_decision end_decision);

#[entry]
fn main() -> ! {
    static mut SCRATCH: Scratch<400> = Scratch::new();
    let Ok(model) = FlashModel::new(&MODEL.0) else { panic!("the model is damaged") };
    let golden = model.golden();
    let Some(front_end) = model.front_end().copied() else { panic!("the model has no front end") };
    let (mut features, mut work) = ([0.0; FEATURES], [0.0; LENGTH]);
    begin_front_end();
    let done = front_end.apply(golden.frame.iter().copied(), &mut features, &mut work);
    end_front_end();
    assert!(done && features.iter().all(|feature| feature.is_finite()));
    let mut engine = match Engine::new(model, &mut SCRATCH.0) {
        Ok(engine) => engine,
        Err(error) => panic!("{error:?}"),
    };
    begin_decision();
    let found = engine.assign(golden.frame);
    end_decision();
    assert!(found.is_ok() && engine.self_test().is_ok());
    hprintln!("front end: {} features as the host has them", FEATURES);
    loop {
        debug::exit(EXIT_SUCCESS);
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
