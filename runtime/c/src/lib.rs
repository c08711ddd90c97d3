//! The native engine for programs in C: no heap, no global state, memory from the caller.
//!
//! The header `include/cluster_runtime.h` is made from this file. Every pointer that C hands over must hold what its
//! function's documentation says; whether it is null and aligned, whether an engine was opened, lengths, images and frames
//! are checked.
//!
//! Without the feature `std` it is for microcontrollers: the kernels are then those of the target, and where nothing may
//! panic, a panic stops.
#![cfg_attr(not(feature = "std"), no_std)]
#![expect(unsafe_code, reason = "pointers that come from C; each block says what C has promised")]

use core::ffi::c_char;
use core::mem::{align_of, size_of};
use core::slice;

use runtime::flash::{CriticNetwork, FlashModel};
use runtime::native::{Critic, CriticError, Engine, critic_scratch_len, scratch_len};
use runtime::{Assignment, FrameError, MAX_CLUSTERS, Outside};

/// Most clusters of a model.
pub const CVR_MAX_CLUSTERS: usize = 64;
const _: () = assert!(CVR_MAX_CLUSTERS == MAX_CLUSTERS);

/// The version of this interface: a program and a library of different versions do not go together. cvr_abi_version says
/// the library's.
pub const CVR_ABI_VERSION: u32 = 2;

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
    /// A pointer is not aligned as what it points at must be.
    Misaligned = 9,
    /// The engine was not opened, its last opening failed, or it was copied to another place.
    NotOpen = 10,
    /// The image has no critic, or its section makes no sense.
    Critic = 11,
}

/// A model ready to assign frames: memory of the caller, whose content is the library's. A copy is not open.
///
/// One thread uses an engine at a time. Different engines may be used at once, also on one image; but each has scratch
/// memory of its own. No function keeps anything elsewhere, so interrupts may use engines of their own.
#[repr(C)]
pub struct cvr_engine {
    words: [u64; CVR_ENGINE_WORDS],
}
const _: () = assert!(size_of::<Opened>() <= size_of::<cvr_engine>());
const _: () = assert!(align_of::<Opened>() <= align_of::<cvr_engine>());

/// What lies in the memory of an engine that is open.
#[repr(C)]
struct Opened {
    /// [`mark`] of the place where it was opened.
    mark: u64,
    engine: Engine<'static>,
}

/// What tells an engine that was opened at this place from other memory.
fn mark(engine: *const cvr_engine) -> u64 {
    0x6376_725f_6f70_656e ^ engine.addr() as u64
}

/// What an image says of its model.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cvr_model {
    /// Tells one model from another.
    pub checksum: u32,
    /// Channels of a frame, which come first.
    pub channels: u32,
    /// Rows of a frame.
    pub height: u32,
    /// Columns of a frame.
    pub width: u32,
    /// Number of clusters K.
    pub clusters: u32,
    /// Dimensions D of the latent.
    pub latent: u32,
    /// Novelty past which a frame is novel, nats.
    pub novelty_threshold: f32,
    /// Samples from the begin of a window to that of the next; 0 if the image does not say.
    pub hop: u32,
    /// Samples a second; 0 if the image does not say.
    pub rate: f32,
    /// True if the image says what values training saw.
    pub has_range: bool,
    /// True if there is a critic, for cvr_explain.
    pub has_critic: bool,
}

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

/// The version of the library's interface, to be compared with CVR_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn cvr_abi_version() -> u32 {
    CVR_ABI_VERSION
}

/// Writes the floats of scratch memory that an engine for this image needs.
///
/// # Safety
/// `image` holds `image_len` bytes, `needed` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cvr_scratch_len(image: *const u8, image_len: usize, needed: *mut usize) -> cvr_status {
    ended(|| {
        writable(needed)?;
        // SAFETY: `image` holds `image_len` bytes, as this function asks for.
        let model = FlashModel::new(unsafe { values(image, image_len)? }).map_err(|_| cvr_status::Image)?;
        // SAFETY: `needed` is not null, aligned, and writable, as this function asks for.
        unsafe { needed.write(scratch_len(&model)) };
        Ok(())
    })
}

