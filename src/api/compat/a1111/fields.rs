//! From AUTOMATIC1111's fields to the server's own.

use serde_json::{Map, Value};

use crate::{
    api::{
        ApiError,
        compat::{MOST_PIXELS, put, put_size},
        fields::Fields,
        generation::{MOST_GUIDANCE, Rules},
    },
    pipeline::{encode::sampler, schedule::SchedulerKind},
};

/// What a client gets on with when it asks for a noise schedule without naming one.
const USUAL_SCHEDULES: [&str; 3] = ["", "automatic", "uniform"];
/// Switches that change the picture there and nothing here.
const WITHOUT_EFFECT: [&str; 4] = ["enable_hr", "restore_faces", "tiling", "styles"];

/// A request in the server's own fields, and what its answer needs.
#[derive(Debug, PartialEq)]
pub(super) struct Translated {
    /// As `POST /v1/images/generations` takes them.
    pub(super) fields: Map<String, Value>,
    pub(super) batch_size: u64,
    pub(super) send_images: bool,
    /// What was asked for and could not be had.
    pub(super) warnings: Vec<String>,
}

/// Reads the fields that have a meaning here; the others, of which clients send dozens, have none.
pub(super) fn translate(values: Map<String, Value>, rules: &Rules) -> Result<Translated, ApiError> {
    let mut given = Fields::json(without_any_seed(values));
    let mut fields = Map::new();
    let mut warnings = Vec::new();
    fields.insert("prompt".to_owned(), given.text("prompt")?.unwrap_or_default().into());
    put(&mut fields, "negative_prompt", given.text("negative_prompt")?);
    put(&mut fields, "num_inference_steps", given.integer("steps", 1, u64::from(rules.max_steps))?);
    put(&mut fields, "guidance_scale", given.number("cfg_scale", 0.0, MOST_GUIDANCE)?);
    put(&mut fields, "seed", given.integer("seed", 0, i64::MAX as u64)?);
    put(&mut fields, "strength", given.number("denoising_strength", 0.0, 1.0)?);
    let sides = (given.integer("width", 1, MOST_PIXELS)?, given.integer("height", 1, MOST_PIXELS)?);
    warnings.extend(put_size(&mut fields, sides, rules));
    let batch_size = given.integer("batch_size", 1, MOST_PIXELS)?.unwrap_or(1);
    let count = batch_size * given.integer("n_iter", 1, MOST_PIXELS)?.unwrap_or(1);
    let most = u64::from(rules.max_pictures);
    if count > most {
        warnings.push(format!("{count} pictures were asked for; {most} are drawn at once here"));
    }
    fields.insert("n".to_owned(), count.min(most).into());
    // Beside AUTOMATIC1111's own: the server's, under their names.
    put(&mut fields, "best_of", given.integer("best_of", 1, u64::from(rules.best_of.max))?);
    put(&mut fields, "reward_threshold", given.number("reward_threshold", 0.0, 1.0)?);
    if let Some(kind) = scheduler(&mut given, &mut warnings)? {
        fields.insert("scheduler".to_owned(), kind.name().into());
    }
    let send_images = given.flag("send_images")?.unwrap_or(true);
    let idle = given.take_switched_on(&WITHOUT_EFFECT);
    warnings.extend(idle.into_iter().map(|name| format!("{name} has no effect here")));
    Ok(Translated { fields, batch_size, send_images, warnings })
}

/// -1 means: any.
fn without_any_seed(mut values: Map<String, Value>) -> Map<String, Value> {
    if values.get("seed").and_then(Value::as_f64) == Some(-1.0) {
        values.remove("seed");
    }
    values
}

/// Older clients name σ's schedule within the sampler's name, newer ones beside it.
fn scheduler(given: &mut Fields, warnings: &mut Vec<String>) -> Result<Option<SchedulerKind>, ApiError> {
    let (name, index) = (sampler_of(given, "sampler_name")?, sampler_of(given, "sampler_index")?);
    let schedule = given.text("scheduler")?.unwrap_or_default().to_lowercase();
    let kind = name.or(index).flatten();
    match (kind, schedule.as_str()) {
        (Some(SchedulerKind::DpmPp2m), "karras") => return Ok(Some(SchedulerKind::DpmPp2mKarras)),
        (Some(SchedulerKind::DpmPp2mKarras), "karras") => {}
        (_, usual) if USUAL_SCHEDULES.contains(&usual) => {}
        (_, other) => warnings.push(format!("the schedule {other:?} has no effect here")),
    }
    Ok(kind)
}

