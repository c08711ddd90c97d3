//! Marks for `insns.c`, which counts what runs between `begin_NAME` and `end_NAME`.

/// Makes the two functions for each name.
#[macro_export]
macro_rules! marks {
    ($($begin:ident $end:ident),+ $(,)?) => { $(
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        extern "C" fn $begin() {
            core::arch::naked_asm!("bx lr")
        }

        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        extern "C" fn $end() {
            core::arch::naked_asm!("bx lr")
        }
    )+ };
}