/// Opens an image, checks every byte of it, and runs its self-test. After an error the engine is not open.
///
/// Image and scratch memory must stay, and not be touched, as long as the engine is used. Nothing needs closing.
///
/// # Safety
/// `image` holds `image_len` bytes, `scratch` `scratch_len` floats, `engine` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cvr_open(
    image: *const u8,
    image_len: usize,
    scratch: *mut f32,
    scratch_len: usize,
    engine: *mut cvr_engine,
) -> cvr_status {
    ended(|| {
        writable(engine)?;
        let opened = engine.cast::<Opened>();
        // SAFETY: not null, aligned, and writable, as this function asks for; it is as large as is asserted above.
        unsafe { (&raw mut (*opened).mark).write(0) };
        // SAFETY: `image` holds `image_len` bytes and stays untouched for as long as the engine is used.
        let bytes: &'static [u8] = unsafe { values(image, image_len)? };
        // SAFETY: `scratch` holds `scratch_len` floats and is the engine's for as long as that is used.
        let scratch = unsafe { scratch_of(scratch, scratch_len)? };
        let model = FlashModel::new(bytes).map_err(|_| cvr_status::Image)?;
        let mut found = Engine::new(model, scratch).map_err(|_| cvr_status::Scratch)?;
        found.self_test().map_err(|_| cvr_status::SelfTest)?;
        // SAFETY: as above.
        unsafe { opened.write(Opened { mark: mark(engine), engine: found }) };
        Ok(())
    })
}

/// Writes what the image of an engine says of its model.
///
/// # Safety
/// `engine` is memory of an engine, `model` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cvr_model_of(engine: *const cvr_engine, model: *mut cvr_model) -> cvr_status {
    ended(|| {
        writable(model)?;
        // SAFETY: `engine` is memory of an engine, as this function asks for.
        let of = unsafe { opened(engine.cast_mut())? }.model();
        let (shape, windowing) = (of.shape(), of.windowing());
        let told = cvr_model {
            checksum: of.checksum(),
            channels: shape.channels as u32,
            height: shape.height as u32,
            width: shape.width as u32,
            clusters: of.head().clusters() as u32,
            latent: of.head().latent() as u32,
            novelty_threshold: of.head().novelty_threshold(),
            hop: windowing.map_or(0, |windowing| windowing.hop() as u32),
            rate: windowing.and_then(|windowing| windowing.rate()).unwrap_or(0.0),
            has_range: of.range().is_some(),
            has_critic: matches!(CriticNetwork::new(of), Ok(Some(_))),
        };
        // SAFETY: `model` is not null, aligned, and writable, as this function asks for.
        unsafe { model.write(told) };
        Ok(())
    })
}

/// Assigns a frame of floats, channels first, in the units of the training data.
///
/// # Safety
/// `engine` is memory of an engine, `frame` holds `frame_len` floats, `assignment` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cvr_assign(
    engine: *mut cvr_engine,
    frame: *const f32,
    frame_len: usize,
    assignment: *mut cvr_assignment,
) -> cvr_status {
    ended(|| {
        writable(assignment)?;
        // SAFETY: as this function asks for.
        let (engine, frame) = unsafe { (opened(engine)?, values(frame, frame_len)?) };
        // SAFETY: `assignment` is not null, aligned, and writable, as this function asks for.
        unsafe { tell(engine.assign(frame), assignment) }
    })
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
    ended(|| {
        writable(assignment)?;
        // SAFETY: as this function asks for.
        let (engine, frame) = unsafe { (opened(engine)?, values(frame, frame_len)?) };
        // SAFETY: `assignment` is not null, aligned, and writable, as this function asks for.
        unsafe { tell(engine.assign_u8(frame), assignment) }
    })
}

/// Assigns `count` frames of floats that follow each other, one after another and without a heap. Before the first that is
/// refused all are assigned; `done`, which may be null, says how many.
///
/// # Safety
/// As cvr_assign; `frames` holds `frames_len` floats, `assignments` has room for `count`, `done` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cvr_assign_batch(
    engine: *mut cvr_engine,
    frames: *const f32,
    frames_len: usize,
    assignments: *mut cvr_assignment,
    count: usize,
    done: *mut usize,
) -> cvr_status {
    let mut assigned = 0;
    let status = ended(|| {
        writable(assignments)?;
        // SAFETY: as this function asks for.
        let (engine, frames) = unsafe { (opened(engine)?, values(frames, frames_len)?) };
        let length = engine.model().shape().len();
        if length.checked_mul(count) != Some(frames.len()) {
            return Err(cvr_status::FrameLength);
        }
        for frame in frames.chunks_exact(length.max(1)) {
            // SAFETY: there is room for `count` assignments, of which this is one.
            unsafe { tell(engine.assign(frame), assignments.add(assigned))? };
            assigned += 1;
        }
        Ok(())
    });
    if writable(done).is_ok() {
        // SAFETY: `done` is not null, aligned, and writable, as this function asks for.
        unsafe { done.write(assigned) };
    }
    status
}

