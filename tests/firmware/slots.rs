//! Slots of models: trial, confirmation, versions, and what is damaged or out of order.
#![expect(clippy::unwrap_used, reason = "a failure in a helper is the test's own message")]

#[path = "../common/device.rs"]
mod device;
#[path = "../common/repair.rs"]
mod repair;

use device::{Device, SCRATCH, larger, model};
use embassy_futures::block_on;
use embedded_storage_async::nor_flash::NorFlash;
use firmware_sim::host::flash::{Cut, SimFlash};
use firmware_sim::{Boot, Layout, MappedFlash, Reason, SlotError, Slots};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use repair::repair;
use runtime::flash::{Buffer, FlashModel};
use runtime::native::{EngineError, scratch_len};

fn confirmed(image: &[u8]) -> Device<4, 4096> {
    let mut device = Device::new(1);
    device.update(7, image).1.unwrap();
    device = device.restarted();
    assert_eq!(device.boot().unwrap().reason, Reason::Confirmed);
    device
}

fn version_and_reason(boot: Boot) -> (Option<u32>, Reason) {
    (boot.model.map(|model| model.version), boot.reason)
}

#[test]
fn a_trial_that_is_not_confirmed_is_over_at_the_next_boot() {
    let mut device = confirmed(&model(1));
    device.stage(8, &model(2)).unwrap();
    // Staged is not switched.
    let mut staged = device.copy(None).restarted();
    assert_eq!(version_and_reason(staged.boot().unwrap()), (Some(7), Reason::Confirmed));
    block_on(device.slots.switch()).unwrap();
    let mut device = device.restarted();
    assert_eq!(version_and_reason(device.boot().unwrap()), (Some(8), Reason::Trial));
    let mut given_up = device.copy(None);
    block_on(given_up.slots.roll_back()).unwrap();
    assert_eq!(version_and_reason(given_up.restarted().boot().unwrap()), (Some(7), Reason::Confirmed));
    let mut device = device.restarted();
    assert_eq!(version_and_reason(device.boot().unwrap()), (Some(7), Reason::NotConfirmed));
    assert_eq!(version_and_reason(device.restarted().boot().unwrap()), (Some(7), Reason::Confirmed));
}

/// A device that starts anew while it looks at the new model, as a watchdog makes it: the look is cut by power here, at the
/// operation after it.
#[test]
fn a_model_that_ends_every_look_at_it_is_given_up() {
    let mut device = confirmed(&model(1));
    device.stage(8, &model(2)).unwrap();
    block_on(device.slots.switch()).unwrap();
    let before = device.slots.flash().operations();
    let mut whole = device.copy(None);
    assert_eq!(version_and_reason(whole.boot().unwrap()), (Some(8), Reason::Trial));
    let marks = (whole.slots.flash().operations() - before) / 2;
    let mut reasons = Vec::new();
    for _ in 0..6 {
        let mut looked_at = device.restarted().copy(Some((marks, Cut::Clean)));
        reasons.push(looked_at.boot().map(version_and_reason).ok());
        device = looked_at;
    }
    let gone = Some((Some(7), Reason::Confirmed));
    assert_eq!(reasons, [None, None, None, Some((Some(7), Reason::NotConfirmed)), gone, gone]);
    // Two that end before are none too many.
    let mut device = confirmed(&model(1));
    device.stage(8, &model(2)).unwrap();
    block_on(device.slots.switch()).unwrap();
    for _ in 0..2 {
        let mut looked_at = device.copy(Some((marks, Cut::Clean)));
        looked_at.boot().unwrap_err();
        device = looked_at.restarted();
    }
    assert_eq!(version_and_reason(device.boot().unwrap()), (Some(8), Reason::Trial));
}

/// The scratch memory of a device that was built for smaller models.
#[test]
fn a_model_that_needs_more_scratch_memory_leaves_the_old_one() {
    let mut device = confirmed(&model(1));
    let mut small = vec![0.0; scratch_len(&FlashModel::new(&Buffer::copy_of(&model(1))).unwrap())];
    device.stage(8, &larger()).unwrap();
    block_on(device.slots.switch()).unwrap();
    let mut device = device.restarted();
    let mut boot = |device: &mut Device<4, 4096>| block_on(device.slots.boot(&mut small)).map(version_and_reason);
    assert_eq!(boot(&mut device).unwrap(), (Some(7), Reason::TooLarge));
    assert_eq!(boot(&mut device.restarted()).unwrap(), (Some(7), Reason::Confirmed));
    // Alone it is named, and not lost.
    let mut device = Device::<4, 4096>::new(1);
    device.update(8, &larger()).1.unwrap();
    let mut device = device.restarted();
    assert!(matches!(boot(&mut device), Err(SlotError::Engine(EngineError::Scratch { .. }))));
    assert_eq!(version_and_reason(device.boot().unwrap()), (Some(8), Reason::Confirmed));
}

