//! The text-normalised score: softmax of a picture's scores over a prompt and its contrasts (TextNorm).
//!
//! s(prompt) = exp(v₀ / T) / Σⱼ exp(vⱼ / T), v₀ of the prompt and vⱼ of its contrasts. v is the reward at the temperature of the
//! settings, or the CLIP score at [`CLIP_TEMPERATURE`] where there is no reward.

use super::{Answer, Score};
use crate::{contrast::contrasts, scoring::cosine};

/// The inverse of the logit scale that OpenAI's CLIP was trained to.
const CLIP_TEMPERATURE: f32 = 0.01;

/// Prompts with their contrasts behind them.
#[derive(Debug)]
pub(super) struct Expanded {
    /// Each prompt, followed by its contrasts.
    pub(super) texts: Vec<String>,
    /// How many of the texts are each prompt's.
    counts: Vec<usize>,
}

impl Expanded {
    /// With at most `most` contrasts a prompt.
    pub(super) fn of(prompts: &[&str], most: usize) -> Self {
        let (mut texts, mut counts) = (Vec::new(), Vec::new());
        for prompt in prompts {
            let before = texts.len();
            texts.push((*prompt).to_owned());
            if most > 0 {
                texts.extend(contrasts(prompt, most).into_iter().map(|contrast| contrast.prompt));
            }
            counts.push(texts.len() - before);
        }
        Self { texts, counts }
    }

    /// Scores `[prompts][images]` of the answer for [`Self::texts`].
    pub(super) fn scores(&self, answer: &Answer, temperature: f32) -> Vec<Vec<Score>> {
        let mut first = 0;
        let of_prompt = |&count: &usize| {
            let texts = first..first + count;
            first += count;
            (0..answer.images.len()).map(|image| score(answer, texts.clone(), image, temperature)).collect()
        };
        self.counts.iter().map(of_prompt).collect()
    }
}

fn score(answer: &Answer, texts: std::ops::Range<usize>, image: usize, temperature: f32) -> Score {
    let clip = |text: usize| cosine(&answer.texts[text], &answer.images[image]);
    let reward = |text: usize| answer.rewards.as_ref().map(|rewards| rewards[text * answer.images.len() + image]);
    let first = texts.start;
    let scaled = |text: usize| reward(text).map_or_else(|| clip(text) / CLIP_TEMPERATURE, |value| value / temperature);
    let normalized_score = (texts.len() > 1).then(|| share_of_first(&texts.map(scaled).collect::<Vec<_>>()));
    Score { reward: reward(first), clip_score: clip(first), normalized_score }
}

/// The first one's part of a softmax.
fn share_of_first(values: &[f32]) -> f32 {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = values.iter().map(|value| (value - largest).exp()).sum();
    values.first().map_or(0.0, |first| (first - largest).exp() / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_softmaxs_and_survives_large_numbers() {
        for (values, expected) in [(vec![1.0, 1.0], 0.5), (vec![1e4, -1e4], 1.0), (vec![0.0, 2.0_f32.ln()], 1.0 / 3.0)]
        {
            assert!((share_of_first(&values) - expected).abs() < 1e-6, "{values:?}");
        }
    }
}