/// Writes the floats of scratch memory that cvr_explain needs beside the engine's.
///
/// # Safety
/// `engine` is memory of an engine, `needed` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cvr_critic_scratch_len(engine: *const cvr_engine, needed: *mut usize) -> cvr_status {
    ended(|| {
        writable(needed)?;
        // SAFETY: `engine` is memory of an engine, as this function asks for.
        let model = unsafe { opened(engine.cast_mut())? }.model();
        let network = CriticNetwork::new(model).ok().flatten().ok_or(cvr_status::Critic)?;
        // SAFETY: `needed` is not null, aligned, and writable, as this function asks for.
        unsafe { needed.write(critic_scratch_len(&network)) };
        Ok(())
    })
}

/// Assigns a frame as cvr_assign does, and writes how well each of its values is what the model expects, 0 to 1.
///
/// The critic's weights are looked at anew in every call. `trust` has as many values as the frame; of a model with a front
/// end, which sees features, as many as those.
///
/// # Safety
/// As cvr_assign; `scratch` holds `scratch_len` floats, `trust` `trust_len`, and neither overlaps anything else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cvr_explain(
    engine: *mut cvr_engine,
    scratch: *mut f32,
    scratch_len: usize,
    frame: *const f32,
    frame_len: usize,
    trust: *mut f32,
    trust_len: usize,
    assignment: *mut cvr_assignment,
) -> cvr_status {
    ended(|| {
        writable(assignment)?;
        // SAFETY: as this function asks for.
        let (engine, frame) = unsafe { (opened(engine)?, values(frame, frame_len)?) };
        // SAFETY: as this function asks for; the critic is gone when it returns.
        let scratch = unsafe { scratch_of(scratch, scratch_len)? };
        values_fit(trust, trust_len)?;
        // SAFETY: not null, aligned, of `trust_len` floats, and nothing else holds them, as this function asks for.
        let trust = unsafe { slice::from_raw_parts_mut(trust, trust_len) };
        let mut critic = Critic::new(engine.model(), scratch).map_err(|error| match error {
            CriticError::Scratch { .. } => cvr_status::Scratch,
            CriticError::Absent | CriticError::Flash(_) => cvr_status::Critic,
        })?;
        // SAFETY: `assignment` is not null, aligned, and writable, as this function asks for.
        unsafe { tell(engine.explain(&mut critic, frame, trust), assignment) }
    })
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
    ended(|| {
        writable(outside)?;
        // SAFETY: as this function asks for.
        let (engine, frame) = unsafe { (opened(engine.cast_mut())?, values(frame, frame_len)?) };
        let model = engine.model();
        if frame_len != model.shape().len() {
            return Err(cvr_status::FrameLength);
        }
        let told = match model.range().and_then(|range| range.first_outside(frame)) {
            None => cvr_outside { found: false, index: 0, value: 0.0, least: 0.0, most: 0.0 },
            Some(Outside { index, value, least, most }) => {
                cvr_outside { found: true, index: index as u32, value, least, most }
            }
        };
        // SAFETY: `outside` is not null, aligned, and writable, as this function asks for.
        unsafe { outside.write(told) };
        Ok(())
    })
}

/// What a status means, in English; never null, whatever the number.
#[unsafe(no_mangle)]
pub extern "C" fn cvr_status_text(status: i32) -> *const c_char {
    let known = ALL.into_iter().find(|known| *known as i32 == status);
    let Some(known) = known else { return c"no status of this library".as_ptr() };
    let text = match known {
        cvr_status::Ok => c"done",
        cvr_status::Null => c"a pointer is null",
        cvr_status::Image => c"not a flash image of this version, or damaged, or not aligned to 4 bytes",
        cvr_status::Scratch => c"the scratch memory is too short or not aligned; see cvr_scratch_len",
        cvr_status::SelfTest => c"the self-test failed",
        cvr_status::FrameLength => c"the frame has another number of values than the model takes",
        cvr_status::FrameNotFinite => c"a value of the frame is not finite",
        cvr_status::FrameOverflow => c"the values of the frame are far out of range",
        cvr_status::Internal => c"a defect of the library",
        cvr_status::Misaligned => c"a pointer is not aligned",
        cvr_status::NotOpen => c"the engine is not open, or a copy of one that is",
        cvr_status::Critic => c"the image has no critic, or a damaged one",
    };
    text.as_ptr()
}

