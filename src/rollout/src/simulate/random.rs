//! Numbers by chance that come out the same for the same seed.
//!
//! In: a seed. Out: draws. Never: a secret; it is for simulations only.

use crate::judge::{count, real};

/// Sebastiano Vigna's `SplitMix64` (2014): 64 bits of state, equidistributed, fast enough to draw without thinking.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of that seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// Between 0 and 1, neither included.
    pub fn uniform(&mut self) -> f64 {
        (real(self.next() >> 12) + 0.5) / real(1 << 52)
    }

    /// Around 0 with variance 1, by Box and Muller's method.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// With mean 1 and variance 1.
    pub fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// Arrivals, where `mean` are expected.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 50.0 {
            return count(mean + mean.sqrt() * self.normal());
        }
        let (mut arrivals, mut time) = (0, self.exponential());
        while time < mean {
            arrivals += 1;
            time += self.exponential();
        }
        arrivals
    }

    /// Failures among `of`, each with probability `share`.
    pub fn binomial(&mut self, of: u64, share: f64) -> u64 {
        if of == 0 || share <= 0.0 {
            return 0;
        }
        if share > 0.5 {
            return of - self.binomial(of, 1.0 - share);
        }
        let mean = real(of) * share;
        if mean > 50.0 {
            return count(mean + (mean * (1.0 - share)).sqrt() * self.normal()).min(of);
        }
        // Jumps from failure to failure: what lies between them is geometric.
        let scale = f64::ln_1p(-share);
        let (mut failures, mut place) = (0, 0);
        loop {
            place += count((self.uniform().ln() / scale).floor()).saturating_add(1);
            if place > of {
                return failures;
            }
            failures += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut(&mut Random) -> u64) -> (f64, f64) {
        const DRAWS: u64 = 200_000;
        let mut random = Random::new(1);
        let draws: Vec<_> = (0..DRAWS).map(|_| real(draw(&mut random))).collect();
        let mean = draws.iter().sum::<f64>() / real(DRAWS);
        (mean, draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / real(DRAWS))
    }

    fn near((mean, variance): (f64, f64), expected: (f64, f64)) {
        assert!((mean / expected.0 - 1.0).abs() < 0.02, "mean {mean}, not {}", expected.0);
        assert!((variance / expected.1 - 1.0).abs() < 0.03, "variance {variance}, not {}", expected.1);
    }

    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        near(moments(|random| random.poisson(3.0)), (3.0, 3.0));
        near(moments(|random| random.poisson(300.0)), (300.0, 300.0));
        near(moments(|random| random.binomial(1000, 0.001)), (1.0, 0.999));
        near(moments(|random| random.binomial(20, 0.4)), (8.0, 4.8));
        near(moments(|random| random.binomial(1000, 0.7)), (700.0, 210.0));
        near(moments(|random| random.binomial(100, 0.99)), (99.0, 0.99));
    }

    #[test]
    fn a_seed_is_a_sequence() {
        let draw = |seed| Random::new(seed).next();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        // The reference implementation's first number for the seed 0.
        assert_eq!(draw(0), 0xE220_A839_7B1D_CDAF);
    }
}
