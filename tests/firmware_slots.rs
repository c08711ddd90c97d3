//! Updates of the model in flash: power is cut at every operation, and the device still boots a whole model.

use embassy_futures::block_on;
use firmware_sim::host::flash::{Cut, FlashError, SimFlash};
use firmware_sim::slots::Stored;
use firmware_sim::{Boot, Layout, Reason, SlotError, Slots};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::FrameShape;
use runtime::image::{Buffer, DenseSpec, Image, ImageSpec, encode};
use runtime::native::Engine;

const SCRATCH: usize = 512;

/// A whole image of about 6 KB, `seed` telling one from another.
fn model(seed: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut random = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let dense = |inputs, outputs, weight, bias| DenseSpec { shape: [inputs, outputs], weight, bias };
    let mut spec = ImageSpec {
        shape: FrameShape { channels: 1, height: 8, width: 8 },
        scaling: None,
        convs: Vec::new(),
        dense: vec![dense(64, 32, random(64 * 32), random(32)), dense(32, 4, random(32 * 4), random(4))],
        learned_head: false,
        log_var_range: [-8.0, 8.0],
        mu_c: random(6),
        log_var_c: random(3),
        novelty_threshold: 10.0,
        golden_frame: random(64),
        golden_log_responsibilities: vec![0.0; 3],
        golden_novelty: 0.0,
    };
    let bytes = Buffer::copy_of(&encode(&spec));
    let mut scratch = [0.0; SCRATCH];
    let answer = Engine::new(Image::new(&bytes).unwrap(), &mut scratch).unwrap().assign(&spec.golden_frame).unwrap();
    spec.golden_log_responsibilities = answer.log_responsibilities.to_vec();
    spec.golden_novelty = answer.novelty;
    encode(&spec)
}

/// Flash of which slots and record take as many pages as they need.
struct Device<const WRITE: usize, const ERASE: usize> {
    slots: Slots<SimFlash<WRITE, ERASE>>,
    scratch: [f32; SCRATCH],
}

type Failed = SlotError<FlashError>;

impl<const WRITE: usize, const ERASE: usize> Device<WRITE, ERASE> {
    fn layout() -> (Layout, usize) {
        let slot = 8192_usize.div_ceil(ERASE);
        let at = |page: usize| (page * ERASE) as u32;
        let layout = Layout { slots: [0..at(slot), at(slot)..at(2 * slot)], record: at(2 * slot)..at(2 * slot + 4) };
        (layout, 2 * slot + 4)
    }

    fn new(seed: u64) -> Self {
        let (layout, pages) = Self::layout();
        Self { slots: Slots::new(SimFlash::new(pages, seed), layout).unwrap(), scratch: [0.0; SCRATCH] }
    }

    /// The same flash, power on again.
    fn restarted(self) -> Self {
        let mut flash = self.slots.into_flash();
        flash.power_on();
        Self { slots: Slots::new(flash, Self::layout().0).unwrap(), scratch: self.scratch }
    }

    /// A copy whose flash is cut as told.
    fn copy(&self, cut: Option<(u64, Cut)>) -> Self {
        let mut flash = self.slots.flash().clone();
        if let Some((after, kind)) = cut {
            flash.cut_after(after, kind);
        }
        Self { slots: Slots::new(flash, Self::layout().0).unwrap(), scratch: self.scratch }
    }

    fn boot(&mut self) -> Result<Boot, Failed> {
        block_on(self.slots.boot(&mut self.scratch))
    }

    fn stage(&mut self, version: u32, image: &[u8]) -> Result<Stored, Failed> {
        block_on(self.slots.stage(version, image, false, &mut self.scratch))
    }

    /// Stages, switches, boots and confirms; what was done before power went.
    fn update(&mut self, version: u32, image: &[u8]) -> (Done, Result<(), Failed>) {
        let mut done = Done::Nothing;
        let mut all = || {
            self.stage(version, image)?;
            done = Done::Staged;
            block_on(self.slots.switch())?;
            done = Done::Switched;
            let boot = self.boot()?;
            assert_eq!((boot.model.map(|m| m.version), boot.reason), (Some(version), Reason::Trial));
            done = Done::Booted;
            block_on(self.slots.confirm())?;
            done = Done::Confirmed;
            Ok(())
        };
        let result = all();
        (done, result)
    }

    /// The model that a boot gives, its bytes as they lie in flash.
    fn bytes(&self, model: &Stored) -> &[u8] {
        let range = self.slots.range(model).unwrap();
        firmware_sim::MappedFlash::mapped(self.slots.flash(), range).unwrap()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    Nothing,
    Staged,
    Switched,
    Booted,
    Confirmed,
}

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
            cuts += 1;
        }
    }
    cuts
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
    }
}

#[test]
fn a_hundred_thousand_double_cuts() {
    double_cuts::<4, 4096>(34_000, 1);
    double_cuts::<8, 2048>(33_000, 2);
    double_cuts::<1, 4096>(33_000, 3);
}

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

#[test]
fn what_is_no_whole_model_is_not_staged() {
    let mut device = confirmed(&model(1));
    let whole = model(2);
    // A model whose bytes are whole and whose golden answer is another's.
    let mut wrong = whole.clone();
    let golden = Image::new(&Buffer::copy_of(&whole)).unwrap().golden().novelty.to_le_bytes();
    let at = wrong.windows(4).position(|word| word == golden).unwrap();
    wrong[at..at + 4].copy_from_slice(&1e3f32.to_le_bytes());
    runtime::image::repair(&mut wrong);
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
    let bytes = firmware_sim::MappedFlash::mapped(base.slots.flash(), 0..0x8000).unwrap().len();
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
        // Which of the two whole models is newer nobody knows any more.
        let boot = device.boot().unwrap();
        assert_eq!(version_and_reason(boot), (Some(0), Reason::Damaged));
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
