//! Tokens for votes: whoever was given a picture was given one, nobody else can make one.
//!
//! URL-safe base64 without padding of `version ‖ image (16) ‖ expiry (8, Unix seconds, big-endian) ‖ nonce (16) ‖
//! length of the rater (2) ‖ rater ‖ owner ‖ HMAC-SHA-256 (32) over all before it`.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::{ImageId, Owner, Rater};

/// Of the layout.
const VERSION: u8 = 1;
/// Bytes of a nonce.
const NONCE: usize = 16;
/// Bytes of the code at the end.
const CODE: usize = 32;
/// Characters at most: more than the longest rater in the widest characters makes.
const LONGEST: usize = 2048;
/// What the name of a voter begins with who has no other.
const ANONYMOUS: &str = "token_";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The picture that may be voted on.
    pub image: ImageId,
    /// Who may vote, if it was drawn for somebody.
    pub rater: Option<Rater>,
    /// Under whom the rater is known where that is not the picture's owner: of gold items.
    pub owner: Option<Owner>,
    nonce: [u8; NONCE],
}

impl Claims {
    /// The name of a voter who has no other. It follows from the picture: another token for the same one is no second
    /// vote.
    pub fn anonymous(&self) -> Rater {
        let digits: String = self.nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        Rater::from_stored(format!("{ANONYMOUS}{digits}"))
    }
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// This server did not make it, or somebody changed it.
    #[error("this server did not make this token")]
    Invalid,
    /// Its time is over.
    #[error("the token has expired; ask for the picture's job again to get a new one")]
    Expired,
}

/// Makes and reads tokens under one key.
#[derive(Clone)]
pub struct Tokens {
    key: Hmac<Sha256>,
    ttl: i64,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens under this key that hold for `ttl` seconds.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    pub fn new(secret: &[u8; 32], ttl: u64) -> Self {
        let key = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Self { key, ttl: ttl.try_into().unwrap_or(i64::MAX) }
    }

    /// A token for a picture, and for one rater only where one is given. `now` is in Unix seconds.
    pub fn issue(&self, image: ImageId, rater: Option<&str>, owner: Option<&Owner>, now: i64) -> String {
        let rater = rater.unwrap_or_default();
        let mut bytes = vec![VERSION];
        bytes.extend(image.bits());
        bytes.extend(now.saturating_add(self.ttl).to_be_bytes());
        bytes.extend(self.nonce(image));
        bytes.extend((rater.len() as u16).to_be_bytes());
        bytes.extend(rater.as_bytes());
        bytes.extend(owner.map_or("", Owner::as_str).as_bytes());
        let code = self.key.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend(code);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a token says, if it is one of ours and its time is not over. The code is compared in constant time.
    ///
    /// # Errors
    /// [`TokenError`]; an expired token was ours.
    pub fn read(&self, token: &str, now: i64) -> Result<Claims, TokenError> {
        let short = Some(token).filter(|token| token.len() <= LONGEST);
        let bytes = short.and_then(|token| BASE64_URL_SAFE_NO_PAD.decode(token).ok()).ok_or(TokenError::Invalid)?;
        let (said, code) = bytes.len().checked_sub(CODE).map(|at| bytes.split_at(at)).ok_or(TokenError::Invalid)?;
        self.key.clone().chain_update(said).verify_slice(code).map_err(|_| TokenError::Invalid)?;
        let (expires, claims) = parse(said).ok_or(TokenError::Invalid)?;
        if expires <= now { Err(TokenError::Expired) } else { Ok(claims) }
    }

    /// Of a picture: 128 bits that nobody else can compute.
    fn nonce(&self, image: ImageId) -> [u8; NONCE] {
        /// What keeps these codes apart from those of tokens, which begin with their version.
        const PURPOSE: &[u8] = b"nonce";
        let code = self.key.clone().chain_update(PURPOSE).chain_update(image.bits()).finalize().into_bytes();
        std::array::from_fn(|i| code[i])
    }
}

/// The expiry and the claims.
fn parse(bytes: &[u8]) -> Option<(i64, Claims)> {
    let (version, bytes) = bytes.split_first()?;
    let (image, bytes) = bytes.split_first_chunk()?;
    let (expires, bytes) = bytes.split_first_chunk()?;
    let (nonce, bytes) = bytes.split_first_chunk()?;
    let (length, bytes) = bytes.split_first_chunk()?;
    let (rater, owner) = bytes.split_at_checked(u16::from_be_bytes(*length).into())?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let (rater, owner) = (text(rater)?, text(owner)?);
    let claims = Claims {
        image: ImageId::from_bits(*image),
        rater: (!rater.is_empty()).then(|| Rater::from_stored(rater)),
        owner: (!owner.is_empty()).then(|| Owner::from_stored(owner)),
        nonce: *nonce,
    };
    (*version == VERSION).then_some((i64::from_be_bytes(*expires), claims))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const TTL: i64 = 60;

    fn tokens(key: u8) -> Tokens {
        Tokens::new(&[key; 32], TTL as u64)
    }

    #[test]
    fn a_token_says_what_it_was_made_for_until_its_time_is_over() {
        let (ours, image, owner) = (tokens(1), ImageId::new(), Owner::session("a"));
        for (rater, owner) in [(None, None), (Some("Zoë"), None), (None, Some(&owner)), (Some("u"), Some(&owner))] {
            let token = ours.issue(image, rater, owner, NOW);
            let claims = ours.read(&token, NOW + TTL - 1).expect("ours");
            let said = (claims.image, claims.rater.as_ref().map(Rater::as_str), claims.owner.as_ref());
            assert_eq!(said, (image, rater, owner));
            assert_eq!(ours.read(&token, NOW + TTL), Err(TokenError::Expired));
        }
    }

    #[test]
    fn whoever_has_two_tokens_for_a_picture_has_one_voice() {
        let (ours, image) = (tokens(1), ImageId::new());
        let voter = |image, now| ours.read(&ours.issue(image, None, None, now), now).expect("ours").anonymous();
        assert_eq!(voter(image, NOW), voter(image, NOW + 7));
        assert_ne!(voter(image, NOW), voter(ImageId::new(), NOW));
    }

    #[test]
    fn no_bit_of_a_token_can_be_changed() {
        let (ours, image) = (tokens(1), ImageId::new());
        let token = ours.issue(image, Some("u"), None, NOW);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).expect("base64");
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(ours.read(&BASE64_URL_SAFE_NO_PAD.encode(forged), NOW), Err(TokenError::Invalid), "bit {bit}");
        }
    }

    #[test]
    fn what_is_no_token_of_ours_is_refused() {
        let (ours, image) = (tokens(1), ImageId::new());
        let token = ours.issue(image, None, None, NOW);
        let cases = [
            String::new(),
            "x".into(),
            "%%%".into(),
            token[..token.len() - 2].to_owned(),
            format!("{token}AA"),
            format!("{token}="),
            "A".repeat(LONGEST + 1),
            tokens(2).issue(image, None, None, NOW),
        ];
        for case in cases {
            assert_eq!(ours.read(&case, NOW), Err(TokenError::Invalid), "{case:?}");
        }
    }
}
