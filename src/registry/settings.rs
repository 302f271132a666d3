//! Whose versions are served.

use std::{fmt, str::FromStr};

/// What versions must be to be published and promoted.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
#[command(next_help_heading = "Registry")]
pub struct RegistrySettings {
    /// Public keys (Ed25519, 64 hexadecimal digits each, commas between) whose signatures let a version be published and
    /// promoted; by default none is needed. `plaudit registry new-key` makes one
    #[arg(
        id = "registry.trusted_keys",
        long = "registry-trusted-keys",
        env = "PLAUDIT_REGISTRY_TRUSTED_KEYS",
        value_delimiter = ',',
        global = true,
        value_name = "KEYS"
    )]
    pub trusted_keys: Vec<PublicKey>,
}

/// A public key of Ed25519.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; Self::BYTES]);

impl PublicKey {
    /// Length of a key.
    pub const BYTES: usize = 32;

    /// A key of these bytes; `None` where it is not as long as one.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let text = text.trim();
        let digit = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
        let sound = text.len() == 2 * Self::BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bytes: Option<Vec<u8>> = (0..Self::BYTES).map(digit).collect();
        bytes.filter(|_| sound).and_then(|bytes| Self::from_bytes(&bytes)).ok_or(PublicKeyError)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A text that is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key has {} hexadecimal digits", 2 * PublicKey::BYTES)]
pub struct PublicKeyError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_text_form_and_others_are_refused() {
        let text = "00ff".repeat(16);
        assert_eq!(text.parse::<PublicKey>().map(|key| key.to_string()), Ok(text.clone()));
        let cases = ["", &text[2..], &format!("{text}00"), &text.replace('f', "g"), &"é".repeat(32), &"+1".repeat(32)];
        assert!(cases.iter().all(|text| text.parse::<PublicKey>().is_err()));
    }
}
