//! Pictures of a request, from its bytes or from the store, made ready for CLIP.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::Value;

use crate::{
    api::{ApiError, Code, caller::Caller, uploads},
    app::State,
    domain::ImageId,
    scoring::{Pixels, Scorer},
};

/// Where a picture comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Picture {
    /// It came along.
    File(Bytes),
    /// It was drawn here.
    Drawn(ImageId),
}

impl Picture {
    /// `{b64_json}` or `{image_id}`.
    pub(super) fn of_object(name: &str, value: &Value) -> Result<Self, ApiError> {
        let expected =
            || ApiError::invalid(name, "an entry must be {\"b64_json\": …} or {\"image_id\": …}, and nothing else");
        let object = value.as_object().filter(|object| object.len() == 1).ok_or_else(expected)?;
        let (kind, value) = object.iter().next().ok_or_else(expected)?;
        let text = value.as_str().ok_or_else(expected)?;
        match kind.as_str() {
            "b64_json" => Self::of_base64(name, text),
            "image_id" => Self::of_id(name, text),
            _ => Err(expected()),
        }
    }

    /// A data URI, or the id of a picture.
    pub(super) fn of_text(name: &str, text: &str) -> Result<Self, ApiError> {
        if let Some(coded) = is_data(text) {
            return Self::of_data(name, coded);
        }
        refuse_address(name, text)?;
        Self::of_id(name, text)
    }

    fn of_id(name: &str, text: &str) -> Result<Self, ApiError> {
        let id = text.parse().map_err(|error| ApiError::invalid(name, error))?;
        Ok(Self::Drawn(id))
    }

    fn of_base64(name: &str, text: &str) -> Result<Self, ApiError> {
        refuse_address(name, text)?;
        if is_data(text).is_some() {
            let message = "b64_json is a data URI; leave out everything up to the comma";
            return Err(ApiError::invalid(name, message));
        }
        decoded(name, text)
    }

    /// What follows `data:` of a data URI.
    pub(super) fn of_data(name: &str, rest: &str) -> Result<Self, ApiError> {
        let coded = rest.split_once(";base64,").map(|(_, coded)| coded);
        let coded = coded.ok_or_else(|| ApiError::invalid(name, "a data URI must be data:image/png;base64,…"))?;
        decoded(name, coded)
    }
}

/// What follows `data:`.
pub(super) fn is_data(text: &str) -> Option<&str> {
    /// The scheme's length.
    const SCHEME: usize = 5;
    let (scheme, rest) = text.split_at_checked(SCHEME)?;
    scheme.eq_ignore_ascii_case("data:").then_some(rest)
}

/// Anything with a scheme but a data URI names a thing elsewhere, and nothing is fetched for a caller.
fn refuse_address(name: &str, text: &str) -> Result<(), ApiError> {
    if text.contains("://") {
        let message =
            "addresses are never fetched: send the picture itself as base64, or the image_id of one drawn here";
        return Err(ApiError::invalid(name, message));
    }
    Ok(())
}

fn decoded(name: &str, coded: &str) -> Result<Picture, ApiError> {
    let bytes = BASE64_STANDARD.decode(coded.trim());
    let bytes = bytes.map_err(|error| ApiError::invalid(name, format!("a picture is not base64: {error}")))?;
    Ok(Picture::File(bytes.into()))
}

/// Decodes and prepares all pictures; errors name `name` as the field at fault.
pub(super) async fn prepare(
    state: &State,
    scorer: &Scorer,
    caller: &Caller,
    name: &str,
    pictures: Vec<Picture>,
) -> Result<Vec<Pixels>, ApiError> {
    let mut prepared = Vec::with_capacity(pictures.len());
    for picture in pictures {
        let file = match picture {
            Picture::File(file) => file,
            Picture::Drawn(id) => own(state, caller, id).await?,
        };
        let pixels = uploads::prepare(state, file, scorer.preprocessor().clone()).await;
        prepared.push(pixels.map_err(|error| error.at(name))?);
    }
    Ok(prepared)
}

/// The file of one of the caller's own pictures; the same words for what is gone, never was, and is somebody else's.
async fn own(state: &State, caller: &Caller, id: ImageId) -> Result<Bytes, ApiError> {
    let none =
        || ApiError::new(Code::NotFound, format!("there is no picture {id}; it may have expired")).at("image_id");
    state.store.image(&caller.owner, id).await?.ok_or_else(none)?;
    let (_, bytes) = state.store.image_bytes(id).await?.ok_or_else(none)?;
    Ok(bytes)
}