#[test]
fn a_first_model_that_is_not_confirmed_leaves_none() {
    let mut device = Device::<4, 4096>::new(1);
    device.stage(1, &model(1)).unwrap();
    assert_eq!(device.copy(None).restarted().boot().unwrap(), Boot { model: None, reason: Reason::Empty });
    block_on(device.slots.switch()).unwrap();
    let mut device = device.restarted();
    assert_eq!(version_and_reason(device.boot().unwrap()), (Some(1), Reason::Trial));
    let mut device = device.restarted();
    assert_eq!(device.boot().unwrap(), Boot { model: None, reason: Reason::NotConfirmed });
    assert_eq!(device.restarted().boot().unwrap(), Boot { model: None, reason: Reason::Empty });
}

#[test]
fn a_version_goes_back_only_if_forced() {
    let mut device = confirmed(&model(1));
    for version in [0, 6, 7] {
        let refused = SlotError::Version { confirmed: 7, found: version };
        assert_eq!(device.stage(version, &model(2)), Err(refused));
    }
    block_on(device.slots.stage(6, &model(2), true, &mut device.scratch)).unwrap();
    block_on(device.slots.switch()).unwrap();
    assert_eq!(version_and_reason(device.boot().unwrap()), (Some(6), Reason::Trial));
    block_on(device.slots.confirm()).unwrap();
    assert_eq!(version_and_reason(device.restarted().boot().unwrap()), (Some(6), Reason::Confirmed));
}

/// Version 7 is confirmed, 8 rolled back; then 7 is damaged, or the record lost, or the labels too.
#[test]
fn no_damage_makes_way_for_an_older_version() {
    let mut device = confirmed(&model(1));
    device.stage(8, &model(2)).unwrap();
    block_on(device.slots.switch()).unwrap();
    device.boot().unwrap();
    block_on(device.slots.roll_back()).unwrap();
    let Layout { slots, record } = base_layout();
    let damaged = |lost: &dyn Fn(&mut SimFlash<4, 4096>)| {
        let mut flash = device.slots.flash().clone();
        lost(&mut flash);
        let mut device =
            Device::<4, 4096> { slots: Slots::new(flash, base_layout()).unwrap(), scratch: [0.0; SCRATCH] };
        let boot = version_and_reason(device.boot().unwrap());
        let refused = [1, 6, 7].map(|version| device.stage(version, &model(1)));
        assert!(refused.iter().all(|found| matches!(found, Err(SlotError::Version { .. }))), "{boot:?}: {refused:?}");
        boot
    };
    let old = device.slots.flash().mapped(slots[0].clone()).unwrap();
    assert_eq!(FlashModel::stated_length(old), Some(model(1).len()));
    let flip = |flash: &mut SimFlash<4, 4096>, byte: u32| flash.flip(8 * byte as usize);
    let lose_record = |flash: &mut SimFlash<4, 4096>| block_on(flash.erase(record.start, record.end)).unwrap();
    let damage_old = |flash: &mut SimFlash<4, 4096>| flip(flash, slots[0].start + 1000);
    let lose_label = |flash: &mut SimFlash<4, 4096>, slot: usize| flip(flash, slots[slot].end - 64);
    assert_eq!(damaged(&damage_old), (Some(8), Reason::Damaged));
    assert_eq!(damaged(&lose_record), (Some(8), Reason::Damaged));
    assert_eq!(damaged(&|flash| (damage_old(flash), lose_record(flash)).1), (Some(8), Reason::Damaged));
    // Without its label a model is as new as anything that is known of.
    assert_eq!(damaged(&|flash| (lose_record(flash), lose_label(flash, 0)).1), (Some(8), Reason::Damaged));
    assert_eq!(damaged(&|flash| (lose_record(flash), lose_label(flash, 1)).1), (Some(7), Reason::Damaged));
    assert_eq!(damaged(&|flash| (damage_old(flash), lose_label(flash, 1)).1), (Some(7), Reason::Damaged));
}

/// The record is lost, and the only model lies in the slot that an update would take.
#[test]
fn nothing_is_staged_or_confirmed_before_a_boot_has_looked() {
    let mut device = confirmed(&model(1));
    device.stage(8, &model(2)).unwrap();
    block_on(device.slots.switch()).unwrap();
    device.boot().unwrap();
    let mut trial = device.copy(None).restarted();
    assert!(matches!(block_on(trial.slots.confirm()), Err(SlotError::Order(_))));
    let mut flash = confirmed(&model(1)).slots.into_flash();
    let record = base_layout().record;
    block_on(flash.erase(record.start, record.end)).unwrap();
    let mut device = Device::<4, 4096> { slots: Slots::new(flash, base_layout()).unwrap(), scratch: [0.0; SCRATCH] };
    assert!(matches!(device.stage(9, &model(2)), Err(SlotError::Order(_))));
    let booted = device.restarted().boot().unwrap();
    assert_eq!(version_and_reason(booted), (Some(7), Reason::Damaged));
}

