//! Cheap previews: a linear map from latent channels to colours, fitted to the pack's own decoder when it is opened.

use image::{RgbImage, imageops};

use crate::pipeline::{PipelineError, decode::Decoder, noise::NoiseGenerator};

/// Red, green, blue.
const COLOURS: usize = 3;
/// Latent cells along one side of the probe, and of its patches: large enough that a patch's middle sees one colour only.
const PROBE: usize = 32;
const PATCH: usize = 4;
/// Seed of the probe's patches.
const SEED: u32 = 0;
/// Added to the normal equations' diagonal, relative to the number of samples: keeps them solvable for dead channels.
const RIDGE: f64 = 1e-3;

/// colour = W · channels + bias, in 0 … 255.
#[derive(Debug)]
pub(super) struct Palette {
    /// A row a colour: a weight for each channel, then the bias.
    weights: [Vec<f64>; COLOURS],
    pixels_per_cell: usize,
}

impl Palette {
    /// Decodes a probe of flat random patches and fits the map by least squares.
    pub(super) fn fit(decoder: &mut Decoder, channels: usize) -> Result<Self, PipelineError> {
        let latent = probe(channels);
        let decoded = decoder.decode([channels, PROBE, PROBE], &[&latent])?.pop().unwrap_or_default();
        let pixels_per_cell = (decoded.width() as usize / PROBE).max(1);
        let small = imageops::thumbnail(&decoded, PROBE as u32, PROBE as u32);
        let middles = (0..PROBE).flat_map(|y| (0..PROBE).map(move |x| (x, y)));
        let inner = |at: usize| (1..PATCH - 1).contains(&(at % PATCH));
        let samples: Vec<(Vec<f64>, [u8; COLOURS])> = middles
            .filter(|&(x, y)| inner(x) && inner(y))
            .map(|(x, y)| {
                (features(&latent, channels, PROBE * PROBE, y * PROBE + x), small.get_pixel(x as u32, y as u32).0)
            })
            .collect();
        let weights = std::array::from_fn(|colour| {
            let targets = samples.iter().map(|(_, pixel)| f64::from(pixel[colour]));
            least_squares(samples.iter().map(|(features, _)| features.as_slice()), targets, channels + 1)
        });
        Ok(Self { weights, pixels_per_cell })
    }

    /// A latent `[channels, height, width]` as a picture of the size that it will decode to.
    pub(super) fn paint(&self, latent: &[f32], [channels, height, width]: [usize; 3]) -> RgbImage {
        let colour = |features: &[f64], weights: &[f64]| {
            let value: f64 = features.iter().zip(weights).map(|(x, w)| x * w).sum();
            value.clamp(0.0, f64::from(u8::MAX)) as u8
        };
        let small = RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let features = features(latent, channels, height * width, y as usize * width + x as usize);
            image::Rgb(std::array::from_fn(|at| colour(&features, &self.weights[at])))
        });
        let large = |cells: usize| (cells * self.pixels_per_cell) as u32;
        imageops::resize(&small, large(width), large(height), imageops::FilterType::Triangle)
    }
}

/// Flat patches of unit normals, f32 `[channels, PROBE, PROBE]`.
fn probe(channels: usize) -> Vec<f32> {
    let patches = PROBE / PATCH;
    let values = NoiseGenerator::new(SEED).normals(channels * patches * patches);
    let cell = |at: usize| {
        let (channel, y, x) = (at / (PROBE * PROBE), at / PROBE % PROBE, at % PROBE);
        values[(channel * patches + y / PATCH) * patches + x / PATCH]
    };
    (0..channels * PROBE * PROBE).map(cell).collect()
}

/// A cell's channels, and a one for the bias.
fn features(latent: &[f32], channels: usize, area: usize, cell: usize) -> Vec<f64> {
    (0..channels).map(|channel| f64::from(latent[channel * area + cell])).chain([1.0]).collect()
}

/// (XᵀX + λI) w = Xᵀy by Gaussian elimination; the matrix is positive definite, so no pivot vanishes.
fn least_squares<'a>(
    rows: impl Iterator<Item = &'a [f64]>,
    targets: impl Iterator<Item = f64>,
    unknowns: usize,
) -> Vec<f64> {
    let mut system = vec![vec![0.0; unknowns + 1]; unknowns];
    let mut count = 0.0;
    for (row, target) in rows.zip(targets) {
        count += 1.0;
        for (equation, &x) in system.iter_mut().zip(row) {
            equation.iter_mut().zip(row.iter().chain([&target])).for_each(|(sum, value)| *sum += x * value);
        }
    }
    for (pivot, equation) in system.iter_mut().enumerate() {
        equation[pivot] += RIDGE * count;
    }
    for pivot in 0..unknowns {
        let scale = system[pivot][pivot];
        system[pivot].iter_mut().for_each(|value| *value /= scale);
        let pivot_row = system[pivot].clone();
        for equation in (0..unknowns).filter(|&equation| equation != pivot) {
            let factor = system[equation][pivot];
            system[equation].iter_mut().zip(&pivot_row).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    system.into_iter().map(|equation| equation[unknowns]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_squares_finds_a_plane() {
        let rows = [[1.0, 2.0, 1.0], [3.0, -1.0, 1.0], [0.5, 0.5, 1.0], [-2.0, 1.0, 1.0]];
        let targets = rows.map(|[x, y, _]| 2.0 * x - 3.0 * y + 5.0);
        let found = least_squares(rows.iter().map(|row| row.as_slice()), targets.into_iter(), 3);
        for (found, expected) in found.iter().zip([2.0, -3.0, 5.0]) {
            assert!((found - expected).abs() < 0.02, "{found} instead of {expected}");
        }
    }
}
