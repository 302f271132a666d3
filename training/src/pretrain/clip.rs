//! The CLIP pair: texts and pictures in one space (Radford et al. 2021, figure 3).

use std::path::Path;

use plaudit::pipeline::tokenize::Tokenizer;
use plaudit_onnx::{
    DType::{F32, I64},
    Dim, Model, Tensor,
    expr::{BuildError, Builder, Expr},
};
use serde_json::json;

use super::{
    PretrainError, Workshop,
    component::{CLIP_TEXT, CLIP_VISION, TEXT_ENCODER},
    feed::Feed,
    files,
    journal::{self, Mark},
    leg::{self, Plan},
    pixels::{CHANNELS, CLIP_DEVIATION, CLIP_MEAN, clip_planes},
    sealing::reseal,
    tokenizer::LENGTH,
};
use crate::{
    loss::INITIAL_LOGIT_SCALE,
    miniature::{
        SIDE,
        draw::draw,
        grammar::{Category, Object, Scene},
    },
    random::Random,
    step::{Batch, Selection, Trainer, Which},
};

/// Steps of the recipe.
const STEPS: u64 = 3_000;
/// Pairs of a batch.
const BATCH: usize = 64;
/// Share of a batch whose scenes differ from a neighbour's in one thing.
const HARD: usize = 4;
/// How far the learned temperature may rise, ln 100: CLIP's own number.
const LARGEST_LOGIT_SCALE: f32 = 4.6052;
/// Added to the logit of a pair that is neither the row's own nor wrong: another picture that the prompt also describes.
const NEUTRAL: f32 = -30.0;
/// How often a prompt says everything; otherwise it says one thing, and then describes more pictures than its own.
const COMPLETE_RATE: f32 = 0.6;
/// What names of either tower get in front: both have constants of the same names.
const TEXT: &str = "text/";
const VISION: &str = "vision/";
/// As a module's name, the vision tower begins so.
const VISION_MODULE: &str = "vision.";
/// Contrasts that each measured picture's own prompt is held against.
const CONTRASTS: usize = 9;

/// One batch, row by row.
struct Pairs {
    ids: Vec<i64>,
    pixels: Vec<f32>,
    neutral: Vec<f32>,
}

/// Trains a leg and writes both towers; the text tower is also the pipeline's text encoder.
///
/// Once the UNet has begun to learn from the text encoder, only the vision tower goes on learning.
pub(super) fn run(workshop: &Workshop) -> Result<(), PretrainError> {
    let steps = workshop.steps.unwrap_or(STEPS);
    let frozen = journal::has(workshop, "unet")?;
    let (mut text, mut vision) = (CLIP_TEXT.start(workshop)?, CLIP_VISION.start(workshop)?);
    let selection = if frozen { Selection::Starting(vec![VISION_MODULE.to_owned()]) } else { Selection::All };
    let plan = Plan {
        name: "clip",
        steps,
        until: steps,
        rate: (1e-3, 1e-5),
        warmup: 50,
        weight_decay: 0.05,
        micro_batches: 1,
        selection,
    };
    let mut trainer = leg::trainer(workshop, &plan, objective(&text, &vision)?)?;
    let tokenizer = open_tokenizer(workshop)?;
    let seed = Random::stream(workshop.seed, "clip").bits();
    leg::run(workshop, &plan, &mut trainer, |trainer| {
        let feed = Feed::start(trainer.steps(), move |number| pairs(&tokenizer, seed ^ number));
        Ok(move |batch: &mut Batch<'_>| {
            let Pairs { ids, pixels, neutral } = feed.next();
            batch.i64("input_ids").copy_from_slice(&ids);
            batch.f32("pixel_values").copy_from_slice(&pixels);
            batch.f32("neutral").copy_from_slice(&neutral);
        })
    })?;
    trainer.apply(&mut text, TEXT, Which::Average);
    trainer.apply(&mut vision, VISION, Which::Average);
    CLIP_TEXT.export(workshop, &text)?;
    CLIP_VISION.export(workshop, &vision)?;
    if !frozen {
        TEXT_ENCODER.export(workshop, &text)?;
    }
    write_preprocessing(&workshop.pack.join("clip"))?;
    reseal(workshop)?;
    measure(workshop, &trainer)
}

pub(super) fn open_tokenizer(workshop: &Workshop) -> Result<Tokenizer, PretrainError> {
    Ok(Tokenizer::open(&workshop.pack.join("tokenizer"))?)
}

/// `L = ½ (CE over texts + CE over pictures)` of `s · t̂ᵢ·v̂ⱼ + neutralᵢⱼ`, `s = e^logit_scale` at most 100.
fn objective(text: &Model, vision: &Model) -> Result<Model, BuildError> {
    let b = Builder::new("clip", text.opsets.get("").copied().unwrap_or_default());
    let ids = b.input("input_ids", I64, &[BATCH, LENGTH].map(Dim::Fixed));
    let side = SIDE as usize;
    let pixels = b.input("pixel_values", F32, &[BATCH, CHANNELS, side, side].map(Dim::Fixed));
    let neutral = b.input("neutral", F32, &[BATCH, BATCH].map(Dim::Fixed));
    let texts = b.call(text, TEXT, &[("input_ids", ids)]).remove(0).normalized(-1);
    let pictures = b.call(vision, VISION, &[("pixel_values", pixels)]).remove(0).normalized(-1);
    let scale = b.weight("logit_scale", Tensor::f32(&[], &[INITIAL_LOGIT_SCALE]));
    let logits = texts.matmul(&pictures.transpose(&[1, 0])) * scale.clip(0.0, LARGEST_LOGIT_SCALE).exp() + neutral;
    let own = b.tensor(identity(BATCH));
    let entropy = |logits: &Expr| -(logits.log_softmax(-1) * own.clone()).sum_all() / BATCH as f32;
    b.output("loss", &((entropy(&logits) + entropy(&logits.transpose(&[1, 0]))) * 0.5));
    b.output("scale", &(scale * 1.0));
    b.finish()
}

