//! The digits in WebAssembly, on the portable kernel: `wasm.mjs` runs it in Node.
#![no_std]
#![no_main]

use firmware_sim::{SampleLoop, Settings};
use runtime::flash::FlashModel;
use runtime::native::{Engine, Scratch};

/// Inputs and outputs of the first layer of 784-256-128-10, and the kernel's list.
const SCRATCH: usize = 784 + 256 + 784;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    /// Tells what the loop says of a digit, and whether the host says so too.
    safe fn report(index: usize, cluster: usize, confidence: f32, novelty: f32, agrees: bool);
}

/// Takes all digits through the loop; false if the model is refused, or a digit.
#[unsafe(no_mangle)]
extern "C" fn run() -> bool {
    let mut scratch = Scratch::<SCRATCH>::new();
    let Ok(image) = FlashModel::new(&mcu::MODEL.0) else { return false };
    let Ok(mut engine) = Engine::new(image, &mut scratch.0) else { return false };
    if engine.self_test().is_err() {
        return false;
    }
    let Ok(mut device) = SampleLoop::new(engine, Settings::default()) else { return false };
    for (index, (digit, expected)) in mcu::digits().enumerate() {
        device.step(index as u64, digit);
        let Some(found) = device.last() else { return false };
        report(index, found.cluster, found.confidence, found.novelty, expected.agrees(found));
    }
    true
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
