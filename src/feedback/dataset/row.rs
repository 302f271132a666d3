//! One row: one vote on one picture.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most characters of a name: of a picture, a rater, a version.
const NAME_CHARACTERS: usize = 512;
/// The most characters of a prompt; the API takes fewer.
const PROMPT_CHARACTERS: usize = 32_768;

/// A thumb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rating {
    /// Thumbs up.
    Up,
    /// Thumbs down.
    Down,
}

impl Rating {
    /// Its name in files and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl FromStr for Rating {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = [Self::Up, Self::Down].into_iter().find(|rating| rating.name() == text);
        found.ok_or_else(|| format!("{text:?} is no rating; there are up and down"))
    }
}

/// A vote with what drew the picture. Every row of a dataset has the fields up to `sequence`; the others where known.
///
/// Fields that this version does not know are passed over when read. [`Default`] is an empty row to fill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The picture's name where it was drawn.
    pub image_id: String,
    /// Who voted.
    pub rater: String,
    /// The vote; `None` only where `skipped`.
    pub rating: Option<Rating>,
    /// What the picture was to show.
    pub prompt: String,
    /// What drew it: `name@` and the first 12 digits of a manifest's SHA-256.
    pub model_version: String,
    /// What scored it, written alike; `None`: nothing did.
    pub reward_version: Option<String>,
    /// The picture's seed.
    pub seed: u32,
    /// When the vote came, Unix seconds.
    pub created: i64,
    /// The vote's place in the event log; orders the rows.
    pub sequence: i64,
    /// Where the picture lies, relative to the file of rows. [`Writer`](super::Writer) sets it.
    #[serde(default)]
    pub file_name: Option<String>,
    /// SHA-256 of the picture's file. [`Writer`](super::Writer) sets it, [`Reader`](super::Reader) checks it.
    #[serde(default)]
    pub image_sha256: Option<String>,
    /// The vote's own name: importing it twice adds nothing.
    #[serde(default)]
    pub feedback_id: Option<String>,
    /// What the picture was not to show.
    #[serde(default)]
    pub negative_prompt: Option<String>,
    /// Which part of a dataset it belongs to: `train`, `validation`, `test`.
    #[serde(default)]
    pub split: Option<String>,
    /// What kind of prompt it is: `count`, `colour`, …
    #[serde(default)]
    pub category: Option<String>,
    /// Whether the picture shows what the prompt says, where somebody knows; not the vote.
    #[serde(default)]
    pub truth: Option<bool>,
    /// Whether the rater passed over the picture.
    #[serde(default)]
    pub skipped: Option<bool>,
    /// Whether the vote is held back from training.
    #[serde(default)]
    pub quarantined: Option<bool>,
    /// Its weight in training, from 0 to 1.
    #[serde(default)]
    pub weight: Option<f64>,
    /// The reward when the picture was shown, from 0 to 1.
    #[serde(default)]
    pub reward: Option<f64>,
    /// Its rank among its request's candidates by reward, from 0.
    #[serde(default)]
    pub rank: Option<u32>,
    /// The probability with which it was picked to be shown, from 0 to 1.
    #[serde(default)]
    pub propensity: Option<f64>,
    /// Where it was shown among others, from 0.
    #[serde(default)]
    pub position: Option<u32>,
    /// Where it was shown: `page`, `api`, …
    #[serde(default)]
    pub surface: Option<String>,
    /// Milliseconds for which it was looked at before the vote.
    #[serde(default)]
    pub dwell_ms: Option<i64>,
    /// Whether the rater saw the reward.
    #[serde(default)]
    pub reward_visible: Option<bool>,
    /// Why, in the rater's choice of words.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Where the vote was first written down, if not where it was exported.
    #[serde(default)]
    pub origin: Option<String>,
}

impl Row {
    /// What is wrong with the values, field by field; `Ok` where nothing is.
    ///
    /// # Errors
    /// The first field that is at fault, and why.
    pub fn check(&self) -> Result<(), String> {
        let names = [
            ("image_id", Some(&self.image_id)),
            ("rater", Some(&self.rater)),
            ("model_version", Some(&self.model_version)),
            ("reward_version", self.reward_version.as_ref()),
            ("feedback_id", self.feedback_id.as_ref()),
            ("split", self.split.as_ref()),
            ("category", self.category.as_ref()),
            ("surface", self.surface.as_ref()),
            ("origin", self.origin.as_ref()),
        ];
        names.into_iter().try_for_each(|(field, value)| value.map_or(Ok(()), |text| name(field, text)))?;
        let prompts = [("prompt", Some(&self.prompt)), ("negative_prompt", self.negative_prompt.as_ref())];
        for (field, text) in prompts {
            if text.is_some_and(|text| text.chars().count() > PROMPT_CHARACTERS) {
                return Err(format!("{field} has more than {PROMPT_CHARACTERS} characters"));
            }
        }
        let shares = [("weight", self.weight), ("reward", self.reward), ("propensity", self.propensity)];
        for (field, share) in shares {
            if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
                return Err(format!("{field} is not between 0 and 1"));
            }
        }
        match (self.rating, self.skipped) {
            (None, Some(true)) | (Some(_), None | Some(false)) => Ok(()),
            (None, _) => Err("rating is missing, and the row is not skipped".into()),
            (Some(_), Some(true)) => Err("rating is there, but the row is skipped".into()),
        }
    }
}

fn name(field: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{field} is empty"));
    }
    if text.chars().count() > NAME_CHARACTERS {
        return Err(format!("{field} has more than {NAME_CHARACTERS} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{field} has control characters"));
    }
    Ok(())
}
