//! How much of the stack was ever in use: what is not is painted, by the start-up code of cortex-m-rt and again on demand.

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    static mut _stack_end: u32;
    static mut _stack_start: u32;
}

/// Bytes below the stack pointer that are left alone: whoever paints needs some.
const OWN: usize = 64;

/// Paints what is not in use now.
#[inline(never)]
pub fn paint() {
    let end = (&raw mut _stack_end).addr();
    let pointer = cortex_m::register::msp::read() as usize;
    let mut at = &raw mut _stack_end;
    for _ in (end..pointer.saturating_sub(OWN)).step_by(size_of::<u32>()) {
        // SAFETY: from the stack's end to its pointer no one keeps anything.
        unsafe { at.write_volatile(STACK_PAINT_VALUE) };
        at = at.wrapping_add(1);
    }
}

/// Bytes from the stack's start to the deepest word that is not paint.
pub fn used() -> usize {
    let start = (&raw const _stack_start).addr();
    let mut at = &raw const _stack_end;
    // SAFETY: all words from the stack's end to its start are memory.
    while at.addr() < start && unsafe { at.read_volatile() } == STACK_PAINT_VALUE {
        at = at.wrapping_add(1);
    }
    start - at.addr()
}
