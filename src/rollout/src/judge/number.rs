//! Numbers that statistics need and the standard library lacks.
//!
//! In: counts and probabilities. Out: floating point numbers, always finite for what callers may pass. Never: anything
//! that knows what is counted.

/// A count as a real number; exact up to 2^53, and nobody counts further.
#[expect(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^53")]
pub const fn real(count: u64) -> f64 {
    count as f64
}

/// A real number that is known to be a small count.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped, and `as` saturates")]
pub const fn count(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

/// The upper end of the one-sided Clopper–Pearson interval for a share, of which `failed` were seen in `of`: the share
/// at which so few failures have a probability of `alpha`. 1 where nothing was seen.
///
/// C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
/// binomial", Biometrika 26 (1934).
pub fn upper_bound(failed: u64, of: u64, alpha: f64) -> f64 {
    if failed >= of {
        return 1.0;
    }
    let (a, b) = (real(failed) + 1.0, real(of - failed));
    let (mut low, mut high) = (0.0, 1.0);
    // 60 halvings are more exact than the fraction below.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if beta(middle, a, b) < 1.0 - alpha { low = middle } else { high = middle }
    }
    high
}

/// The regularized incomplete beta function.
fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (gamma_ln(a + b) - gamma_ln(a) - gamma_ln(b) + a * x.ln() + b * f64::ln_1p(-x)).exp();
    // The fraction converges fast on one side of the mean only; the other follows by symmetry.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

/// The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut above = 1.0;
    let mut below = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut result = below;
    for step in 1..500_u32 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            below = 1.0 / away(1.0 + term * below);
            above = away(1.0 + term / above);
            change = above * below;
            result *= change;
        }
        if (change - 1.0).abs() < 1e-14 {
            break;
        }
    }
    result
}

/// The logarithm of the gamma function, for positive arguments, by Stirling's series (DLMF 5.11.1).
fn gamma_ln(x: f64) -> f64 {
    // The series is exact enough from 10 on; what is smaller is carried there.
    let mut carried = 0.0;
    let mut x = x;
    while x < 10.0 {
        carried += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - carried
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9 * right.abs().max(1.0)
    }

    #[test]
    fn gamma_is_the_factorial() {
        for (x, factorial) in [(1.0, 1.0_f64), (2.0, 1.0), (5.0, 24.0), (11.0, 3_628_800.0)] {
            assert!(near(gamma_ln(x), factorial.ln()), "{x}");
        }
        assert!(near(gamma_ln(0.5), std::f64::consts::PI.sqrt().ln()));
    }

    #[test]
    fn beta_of_whole_numbers_is_a_binomial_tail() {
        // I_x(a, b) is the probability of at least a successes in a + b - 1 trials.
        assert!(near(beta(0.3, 1.0, 1.0), 0.3));
        assert!(near(beta(0.5, 2.0, 3.0), 11.0 / 16.0));
        assert!(near(beta(0.9, 5.0, 1.0), 0.9_f64.powi(5)));
        assert!(near(beta(0.1, 1.0, 400.0), 1.0 - 0.9_f64.powi(400)));
    }

    #[test]
    fn no_failure_needs_as_many_requests_as_the_rule_of_three_says() {
        for (alpha, budget, enough) in
            [(0.05, 0.01, 299), (0.05, 0.001, 2995), (0.01, 0.01, 459), (0.01, 0.001, 4603)]
        {
            assert!(upper_bound(0, enough, alpha) <= budget, "{alpha} {budget}");
            assert!(upper_bound(0, enough - 1, alpha) > budget, "{alpha} {budget}");
        }
    }

    #[test]
    fn bounds_are_those_of_the_tables() {
        // 3 of 10 and 13 of 13,000: the quantiles of Beta(4, 7) and Beta(14, 12987).
        assert!((upper_bound(3, 10, 0.05) - 0.606_62).abs() < 1e-4);
        assert!((upper_bound(13, 13_000, 0.01) - 0.001_856).abs() < 2e-5);
        assert!(near(upper_bound(0, 0, 0.01), 1.0));
        assert!(near(upper_bound(5, 5, 0.01), 1.0));
    }
}
