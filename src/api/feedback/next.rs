//! `POST /v1/rating/next`: the next picture to rate.

use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{
    schema::{NextPicture, NextRequest},
    voter,
};
use crate::{
    api::{ApiError, answer::base, body, caller::Caller, fields::Fields, refusals::FeedbackErrors},
    app::{self, State},
    domain::Rater,
};

/// The next of your own pictures for a rater, those with the fewest votes first; now and then one whose answer is known
#[utoipa::path(
    tag = "feedback",
    operation_id = "next_to_rate",
    request_body = NextRequest,
    responses(
        (status = 200, description = "A picture that this rater has no thumb on", body = NextPicture),
        (status = 204, description = "This rater has rated all there are"),
        FeedbackErrors
    ),
    security((), ("key" = []))
)]
#[post("/v1/rating/next")]
pub(crate) async fn next(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let server = &state.settings.server;
    let mut fields = Fields::json(body::json_object(&request, payload, server.max_body, server.body_timeout()).await?);
    let named = fields.text("rater")?.map(|text| text.parse::<Rater>()).transpose();
    fields.finish()?;
    let named = named.map_err(|error| ApiError::invalid("rater", error))?;
    let rater = named.unwrap_or_else(|| voter::itself(&caller.owner));
    voter::may_name(&caller, &rater)?;
    let gold = match chance()? < state.settings.feedback.gold_share {
        true => state.store.next_gold(&caller.owner, &rater).await?,
        false => None,
    };
    let found = match gold {
        Some(gold) => Some(gold),
        None => state.store.next_to_rate(&caller.owner, &rater).await?,
    };
    let Some(found) = found else { return Ok(HttpResponse::NoContent().finish()) };
    let foreign = (found.owner != caller.owner).then_some(&caller.owner);
    Ok(HttpResponse::Ok().json(NextPicture {
        image_id: found.image.to_string(),
        url: format!("{}/v1/images/{}", base(&request), found.image),
        prompt: found.prompt,
        feedback_token: state.tokens.issue(found.image, Some(rater.as_str()), foreign, app::now()),
    }))
}

/// Anything from 0 up to 1.
fn chance() -> Result<f64, ApiError> {
    Ok(f64::from(getrandom::u32().map_err(ApiError::internal)?) / (f64::from(u32::MAX) + 1.0))
}
