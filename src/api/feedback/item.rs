//! Votes and impressions as they come, field by field.

use serde_json::{Map, Value};

use crate::{
    api::{ApiError, fields::Fields},
    domain::{ImageId, Rater, Rating, Viewing},
    feedback::FeedbackSettings,
    store::Act,
};

/// Characters of a reason, and of a surface's name: they are words of a program.
const LONGEST_WORD: usize = 64;
/// A picture's place at most.
const MOST_POSITION: u64 = 1_000_000;
/// A day in view, in milliseconds.
const MOST_DWELL: u64 = 86_400_000;

/// A vote or an impression whose author is not yet known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) image: Option<ImageId>,
    pub(super) token: Option<String>,
    pub(super) rater: Option<Rater>,
    pub(super) viewing: Viewing,
    pub(super) act: Act,
}

/// What items are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Vote,
    Impression,
}

/// What was asked: one item, or a list.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) items: Vec<Item>,
    pub(super) many: bool,
}

impl Asked {
    pub(super) fn parse(
        mut values: Map<String, Value>,
        kind: Kind,
        settings: &FeedbackSettings,
    ) -> Result<Self, ApiError> {
        let Some(list) = values.remove("items") else {
            return Ok(Self { items: vec![item(values, kind, settings)?], many: false });
        };
        Fields::json(values).finish()?;
        let wrong = || ApiError::invalid("items", format!("it must be a list of 1 to {} objects", settings.max_batch));
        let Value::Array(list) = list else { return Err(wrong()) };
        if list.is_empty() || list.len() > settings.max_batch {
            return Err(wrong());
        }
        let each = |(index, value)| match value {
            Value::Object(values) => item(values, kind, settings).map_err(|error| error.within(&place(index))),
            _ => Err(wrong()),
        };
        Ok(Self { items: list.into_iter().enumerate().map(each).collect::<Result<_, _>>()?, many: true })
    }

    /// Names the item at fault.
    pub(super) fn blame(&self, index: usize, error: ApiError) -> ApiError {
        if self.many { error.within(&place(index)) } else { error }
    }
}

fn place(index: usize) -> String {
    format!("items.{index}")
}

fn item(values: Map<String, Value>, kind: Kind, settings: &FeedbackSettings) -> Result<Item, ApiError> {
    let mut fields = Fields::json(values);
    let image = fields.text("image_id")?.map(|text| text.parse::<ImageId>()).transpose();
    let rater = fields.text("rater")?.map(|text| text.parse::<Rater>()).transpose();
    let item = Item {
        image: image.map_err(|error| ApiError::invalid("image_id", error))?,
        token: fields.text("token")?,
        rater: rater.map_err(|error| ApiError::invalid("rater", error))?,
        viewing: viewing(&mut fields)?,
        act: match kind {
            Kind::Vote => vote(&mut fields, settings)?,
            Kind::Impression => Act::Impression,
        },
    };
    fields.finish()?;
    if item.image.is_none() && item.token.is_none() {
        return Err(ApiError::invalid("image_id", "it is missing, and so is token"));
    }
    Ok(item)
}

fn vote(fields: &mut Fields, settings: &FeedbackSettings) -> Result<Act, ApiError> {
    let ratings = [Rating::Up, Rating::Down, Rating::Clear].map(|rating| (rating.name(), rating));
    let rating = fields.choice("rating", &ratings)?.ok_or_else(|| ApiError::invalid("rating", "it is missing"))?;
    let reasons = fields.texts("reasons")?;
    if reasons.len() > settings.max_reasons {
        return Err(ApiError::invalid("reasons", format!("there are at most {}", settings.max_reasons)));
    }
    for reason in &reasons {
        short("reasons", reason, LONGEST_WORD)?;
    }
    let comment = fields.text("comment")?;
    if let Some(comment) = &comment {
        short("comment", comment, settings.max_comment)?;
    }
    Ok(Act::Vote { rating, reasons, comment })
}