/// The sampler in a field; inside, `None` where it may be any.
fn sampler_of(given: &mut Fields, field: &str) -> Result<Option<Option<SchedulerKind>>, ApiError> {
    let Some(name) = given.text(field)? else { return Ok(None) };
    let any = name.is_empty() || name.eq_ignore_ascii_case("automatic");
    if any { Ok(Some(None)) } else { find(field, &name).map(|kind| Some(Some(kind))) }
}

fn find(field: &str, name: &str) -> Result<SchedulerKind, ApiError> {
    let same = |kind: &SchedulerKind| {
        sampler(*kind).eq_ignore_ascii_case(name) || kind.name().eq_ignore_ascii_case(name) || kind.class() == name
    };
    SchedulerKind::ALL.into_iter().find(same).ok_or_else(|| {
        let names = SchedulerKind::ALL.map(sampler).join(", ");
        ApiError::invalid(field, format!("there is no sampler {name:?}; there are {names}"))
    })
}

impl Translated {
    /// Takes what image to image has beside: the first picture's base64.
    pub(super) fn start(values: &mut Map<String, Value>) -> Result<String, ApiError> {
        if values.remove("mask").is_some_and(|mask| !mask.is_null()) {
            return Err(ApiError::invalid("mask", "masks cannot be used here: the whole picture is drawn anew"));
        }
        let images = values.remove("init_images").unwrap_or_default();
        let [Value::String(image)] = images.as_array().map_or(&[][..], Vec::as_slice) else {
            return Err(ApiError::invalid("init_images", "it must be a list of one picture in base64"));
        };
        Ok(image.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::compat::tests::rules;

    fn read(value: Value) -> Result<Translated, ApiError> {
        translate(value.as_object().expect("an object").clone(), &rules())
    }

    #[test]
    fn what_open_webui_sends_becomes_a_request() {
        let read = read(json!({"prompt": "a fish", "batch_size": 2, "width": 512, "height": 512, "steps": 8}))
            .expect("all is known");
        assert_eq!(json!(read.fields), json!({"prompt": "a fish", "num_inference_steps": 8, "n": 2}));
        assert_eq!(read.warnings.len(), 1, "the size falls back: {:?}", read.warnings);
    }

    #[test]
    fn samplers_are_found_by_their_names_there_and_here() {
        for (sampler, schedule, expected) in [
            ("Euler a", "", Some("euler_a")),
            ("DPM++ 2M", "Karras", Some("dpmpp_2m_karras")),
            ("DPM++ 2M Karras", "Automatic", Some("dpmpp_2m_karras")),
            ("ddim", "", Some("ddim")),
            ("Automatic", "", None),
        ] {
            let read = read(json!({"sampler_name": sampler, "scheduler": schedule})).expect("a sampler");
            assert_eq!(read.fields.get("scheduler").and_then(Value::as_str), expected, "{sampler} {schedule}");
            assert!(read.warnings.is_empty(), "{:?}", read.warnings);
        }
        let error = read(json!({"sampler_index": "Heun"})).expect_err("there is none");
        assert!(error.message().contains("Euler a"), "{error}");
    }

    #[test]
    fn seed_minus_one_is_any_seed_and_too_many_pictures_are_fewer() {
        let read = read(json!({"seed": -1, "batch_size": 3, "n_iter": 3, "tiling": true, "restore_faces": false}))
            .expect("all is known");
        assert_eq!((read.fields.get("seed"), &read.fields["n"]), (None, &json!(4)));
        assert_eq!(read.warnings.len(), 2, "{:?}", read.warnings);
        assert!(super::translate(json!({"seed": -2}).as_object().expect("an object").clone(), &rules()).is_err());
    }
}
