//! torch's CPU generator: the same seed gives the normals that `torch.randn` gives on the CPU.
//!
//! mt19937 seeds and steps as in Matsumoto and Nishimura 1998. Sixteen numbers and more are drawn in f32, Box–Muller over
//! blocks of 16 (eight radii, eight angles); fewer are drawn one by one in f64, the second normal of each pair kept for
//! the next draw.

/// Words of mt19937's state.
const WORDS: usize = 624;
/// Distance of the recurrence.
const SHIFT: usize = 397;
/// Numbers that one Box–Muller block makes; also the least number of draws that uses blocks.
const BLOCK: usize = 16;

/// A generator of unit normals, one per image.
#[derive(Clone)]
pub struct NoiseGenerator {
    words: [u32; WORDS],
    next: usize,
    /// The second normal of the last pair that was drawn one by one.
    kept: Option<f64>,
}

impl std::fmt::Debug for NoiseGenerator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoiseGenerator").field("next", &self.next).finish_non_exhaustive()
    }
}

impl NoiseGenerator {
    /// As `torch.Generator("cpu").manual_seed(seed)`.
    pub fn new(seed: u32) -> Self {
        /// The multiplier of the seeding recurrence.
        const MULTIPLIER: u32 = 1_812_433_253;
        let mut words = [seed; WORDS];
        for i in 1..WORDS {
            let last = words[i - 1];
            words[i] = MULTIPLIER.wrapping_mul(last ^ (last >> 30)).wrapping_add(i as u32);
        }
        Self { words, next: WORDS, kept: None }
    }

    /// As `torch.randn(count, generator=self)` for f32, within 2 · 10⁻⁶ (torch's own code paths differ by as much).
    pub fn normals(&mut self, count: usize) -> Vec<f32> {
        let mut out = vec![0.0; count];
        self.fill(&mut out);
        out
    }

    /// The same into a slice.
    pub fn fill(&mut self, out: &mut [f32]) {
        if out.len() < BLOCK {
            for value in out {
                *value = self.normal() as f32;
            }
            return;
        }
        for value in out.iter_mut() {
            *value = self.uniform();
        }
        for block in out.chunks_exact_mut(BLOCK) {
            box_muller(block);
        }
        if !out.len().is_multiple_of(BLOCK) {
            let start = out.len() - BLOCK;
            let last = &mut out[start..];
            for value in last.iter_mut() {
                *value = self.uniform();
            }
            box_muller(last);
        }
    }

    /// One normal in f64, by pairs.
    fn normal(&mut self) -> f64 {
        if let Some(kept) = self.kept.take() {
            return kept;
        }
        let (angle, length) = (self.uniform_f64(), self.uniform_f64());
        let radius = (-2.0 * (-length).ln_1p()).sqrt();
        let angle = std::f64::consts::TAU * angle;
        self.kept = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// Uniform in [0, 1), 24 bits.
    fn uniform(&mut self) -> f32 {
        const BITS: u32 = 24;
        (self.word() & ((1 << BITS) - 1)) as f32 / (1 << BITS) as f32
    }

    /// Uniform in [0, 1), 53 bits of two words, the first the higher.
    fn uniform_f64(&mut self) -> f64 {
        const BITS: u32 = 53;
        let word = (u64::from(self.word()) << 32) | u64::from(self.word());
        (word & ((1 << BITS) - 1)) as f64 / (1_u64 << BITS) as f64
    }

    /// The next 32 bits, tempered.
    fn word(&mut self) -> u32 {
        if self.next == WORDS {
            self.twist();
        }
        let mut word = self.words[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        const UPPER: u32 = 0x8000_0000;
        const MATRIX: u32 = 0x9908_b0df;
        for i in 0..WORDS {
            let joined = (self.words[i] & UPPER) | (self.words[(i + 1) % WORDS] & !UPPER);
            let odd = if joined & 1 == 1 { MATRIX } else { 0 };
            self.words[i] = self.words[(i + SHIFT) % WORDS] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }
}

/// √(−2 ln u₁) · (cos, sin)(2π u₂): u₁ from the block's first half, u₂ from its second. The angle is rounded to f32 as torch does.
fn box_muller(block: &mut [f32]) {
    let (first, second) = block.split_at_mut(BLOCK / 2);
    for (a, b) in first.iter_mut().zip(second) {
        let radius = (-2.0 * f64::from(1.0 - *a).ln()).sqrt();
        let angle = f64::from(std::f32::consts::TAU * *b);
        *a = (radius * angle.cos()) as f32;
        *b = (radius * angle.sin()) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_reference_implementation() {
        let mut generator = NoiseGenerator::new(5489);
        assert_eq!(generator.word(), 3_499_211_612);
        let tenthousandth = (0..9_999).map(|_| generator.word()).last();
        assert_eq!(tenthousandth, Some(4_123_659_995));
    }

    #[test]
    fn a_pair_drawn_one_by_one_survives_a_block_between() {
        let mut split = NoiseGenerator::new(1);
        let first = split.normals(1);
        split.normals(16);
        let second = split.normals(1);
        assert_eq!([first, second].concat(), NoiseGenerator::new(1).normals(2));
    }
}