/// Every status.
const ALL: [cvr_status; 12] = [
    cvr_status::Ok,
    cvr_status::Null,
    cvr_status::Image,
    cvr_status::Scratch,
    cvr_status::SelfTest,
    cvr_status::FrameLength,
    cvr_status::FrameNotFinite,
    cvr_status::FrameOverflow,
    cvr_status::Internal,
    cvr_status::Misaligned,
    cvr_status::NotOpen,
    cvr_status::Critic,
];

/// The status of a call.
fn ended(call: impl FnOnce() -> Result<(), cvr_status>) -> cvr_status {
    call().err().unwrap_or(cvr_status::Ok)
}

/// Whether a pointer is neither null nor misaligned.
fn writable<T>(at: *mut T) -> Result<(), cvr_status> {
    match at {
        _ if at.is_null() => Err(cvr_status::Null),
        _ if !at.is_aligned() => Err(cvr_status::Misaligned),
        _ => Ok(()),
    }
}

/// Whether `count` values may lie there: a slice has no more bytes than half of what a pointer reaches.
fn values_fit<T>(at: *const T, count: usize) -> Result<(), cvr_status> {
    writable(at.cast_mut())?;
    let bytes = count.checked_mul(size_of::<T>()).filter(|bytes| isize::try_from(*bytes).is_ok());
    bytes.map(|_| ()).ok_or(cvr_status::FrameLength)
}

/// Values that C has handed over.
///
/// # Safety
/// If `at` is not null and aligned, `count` values lie there, and stay untouched for `'v`.
unsafe fn values<'v, T>(at: *const T, count: usize) -> Result<&'v [T], cvr_status> {
    values_fit(at, count)?;
    // SAFETY: not null, aligned, no longer than a slice may be; the rest is asked for.
    Ok(unsafe { slice::from_raw_parts(at, count) })
}

/// Scratch memory that C has handed over.
///
/// # Safety
/// If `at` is not null and aligned, `count` floats lie there, which nothing else uses for as long as what is made of them.
unsafe fn scratch_of(at: *mut f32, count: usize) -> Result<&'static mut [f32], cvr_status> {
    values_fit(at, count).map_err(|why| if why == cvr_status::Null { why } else { cvr_status::Scratch })?;
    // SAFETY: not null, aligned, no longer than a slice may be; the rest is asked for.
    Ok(unsafe { slice::from_raw_parts_mut(at, count) })
}

/// The engine that was opened there.
///
/// # Safety
/// If `engine` is not null and aligned, memory of an engine lies there, opened or not, and no other thread uses it.
unsafe fn opened<'e>(engine: *mut cvr_engine) -> Result<&'e mut Engine<'static>, cvr_status> {
    writable(engine)?;
    let opened = engine.cast::<Opened>();
    // SAFETY: not null, aligned, memory of an engine. Volatile, since nobody may have written it yet.
    let found = unsafe { (&raw const (*opened).mark).read_volatile() };
    if found != mark(engine) {
        return Err(cvr_status::NotOpen);
    }
    // SAFETY: the mark is written with an engine, last, and is another at any other place.
    Ok(unsafe { &mut (*opened).engine })
}

/// Writes an answer for C.
///
/// # Safety
/// `to` is writable.
unsafe fn tell(found: Result<Assignment, FrameError>, to: *mut cvr_assignment) -> Result<(), cvr_status> {
    let found = found.map_err(|error| match error {
        FrameError::Length { .. } => cvr_status::FrameLength,
        FrameError::NotFinite { .. } => cvr_status::FrameNotFinite,
        FrameError::Overflow => cvr_status::FrameOverflow,
        FrameError::Engine => cvr_status::Internal,
    })?;
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
    Ok(())
}

#[cfg(not(feature = "std"))]
#[panic_handler]
fn stop(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
