//! `POST /v1/feedback` and `POST /v1/impressions`.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, post, web};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    item::{Asked, Kind},
    schema::{Answer, Counted, FeedbackRequest, ImpressionRequest, Written},
    voter::{self, Admitted},
};
use crate::{
    api::{ApiError, body, caller::Caller, refusals::FeedbackErrors, session::Fresh, submit},
    app::State,
    store::{Ballot, Cast, CastError, Once, Receipt},
};

/// Vote on pictures
#[utoipa::path(
    tag = "feedback",
    operation_id = "create_feedback",
    request_body = FeedbackRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is told what the first one was told", pattern = "^[!-~]{1,255}$")),
    responses((status = 201, description = "The vote counts and survives whatever happens to the server; with `items`, all of them", body = Answer<Counted>), FeedbackErrors),
    security((), ("key" = []))
)]
#[post("/v1/feedback")]
pub(crate) async fn feedback(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    cast(&request, &caller, payload, &state, Kind::Vote, Counted::of).await
}

/// Tell which pictures were shown, and how
#[utoipa::path(
    tag = "feedback",
    operation_id = "create_impressions",
    request_body = ImpressionRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is told what the first one was told", pattern = "^[!-~]{1,255}$")),
    responses((status = 201, description = "It is written down; with `items`, all of them", body = Answer<Written>), FeedbackErrors),
    security((), ("key" = []))
)]
#[post("/v1/impressions")]
pub(crate) async fn impressions(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    cast(&request, &caller, payload, &state, Kind::Impression, Written::of).await
}

async fn cast<T: Serialize>(
    request: &HttpRequest,
    caller: &Caller,
    payload: web::Payload,
    state: &State,
    kind: Kind,
    told: impl Fn(&Receipt) -> T,
) -> Result<HttpResponse, ApiError> {
    let (server, settings) = (&state.settings.server, &state.settings.feedback);
    let values = body::json_object(request, payload, server.max_body, server.body_timeout()).await?;
    let text = serde_json::to_string(&values).map_err(ApiError::internal)?;
    let asked = Asked::parse(values, kind, settings)?;
    let once = once(request, caller, &asked, &text)?;
    let before = match &once {
        Some(once) => state.store.find_cast(once).await?,
        None => None,
    };
    let cast = match before {
        Some(cast) => cast,
        None => write(state, caller, &asked, once).await?,
    };
    let mut told = cast.receipts.iter().map(told);
    let answer = match (asked.many, told.next()) {
        (false, Some(first)) => Answer::One(first),
        (_, first) => Answer::Many { items: first.into_iter().chain(told).collect() },
    };
    Ok(HttpResponse::Created().json(answer))
}

async fn write(state: &State, caller: &Caller, asked: &Asked, once: Option<Once>) -> Result<Cast, ApiError> {
    let (mut items, mut versions) = (Vec::new(), Vec::new());
    for (index, item) in asked.items.iter().enumerate() {
        let admitted = voter::admit(state, caller, item.clone()).await.map_err(|error| asked.blame(index, error))?;
        count(state, caller, &admitted)?;
        items.push(admitted.feedback);
        versions.push(admitted.model_version);
    }
    let ballot = Ballot { items, once, quota: state.settings.feedback.quota };
    let cast = state.store.cast(ballot).await.map_err(|error| match error {
        CastError::Gone(index) => asked.blame(index, error.into()),
        error => error.into(),
    })?;
    if !cast.replayed {
        for (receipt, version) in cast.receipts.iter().zip(&versions) {
            if let Some(rating) = receipt.rating {
                state.metrics.votes_total.with_label_values(&[rating.name(), version]).inc();
            }
        }
    }
    Ok(cast)
}

/// Who has no name but for one picture is counted by its client.
fn count(state: &State, caller: &Caller, admitted: &Admitted) -> Result<(), ApiError> {
    let Admitted { feedback: cast, nameless, .. } = admitted;
    let who = if *nameless { caller.client.to_string() } else { format!("{} {}", cast.owner, cast.rater) };
    let key = format!("{} {who}", cast.act.kind()).into();
    state.rates.count_vote(&key).inspect_err(|_| {
        state.metrics.rejected_total.with_label_values(&["rate_limited"]).inc();
    })
}

/// A key is its owner's own. Who comes without a key and without a cookie is known by the token, if every item has one.
fn once(request: &HttpRequest, caller: &Caller, asked: &Asked, text: &str) -> Result<Option<Once>, ApiError> {
    let Some(key) = submit::idempotency_key(request.headers())? else { return Ok(None) };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let fresh = request.extensions().get::<Fresh>().is_some();
    let tokens: Option<Vec<&str>> = asked.items.iter().map(|item| item.token.as_deref()).collect();
    let scope = match tokens.as_deref() {
        Some([first, ..]) if fresh => format!("token_{}", hex(&Sha256::digest(first))),
        _ => caller.owner.to_string(),
    };
    let digest = hex(&submit::digest(request.path(), &[text.as_bytes()]));
    Ok(Some(Once { scope, key, digest }))
}
