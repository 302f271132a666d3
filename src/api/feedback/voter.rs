//! Whose vote it is.
//!
//! | token | picture | `rater` | the voter |
//! |---|---|---|---|
//! | of a rater | | none, or the same | the token's rater |
//! | of nobody | a session's | none, or the same | the session: its own vote and its token's are one |
//! | of nobody | a key's | none, or the same | a voter of this picture, whose name follows from it |
//! | any | | another | 403 `token_rater_mismatch` |
//! | none | the caller's | none | whom it was drawn for, else the caller |
//! | none | a calling key's | any | that rater |
//! | none | a calling session's | another | 403 `forbidden`: a session is one person |
//! | none | somebody else's | | 404 |

use crate::{
    api::{ApiError, Code, caller::Caller},
    app::{self, State},
    domain::{ImageId, Owner, Rater},
    feedback::Claims,
    store::{NewFeedback, Subject},
};

use super::item::Item;

/// An item that may be written, and what it is counted by.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) feedback: NewFeedback,
    pub(super) model_version: String,
    /// The voter has no name but for this picture: its client has.
    pub(super) nameless: bool,
}

/// Finds out who votes, and whether they may.
pub(super) async fn admit(state: &State, caller: &Caller, item: Item) -> Result<Admitted, ApiError> {
    let claims = item.token.as_deref().map(|token| state.tokens.read(token, app::now())).transpose()?;
    let image = match (item.image, &claims) {
        (Some(image), Some(claims)) if claims.image != image => {
            return Err(ApiError::new(Code::TokenInvalid, "this token is for another picture").at("token"));
        }
        (Some(image), _) => image,
        (None, Some(claims)) => claims.image,
        (None, None) => return Err(ApiError::invalid("image_id", "it is missing")),
    };
    let subject = state.store.subject(image).await?.ok_or_else(|| none(image))?;
    let Voter { owner, rater, via, nameless } = match claims {
        Some(claims) => by_token(claims, &subject, item.rater)?,
        None => by_owner(caller, &subject, item.rater)?,
    };
    let feedback = NewFeedback { image, owner, rater, viewing: item.viewing, act: item.act, via };
    Ok(Admitted { feedback, model_version: subject.model_version, nameless })
}

#[derive(Debug, PartialEq)]
struct Voter {
    owner: Owner,
    rater: Rater,
    via: &'static str,
    nameless: bool,
}

fn by_token(claims: Claims, subject: &Subject, named: Option<Rater>) -> Result<Voter, ApiError> {
    let anonymous = claims.anonymous();
    let nameless = claims.rater.is_none() && subject.owner.is_key();
    let rater = match claims.rater {
        Some(rater) => rater,
        None if nameless => anonymous,
        None => itself(&subject.owner),
    };
    if named.is_some_and(|named| named != rater) {
        let message =
            "this token lets another rater vote; leave `rater` out, or ask with the key that made the picture";
        return Err(ApiError::new(Code::TokenRaterMismatch, message).at("rater"));
    }
    let owner = claims.owner.unwrap_or_else(|| subject.owner.clone());
    Ok(Voter { owner, rater, via: "token", nameless })
}

fn by_owner(caller: &Caller, subject: &Subject, named: Option<Rater>) -> Result<Voter, ApiError> {
    if subject.owner != caller.owner {
        return Err(none(subject.image));
    }
    let usual = subject.rater.clone().map_or_else(|| itself(&caller.owner), Rater::from_stored);
    let rater = named.unwrap_or_else(|| usual.clone());
    if rater != usual {
        may_name(caller, &rater)?;
    }
    let via = if caller.owner.is_key() { "key" } else { "session" };
    Ok(Voter { owner: caller.owner.clone(), rater, via, nameless: false })
}

/// Only a key speaks for others.
pub(super) fn may_name(caller: &Caller, rater: &Rater) -> Result<(), ApiError> {
    if caller.owner.is_key() || *rater == itself(&caller.owner) {
        return Ok(());
    }
    let message = "only a key may name raters: `plaudit keys create` makes one; without it you vote as yourself";
    Err(ApiError::new(Code::Forbidden, message).at("rater"))
}

/// An owner as a rater.
pub(super) fn itself(owner: &Owner) -> Rater {
    Rater::from_stored(owner.as_str().to_owned())
}

/// The same words for what is gone, never was, and is somebody else's.
fn none(image: ImageId) -> ApiError {
    let message = format!("there is no picture {image}; it may have expired, or it needs its feedback_token");
    ApiError::new(Code::NotFound, message).at("image_id")
}
