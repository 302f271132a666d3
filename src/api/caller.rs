//! Who asks: the holder of a key, or an anonymous session.
//!
//! | `Authorization: Bearer` | keys exist | anonymous access | who it is |
//! |---|---|---|---|
//! | a valid key | | | the key's holder |
//! | anything else | yes | | 401 |
//! | anything else | no | | a session of that name: clients that must send some key get on with any |
//! | none | yes | not allowed | 401 |
//! | none | else | | the session of the cookie; a new one, with `Set-Cookie`, where there is none; 429 where too many began |
//!
//! Under `/sdapi/` the password of `Authorization: Basic` is a key too: AUTOMATIC1111's clients know nothing else.

use std::{
    borrow::Cow,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header, web};
use sha2::{Digest, Sha256};

use super::{
    ApiError, Code, compat,
    session::{self, Session},
};
use crate::{
    app::State,
    domain::{Owner, Role},
    store::Store,
};

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// What jobs and pictures belong to.
    pub owner: Owner,
    /// What it may do.
    pub role: Role,
    /// What fairness and rates count by: a session that is made up on the spot counts by its address.
    pub client: Arc<str>,
}

impl Caller {
    fn of_owner(owner: Owner, role: Role) -> Self {
        let client = Arc::from(owner.as_str());
        Self { owner, role, client }
    }

    /// The caller, if it may do everything.
    pub(super) fn admin(self) -> Result<Self, ApiError> {
        let message = "an admin key is needed: `plaudit keys create NAME --role admin` makes one";
        (self.role == Role::Admin).then_some(self).ok_or_else(|| ApiError::new(Code::Forbidden, message))
    }

    fn made_up(owner: Owner, request: &HttpRequest) -> Self {
        let address = request.peer_addr().map_or_else(String::new, |address| address.ip().to_string());
        Self { owner, role: Role::Client, client: Arc::from(format!("address_{address}")) }
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { identify(&request).await })
    }
}

async fn identify(request: &HttpRequest) -> Result<Caller, ApiError> {
    let Some(state) = request.app_data::<web::Data<State>>() else {
        return Err(ApiError::internal("the application has no state"));
    };
    let bearer = bearer(request);
    if let Some(key) = bearer.as_deref()
        && let Some(record) = state.store.find_key(key).await?
    {
        return Ok(Caller::of_owner(Owner::key(record.id), record.role));
    }
    let locked = state.keys.any(&state.store).await?;
    let refused = |message: &str| Err(ApiError::new(Code::InvalidApiKey, message));
    match bearer {
        Some(_) if locked => refused("this key is unknown or revoked; `plaudit keys list` shows those that are valid"),
        Some(name) => Ok(Caller::made_up(Owner::session(&digest(name.as_bytes())), request)),
        None if locked && !state.settings.server.allow_anonymous => {
            refused("a key is needed: Authorization: Bearer KEY; `plaudit keys create` makes one")
        }
        None => by_cookie(state, request),
    }
}

fn by_cookie(state: &State, request: &HttpRequest) -> Result<Caller, ApiError> {
    let secret = state.store.session_secret();
    if let Some(session) = session::of_request(request, secret) {
        return Ok(Caller::of_owner(owner(&session), Role::Client));
    }
    state.rates.count_session(request.peer_addr().map(|peer| peer.ip())).inspect_err(|_| {
        state.metrics.rejected_total.with_label_values(&["rate_limited"]).inc();
    })?;
    let session = Session::new()?;
    let caller = Caller::made_up(owner(&session), request);
    request.extensions_mut().insert(session::Fresh(session.cookie(secret)));
    Ok(caller)
}

fn owner(session: &Session) -> Owner {
    Owner::session(&digest(session.token()))
}

/// Other schemes are somebody else's, such as a proxy's.
fn bearer(request: &HttpRequest) -> Option<Cow<'_, str>> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(key.trim().into());
    }
    let basic = scheme.eq_ignore_ascii_case("basic") && compat::takes_basic(request.path());
    basic.then(|| compat::password(key.trim())).flatten().map(Cow::Owned)
}

/// Half a SHA-256 in hexadecimal: 128 bits name a session.
fn digest(bytes: &[u8]) -> String {
    const NAMED_BY: usize = 16;
    Sha256::digest(bytes).iter().take(NAMED_BY).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether there are keys; asked of the store once a second at most, because another process may make or revoke them.
#[derive(Debug, Default)]
pub struct Keys {
    seen: Mutex<Option<(Instant, bool)>>,
}

impl Keys {
    /// Whether any key is valid.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn any(&self, store: &Store) -> anyhow::Result<bool> {
        /// How long an answer holds.
        const FRESH: Duration = Duration::from_secs(1);
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, any)) = seen
            && when.elapsed() < FRESH
        {
            return Ok(any);
        }
        let any = store.list_keys().await?.iter().any(|key| key.revoked.is_none());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), any));
        Ok(any)
    }
}
