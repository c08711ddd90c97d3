//! The native engine for programs in C: no heap, no global state, memory from the caller.
//!
//! The header `include/cluster_runtime.h` is made from this file. Every pointer that C hands over must hold what its
//! function's documentation says; lengths, images and frames are checked.
#![expect(unsafe_code, reason = "pointers that come from C; each block says what C has promised")]

use core::ffi::c_char;
use core::mem::{MaybeUninit, align_of, size_of};
use core::slice;

use runtime::flash::FlashModel;
use runtime::native::{Engine, scratch_len};
use runtime::{Assignment, FrameError, MAX_CLUSTERS, Outside};

/// Most clusters of a model.
pub const CVR_MAX_CLUSTERS: usize = 64;
const _: () = assert!(CVR_MAX_CLUSTERS == MAX_CLUSTERS);

/// 8-byte words of an engine.
pub const CVR_ENGINE_WORDS: usize = 384;

/// How a call ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum cvr_status {
    /// Done.
    Ok = 0,
    /// A pointer is null.
    Null = 1,
    /// The bytes are no flash image of this version, or are damaged.
    Image = 2,
    /// The scratch memory is shorter than cvr_scratch_len says, or not aligned to 4 bytes.
    Scratch = 3,
    /// The golden frame does not give its golden answer.
    SelfTest = 4,
    /// The frame has another number of values than the model takes.
    FrameLength = 5,
    /// A value of the frame is NaN or infinite.
    FrameNotFinite = 6,
    /// The values of the frame are far out of range.
    FrameOverflow = 7,
    /// A defect of this library.
    Internal = 8,
}

/// A model ready to assign frames: memory of the caller, whose content is the library's. It must not be copied.
#[repr(C)]
pub struct cvr_engine {
    words: [u64; CVR_ENGINE_WORDS],
}
const _: () = assert!(size_of::<Engine<'static>>() <= size_of::<cvr_engine>());
const _: () = assert!(align_of::<Engine<'static>>() <= align_of::<cvr_engine>());

/// What the model says of a frame.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cvr_assignment {
    /// The most probable cluster, from 0.
    pub cluster: u32,
    /// The probability q(c|x) of that cluster.
    pub confidence: f32,
    /// The second most probable cluster, -1 if there is only one.
    pub runner_up: i32,
    /// Negative log-likelihood of the latent under the mixture, nats.
    pub novelty: f32,
    /// True if novelty is past the model's threshold.
    pub is_novel: bool,
    /// True if a value lies outside the range seen in training, so that the rest is not to be trusted; false if the
    /// image does not say what that was. cvr_first_outside tells which.
    pub is_outside: bool,
    /// Number of clusters K.
    pub clusters: u32,
    /// q(c|x) of the first K.
    pub responsibilities: [f32; CVR_MAX_CLUSTERS],
}

/// A value of a frame that lies outside the range seen in training.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cvr_outside {
    /// True if there is one; the rest is 0 otherwise.
    pub found: bool,
    /// Its index in the frame.
    pub index: u32,
    /// The value.
    pub value: f32,
    /// The least value that training saw of its channel or column.
    pub least: f32,
    /// The largest.
    pub most: f32,
}

/// Writes the floats of scratch memory that an engine for this image needs.
///
/// # Safety
/// `image` holds `image_len` bytes aligned to 4, `needed` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cvr_scratch_len(image: *const u8, image_len: usize, needed: *mut usize) -> cvr_status {
    if image.is_null() || needed.is_null() {
        return cvr_status::Null;
    }
    // SAFETY: `image` is not null and holds `image_len` bytes, as this function asks for.
    let bytes = unsafe { slice::from_raw_parts(image, image_len) };
    match FlashModel::new(bytes) {
        // SAFETY: `needed` is not null and writable, as this function asks for.
        Ok(model) => unsafe {
            needed.write(scratch_len(&model));
            cvr_status::Ok
        },
        Err(_) => cvr_status::Image,
    }
}

