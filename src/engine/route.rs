//! Which version draws a request.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Generator, ModelFacts};

/// The versions that draw.
#[derive(Debug, Clone)]
pub struct Routes {
    /// Draws whatever the candidate does not.
    pub champion: Arc<Generator>,
    /// A version on trial.
    pub candidate: Option<Trial>,
}

/// A version that some are served by, to see whether it is better.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The version.
    pub generator: Arc<Generator>,
    /// Share of the subjects that it draws for, 0 to 1. At 0 it only draws what nobody sees.
    pub share: f64,
}

/// No version of this name draws here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no model {asked:?} here; there is {name:?}, served as {served}")]
pub struct UnknownModel {
    /// What was asked for.
    pub asked: String,
    /// The name that serves.
    pub name: String,
    /// The versions that serve.
    pub served: String,
}

impl Routes {
    /// What draws for `subject`: whoever named a version gets it, everybody else the same one as before, as long as the trial
    /// lasts.
    ///
    /// # Errors
    /// A version that does not serve.
    pub fn choose(&self, asked: &str, subject: &str) -> Result<&Arc<Generator>, UnknownModel> {
        let ModelFacts { name, version, .. } = self.champion.facts();
        let candidate = self.candidate.as_ref();
        if asked == name {
            let on_trial = candidate.filter(|trial| place(trial.generator.version(), subject) < trial.share);
            return Ok(on_trial.map_or(&self.champion, |trial| &trial.generator));
        }
        if asked == version {
            return Ok(&self.champion);
        }
        let named = candidate.filter(|trial| asked == trial.generator.version());
        named.map(|trial| &trial.generator).ok_or_else(|| UnknownModel {
            asked: asked.to_owned(),
            name: name.clone(),
            served: std::iter::once(version.as_str())
                .chain(candidate.map(|trial| trial.generator.version()))
                .collect::<Vec<_>>()
                .join(" and "),
        })
    }
}

/// Where a subject stands in a trial, uniform in [0, 1): always at the same place in one trial, elsewhere in another.
fn place(version: &str, subject: &str) -> f64 {
    /// Of 53 bits, as many as an f64 holds.
    const UNIT: f64 = 1.0 / (1u64 << 53) as f64;
    let digest = Sha256::digest(format!("{version}\n{subject}"));
    let bits = digest.iter().take(8).fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    (bits >> 11) as f64 * UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_keep_their_place_and_are_spread_evenly() {
        let places: Vec<f64> = (0..4000).map(|rater| place("m@0123456789ab", &format!("rater {rater}"))).collect();
        for share in [0.01, 0.1, 0.5, 0.9] {
            let drawn = places.iter().filter(|place| **place < share).count() as f64 / places.len() as f64;
            // Four standard deviations.
            let bound = 4.0 * (share * (1.0 - share) / places.len() as f64).sqrt();
            assert!((drawn - share).abs() < bound, "{share}: {drawn}");
        }
        assert_eq!(place("m@0123456789ab", "rater 7"), places[7]);
        let others = (0..4000).map(|rater| place("m@ba9876543210", &format!("rater {rater}")));
        let both = others.zip(&places).filter(|(other, place)| *other < 0.5 && **place < 0.5).count();
        assert!((900..1100).contains(&both), "trials are independent of each other: {both}");
    }
}
