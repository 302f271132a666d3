//! Going on from weights alone, without a checkpoint.

mod support;

use plaudit_training::step::{Trainer, Which};
use support::{fill, settings, trainer};

const STEP: u64 = 1000;

/// The longest move of a weight in the step after [`STEP`], in learning rates; `warmed` steps before it measured the moments.
fn next_move(warmed: u64) -> f32 {
    let mut trainer: Trainer = trainer(settings());
    let before = trainer.weights(Which::Current);
    trainer.stand_at(STEP - warmed, 60.0);
    trainer.warm_moments(warmed, fill).expect("runs");
    assert!(trainer.weights(Which::Current) == before && trainer.weights(Which::Average) == before);
    assert!(trainer.steps() == STEP && trainer.seconds() >= 60.0);
    let report = trainer.step(fill).expect("a step");
    assert_eq!((report.step, report.learning_rate), (STEP + 1, settings().schedule.rate(STEP)));
    let moved = trainer.weights(Which::Current).into_iter().flat_map(|(name, tensor)| {
        let (now, then) = (tensor.to_f32().expect("f32"), before[&name].to_f32().expect("f32"));
        now.into_iter().zip(then).map(|(a, b)| (a - b).abs()).collect::<Vec<_>>()
    });
    moved.fold(0.0, f32::max) / report.learning_rate
}

#[test]
fn moments_are_measured_without_moving_a_weight_and_the_next_step_is_no_leap() {
    let (cold, warm) = (next_move(0), next_move(100));
    assert!(cold > 2.4, "(1 − β₁) √((1 − β₂ᵗ) / (1 − β₂)) rates where nothing is known of the gradient: {cold}");
    assert!(warm < 1.5, "{warm}");
}