/// Opens an image, checks every byte of it, and runs its self-test.
///
/// Image and scratch memory must stay, and not be touched, as long as the engine is used. Nothing needs closing.
///
/// # Safety
/// `image` holds `image_len` bytes aligned to 4, `scratch` `scratch_len` floats, `engine` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cvr_open(
    image: *const u8,
    image_len: usize,
    scratch: *mut f32,
    scratch_len: usize,
    engine: *mut cvr_engine,
) -> cvr_status {
    if image.is_null() || scratch.is_null() || engine.is_null() {
        return cvr_status::Null;
    }
    if !scratch.is_aligned() {
        return cvr_status::Scratch;
    }
    // SAFETY: neither is null, both are aligned and hold as much as this function asks for, and stay untouched for as long
    // as the engine is used.
    let (bytes, scratch): (&'static [u8], &'static mut [f32]) =
        unsafe { (slice::from_raw_parts(image, image_len), slice::from_raw_parts_mut(scratch, scratch_len)) };
    let Ok(model) = FlashModel::new(bytes) else { return cvr_status::Image };
    let Ok(mut opened) = Engine::new(model, scratch) else { return cvr_status::Scratch };
    if opened.self_test().is_err() {
        return cvr_status::SelfTest;
    }
    // SAFETY: an engine fits there, as is asserted above.
    unsafe { engine.cast::<MaybeUninit<Engine<'static>>>().write(MaybeUninit::new(opened)) };
    cvr_status::Ok
}

/// Assigns a frame of floats, channels first, in the units of the training data.
///
/// # Safety
/// `engine` was opened by cvr_open, `frame` holds `frame_len` floats, `assignment` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cvr_assign(
    engine: *mut cvr_engine,
    frame: *const f32,
    frame_len: usize,
    assignment: *mut cvr_assignment,
) -> cvr_status {
    if engine.is_null() || frame.is_null() || assignment.is_null() {
        return cvr_status::Null;
    }
    // SAFETY: neither is null; the engine was opened, and `frame` holds `frame_len` values, as this function asks for.
    let (engine, frame) = unsafe { (&mut *engine.cast::<Engine<'static>>(), slice::from_raw_parts(frame, frame_len)) };
    // SAFETY: `assignment` is not null and writable, as this function asks for.
    unsafe { tell(engine.assign(frame), assignment) }
}

/// Assigns a frame of bytes, each divided by 255, as images are.
///
/// # Safety
/// As cvr_assign, with bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cvr_assign_u8(
    engine: *mut cvr_engine,
    frame: *const u8,
    frame_len: usize,
    assignment: *mut cvr_assignment,
) -> cvr_status {
    if engine.is_null() || frame.is_null() || assignment.is_null() {
        return cvr_status::Null;
    }
    // SAFETY: neither is null; the engine was opened, and `frame` holds `frame_len` values, as this function asks for.
    let (engine, frame) = unsafe { (&mut *engine.cast::<Engine<'static>>(), slice::from_raw_parts(frame, frame_len)) };
    // SAFETY: `assignment` is not null and writable, as this function asks for.
    unsafe { tell(engine.assign_u8(frame), assignment) }
}

/// Tells the first value of a frame, as cvr_assign takes it, that lies outside the range seen in training.
///
/// # Safety
/// As cvr_assign; `outside` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cvr_first_outside(
    engine: *const cvr_engine,
    frame: *const f32,
    frame_len: usize,
    outside: *mut cvr_outside,
) -> cvr_status {
    if engine.is_null() || frame.is_null() || outside.is_null() {
        return cvr_status::Null;
    }
    // SAFETY: neither is null; the engine was opened, and `frame` holds `frame_len` values, as this function asks for.
    let (engine, frame) = unsafe { (&*engine.cast::<Engine<'static>>(), slice::from_raw_parts(frame, frame_len)) };
    let model = engine.model();
    if frame_len != model.shape().len() {
        return cvr_status::FrameLength;
    }
    let told = match model.range().and_then(|range| range.first_outside(frame)) {
        None => cvr_outside { found: false, index: 0, value: 0.0, least: 0.0, most: 0.0 },
        Some(Outside { index, value, least, most }) => {
            cvr_outside { found: true, index: index as u32, value, least, most }
        }
    };
    // SAFETY: `outside` is not null and writable, as this function asks for.
    unsafe { outside.write(told) };
    cvr_status::Ok
}

/// What a status means, in English; never null.
#[unsafe(no_mangle)]
pub extern "C" fn cvr_status_text(status: cvr_status) -> *const c_char {
    let text = match status {
        cvr_status::Ok => c"done",
        cvr_status::Null => c"a pointer is null",
        cvr_status::Image => c"not a flash image of this version, or damaged, or not aligned to 4 bytes",
        cvr_status::Scratch => c"the scratch memory is too short or not aligned; see cvr_scratch_len",
        cvr_status::SelfTest => c"the self-test failed",
        cvr_status::FrameLength => c"the frame has another number of values than the model takes",
        cvr_status::FrameNotFinite => c"a value of the frame is not finite",
        cvr_status::FrameOverflow => c"the values of the frame are far out of range",
        cvr_status::Internal => c"a defect of the library",
    };
    text.as_ptr()
}

/// Writes an answer for C; returns the status.
///
/// # Safety
/// `to` is writable.
unsafe fn tell(found: Result<Assignment, FrameError>, to: *mut cvr_assignment) -> cvr_status {
    let found = match found {
        Ok(found) => found,
        Err(FrameError::Length { .. }) => return cvr_status::FrameLength,
        Err(FrameError::NotFinite { .. }) => return cvr_status::FrameNotFinite,
        Err(FrameError::Overflow) => return cvr_status::FrameOverflow,
        Err(FrameError::Engine) => return cvr_status::Internal,
    };
    let mut responsibilities = [0.0; CVR_MAX_CLUSTERS];
    responsibilities.iter_mut().zip(found.responsibilities()).for_each(|(slot, q)| *slot = q);
    let told = cvr_assignment {
        cluster: found.cluster as u32,
        confidence: found.confidence,
        runner_up: found.runner_up.map_or(-1, |c| c as i32),
        novelty: found.novelty,
        is_novel: found.is_novel,
        is_outside: found.is_outside,
        clusters: found.log_responsibilities.len() as u32,
        responsibilities,
    };
    // SAFETY: `to` is writable, as this function asks for.
    unsafe { to.write(told) };
    cvr_status::Ok
}
