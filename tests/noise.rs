//! A seed gives the normals that torch's CPU generator gives. Fixtures: `tests/golden/scripts/noise.py`.

mod common;

use common::{all_hold, arrays, json, max_difference};
use plaudit::pipeline::noise::NoiseGenerator;
use serde::Deserialize;

/// Largest difference of any number; torch's own vectorised and scalar paths differ by up to 1.8e-6 of ours.
const NOISE_TOLERANCE: f32 = 2e-6;

#[derive(Deserialize)]
struct Draw {
    seed: u32,
    shape: Vec<usize>,
    key: String,
    #[serde(default)]
    after: Vec<Vec<usize>>,
}

#[test]
fn noise_is_that_of_torch_at_every_size_and_after_every_earlier_draw() {
    let arrays = arrays("noise.safetensors");
    let mut worst = 0.0_f32;
    let failed = |draw: Draw| {
        let mut generator = NoiseGenerator::new(draw.seed);
        for earlier in &draw.after {
            generator.normals(earlier.iter().product());
        }
        let difference = max_difference(&generator.normals(draw.shape.iter().product()), &arrays[&draw.key].f32());
        worst = worst.max(difference);
        (difference.is_nan() || difference > NOISE_TOLERANCE).then(|| format!("{}: {difference:e}", draw.key))
    };
    all_hold(json::<Vec<Draw>>("noise.json").into_iter().filter_map(failed).collect());
    println!("worst {worst:e}");
}