fn identity(size: usize) -> Tensor {
    let values: Vec<f32> = (0..size * size).map(|at| f32::from(u8::from(at / size == at % size))).collect();
    Tensor::f32(&[size, size], &values)
}

fn pairs(tokenizer: &Tokenizer, seed: u64) -> Pairs {
    let mut random = Random::new(seed);
    let mut rows: Vec<(Scene, Scene)> = Vec::with_capacity(BATCH);
    let mut pixels = vec![0.0; BATCH * picture_length()];
    let mut ids = Vec::with_capacity(BATCH * LENGTH);
    for planes in pixels.chunks_mut(picture_length()) {
        let asked = match rows.last() {
            Some(&(_, last)) if rows.len().is_multiple_of(HARD) => last.some_contrasts(1, &mut random)[0].1,
            _ => Scene::sample(category(&mut random), &Object::ALL, &mut random),
        };
        let drawing = draw(&asked, random.bits());
        clip_planes(&drawing.picture, planes);
        // The grammar's words are in the vocabulary, so no prompt is refused.
        ids.extend(tokenizer.encode(&asked.paraphrase(&mut random)).map(|tokens| tokens.ids).unwrap_or_default());
        rows.push((asked, drawing.truth));
    }
    let neutral = |at: usize| {
        let (row, column) = (at / BATCH, at % BATCH);
        if row != column && describes(&rows[row].0, &rows[column].1) { NEUTRAL } else { 0.0 }
    };
    let neutral = (0..BATCH * BATCH).map(neutral).collect();
    Pairs { ids, pixels, neutral }
}

fn category(random: &mut Random) -> Category {
    if random.chance(COMPLETE_RATE) { Category::Composition } else { *random.pick(&Category::ALL) }
}

/// Whether a prompt is right about what was drawn.
fn describes(asked: &Scene, truth: &Scene) -> bool {
    asked.object == truth.object
        && asked.number() == truth.number()
        && (asked.colour.is_none() || asked.colour == truth.colour)
        && (asked.background.is_none() || asked.background == truth.background)
}

fn picture_length() -> usize {
    CHANNELS * (SIDE * SIDE) as usize
}

/// How often the picture's own prompt scores above nine contrasts of it (chance 0.1).
fn measure(workshop: &Workshop, trainer: &Trainer) -> Result<(), PretrainError> {
    let tokenizer = open_tokenizer(workshop)?;
    let mut texts = CLIP_TEXT.bound(workshop, workshop.threads, &[("batch", 1 + CONTRASTS)])?;
    let mut pictures = CLIP_VISION.bound(workshop, workshop.threads, &[("batch", 1)])?;
    let mut random = Random::stream(workshop.seed.wrapping_add(1), "clip measurement");
    let mut right = 0;
    for _ in 0..workshop.scale.measured {
        let scene = Scene::sample(Category::Composition, &Object::ALL, &mut random);
        clip_planes(&draw(&scene, random.bits()).picture, pictures.buffer_mut("pixel_values"));
        let contrasts = scene.some_contrasts(CONTRASTS, &mut random);
        let prompts = std::iter::once(scene).chain(contrasts.into_iter().map(|(_, contrast)| contrast));
        for (prompt, ids) in prompts.zip(texts.buffer_mut::<i64>("input_ids").chunks_mut(LENGTH)) {
            ids.copy_from_slice(&tokenizer.encode(&prompt.prompt())?.ids);
        }
        texts.run()?;
        pictures.run()?;
        let picture: &[f32] = pictures.buffer("image_embeds");
        let rows = texts.buffer::<f32>("text_embeds").chunks(picture.len());
        let scores: Vec<f32> = rows.map(|text| cosine(text, picture)).collect();
        right += usize::from(scores[1..].iter().all(|score| *score < scores[0]));
    }
    let reached = right as f64 / workshop.scale.measured as f64;
    journal::record(workshop, "clip", Some(trainer), &[Mark { what: "own_prompt_of_ten", reached, pass: 0.6..=1.0 }])
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

/// How pictures become `pixel_values`, as transformers' `CLIPImageProcessor` writes it.
fn write_preprocessing(folder: &Path) -> Result<(), PretrainError> {
    let text = json!({
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": true, "size": {"shortest_edge": SIDE}, "resample": 3,
        "do_center_crop": true, "crop_size": {"height": SIDE, "width": SIDE},
        "do_rescale": true, "rescale_factor": 1.0 / 255.0,
        "do_normalize": true, "image_mean": CLIP_MEAN, "image_std": CLIP_DEVIATION,
        "do_convert_rgb": true,
    });
    files::replace(&folder.join("preprocessor_config.json"), format!("{text:#}\n").as_bytes())
}
