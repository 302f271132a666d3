//! The anonymous session of a browser: 128 random bits in a cookie, signed so that nobody can choose their own.

use actix_web::{
    HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderValue},
    middleware::Next,
    web,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::ApiError;
use crate::app::State;

/// The cookie's name.
const COOKIE: &str = "plaudit_session";
/// Bytes of a token.
const TOKEN: usize = 16;
/// Bytes of a signature.
const SIGNATURE: usize = 32;
/// Seconds that a browser keeps the cookie: a year.
const MAX_AGE: u32 = 365 * 24 * 3600;

/// A session's token.
#[derive(Debug)]
pub(super) struct Session([u8; TOKEN]);

/// A cookie that the answer is to set.
#[derive(Debug, Clone)]
pub(super) struct Fresh(pub(super) String);

impl Session {
    /// A new one.
    pub(super) fn new() -> Result<Self, ApiError> {
        let mut token = [0; TOKEN];
        getrandom::fill(&mut token).map_err(ApiError::internal)?;
        Ok(Self(token))
    }

    pub(super) fn token(&self) -> &[u8] {
        &self.0
    }

    /// The value of `Set-Cookie`. `Lax`, so that a link from elsewhere to the page does not begin a second session;
    /// requests that change something are guarded by [`super::origin`].
    pub(super) fn cookie(&self, secret: &[u8; 32]) -> String {
        let value = BASE64_URL_SAFE_NO_PAD.encode([self.0.as_slice(), &sign(secret, &self.0)].concat());
        format!("{COOKIE}={value}; Path=/; Max-Age={MAX_AGE}; HttpOnly; SameSite=Lax")
    }

    fn read(value: &str, secret: &[u8; 32]) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(value).ok()?;
        let (token, signature) = bytes.split_at_checked(TOKEN)?;
        let token: [u8; TOKEN] = token.try_into().ok()?;
        bool::from(sign(secret, &token).as_slice().ct_eq(signature)).then_some(Self(token))
    }
}

/// HMAC-SHA-256 (RFC 2104) under a key of half a block.
fn sign(secret: &[u8; 32], token: &[u8]) -> [u8; SIGNATURE] {
    const BLOCK: usize = 64;
    let padded = |pad: u8| -> [u8; BLOCK] { std::array::from_fn(|i| secret.get(i).copied().unwrap_or(0) ^ pad) };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(token).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

/// The session of a request's cookie, if it is one of ours.
pub(super) fn of_request(request: &HttpRequest, secret: &[u8; 32]) -> Option<Session> {
    let headers = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let pairs = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).find_map(|(_, value)| Session::read(value, secret))
}

/// Gives the page its session before its scripts ask for several things at once, and sets cookies that are fresh.
pub(super) async fn keep(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let state = request.app_data::<web::Data<State>>().cloned();
    if let Some(state) = state
        && request.path() == "/"
        && of_request(request.request(), state.store.session_secret()).is_none()
        // Beyond it the page is shown without: its first call is told why.
        && state.rates.count_session(request.peer_addr().map(|peer| peer.ip())).is_ok()
    {
        let cookie = Session::new()?.cookie(state.store.session_secret());
        request.extensions_mut().insert(Fresh(cookie));
    }
    let mut answer = next.call(request).await?;
    let fresh = answer.request().extensions().get::<Fresh>().cloned();
    if let Some(value) = fresh.and_then(|Fresh(cookie)| HeaderValue::from_str(&cookie).ok()) {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_ours_or_nothing() {
        let (secret, other) = ([7; 32], [8; 32]);
        let session = Session::new().expect("random bytes");
        let cookie = session.cookie(&secret);
        let value = cookie.split(['=', ';']).nth(1).expect("a value");
        assert_eq!(Session::read(value, &secret).expect("ours").token(), session.token());
        assert!(Session::read(value, &other).is_none());
        assert!(Session::read(&value[..value.len() - 4], &secret).is_none());
        assert!(Session::read("", &secret).is_none());
    }

    /// RFC 4231, test case 2 has a shorter key, which zeros pad as ours is padded.
    #[test]
    fn signatures_are_hmac_sha_256() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let hex: String = sign(&key, b"what do ya want for nothing?").iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
