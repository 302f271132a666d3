//! `GET /v1/feedback`: one's own votes as they stand.

use actix_web::{
    get,
    web::{self, Json},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::schema::StandingVote;
use crate::{
    api::{ApiError, answer::List, caller::Caller, paging, refusals::ListErrors},
    app::State,
    domain::{FeedbackId, ImageId, Rater},
    store::VoteFilter,
};

/// Pictures that one list may be asked for: as many as a page holds.
const MOST_IMAGES: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Entries at most
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Only those made before this one
    #[param(value_type = Option<String>, pattern = "^fb_[0-9a-f]{32}$")]
    before: Option<FeedbackId>,
    /// Only those on these pictures, up to 100 names separated by commas
    #[param(pattern = "^img_[0-9a-f]{32}(,img_[0-9a-f]{32}){0,99}$")]
    image_id: Option<String>,
    /// Only this rater's
    #[param(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,200}$")]
    rater: Option<String>,
}

/// List the votes of your own raters as they stand, the newest first
#[utoipa::path(
    tag = "feedback",
    operation_id = "list_feedback",
    params(Page),
    responses((status = 200, description = "Thumbs; those taken back are not among them", body = List<StandingVote>), ListErrors),
    security((), ("key" = []))
)]
#[get("/v1/feedback")]
pub(crate) async fn list(
    caller: Caller,
    page: web::Query<Page>,
    state: web::Data<State>,
) -> Result<Json<List<StandingVote>>, ApiError> {
    let limit = paging::limit(page.limit)?;
    let rater = page.rater.as_deref().map(str::parse::<Rater>).transpose();
    let filter = VoteFilter {
        images: images(page.image_id.as_deref())?,
        rater: rater.map_err(|error| ApiError::invalid("rater", error))?,
        before: page.before,
    };
    let records = state.store.list_votes(&caller.owner, &filter, limit + 1).await?;
    Ok(Json(List::page(records.into_iter().map(StandingVote::of).collect(), limit)))
}

fn images(names: Option<&str>) -> Result<Vec<ImageId>, ApiError> {
    let read = |name: &str| name.parse().map_err(|error| ApiError::invalid("image_id", error));
    let images: Vec<ImageId> =
        names.into_iter().flat_map(|names| names.split(',')).map(read).collect::<Result<_, _>>()?;
    if images.len() > MOST_IMAGES {
        return Err(ApiError::invalid("image_id", format!("{MOST_IMAGES} pictures are the most")));
    }
    Ok(images)
}
