//! Other programs' APIs over the same job service, so that their clients get on without a change.
//!
//! What they ask for that cannot be had (a size above all) falls back to the pack's own: their clients have no way to ask what
//! there is, and 512 × 512 is what most of them always send.

mod a1111;
mod errors;
mod huggingface;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) use errors::{A1111Error, HuggingFaceError};

use super::generation::Rules;

/// Pixels of a side that a client may name, drawable or not.
const MOST_PIXELS: u64 = 65_536;

/// The routes of all imitated APIs.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(a1111::draw::txt2img)
        .service(a1111::draw::img2img)
        .service(a1111::facts::models)
        .service(a1111::facts::samplers)
        .service(a1111::facts::options)
        .service(a1111::facts::set_options)
        .service(a1111::facts::progress)
        .service(a1111::facts::interrupt)
        .service(huggingface::of_root)
        .service(huggingface::of_model);
}

/// Puts this server's bounds into the document.
pub(super) fn bound(schemas: &mut Value, rules: &Rules) {
    for request in ["TextToImage", "ImageToImage"] {
        schemas[request]["properties"]["steps"]["maximum"] = rules.max_steps.into();
    }
    schemas["HuggingFaceParameters"]["properties"]["num_inference_steps"]["maximum"] = rules.max_steps.into();
    for request in ["TextToImage", "ImageToImage", "HuggingFaceParameters"] {
        schemas[request]["properties"]["best_of"]["maximum"] = rules.best_of.max.into();
    }
    // Clients send an empty name for any sampler; utoipa names no variant so.
    schemas["SamplerName"]["enum"].as_array_mut().into_iter().for_each(|names| names.push("".into()));
}

/// Whether a route's clients know no other way to give a key than a password.
pub(super) fn takes_basic(path: &str) -> bool {
    path.starts_with("/sdapi/")
}

/// The password of `user:password` in base64, or the user where there is none.
pub(super) fn password(code: &str) -> Option<String> {
    let text = String::from_utf8(BASE64_STANDARD.decode(code).ok()?).ok()?;
    let (user, password) = text.split_once(':').unwrap_or((&text, ""));
    let key = if password.is_empty() { user } else { password };
    (!key.is_empty()).then(|| key.to_owned())
}

/// Adds a size to a request's fields: the one asked for, or the pack's own with a warning.
fn put_size(wanted: &mut Map<String, Value>, sides: (Option<u64>, Option<u64>), rules: &Rules) -> Option<String> {
    let own = rules.model.size;
    let asked = (sides.0.map_or(own.0, |side| side as usize), sides.1.map_or(own.1, |side| side as usize));
    if rules.can_draw(asked) {
        wanted.insert("size".to_owned(), json!(format!("{}x{}", asked.0, asked.1)));
        return None;
    }
    Some(format!("{}x{} cannot be drawn here; the pictures have the model's own {}x{}", asked.0, asked.1, own.0, own.1))
}

/// Adds a field that was given.
fn put(wanted: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        wanted.insert(name.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::generation::Judge, engine::ModelFacts, pipeline::schedule::SchedulerKind, settings::BestOfSettings,
    };

    pub(super) fn rules() -> Rules {
        let model = ModelFacts {
            version: "tiny@0123456789ab".into(),
            name: "tiny".into(),
            size: (64, 64),
            size_multiple: 16,
            scheduler: SchedulerKind::Euler,
            guidance: 5.0,
            image_to_image: true,
        };
        let best_of = BestOfSettings::default();
        Rules {
            model,
            max_pictures: 4,
            max_steps: 50,
            max_side: 128,
            judge: Judge::Reward,
            scorer: None,
            points: 8,
            best_of,
        }
    }

    #[test]
    fn a_size_that_cannot_be_drawn_falls_back_and_says_so() {
        for (sides, size, warned) in [
            ((Some(96), Some(64)), Some("96x64"), false),
            ((Some(96), None), Some("96x64"), false),
            ((None, None), Some("64x64"), false),
            ((Some(512), Some(512)), None, true),
            ((Some(65), Some(64)), None, true),
        ] {
            let mut wanted = Map::new();
            assert_eq!(put_size(&mut wanted, sides, &rules()).is_some(), warned, "{sides:?}");
            assert_eq!(wanted.get("size").and_then(Value::as_str), size, "{sides:?}");
        }
    }

    #[test]
    fn a_key_is_the_password_or_else_the_user() {
        let of = |text: &str| password(&BASE64_STANDARD.encode(text));
        assert_eq!(of("me:secret").as_deref(), Some("secret"));
        assert_eq!(of("secret").as_deref(), Some("secret"));
        assert_eq!(of("secret:").as_deref(), Some("secret"));
        assert_eq!(of(""), None);
        assert_eq!(password("no base64!"), None);
        assert!(takes_basic("/sdapi/v1/options") && !takes_basic("/v1/jobs"));
    }
}
