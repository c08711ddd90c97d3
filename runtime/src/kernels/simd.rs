//! Vectors of f32 as the walks over a layer see them, whatever the instruction set.

/// Vectors of f32 of one instruction set.
///
/// A walk is written once, over `S: Simd`, and is `#[inline(always)]`; the functions of a set (`arch/`) call it from
/// code that is compiled with the set's instructions, where every function here becomes one or two of them.
///
/// # Safety
/// Implementors: [`load`](Self::load), [`store`](Self::store) and [`widen`](Self::widen) touch exactly
/// [`LANES`](Self::LANES) values at the address, aligned or not, and `LANES` divides [`crate::layer::LANES`].
///
/// Callers of every function: the machine has the instructions of the set. What else a function asks for is in its own
/// section on safety.
pub unsafe trait Simd: Copy {
    /// Values a vector.
    const LANES: usize;
    /// Vectors summed at once for one frame: what the registers hold beside a weight and an input.
    const SUMS: usize = 8;
    /// Vectors side by side in a tile of six frames: what the registers hold beside the tile's weights.
    const TILE: usize = 4;
    /// A vector.
    type V: Copy;

    /// One value in every lane.
    unsafe fn splat(value: f32) -> Self::V;

    /// The vector at an address.
    ///
    /// # Safety
    /// `LANES` values can be read at `at`.
    unsafe fn load(at: *const f32) -> Self::V;

    /// Writes a vector.
    ///
    /// # Safety
    /// `LANES` values can be written at `at`.
    unsafe fn store(at: *mut f32, v: Self::V);

    /// f16 bits as f32, exactly.
    ///
    /// # Safety
    /// `LANES` values can be read at `at`.
    unsafe fn widen(at: *const u16) -> Self::V;

    /// a · b + c, rounded once where the set can, twice where it cannot.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    /// a + b.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;

    /// Negative values, and those below [`super::LEAST`], become 0; a NaN stays, and -∞ becomes one: it is a sum that has
    /// left f32, not a small value.
    unsafe fn relu(v: Self::V) -> Self::V;

    /// The sum of all lanes.
    unsafe fn sum(v: Self::V) -> f32;

    /// Asks for the cache line at an address, which need not even exist.
    #[inline(always)]
    unsafe fn prefetch(_at: *const u16) {}

    /// Writes the index of every value of `x` that is not 0 to `list`, in order; returns how many.
    ///
    /// # Safety
    /// `x.len()` indexes can be written at `list`.
    #[inline(always)]
    unsafe fn nonzero(x: &[f32], list: *mut u32) -> usize {
        let mut count = 0;
        for (index, value) in x.iter().enumerate() {
            // SAFETY: count is at most index, which is below the places that the list has.
            unsafe { *list.add(count) = index as u32 };
            // NaN is not 0 either.
            count += usize::from(*value != 0.0);
        }
        count
    }
}
