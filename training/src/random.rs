//! A small, seeded, serialisable generator: the same seed gives the same numbers on every machine and in every version.
//!
//! xoshiro256++ (Blackman and Vigna 2021) seeded by splitmix64; logarithm and cosine come from `libm`, not from the
//! system, so that normals do not depend on the C library either.

use serde::{Deserialize, Serialize};

/// splitmix64's increment, 2⁶⁴ / φ.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
/// FNV-1a's offset basis and prime (64 bits).
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// The generator; its whole state is in the value, and goes into a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Random {
    state: [u64; 4],
    /// The second of the last Box–Muller pair.
    spare: Option<f64>,
}

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        let mut counter = seed;
        let state = std::array::from_fn(|_| {
            counter = counter.wrapping_add(GOLDEN_GAMMA);
            mix(counter)
        });
        Self { state, spare: None }
    }

    /// An independent generator for a named purpose: it does not depend on how often others were used.
    pub fn stream(seed: u64, name: &str) -> Self {
        let hash = name.bytes().fold(FNV_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
        Self::new(mix(seed) ^ hash)
    }

    /// 64 uniform bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in [0, 1), with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (-53_f64).exp2()
    }

    /// Uniform in [low, high).
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        (f64::from(low) + (f64::from(high) - f64::from(low)) * self.unit()) as f32
    }

    /// A uniform integer in [0, bound); without bias beyond 2⁻⁶⁴ · bound.
    ///
    /// # Panics
    /// If `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "Random::below: no integer is below zero");
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// Standard normal, by Box–Muller in f64.
    pub fn normal(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare as f32;
        }
        // 1 - unit is in (0, 1]: its logarithm is finite.
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        let angle = std::f64::consts::TAU * self.unit();
        self.spare = Some(radius * libm::sin(angle));
        (radius * libm::cos(angle)) as f32
    }

    /// Fills a slice with standard normals.
    pub fn fill_normal(&mut self, values: &mut [f32]) {
        values.iter_mut().for_each(|value| *value = self.normal());
    }

    /// Shuffles a slice (Fisher–Yates).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}

/// splitmix64's finaliser.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_seed_never_change() {
        let mut random = Random::new(7);
        let bits: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        // Computed a second time by an independent implementation of both published algorithms.
        assert_eq!(bits, [1_021_219_803_524_665_661, 3_174_977_118_032_272_916, 13_236_943_193_235_544_178]);
        assert_eq!((random.normal(), random.normal(), random.below(1000)), (1.0282849, -0.2389597, 465));
    }

    #[test]
    fn a_saved_generator_goes_on_where_it_was() {
        let mut random = Random::new(1);
        random.normal();
        let text = serde_json::to_string(&random).unwrap();
        let mut restored: Random = serde_json::from_str(&text).unwrap();
        let next = |random: &mut Random| (random.normal(), random.bits());
        assert_eq!(next(&mut restored), next(&mut random));
    }

    #[test]
    fn normals_have_the_moments_of_a_normal() {
        const N: usize = 200_000;
        let mut random = Random::new(3);
        let mut values = vec![0.0; N];
        random.fill_normal(&mut values);
        let moment = |power: i32| values.iter().map(|&v| f64::from(v).powi(power)).sum::<f64>() / N as f64;
        // Four standard errors of each sample moment.
        let bound = |variance: f64| 4.0 * (variance / N as f64).sqrt();
        assert!(moment(1).abs() < bound(1.0), "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < bound(2.0), "variance {}", moment(2));
        assert!((moment(4) - 3.0).abs() < bound(96.0), "fourth moment {}", moment(4));
    }

    #[test]
    fn streams_of_different_names_differ() {
        assert_ne!(Random::stream(0, "noise").bits(), Random::stream(0, "data").bits());
        assert_ne!(Random::stream(0, "noise").bits(), Random::stream(1, "noise").bits());
    }
}
