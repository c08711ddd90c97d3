//! Any bytes: an image or a typed error, and an image runs on any frame.
//!
//! Checksums would stop nearly every change at once, so they are made to hold before a second look.
#![no_main]

#[path = "../../../tests/common/repair.rs"]
mod repair;

use libfuzzer_sys::fuzz_target;
use repair::repair;
use runtime::flash::{Buffer, CriticNetwork, DecoderModel, FlashModel};
use runtime::native::{Batch, Critic, DecoderEngine, Engine, critic_scratch_len, decoder_scratch_len, scratch_len};

/// Larger models only take longer.
const MOST_VALUES: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Buffer::copy_of(bytes);
    look(&bytes);
    repair(&mut bytes);
    look(&bytes);
});

fn look(bytes: &[u8]) {
    look_with_decoder(bytes);
    let Ok(model) = FlashModel::new(bytes) else { return };
    let needed = scratch_len(&model);
    if needed > MOST_VALUES {
        return;
    }
    let length = model.shape().len();
    let mut scratch = vec![0.0; needed];
    let critic = CriticNetwork::new(&model).ok().flatten();
    let mut of_critic = vec![0.0; critic.as_ref().map_or(0, critic_scratch_len)];
    let critic = Critic::new(&model, &mut of_critic);
    let Ok(mut engine) = Engine::new(model, &mut scratch) else { panic!("enough scratch memory was refused") };
    for value in [0.0, 0.5, -3.0, f32::MAX] {
        let _ = engine.assign(&vec![value; length]);
    }
    if let Ok(mut critic) = critic {
        let _ = engine.explain(&mut critic, &vec![0.5; length], &mut vec![0.0; length]);
    }
    let _ = engine.self_test();
    let _ = Batch::from(&engine).assign(&vec![0.25; 3 * length]);
}

fn look_with_decoder(bytes: &[u8]) {
    let Ok(model) = DecoderModel::new(bytes) else { return };
    let (needed, length) = (decoder_scratch_len(&model), model.shape().len());
    if needed > MOST_VALUES {
        return;
    }
    let mut scratch = vec![0.0; needed];
    let Ok(mut engine) = DecoderEngine::new(model, &mut scratch) else { panic!("enough scratch memory was refused") };
    for value in [0.0, 0.5, -3.0, f32::MAX] {
        let _ = engine.assign(&vec![value; length]);
    }
    let _ = engine.self_test();
}
