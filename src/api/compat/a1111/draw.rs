//! `txt2img` and `img2img`.

use std::sync::Arc;

use actix_web::{
    HttpRequest, post,
    web::{self, Json},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    Failure,
    fields::{Translated, translate},
    hash,
    schema::{ImageToImage, Pictures, TextToImage},
};
use crate::{
    api::{ApiError, Code, answer, body, caller::Caller, fields::Fields, generation::Wanted, submit, uploads},
    app::State,
    engine::Class,
    jobs::{JobEventKind, JobResult, Listener, MadeImage},
    pipeline::encode::sampler,
};

/// AUTOMATIC1111: draw pictures of a prompt
#[utoipa::path(
    tag = "compatibility",
    operation_id = "a1111_txt2img",
    request_body = TextToImage,
    responses((status = 200, description = "The pictures", body = Pictures), Failure),
    security((), ("key" = []))
)]
#[post("/sdapi/v1/txt2img")]
pub(crate) async fn txt2img(
    request: HttpRequest,
    caller: Result<Caller, ApiError>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Json<Pictures>, Failure> {
    let (caller, server) = (caller?, &state.settings.server);
    let values = body::json_object(&request, payload, server.max_body, server.body_timeout()).await?;
    Ok(draw(&request, &state, &caller, values, None).await?)
}

/// AUTOMATIC1111: draw pictures that start from a picture
#[utoipa::path(
    tag = "compatibility",
    operation_id = "a1111_img2img",
    request_body = ImageToImage,
    responses((status = 200, description = "The pictures", body = Pictures), Failure),
    security((), ("key" = []))
)]
#[post("/sdapi/v1/img2img")]
pub(crate) async fn img2img(
    request: HttpRequest,
    caller: Result<Caller, ApiError>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Json<Pictures>, Failure> {
    let (caller, server) = (caller?, &state.settings.server);
    if !state.rules.model.image_to_image {
        let message = format!("{} has no VAE encoder: it cannot start from a picture", state.rules.model.name);
        return Err(ApiError::new(Code::ModelNotFound, message).into());
    }
    let mut values = body::json_object(&request, payload, server.max_upload, server.body_timeout()).await?;
    let start = file_of(&Translated::start(&mut values)?)?;
    Ok(draw(&request, &state, &caller, values, Some(start)).await?)
}

fn file_of(code: &str) -> Result<Bytes, ApiError> {
    let code = code.split_once("base64,").map_or(code, |(_, code)| code);
    let bytes = BASE64_STANDARD.decode(code.trim());
    Ok(bytes.map_err(|error| ApiError::invalid("init_images", format!("no base64: {error}")))?.into())
}

async fn draw(
    request: &HttpRequest,
    state: &State,
    caller: &Caller,
    values: Map<String, Value>,
    start: Option<Bytes>,
) -> Result<Json<Pictures>, ApiError> {
    let parameters = Value::Object(values.clone());
    let mut translated = translate(values, &state.rules)?;
    if start.is_none() {
        translated.fields.remove("strength");
    }
    let fields = Fields::json(translated.fields.clone());
    let wanted = match start {
        Some(file) => uploads::read(state, file, fields).await?,
        None => Wanted::parse(fields, None, &state.rules)?,
    };
    let pixels = wanted.request.start.as_ref().map(|start| start.image.clone());
    let parts = [parameters.to_string().into_bytes(), pixels.map(|image| image.as_raw().clone()).unwrap_or_default()];
    let ask = submit::ask(request, state, Class::Interactive, &parts.each_ref().map(Vec::as_slice))?;
    let asked = wanted.clone();
    let listener = submit::submit(state, caller, wanted, ask).await?;
    let drawn = wait(state, listener).await?;
    let mut files = Vec::with_capacity(drawn.images.len());
    for made in &drawn.images {
        files.push(answer::file(state, made).await?.map(|bytes| BASE64_STANDARD.encode(bytes)));
    }
    let kept: Vec<_> =
        drawn.images.iter().zip(&files).filter(|(_, file)| file.is_some()).map(|(made, _)| made).collect();
    if !drawn.images.is_empty() && drawn.images.iter().all(|made| made.withheld) {
        return Err(answer::all_withheld());
    }
    let info = info(state, &asked, &translated, &drawn, &kept);
    let images = if translated.send_images { files.into_iter().flatten().collect() } else { Vec::new() };
    Ok(Json(Pictures { images, parameters, info: info.to_string() }))
}

/// What there is when the waiting ends.
struct Drawn {
    images: Vec<MadeImage>,
    warnings: Vec<String>,
    interrupted: bool,
    model_version: Option<String>,
    reward_version: Option<String>,
}

/// As there, whoever is interrupted gets what was drawn so far.
async fn wait(state: &State, mut listener: Listener) -> Result<Drawn, ApiError> {
    let mut images = Vec::new();
    while let Some(event) = listener.next().await {
        match event.kind {
            JobEventKind::Picture(made) => images.push(made),
            JobEventKind::Completed(result) => {
                let JobResult { images, warnings, model_version, reward_version, .. } = Arc::unwrap_or_clone(result);
                let model_version = Some(model_version);
                return Ok(Drawn { images, warnings, interrupted: false, model_version, reward_version });
            }
            JobEventKind::Failed(failure) => return Err((&failure).into()),
            JobEventKind::Cancelled if !state.is_draining() => {
                images.sort_by_key(|made| made.index);
                let model_version = images.first().map(|made| made.model_version.clone());
                return Ok(Drawn {
                    images,
                    warnings: Vec::new(),
                    interrupted: true,
                    model_version,
                    reward_version: None,
                });
            }
            _ => {}
        }
    }
    Err(ApiError::draining())
}

fn info(state: &State, asked: &Wanted, translated: &Translated, drawn: &Drawn, kept: &[&MadeImage]) -> Value {
    let (request, model) = (&asked.request, &state.rules.model);
    let (width, height) = request.size.unwrap_or(model.size);
    let mut warnings = [translated.warnings.as_slice(), &drawn.warnings].concat();
    warnings.extend(answer::withheld(&drawn.images));
    let version = drawn.model_version.as_deref();
    let scheduler = || version.map_or(model.scheduler, |version| state.engine.model_of(version).scheduler);
    let each = |text: &str| vec![text.to_owned(); kept.len()];
    json!({
        "prompt": request.prompt, "all_prompts": each(&request.prompt),
        "negative_prompt": request.negative_prompt, "all_negative_prompts": each(&request.negative_prompt),
        "seed": request.seed, "all_seeds": kept.iter().map(|made| made.seed).collect::<Vec<_>>(),
        "steps": request.steps, "cfg_scale": request.guidance, "width": width, "height": height,
        "sampler_name": sampler(request.scheduler.unwrap_or_else(scheduler)),
        "batch_size": translated.batch_size, "index_of_first_image": 0,
        "sd_model_name": model.name, "sd_model_hash": version.map(hash), "model_version": version,
        "image_ids": kept.iter().map(|made| made.id.to_string()).collect::<Vec<_>>(),
        "rewards": kept.iter().map(|made| made.reward).collect::<Vec<_>>(),
        "ranks": kept.iter().map(|made| made.rank).collect::<Vec<_>>(), "reward_version": drawn.reward_version,
        "feedback_tokens": kept.iter().map(|made| answer::token(state, made)).collect::<Vec<_>>(),
        "interrupted": drawn.interrupted, "warnings": warnings,
        "version": concat!("plaudit ", env!("CARGO_PKG_VERSION")),
    })
}
