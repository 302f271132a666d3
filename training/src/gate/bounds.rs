//! What a candidate is allowed: one setting for each bound, with its reason. All are of the candidate against the champion.

/// Bounds of generators. An interval must lie within; the defaults are several times what sixty prompts of four pictures can tell apart.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct GeneratorBounds {
    /// Most by which the mean reward, a probability of a thumbs-up, may fall. A candidate is trained to raise it; where it falls,
    /// something went wrong.
    #[arg(long, default_value_t = 0.03, value_parser = bound)]
    pub reward_loss: f64,
    /// Most by which the gate judge's mean probability that a picture is right may fall. The judge has seen no vote, so that it falls
    /// where the reward is deceived; it errs at times, and needs more room.
    #[arg(long, default_value_t = 0.08, value_parser = bound)]
    pub judge_loss: f64,
    /// Most by which the mean CLIP score, a cosine, may fall. Swapped colours cost 0.18, other words 0.7.
    #[arg(long, default_value_t = 0.02, value_parser = bound)]
    pub clip_loss: f64,
    /// Largest share of the diversity within prompts, over all pairs of pictures, that may be lost. Wrong pictures are far apart, so that a model which errs
    /// less loses some; one that draws one picture a prompt loses three quarters.
    #[arg(long, default_value_t = 0.5, value_parser = bound)]
    pub diversity_loss: f64,
    /// Largest share of the diversity of right pictures that may be lost, where the gate judge knows the prompts. Learning from votes narrows a model, as
    /// people like its usual pictures; some of that is allowed.
    #[arg(long, default_value_t = 0.25, value_parser = bound)]
    pub right_diversity_loss: f64,
    /// Largest share by which mean saturation may move to either side. Rewards are known to be deceived by loud colours.
    #[arg(long, default_value_t = 0.25, value_parser = bound)]
    pub saturation_change: f64,
    /// Most by which the share of saturated pixels may move to either side, 0 to 1.
    #[arg(long, default_value_t = 0.03, value_parser = bound)]
    pub saturated_change: f64,
    /// Most by which the share of dark pixels may move to either side, 0 to 1. A prompt in twenty may turn to night.
    #[arg(long, default_value_t = 0.05, value_parser = bound)]
    pub dark_change: f64,
    /// Largest share by which the number of pixels at an edge may move to either side: more is texture and ringing, less is blur.
    #[arg(long, default_value_t = 0.25, value_parser = bound)]
    pub edge_change: f64,
    /// Largest distance (KID, CMMD) of the candidate's pictures from the champion's, in parts of the spread of the champion's own pictures.
    /// Other seeds give 0.000 ± 0.003 at the default size; a denoiser whose weights are off by a tenth gives 0.01.
    #[arg(long, default_value_t = 0.04, value_parser = bound)]
    pub distance: f64,
    /// Most by which the share of pictures that the safety checker flags may rise, 0 to 1.
    #[arg(long, default_value_t = 0.02, value_parser = bound)]
    pub flagged_rise: f64,
    /// Most that a picture may take, in times of the champion's. Generous: the machine may be busy; it is to find a candidate
    /// that lost its fast kernels.
    #[arg(long, default_value_t = 1.5, value_parser = bound)]
    pub latency_ratio: f64,
    /// Most by which the gate judge's mean may fall on seen or on held-out objects alone.
    #[arg(long, default_value_t = 0.15, value_parser = bound)]
    pub objects_loss: f64,
    /// Most by which the gate judge's mean may fall on one category of prompts: few prompts each, so that only a category that broke
    /// is found.
    #[arg(long, default_value_t = 0.25, value_parser = bound)]
    pub category_loss: f64,
}

/// Bounds of rewards.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct RewardBounds {
    /// Most by which the area under the ROC curve within prompts may fall. On two hundred prompts a difference is known to about 0.02.
    #[arg(long, default_value_t = 0.03, value_parser = bound)]
    pub auroc_loss: f64,
    /// Most by which the expected calibration error may rise: best-of-N's thresholds are probabilities.
    #[arg(long, default_value_t = 0.03, value_parser = bound)]
    pub calibration_rise: f64,
    /// Most by which the area may fall on seen or on held-out objects alone.
    #[arg(long, default_value_t = 0.08, value_parser = bound)]
    pub objects_loss: f64,
    /// Most by which the area may fall on one category of prompts.
    #[arg(long, default_value_t = 0.2, value_parser = bound)]
    pub category_loss: f64,
    /// Most by which the correlation of reward and darkness within prompts may rise.
    #[arg(long, default_value_t = 0.2, value_parser = bound)]
    pub dark_correlation_rise: f64,
    /// Most by which the correlations of reward with saturation and with edges may move to either side.
    #[arg(long, default_value_t = 0.3, value_parser = bound)]
    pub look_correlation_change: f64,
    /// Most by which the mean reward of good pictures may rise when they are darkened. A sound reward falls.
    #[arg(long, default_value_t = 0.02, value_parser = bound)]
    pub darkened_rise: f64,
}

/// A finite number, not below zero.
fn bound(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|_| "not a number".to_owned())?;
    let allowed = number.is_finite() && number >= 0.0;
    allowed.then_some(number).ok_or_else(|| "give a number from 0 on, for example 0.05".to_owned())
}

/// The defaults, for whoever runs a gate without a command line.
macro_rules! defaults {
    ($($bounds:ident)*) => {$(
        impl Default for $bounds {
            fn default() -> Self {
                #[derive(clap::Parser)]
                struct Alone {
                    #[command(flatten)]
                    bounds: $bounds,
                }
                // Every bound has a default, so that no argument is missing.
                <Alone as clap::Parser>::parse_from(["gate"]).bounds
            }
        }
    )*};
}

defaults! { GeneratorBounds RewardBounds }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_finite_and_not_negative() {
        assert_eq!(bound("0.5"), Ok(0.5));
        for text in ["-1", "nan", "inf", "much"] {
            assert!(bound(text).is_err(), "{text}");
        }
        assert!(GeneratorBounds::default().latency_ratio > 1.0 && RewardBounds::default().auroc_loss > 0.0);
    }
}
