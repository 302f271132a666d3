//! What people say of pictures.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A thumb, or taking it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rating {
    /// It pleases.
    Up,
    /// It does not.
    Down,
    /// No vote any more.
    Clear,
}

impl Rating {
    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Clear => "clear",
        }
    }
}

impl FromStr for Rating {
    type Err = UnknownRating;

    fn from_str(text: &str) -> Result<Self, UnknownRating> {
        let all = [Self::Up, Self::Down, Self::Clear];
        all.into_iter().find(|rating| rating.name() == text).ok_or_else(|| UnknownRating(text.to_owned()))
    }
}

/// A text that is no rating.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rating; there are up, down and clear")]
pub struct UnknownRating(String);

/// Who votes, as an owner names them, or as this server does for who has no name. Known under one owner only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Rater(String);

/// A text that cannot name a rater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be of 1 to {} characters, none of them a control character", Rater::LONGEST)]
pub struct RaterError;

impl Rater {
    /// Characters at most: enough for any id, and for a header that carries it.
    pub const LONGEST: usize = 200;

    /// As the store has it.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Rater {
    type Err = RaterError;

    fn from_str(text: &str) -> Result<Self, RaterError> {
        let fits = (1..=Self::LONGEST).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned())).ok_or(RaterError)
    }
}

impl fmt::Display for Rater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a picture was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewing {
    /// Where it was shown, as the application calls it.
    pub surface: Option<String>,
    /// Its place among what was shown with it, from 0.
    pub position: Option<u32>,
    /// Milliseconds that it was in view before the vote.
    pub dwell_ms: Option<u32>,
    /// Whether the rater saw what the reward model thinks.
    pub reward_visible: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raters_have_names_that_can_be_written_on_a_line() {
        let long = "é".repeat(Rater::LONGEST);
        for good in ["u", "Zoë 7", long.as_str()] {
            assert_eq!(good.parse::<Rater>().map(|rater| rater.to_string()), Ok(good.to_owned()));
        }
        let longer = format!("{long}x");
        for bad in ["", "a\nb", "\u{7f}", longer.as_str()] {
            assert_eq!(bad.parse::<Rater>(), Err(RaterError), "{bad:?}");
        }
    }

    #[test]
    fn ratings_survive_their_text_form() {
        for rating in [Rating::Up, Rating::Down, Rating::Clear] {
            assert_eq!(rating.name().parse(), Ok(rating));
        }
        assert!("UP".parse::<Rating>().is_err());
    }
}