#[test]
fn what_is_no_whole_model_is_not_staged() {
    let mut device = confirmed(&model(1));
    let whole = model(2);
    // A model whose bytes are whole and whose golden answer is another's.
    let mut wrong = whole.clone();
    let golden = FlashModel::new(&Buffer::copy_of(&whole)).unwrap().golden().novelty.to_le_bytes();
    let at = wrong.windows(4).position(|word| word == golden).unwrap();
    wrong[at..at + 4].copy_from_slice(&1e3f32.to_le_bytes());
    repair(&mut wrong);
    assert!(matches!(device.stage(8, &wrong), Err(SlotError::Engine(_))));
    assert!(matches!(block_on(device.slots.switch()), Err(SlotError::Order(_))));
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for _ in 0..200 {
        let mut damaged = whole.clone();
        damaged[rng.random_range(0..whole.len())] ^= 1 << rng.random_range(0..8);
        assert!(matches!(device.stage(8, &damaged), Err(SlotError::Image(_))));
    }
    assert!(matches!(device.stage(8, &whole[..whole.len() - 64]), Err(SlotError::Image(_))));
    assert!(matches!(device.stage(8, &[0; 1 << 14]), Err(SlotError::Length { .. })));
    assert!(matches!(block_on(device.slots.confirm()), Err(SlotError::Order(_))));
    assert_eq!(version_and_reason(device.restarted().boot().unwrap()), (Some(7), Reason::Confirmed));
}

#[test]
fn a_model_comes_in_parts_of_any_multiple_of_64_bytes() {
    let mut device = confirmed(&model(1));
    let image = model(2);
    block_on(device.slots.begin(8, image.len() as u32, false)).unwrap();
    assert_eq!(block_on(device.slots.write(&image[..63])), Err(SlotError::Part));
    for part in image.chunks(192) {
        let missing = device.slots.finish(&mut device.scratch);
        assert!(matches!(missing, Err(SlotError::Length { .. })));
        block_on(device.slots.write(part)).unwrap();
    }
    assert!(matches!(block_on(device.slots.write(&[0; 64])), Err(SlotError::Length { .. })));
    device.slots.finish(&mut device.scratch).unwrap();
    block_on(device.slots.switch()).unwrap();
    assert_eq!(version_and_reason(device.boot().unwrap()), (Some(8), Reason::Trial));
    // The slot of a trial cannot be staged into.
    assert!(matches!(device.stage(9, &image), Err(SlotError::Order(_))));
}

#[test]
fn any_bit_may_turn_over_and_a_whole_model_is_booted() {
    let mut base = confirmed(&model(1));
    base.update(8, &model(2)).1.unwrap();
    let bytes = base.slots.flash().mapped(0..0x8000).unwrap().len();
    let mut reasons = [0; 2];
    for bit in (0..bytes * 8).step_by(7) {
        let mut flash = base.slots.flash().clone();
        flash.flip(bit);
        let mut device =
            Device::<4, 4096> { slots: Slots::new(flash, base_layout()).unwrap(), scratch: [0.0; SCRATCH] };
        let booted = device.boot().unwrap();
        let version = booted.model.unwrap().version;
        assert_eq!(device.bytes(&booted.model.unwrap()), model_of(version), "bit {bit}");
        reasons[usize::from(version == 7)] += 1;
        assert_eq!(device.restarted().boot().unwrap().model, booted.model, "bit {bit}");
    }
    assert!(reasons.iter().all(|count| *count > 100), "{reasons:?}");
}

fn base_layout() -> Layout {
    Device::<4, 4096>::layout().0
}

fn model_of(version: u32) -> Vec<u8> {
    model(u64::from(version) - 6)
}

#[test]
fn the_record_may_be_any_bytes() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut base = confirmed(&model(1));
    base.update(8, &model(2)).1.unwrap();
    let record = base_layout().record;
    for _ in 0..300 {
        let mut flash = base.slots.flash().clone();
        for bit in record.start * 8..record.end * 8 {
            if rng.random() {
                flash.flip(bit as usize);
            }
        }
        let mut device =
            Device::<4, 4096> { slots: Slots::new(flash, base_layout()).unwrap(), scratch: [0.0; SCRATCH] };
        // Which of the two whole models is newer their labels say.
        let boot = device.boot().unwrap();
        assert_eq!(version_and_reason(boot), (Some(8), Reason::Damaged));
        device.update(9, &model(1)).1.unwrap();
    }
}

#[test]
fn a_layout_that_does_not_fit_is_refused() {
    let fits = base_layout();
    let flash = || SimFlash::<4, 4096>::new(8, 0);
    assert!(Slots::new(flash(), fits.clone()).is_ok());
    let changed: [fn(&mut Layout); 6] = [
        |layout| layout.slots[1] = 0..8192,
        |layout| layout.slots[0] = 100..8192,
        |layout| layout.slots[0].start = layout.slots[0].end,
        |layout| layout.record.end -= 4096,
        |layout| layout.record.end += 4096,
        |layout| layout.record = 0..16384,
    ];
    for change in changed {
        let mut layout = fits.clone();
        change(&mut layout);
        assert!(matches!(Slots::new(flash(), layout.clone()), Err(SlotError::Layout)), "{layout:?}");
    }
}
