//! A daemon of the smallest budget, whose gates let everything pass: these tests are about the way, not about what is learned.

use plaudit_training::{
    daemon::{DaemonSettings, Learning, Passing, Release, Soundness, Watermark},
    gate::{GeneratorBounds, RewardBounds},
};

/// Wider than any figure is.
const ANY: f64 = 1e6;

pub(crate) fn daemon() -> DaemonSettings {
    let usual = DaemonSettings::new("data");
    let reward_bounds = RewardBounds {
        auroc_loss: ANY,
        calibration_rise: ANY,
        objects_loss: ANY,
        category_loss: ANY,
        dark_correlation_rise: ANY,
        look_correlation_change: ANY,
        darkened_rise: ANY,
    };
    let generator_bounds = GeneratorBounds {
        reward_loss: ANY,
        judge_loss: ANY,
        clip_loss: ANY,
        diversity_loss: ANY,
        right_diversity_loss: ANY,
        saturation_change: ANY,
        saturated_change: ANY,
        dark_change: ANY,
        edge_change: ANY,
        distance: ANY,
        flagged_rise: ANY,
        latency_ratio: ANY,
        objects_loss: ANY,
        category_loss: ANY,
    };
    DaemonSettings {
        watermark: Watermark { new_votes: 1, ..usual.watermark.clone() },
        soundness: Soundness { min_votes: 50, max_rater_share: 0.5, ..usual.soundness.clone() },
        learning: Learning {
            reward_steps: 20,
            tune_steps: Some(2),
            tune_rows: 2,
            threads: 1,
            ..usual.learning.clone()
        },
        passing: Passing {
            gate_prompts: 6,
            gate_pictures: 2,
            gate_steps: 2,
            accept_inconclusive: true,
            release: Release::Promote,
            reward_bounds,
            generator_bounds,
            ..usual.passing.clone()
        },
        ..usual
    }
}
