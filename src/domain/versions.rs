//! What is published, promoted and served.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

/// What a version is a version of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A pack: what draws.
    Generator,
    /// A reward pack: what judges.
    Reward,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Generator, Self::Reward];

    /// Its name in the API, on the command line, in the store, and of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Reward => "reward",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// A text that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of version; there are generator and reward")]
pub struct UnknownKind(String);

/// `name@` and the first twelve digits of the manifest's SHA-256. Safe as a folder's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct VersionId(String);

/// A text that names no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no version; one is a name of up to {longest} letters, digits, `.`, `_` and `-`, then `@` and {digits} digits of a hash",
    longest = VersionId::LONGEST_NAME,
    digits = VersionId::DIGITS
)]
pub struct VersionIdError(String);

impl VersionId {
    /// Digits after the `@`.
    pub const DIGITS: usize = crate::pack::VERSION_DIGITS;
    /// Characters before the `@`.
    pub const LONGEST_NAME: usize = 64;

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the `@`.
    pub(crate) fn digits(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, digits)| digits)
    }

    fn is_sound(text: &str) -> bool {
        let Some((name, digits)) = text.split_once('@') else { return false };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        begins
            && name.len() <= Self::LONGEST_NAME
            && name.bytes().all(plain)
            && digits.len() == Self::DIGITS
            && digits.bytes().all(hex)
    }
}

impl FromStr for VersionId {
    type Err = VersionIdError;

    fn from_str(text: &str) -> Result<Self, VersionIdError> {
        Self::is_sound(text).then(|| Self(text.to_owned())).ok_or_else(|| VersionIdError(text.to_owned()))
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for VersionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_survives_its_text_form() {
        for text in ["miniature@0123456789ab", "sd-v1.5_tuned@ffffffffffff", "7@000000000000"] {
            assert_eq!(text.parse::<VersionId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        let long = format!("{}@0123456789ab", "a".repeat(VersionId::LONGEST_NAME + 1));
        let cases = [
            "",
            "miniature",
            "@0123456789ab",
            "..@0123456789ab",
            "../x@0123456789ab",
            "a/b@0123456789ab",
            "a\\b@0123456789ab",
            ".hidden@0123456789ab",
            "-rf@0123456789ab",
            "a@0123456789AB",
            "a@0123456789a",
            "a@0123456789abc",
            "a b@0123456789ab",
            "a\0@0123456789ab",
            "a@b@0123456789ab",
            "a@0123456789ab/..",
            "é@0123456789ab",
            "a\n@0123456789ab",
            &long,
        ];
        assert!(cases.iter().all(|text| text.parse::<VersionId>().is_err()));
    }

    #[test]
    fn kinds_survive_their_text_form() {
        assert!(Kind::ALL.into_iter().all(|kind| kind.name().parse() == Ok(kind)));
        assert!("Generator".parse::<Kind>().is_err());
    }
}
