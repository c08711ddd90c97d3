//! Functions compiled once for every width of vectors.

/// A function whose body is compiled for AVX-512, for AVX2 and for what every machine has; a call
/// picks the best that this machine has. All references share one lifetime.
macro_rules! vectorised {
    ($(#[$attribute:meta])* $visible:vis fn $name:ident<$life:lifetime>(
        $($argument:ident: $type:ty),* $(,)?
    ) -> $output:ty $body:block) => {
        $(#[$attribute])*
        $visible fn $name<$life>($($argument: $type),*) -> $output {
            struct Task<$life> {
                $($argument: $type),*
            }
            impl<$life> pulp::NullaryFnOnce for Task<$life> {
                type Output = $output;

                // Always: a function of its own would not be compiled for the wider vectors.
                #[inline(always)]
                fn call(self) -> $output {
                    let Self { $($argument),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Task { $($argument),* })
        }
    };
}

pub(super) use vectorised;
