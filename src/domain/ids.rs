//! Names of things that outlive a request.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// A text that is no such identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an identifier that begins with {prefix}")]
pub struct IdError {
    prefix: &'static str,
    text: String,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $make:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new one.
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self($make)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", Self::PREFIX, self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix(Self::PREFIX).filter(|digits| digits.len() == 32);
                let uuid = digits.and_then(|digits| Uuid::try_parse(digits).ok());
                uuid.map(Self).ok_or_else(|| IdError { prefix: Self::PREFIX, text: text.to_owned() })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

identifier!(
    /// A generation request that was admitted. Sorts by time.
    JobId, "job_", Uuid::now_v7()
);
identifier!(
    /// A picture. 122 random bits: who has it may see the picture.
    ImageId, "img_", Uuid::new_v4()
);
identifier!(
    /// An API key's public name, never the key itself.
    KeyId, "key_", Uuid::now_v7()
);
identifier!(
    /// A vote or an impression: an event of the log. Sorts by time.
    FeedbackId, "fb_", Uuid::now_v7()
);

impl ImageId {
    /// The random bits.
    pub(crate) fn bits(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// The picture of these bits.
    pub(crate) fn from_bits(bits: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_survives_its_text_form() {
        let id = ImageId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().starts_with("img_"));
    }

    #[test]
    fn foreign_texts_are_refused() {
        let id = JobId::new().to_string();
        let cases = ["", "img_", "job_", &id[4..], &id[..id.len() - 1], "job_zz", &id.replace("job_", "img_")];
        assert!(cases.iter().all(|text| text.parse::<JobId>().is_err()));
    }
}
