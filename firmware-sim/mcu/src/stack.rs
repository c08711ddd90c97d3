//! How much of the stack was ever in use: the start-up code of cortex-m-rt has painted all of it.

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    static _stack_end: u32;
    static _stack_start: u32;
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
