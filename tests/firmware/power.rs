//! Updates of the model in flash while power is cut: the device boots the old or the new model, whole.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure in a helper is the test's own message")]

#[path = "../common/device.rs"]
mod device;

use device::{Device, Done, model};
use embassy_futures::block_on;
use firmware_sim::host::flash::{Cut, FlashError};
use firmware_sim::{Boot, Reason, SlotError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Cuts power at every operation of the first updates of a device, and of those that erase a page of the record; in
/// the first of these at every pair of operations too. The updates between fill the pages.
fn every_operation<const WRITE: usize, const ERASE: usize>(updates: u32) {
    let models = [model(1), model(2)];
    let mut device = Device::<WRITE, ERASE>::new(7);
    assert_eq!(device.boot().unwrap(), Boot { model: None, reason: Reason::Empty });
    device.update(1, &models[1]).1.unwrap();
    let (mut cuts, mut pairs) = (0, 0);
    for version in 2..2 + updates {
        let [old, new] = [&models[(version as usize + 1) % 2], &models[version as usize % 2]];
        let before = device.slots.flash().operations();
        let mut whole = device.copy(None);
        whole.update(version, new).1.unwrap();
        let turns = record_wear(&whole) != record_wear(&device);
        let operations = if turns || version < 5 { whole.slots.flash().operations() - before } else { 0 };
        for after in 0..operations {
            for kind in [Cut::Clean, Cut::Torn] {
                let mut cut = device.copy(Some((after, kind)));
                let (done, result) = cut.update(version, new);
                assert_eq!(result, Err(SlotError::Flash(FlashError::Power)), "cut {after}");
                boots_a_whole_model(cut.restarted(), (version, old, new), done, (after, kind));
                cuts += 1;
            }
        }
        if turns && pairs == 0 {
            pairs = every_pair(&device, operations, (version, old, new));
        }
        device = whole.restarted();
        assert_eq!(device.boot().unwrap().reason, Reason::Confirmed);
    }
    let wear = record_wear(&device);
    assert!(wear.iter().all(|erased| *erased > 0), "the record has not been round: {wear:?}");
    println!("words of {WRITE}, pages of {ERASE}: {cuts} cuts, {pairs} pairs, in {updates} updates");
}

/// Times that the pages of the record were erased.
fn record_wear<const WRITE: usize, const ERASE: usize>(device: &Device<WRITE, ERASE>) -> &[u32] {
    &device.slots.flash().wear()[Device::<WRITE, ERASE>::layout().0.record.start as usize / ERASE..]
}

/// Cuts power at every pair of operations: in an update, and in the boot and the second try after it.
fn every_pair<const WRITE: usize, const ERASE: usize>(
    device: &Device<WRITE, ERASE>,
    operations: u64,
    (version, old, new): (u32, &[u8], &[u8]),
) -> u32 {
    let kinds = [Cut::Clean, Cut::Torn];
    let mut cuts = 0;
    for (first, kind) in (0..operations).flat_map(|after| kinds.map(|kind| (after, kind))) {
        let mut once = device.copy(Some((first, kind)));
        once.update(version, new).1.unwrap_err();
        let once = once.restarted();
        for (second, kind) in (0..2 * operations).flat_map(|after| kinds.map(|kind| (after, kind))) {
            let mut twice = once.copy(Some((second, kind)));
            match twice.boot().map(|boot| boot.reason) {
                Ok(Reason::Trial) => drop(block_on(twice.slots.confirm())),
                Ok(Reason::Confirmed | Reason::NotConfirmed) => drop(twice.update(version, new)),
                Ok(reason) => panic!("{reason:?}"),
                Err(error) => assert_eq!(error, SlotError::Flash(FlashError::Power)),
            }
            if !twice.slots.flash().is_off() {
                break;
            }
            let mut twice = twice.restarted();
            let booted = twice.boot().unwrap().model.unwrap();
            let expected = if booted.version == version { new } else { old };
            assert!((version - 1..=version).contains(&booted.version), "{first} {second}");
            assert_eq!(twice.bytes(&booted), expected, "{first} {second}");
            takes_an_update(twice, version + 1, old);
            cuts += 1;
        }
    }
    cuts
}

/// What cuts have left in the record does not hide what is written later.
fn takes_an_update<const WRITE: usize, const ERASE: usize>(
    mut device: Device<WRITE, ERASE>,
    version: u32,
    image: &[u8],
) {
    // A trial of the boot before is over.
    block_on(device.slots.roll_back()).unwrap();
    device.update(version, image).1.unwrap();
    let boot = device.restarted().boot().unwrap();
    assert_eq!((boot.model.map(|m| m.version), boot.reason), (Some(version), Reason::Confirmed));
}

/// The device boots the old or the new model, as far as it had come; then the update can be made again.
fn boots_a_whole_model<const WRITE: usize, const ERASE: usize>(
    mut device: Device<WRITE, ERASE>,
    (version, old, new): (u32, &[u8], &[u8]),
    done: Done,
    cut: (u64, Cut),
) {
    let context = format!("version {version}, {cut:?}, done {done:?}");
    let boot = device.boot().unwrap_or_else(|e| panic!("{context}: {e:?}"));
    let booted = boot.model.unwrap_or_else(|| panic!("{context}: no model, {boot:?}"));
    let is_new = booted.version == version;
    assert_eq!(device.bytes(&booted), if is_new { new } else { old }, "{context}");
    assert_eq!(booted.version, if is_new { version } else { version - 1 }, "{context}");
    match done {
        // Power went before or in the switch, in the boot, in the confirmation.
        Done::Nothing => assert!(!is_new && boot.reason == Reason::Confirmed, "{context}: {boot:?}"),
        Done::Staged => assert_eq!(boot.reason, if is_new { Reason::Trial } else { Reason::Confirmed }, "{context}"),
        Done::Switched => {
            assert_eq!(boot.reason, if is_new { Reason::Trial } else { Reason::NotConfirmed }, "{context}")
        }
        Done::Booted | Done::Confirmed => {
            assert_eq!(boot.reason, if is_new { Reason::Confirmed } else { Reason::NotConfirmed }, "{context}")
        }
    }
    if boot.reason == Reason::Trial {
        block_on(device.slots.confirm()).unwrap();
    } else if !is_new {
        device.update(version, new).1.unwrap_or_else(|e| panic!("{context}: again: {e:?}"));
    }
    let boot = device.restarted().boot().unwrap();
    assert_eq!((boot.model.map(|m| m.version), boot.reason), (Some(version), Reason::Confirmed), "{context}");
}

#[test]
fn power_may_go_at_every_operation_words_of_4_pages_of_4096() {
    every_operation::<4, 4096>(180);
}

#[test]
fn power_may_go_at_every_operation_words_of_8_pages_of_2048() {
    every_operation::<8, 2048>(90);
}

#[test]
fn power_may_go_at_every_operation_bytes_pages_of_4096() {
    every_operation::<1, 4096>(200);
}

/// Two cuts in a row, the second one anywhere in the boot after the first and in the update that is made again.
fn double_cuts<const WRITE: usize, const ERASE: usize>(count: u32, seed: u64) {
    let models = [model(1), model(2)];
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut device = Device::<WRITE, ERASE>::new(seed);
    device.update(1, &models[1]).1.unwrap();
    let mut version = 1;
    for index in 0..count {
        // On with the series now and then, so that the record is cut in every state.
        if index % 500 == 0 {
            version += 1;
            device.update(version, &models[version as usize % 2]).1.unwrap();
        }
        let next = version + 1;
        let new = &models[next as usize % 2];
        let mut cut = device.copy(None);
        for _ in 0..2 {
            let kind = if rng.random() { Cut::Clean } else { Cut::Torn };
            cut = cut.restarted().copy(Some((rng.random_range(0..60), kind)));
            // Without power nothing more happens; the next round restarts.
            if let Ok(boot) = cut.boot() {
                assert!(boot.model.is_some(), "{index}");
                match boot.reason {
                    Reason::Trial => drop(block_on(cut.slots.confirm())),
                    _ if boot.model.map(|m| m.version) == Some(next) => {}
                    _ => drop(cut.update(next, new)),
                }
            }
        }
        let mut cut = cut.restarted();
        let boot = cut.boot().unwrap_or_else(|e| panic!("{index}: {e:?}"));
        let booted = boot.model.unwrap_or_else(|| panic!("{index}: no model, {boot:?}"));
        assert!(booted.version == version || booted.version == next, "{index}: {boot:?}");
        assert_eq!(cut.bytes(&booted), &models[booted.version as usize % 2][..], "{index}");
        assert_ne!(boot.reason, Reason::Damaged, "{index}");
        if index % 10 == 0 {
            takes_an_update(cut, next + 1, &models[version as usize % 2]);
        }
    }
}

/// Cells that a cut left between 0 and 1 read otherwise at every start: a model that a boot has found confirmed is not
/// taken back by a later boot without a word.
fn weak_cells<const WRITE: usize, const ERASE: usize>(rounds: u64) -> u32 {
    let models = [model(1), model(2)];
    let mut cuts = 0;
    for seed in 0..rounds {
        let mut device = Device::<WRITE, ERASE>::new(seed);
        // The record is cut in every state of its pages.
        for version in 1..2 + seed as u32 % 20 {
            device.update(version, &models[version as usize % 2]).1.unwrap();
        }
        let version = 2 + seed as u32 % 20;
        let before = device.slots.flash().operations();
        let mut whole = device.copy(None);
        whole.update(version, &models[version as usize % 2]).1.unwrap();
        // Those of the record: the last.
        let operations = whole.slots.flash().operations() - before;
        for after in operations.saturating_sub(40)..operations {
            let mut cut = device.copy(Some((after, Cut::Weak)));
            cut.update(version, &models[version as usize % 2]).1.unwrap_err();
            let mut found = 0;
            for start in 0..6 {
                cut = cut.restarted();
                let boot = cut.boot().unwrap();
                let booted = boot.model.unwrap();
                assert_eq!(cut.bytes(&booted), &models[booted.version as usize % 2][..]);
                assert!(booted.version >= found, "{seed}, {after}, start {start}: {boot:?} after version {found}");
                if boot.reason == Reason::Confirmed {
                    found = booted.version;
                }
            }
            cuts += 1;
        }
    }
    cuts
}

#[test]
fn cells_that_read_otherwise_at_every_start_take_no_version_back() {
    let cuts = [weak_cells::<4, 4096>(400), weak_cells::<8, 2048>(200), weak_cells::<1, 4096>(200)];
    println!("{cuts:?} cuts that left weak cells");
}

#[test]
fn a_hundred_thousand_double_cuts() {
    double_cuts::<4, 4096>(34_000, 1);
    double_cuts::<8, 2048>(33_000, 2);
    double_cuts::<1, 4096>(33_000, 3);
}
