//! How far apart two packs' pictures are as a whole: maximum mean discrepancies (Gretton et al. 2012) between points of CLIP.
//!
//! Pictures come in pairs (x, y) of one prompt and seed, so the estimate is the U-statistic of pairs, their equation 4:
//! `MMD² = mean over i, j of k(xᵢ, xⱼ) + k(yᵢ, yⱼ) − k(xᵢ, yⱼ) − k(xⱼ, yᵢ)`, with pictures i and j of different prompts, since pictures of one
//! prompt are not independent. It is unbiased, exactly zero where x = y, and may be negative.

use crate::measure::{Interval, bootstrap};

/// CMMD's bandwidth and factor (Jayasumana et al. 2024, §4).
const SIGMA: f64 = 10.0;
const CMMD_FACTOR: f64 = 1000.0;

/// A kernel over points of length one, by their cosine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    /// KID's (x·y / d + 1)³ (Bińkowski et al. 2018, §4), of points scaled to mean squares of one, as its features have: (cos + 1)³.
    Kid,
    /// CMMD's exp(−‖x − y‖² / 2σ²), times 1,000.
    Cmmd,
}

impl Kernel {
    pub(super) const ALL: [Self; 2] = [Self::Kid, Self::Cmmd];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kid => "KID",
            Self::Cmmd => "CMMD",
        }
    }

    fn of(self, one: &[f32], other: &[f32]) -> f64 {
        let cosine: f64 = one.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum();
        match self {
            Self::Kid => (cosine + 1.0).powi(3),
            // ‖x − y‖² = 2 − 2 cos.
            Self::Cmmd => CMMD_FACTOR * ((cosine - 1.0) / (SIGMA * SIGMA)).exp(),
        }
    }
}

/// Points by prompt and picture.
pub(super) type Points = [Vec<Vec<f32>>];

/// Sums over pairs of pictures for each pair of prompts, so that a resample of prompts is a sum of blocks.
struct Blocks {
    prompts: usize,
    sums: Vec<f64>,
    /// Pairs of one block.
    count: f64,
}

impl Blocks {
    /// `h((p, i), (q, j))` over pictures i of prompt p and j of prompt q.
    fn of(points: &Points, h: impl Fn((usize, usize), (usize, usize)) -> f64) -> Self {
        let prompts = points.len();
        let mut blocks = Self { prompts, sums: vec![0.0; prompts * prompts], count: 0.0 };
        for (p, one) in points.iter().enumerate() {
            for (q, other) in points.iter().enumerate().filter(|(q, _)| *q != p) {
                let pairs = (0..one.len()).flat_map(|i| (0..other.len()).map(move |j| ((p, i), (q, j))));
                blocks.sums[p * prompts + q] = pairs.map(|(first, second)| h(first, second)).sum();
                blocks.count = (one.len() * other.len()) as f64;
            }
        }
        blocks
    }

    /// The mean over pairs of different prompts among those drawn.
    fn mean(&self, drawn: &[usize]) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0.0);
        for &p in drawn {
            for &q in drawn.iter().filter(|q| **q != p) {
                sum += self.sums[p * self.prompts + q];
                count += self.count;
            }
        }
        (count > 0.0).then(|| sum / count)
    }
}

/// The distance of two packs' points, which have as many pictures of every prompt, with an interval over prompts. Under equality the
/// interval is wider than need be: resampling adds what a degenerate statistic does not have.
pub(super) fn mmd(kernel: Kernel, x: &Points, y: &Points, seed: u64) -> Option<Interval> {
    let h = |(p, i): (usize, usize), (q, j): (usize, usize)| {
        kernel.of(&x[p][i], &x[q][j]) + kernel.of(&y[p][i], &y[q][j])
            - kernel.of(&x[p][i], &y[q][j])
            - kernel.of(&x[q][j], &y[p][i])
    };
    let blocks = Blocks::of(x, h);
    bootstrap(x.len(), seed, |drawn| blocks.mean(drawn))
}

/// The spread of a pack's own points: k(x, x) less the mean of k(xᵢ, xⱼ) over different prompts. It gives distances a scale of their own.
pub(super) fn spread(kernel: Kernel, x: &Points) -> Option<f64> {
    let own = x.first()?.first()?;
    let blocks = Blocks::of(x, |(p, i), (q, j)| kernel.of(&x[p][i], &x[q][j]));
    Some(kernel.of(own, own) - blocks.mean(&(0..x.len()).collect::<Vec<_>>())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Points around an axis, `shift` of the way to another.
    fn points(seed: u64, shift: f32) -> Vec<Vec<Vec<f32>>> {
        let mut random = Random::new(seed);
        let mut point = || {
            let mut values: Vec<f32> = (0..8).map(|_| random.normal()).collect();
            values[0] += 2.0 * shift;
            let length = values.iter().map(|x| x * x).sum::<f32>().sqrt();
            values.iter().map(|x| x / length).collect::<Vec<f32>>()
        };
        (0..40).map(|_| (0..4).map(|_| point()).collect()).collect()
    }

    #[test]
    fn equal_pictures_are_at_no_distance_and_other_seeds_at_none_to_speak_of() {
        for kernel in Kernel::ALL {
            let x = points(0, 0.0);
            let none = mmd(kernel, &x, &x, 0).expect("a distance");
            assert!(none.value.abs() < 1e-9 && none.low.abs() < 1e-9 && none.high.abs() < 1e-9, "{kernel:?} {none:?}");
            let (noise, spread) =
                (mmd(kernel, &x, &points(1, 0.0), 0).expect("a distance"), spread(kernel, &x).expect("a spread"));
            assert!(
                noise.low < 0.0 && noise.high > 0.0 && noise.high < 0.03 * spread,
                "{kernel:?} {noise:?} of {spread}"
            );
        }
    }

    #[test]
    fn a_shift_is_beyond_noise_and_grows() {
        for kernel in Kernel::ALL {
            let x = points(0, 0.0);
            let far = |shift: f32| mmd(kernel, &x, &points(1, shift), 0).expect("a distance");
            let (noise, near, far) = (far(0.0), far(0.5), far(1.0));
            assert!(near.low > noise.high && far.low > near.high, "{kernel:?} {noise:?} {near:?} {far:?}");
        }
    }

    #[test]
    fn the_estimate_is_the_textbooks() {
        // Two prompts of one picture; x at 0° and 90°, y at 60° and 120° (cosines 1/2, √3/2, −1/2 ...).
        let at = |degrees: f32| vec![vec![degrees.to_radians().cos(), degrees.to_radians().sin()]];
        let (x, y) = (vec![at(0.0), at(90.0)], vec![at(60.0), at(120.0)]);
        let k = |degrees: f64| (degrees.to_radians().cos() + 1.0).powi(3);
        let expected = k(90.0) + k(60.0) - k(120.0) - k(30.0);
        let found = mmd(Kernel::Kid, &x, &y, 0).expect("a distance").value;
        assert!((found - expected).abs() < 1e-5, "{found} instead of {expected}");
        assert!((spread(Kernel::Kid, &x).expect("a spread") - (k(0.0) - k(90.0))).abs() < 1e-5);
    }
}
