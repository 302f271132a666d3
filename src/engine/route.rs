//! Which version draws a request.

use std::sync::Arc;

use super::{Generator, ModelFacts};
use crate::domain::falls_to;

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
            let on_trial = candidate.filter(|trial| falls_to(trial.generator.version(), subject, trial.share));
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