fn viewing(fields: &mut Fields) -> Result<Viewing, ApiError> {
    let Some(mut context) = fields.object("context")? else { return Ok(Viewing::default()) };
    let read = |context: &mut Fields| -> Result<Viewing, ApiError> {
        let surface = context.text("surface")?;
        if let Some(surface) = &surface {
            short("surface", surface, LONGEST_WORD)?;
        }
        Ok(Viewing {
            surface,
            position: context.integer("position", 0, MOST_POSITION)?.map(|number| number as u32),
            dwell_ms: context.integer("dwell_ms", 0, MOST_DWELL)?.map(|number| number as u32),
            reward_visible: context.flag("reward_visible")?,
        })
    };
    let viewing = read(&mut context).and_then(|viewing| context.finish().map(|()| viewing));
    viewing.map_err(|error| error.within("context"))
}

fn short(name: &str, text: &str, longest: usize) -> Result<(), ApiError> {
    if text.chars().count() > longest {
        return Err(ApiError::invalid(name, format!("{longest} characters are the most that is taken")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Code;

    fn parse(value: Value) -> Result<Asked, ApiError> {
        let values = value.as_object().expect("an object").clone();
        Asked::parse(values, Kind::Vote, &FeedbackSettings::default())
    }

    #[test]
    fn every_field_finds_its_place() {
        let image = ImageId::new();
        let context = json!({"surface": "grid", "position": 2, "dwell_ms": 900, "reward_visible": false});
        let asked = parse(json!({
            "image_id": image, "rating": "down", "token": "t", "rater": "u", "reasons": ["hands"], "comment": "no",
            "context": context,
        }))
        .expect("all fields exist");
        let viewing = Viewing {
            surface: Some("grid".into()),
            position: Some(2),
            dwell_ms: Some(900),
            reward_visible: Some(false),
        };
        let act = Act::Vote { rating: Rating::Down, reasons: vec!["hands".into()], comment: Some("no".into()) };
        let rater = Some("u".parse().expect("a rater"));
        let item = Item { image: Some(image), token: Some("t".into()), rater, viewing, act };
        assert_eq!(asked, Asked { items: vec![item], many: false });
    }

    #[test]
    fn what_cannot_be_a_vote_is_refused_by_its_field() {
        let image = ImageId::new();
        let with = |fields: Value| {
            let mut body = json!({"image_id": image, "rating": "up"});
            body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
            body
        };
        let cases = [
            (json!({}), Code::InvalidValue, "rating"),
            (json!({"rating": "up"}), Code::InvalidValue, "image_id"),
            (json!({"rating": "up", "image_id": "../../etc/passwd"}), Code::InvalidValue, "image_id"),
            (with(json!({"rating": "UP"})), Code::InvalidValue, "rating"),
            (with(json!({"rater": ""})), Code::InvalidValue, "rater"),
            (with(json!({"reasons": "hands"})), Code::InvalidValue, "reasons"),
            (with(json!({"reasons": vec!["x"; 9]})), Code::InvalidValue, "reasons"),
            (with(json!({"reasons": ["x".repeat(65)]})), Code::InvalidValue, "reasons"),
            (with(json!({"comment": "x".repeat(2001)})), Code::InvalidValue, "comment"),
            (with(json!({"context": 3})), Code::InvalidValue, "context"),
            (with(json!({"context": {"position": -1}})), Code::InvalidValue, "context.position"),
            (with(json!({"context": {"url": "http://a"}})), Code::UnknownField, "context.url"),
            (with(json!({"image_url": "http://a"})), Code::UnknownField, "image_url"),
            (json!({"items": []}), Code::InvalidValue, "items"),
            (json!({"items": [3]}), Code::InvalidValue, "items"),
            (json!({"items": vec![with(json!({})); 101]}), Code::InvalidValue, "items"),
            (json!({"items": [with(json!({}))], "rater": "u"}), Code::UnknownField, "rater"),
            (json!({"items": [with(json!({})), with(json!({"rating": 1}))]}), Code::InvalidValue, "items.1.rating"),
        ];
        for (body, code, param) in cases {
            let error = parse(body.clone()).expect_err("no vote");
            assert_eq!((error.code(), &error.envelope()["error"]["param"]), (code, &json!(param)), "{body}");
        }
    }
}
