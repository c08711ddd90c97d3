//! The exponential function of the head, without a branch.

/// e^x within 2·10⁻⁷ relative for x in [-87, 88], without a branch, so that a compiler makes vectors of it; libm's costs
/// three times as much. Outside that range it gives what the end of the range gives; a NaN stays.
#[cfg_attr(feature = "std", inline(always))]
#[cfg_attr(not(feature = "std"), inline(never))]
pub(crate) fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it rounds to the nearest integer, which is then in the lowest bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts; the first has few bits, so that its multiples are exact.
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    /// Cephes, expf.
    const POLYNOMIAL: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let power = shifted - ROUND;
    let rest = x - power * LN2[0] - power * LN2[1];
    let series = POLYNOMIAL.iter().fold(0.0, |sum, c| sum * rest + c) * rest * rest + rest + 1.0;
    // 2 to that power: the bits above the integer are lost on the way to the exponent, where 127 stands for 0.
    series * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn exp_is_exp() {
        let mut worst: f64 = 0.0;
        for step in 0..1_000_000 {
            let x = -87.0 + 175.0 * step as f32 / 1e6;
            let expected = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / expected - 1.0).abs());
        }
        assert!(worst < 2e-7, "{worst}");
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::NEG_INFINITY) < 2e-38 && exp(f32::NEG_INFINITY) > 0.0 && exp(f32::INFINITY).is_finite());
    }
}
