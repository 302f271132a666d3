//! The fused update against `torch.optim.AdamW` (numbers from `golden/adamw/make.py`).

use std::collections::BTreeMap;

use plaudit_training::optim::{AdamW, AdamWSettings, DecayRule, GRADIENT_CHUNK, Moments, Slot, gradient_norm};
use serde::Deserialize;

/// f32 arithmetic in PyTorch's order: a few units in the last place over twelve steps, and its clipping's 1e-6 in the norm.
const TOLERANCE: f32 = 3e-6;

type Values = BTreeMap<String, Vec<f32>>;

#[derive(Deserialize)]
struct Case {
    shapes: BTreeMap<String, Vec<usize>>,
    start: Values,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    rate: f32,
    norm: f32,
    gradients: Values,
    parameters: Values,
    averages: Values,
}

/// The script's settings.
fn settings() -> AdamWSettings {
    AdamWSettings { beta2: 0.95, weight_decay: 0.05, average: Some(0.9), ..AdamWSettings::default() }
}

fn worst(ours: &[f32], theirs: &[f32]) -> f32 {
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max)
}

#[test]
fn twelve_steps_follow_pytorch_with_clipping_decay_and_average() {
    let case: Case = serde_json::from_str(include_str!("golden/adamw/case.json")).unwrap();
    let settings = settings();
    let mut parameters = case.start.clone();
    let mut moments: BTreeMap<&String, Moments> =
        case.start.iter().map(|(name, values)| (name, Moments::new(values, &settings))).collect();
    for (index, step) in case.steps.iter().enumerate() {
        let gradients: Vec<&[f32]> = step.gradients.values().map(Vec::as_slice).collect();
        let norm = gradient_norm(&gradients);
        assert!((norm - step.norm).abs() <= 1e-6 * step.norm, "norm of step {index}");
        let slots = parameters.iter_mut().zip(moments.iter_mut()).map(|((name, parameter), (_, moments))| Slot {
            parameter,
            gradient: &step.gradients[name],
            moments,
            decays: DecayRule::MatricesOnly.applies(&case.shapes[name]),
        });
        AdamW::at(&settings, index as u64, step.rate, 1, norm).update(slots.collect());
        for (name, theirs) in &step.parameters {
            let error = worst(&parameters[name], theirs);
            assert!(error <= TOLERANCE, "{name} after step {index}: {error:e}");
            let error = worst(&moments[name].average, &step.averages[name]);
            assert!(error <= TOLERANCE, "average of {name} after step {index}: {error:e}");
        }
    }
}

/// A parameter longer than several chunks, not a multiple of one.
const LONG: usize = 3 * GRADIENT_CHUNK + 17;

fn long_update(threads: usize) -> (f32, Vec<f32>, Moments) {
    let wave = |phase: f32| (0..LONG).map(|i| (i as f32 * 0.37 + phase).sin()).collect::<Vec<_>>();
    let (mut parameter, gradient, settings) = (wave(0.0), wave(1.0), settings());
    let mut moments = Moments::new(&parameter, &settings);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    let norm = pool.install(|| {
        let norm = gradient_norm(&[&gradient]);
        let slot = Slot { parameter: &mut parameter, gradient: &gradient, moments: &mut moments, decays: true };
        AdamW::at(&settings, 0, 1e-2, 1, norm).update(vec![slot]);
        norm
    });
    (norm, parameter, moments)
}

#[test]
fn the_update_does_not_depend_on_the_number_of_threads() {
    assert!(long_update(1) == long_update(4));
}

#[test]
fn summed_micro_batches_equal_one_batch() {
    let settings = AdamWSettings { average: None, ..settings() };
    let update = |scale: f32, micro_batches: usize| {
        let (mut parameter, gradient) = (vec![0.5, -0.25], [scale * 0.125, scale * -0.5]);
        let mut moments = Moments::new(&parameter, &settings);
        let norm = gradient_norm(&[&gradient]) / micro_batches as f32;
        let slot = Slot { parameter: &mut parameter, gradient: &gradient, moments: &mut moments, decays: true };
        AdamW::at(&settings, 0, 1e-2, micro_batches, norm).update(vec![slot]);
        parameter
    };
    assert_eq!(update(1.0, 1), update(4.0, 4));
}
