//! What requests for votes and their answers look like.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    domain::{Rating, Viewing},
    store::{Receipt, VoteRecord},
};

/// A vote, or several under `items`: all of them count or none does.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // read field by field
pub(crate) enum FeedbackRequest {
    One(Vote),
    Many(Votes),
}

/// Several votes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read field by field
pub(crate) struct Votes {
    /// All of them count or none does
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<Vote>,
}

/// A vote on a picture.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read field by field
pub(crate) struct Vote {
    /// The picture; a token names it too
    #[schema(pattern = "^img_[0-9a-f]{32}$")]
    image_id: Option<String>,
    /// The thumb; `clear` takes it back
    rating: Rating,
    /// `feedback_token` of the picture: who holds it may vote
    #[schema(max_length = 2048)]
    token: Option<String>,
    /// Who votes. A key may name anybody on pictures that were made under it; a token's rater is the token's
    #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,200}$")]
    rater: Option<String>,
    /// Why, in words of the application's own
    #[schema(max_items = 8)]
    reasons: Option<Vec<String>>,
    /// Why, in the rater's own words
    #[schema(max_length = 2000)]
    comment: Option<String>,
    /// How the picture was looked at
    context: Option<Context>,
}

/// Something that was shown, or several under `items`: all of them are written down or none is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // read field by field
pub(crate) enum ImpressionRequest {
    One(Impression),
    Many(Impressions),
}

/// Several that were shown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read field by field
pub(crate) struct Impressions {
    /// All of them are written down or none is
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<Impression>,
}

/// A picture that was shown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read field by field
pub(crate) struct Impression {
    /// The picture; a token names it too
    #[schema(pattern = "^img_[0-9a-f]{32}$")]
    image_id: Option<String>,
    /// `feedback_token` of the picture
    #[schema(max_length = 2048)]
    token: Option<String>,
    /// To whom; as for votes
    #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,200}$")]
    rater: Option<String>,
    /// How
    context: Option<Context>,
}

/// How a picture was looked at.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// Where, as the application calls it
    #[schema(max_length = 64, example = "gallery")]
    surface: Option<String>,
    /// Its place among what was shown with it, from 0
    #[schema(maximum = 1_000_000)]
    position: Option<u32>,
    /// Milliseconds in view before the vote
    #[schema(maximum = 86_400_000)]
    dwell_ms: Option<u32>,
    /// Whether the rater saw the reward
    reward_visible: Option<bool>,
}

impl From<Viewing> for Context {
    fn from(viewing: Viewing) -> Self {
        let Viewing { surface, position, dwell_ms, reward_visible } = viewing;
        Self { surface, position, dwell_ms, reward_visible }
    }
}

/// A vote that counts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counted {
    /// The vote's name
    pub(super) feedback_id: String,
    /// Its place in the event log
    pub(super) sequence: i64,
    /// The thumb
    pub(super) rating: Rating,
}

/// An impression that was written down.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Written {
    /// The impression's name
    pub(super) feedback_id: String,
    /// Its place in the event log
    pub(super) sequence: i64,
}

impl Written {
    pub(super) fn of(receipt: &Receipt) -> Self {
        Self { feedback_id: receipt.feedback_id.to_string(), sequence: receipt.sequence }
    }
}

impl Counted {
    pub(super) fn of(receipt: &Receipt) -> Self {
        let Written { feedback_id, sequence } = Written::of(receipt);
        Self { feedback_id, sequence, rating: receipt.rating.unwrap_or(Rating::Clear) }
    }
}

/// One answer, or one for each item.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Answer<T> {
    /// To a request without `items`
    One(T),
    /// To a request with `items`
    Many {
        /// In the order of the request
        items: Vec<T>,
    },
}

/// A vote as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StandingVote {
    /// Its name; a vote that was changed has a new one
    feedback_id: String,
    /// Its place in the event log
    sequence: i64,
    /// The picture
    image_id: String,
    /// Who voted
    rater: String,
    /// The thumb
    rating: Rating,
    /// Why, in words of the application's own
    reasons: Vec<String>,
    /// Why, in the rater's own words
    comment: Option<String>,
    /// How the picture was looked at
    context: Context,
    /// Unix seconds of the first vote of this rater on this picture
    created: i64,
    /// Unix seconds of the last one
    updated: i64,
}

impl StandingVote {
    pub(super) fn of(record: VoteRecord) -> Self {
        /// Absent where an import left it out.
        fn read<T: Default + serde::de::DeserializeOwned>(value: &serde_json::Value) -> T {
            T::deserialize(value).unwrap_or_default()
        }
        Self {
            feedback_id: record.feedback.to_string(),
            sequence: record.sequence,
            image_id: record.image.to_string(),
            rater: record.rater.to_string(),
            rating: record.rating,
            reasons: read(&record.body["reasons"]),
            comment: read(&record.body["comment"]),
            context: read::<Viewing>(&record.body["context"]).into(),
            created: record.created,
            updated: record.updated,
        }
    }
}

/// For whom the next picture is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read field by field
pub(crate) struct NextRequest {
    /// Who is to rate; a key may name anybody
    #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,200}$")]
    rater: Option<String>,
}

/// A picture to be rated.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NextPicture {
    /// Its name
    pub(super) image_id: String,
    /// Where the file is
    pub(super) url: String,
    /// What it was to show
    pub(super) prompt: String,
    /// Lets this rater vote on it
    pub(super) feedback_token: String,
}

/// The right answer for a picture.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gold {
    /// The picture
    #[schema(pattern = "^img_[0-9a-f]{32}$")]
    pub(super) image_id: String,
    /// The right answer; `clear` makes it an ordinary picture again
    pub(super) rating: Rating,
}
