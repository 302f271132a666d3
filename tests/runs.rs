//! Whole guided runs are those of diffusers: latents and pixels. Fixtures: `tests/golden/scripts/runs.py`.

mod common;

use std::{collections::BTreeMap, sync::Arc};

use common::{Array, all_hold, arrays, golden, json, relative_l2};
use image::RgbImage;
use plaudit::{
    pack::{Pack, import},
    pipeline::{
        Picture, Pipeline, PipelineSettings, Request, Start, Warning,
        schedule::{SchedulerConfig, SchedulerKind},
    },
    runtime::SessionSettings,
};
use serde::Deserialize;

/// ‖Δ‖ / ‖x‖ of the final latents.
const LATENT_TOLERANCE: f32 = 1e-3;
/// Share of bytes that may differ by more than one.
const PIXELS_APART: f64 = 0.01;
/// A setting that matters moves the latents at least this many times the tolerance.
const MOVES: f32 = 100.0;

#[derive(Deserialize)]
struct Run {
    key: String,
    scheduler: String,
    #[serde(default)]
    config: Option<serde_json::Value>,
    prompt: String,
    negative_prompt: String,
    guidance_scale: f32,
    steps: usize,
    seed: u32,
    width: usize,
    height: usize,
    moves: Option<String>,
    #[serde(default)]
    guidance_interval: Option<(f64, f64)>,
    #[serde(default)]
    strength: f64,
    /// The picture to start from, by its name in the fixture.
    #[serde(default)]
    picture: Option<String>,
}

impl Run {
    /// The request with the picture that it starts from, if any.
    fn request_in(&self, arrays: &BTreeMap<String, Array>) -> Request {
        let start = self.picture.as_ref().map(|name| {
            let array = &arrays[&format!("picture/{name}")];
            let (height, width) = (array.shape[0] as u32, array.shape[1] as u32);
            let image = RgbImage::from_raw(width, height, array.u8().to_vec()).expect("a picture");
            Start { image: Arc::new(image), strength: self.strength }
        });
        Request { start, ..self.request() }
    }

    fn request(&self) -> Request {
        Request {
            prompt: self.prompt.clone(),
            negative_prompt: self.negative_prompt.clone(),
            count: 1,
            seed: self.seed,
            steps: self.steps,
            guidance: self.guidance_scale,
            scheduler: Some(self.scheduler.parse().expect("a scheduler's name")),
            size: Some((self.width, self.height)),
            guidance_interval: self.guidance_interval,
            ..Request::default()
        }
    }
}

/// An export of `tests/golden`, imported into a pack and made ready.
fn pipeline(export: &str, settings: &PipelineSettings) -> Pipeline {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("pack");
    import(&golden(export), &out, &SessionSettings::default(), |_| ()).expect("an import");
    Pipeline::load(&Pack::open(&out).expect("a pack"), settings).expect("a pipeline")
}

fn draw(pipeline: &mut Pipeline, request: &Request) -> Vec<Picture> {
    pipeline.run(request, &mut |_| ()).expect("pictures").pictures
}

/// What differs from a run's fixture, if anything; the distance of its latents otherwise.
fn compare(run: &Run, picture: &Picture, arrays: &BTreeMap<String, Array>) -> Result<f32, String> {
    let distance = relative_l2(&picture.latent, &arrays[&format!("{}/latents", run.key)].f32());
    let expected = &arrays[&format!("{}/pixels", run.key)];
    let apart = picture.pixels.iter().zip(expected.u8()).filter(|(a, b)| a.abs_diff(**b) > 1).count();
    let share = apart as f64 / expected.u8().len() as f64;
    let same_size = picture.pixels.len() == expected.u8().len();
    match same_size && distance <= LATENT_TOLERANCE && share <= PIXELS_APART {
        true => Ok(distance),
        false => Err(format!("{}: latents {distance:e}, {share} of the bytes apart, same size {same_size}", run.key)),
    }
}

fn all_agree(runs: &[Run], arrays: &BTreeMap<String, Array>, mut pipeline: Pipeline) {
    let mut worst = 0.0_f32;
    let mut failures = Vec::new();
    for run in runs {
        if let Some(config) = &run.config {
            pipeline = pipeline.with_scheduler(SchedulerConfig::from_json(config).expect("a configuration"));
        }
        match compare(run, &draw(&mut pipeline, &run.request_in(arrays))[0], arrays) {
            Ok(distance) => worst = worst.max(distance),
            Err(failure) => failures.push(failure),
        }
    }
    println!("worst {worst:e} of {} runs", runs.len());
    all_hold(failures);
}

#[test]
fn latents_and_pixels_are_those_of_diffusers() {
    let runs: Vec<Run> = json("runs.json");
    all_agree(&runs, &arrays("runs.safetensors"), pipeline("tiny_sd", &PipelineSettings::default()));
}

#[test]
fn guidance_in_an_interval_of_the_calls_is_what_diffusers_makes_of_it() {
    let runs: Vec<Run> = json("interval.json");
    all_agree(&runs, &arrays("interval.safetensors"), pipeline("tiny_sd", &PipelineSettings::default()));
}

#[test]
fn image_to_image_is_that_of_diffusers() {
    let runs: Vec<Run> = json("img2img.json");
    all_agree(&runs, &arrays("img2img.safetensors"), pipeline("tiny_sd", &PipelineSettings::default()));
}

#[test]
fn an_export_of_optimum_draws_what_its_own_pipeline_draws() {
    let runs: Vec<Run> = json("tiny_sd_optimum_run.json");
    let arrays = arrays("tiny_sd_optimum_run.safetensors");
    all_agree(&runs, &arrays, pipeline("tiny_sd_optimum", &PipelineSettings::default()));
}

#[test]
fn every_setting_moves_the_result_far_beyond_the_tolerance() {
    let runs: Vec<Run> = json("runs.json");
    let mut pipeline = pipeline("tiny_sd", &PipelineSettings::default());
    let base = runs.iter().find(|run| run.key == "base").expect("the base run");
    let base = draw(&mut pipeline, &base.request()).remove(0).latent;
    let mut moved = Vec::new();
    let mut failures = Vec::new();
    for run in runs.iter().filter(|run| run.moves.is_some()) {
        let distance = relative_l2(&draw(&mut pipeline, &run.request())[0].latent, &base);
        moved.extend(run.moves.clone());
        if distance < MOVES * LATENT_TOLERANCE {
            failures.push(format!("{}: {distance}", run.key));
        }
    }
    moved.sort();
    assert_eq!(moved, ["guidance_scale", "negative_prompt", "prompt", "scheduler", "seed", "steps"]);
    all_hold(failures);
}

fn request(count: usize) -> Request {
    let scheduler = Some(SchedulerKind::EulerAncestral);
    Request { prompt: "two blue stars".into(), count, seed: u32::MAX, steps: 4, scheduler, ..Request::default() }
}

#[test]
fn candidate_i_is_the_picture_of_seed_plus_i_however_it_is_batched() {
    let mut whole = pipeline("tiny_sd", &PipelineSettings::default());
    let mut single = pipeline("tiny_sd", &PipelineSettings { batch_cells: 1, ..PipelineSettings::default() });
    let together = draw(&mut whole, &request(5));
    assert_eq!(together.iter().map(|picture| picture.seed).collect::<Vec<_>>(), [u32::MAX, 0, 1, 2, 3]);
    let alone = draw(&mut single, &request(5));
    for (i, picture) in together.iter().enumerate() {
        let request = Request { seed: u32::MAX.wrapping_add(i as u32), ..request(1) };
        for other in [&alone[i], &draw(&mut single, &request)[0]] {
            let distance = relative_l2(&picture.latent, &other.latent);
            assert!(distance <= 1e-5, "candidate {i}: {distance:e}");
        }
    }
}

#[test]
fn progress_counts_every_picture_and_call_once() {
    let mut pipeline = pipeline("tiny_sd", &PipelineSettings { batch_cells: 256, ..PipelineSettings::default() });
    let request = Request { scheduler: Some(SchedulerKind::Pndm), ..request(3) };
    let mut seen = Vec::new();
    pipeline.run(&request, &mut |progress| seen.push((progress.done, progress.total))).unwrap();
    assert_eq!(seen.last(), Some(&(3 * 5, 3 * 5)));
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(pipeline.calls(&request).unwrap(), 5);
}

#[test]
fn a_prompt_that_is_cut_is_a_warning_that_quotes_the_rest() {
    let mut pipeline = pipeline("tiny_sd", &PipelineSettings::default());
    let long = format!("{}fish", "a ".repeat(75));
    let warnings = |pipeline: &mut Pipeline, prompt: &str, negative: &str, guidance| {
        let request = Request {
            prompt: prompt.into(),
            negative_prompt: negative.into(),
            steps: 1,
            guidance,
            ..Request::default()
        };
        pipeline.run(&request, &mut |_| ()).expect("a picture").warnings
    };
    let cut = |negative| Warning::Cut { negative, text: "fish".into(), length: 77 };
    assert_eq!(warnings(&mut pipeline, &long, "", 5.0), [cut(false)]);
    assert_eq!(warnings(&mut pipeline, "a", &long, 5.0), [cut(true)]);
    assert_eq!(warnings(&mut pipeline, "a", &long, 1.0), []);
    assert!(cut(false).to_string().contains("\"fish\""));
}

#[test]
fn what_the_pack_cannot_draw_is_refused_before_anything_runs() {
    let mut pipeline = pipeline("tiny_sd", &PipelineSettings::default());
    let cases = [
        (Request { size: Some((65, 64)), ..request(1) }, "multiples of 16"),
        (Request { size: Some((0, 64)), ..request(1) }, "multiples of 16"),
        (Request { guidance: f32::NAN, ..request(1) }, "guidance"),
        (Request { steps: 0, ..request(1) }, "1 to 1000"),
        (Request { steps: 1001, ..request(1) }, "1 to 1000"),
    ];
    for (request, expected) in cases {
        let message = pipeline.run(&request, &mut |_| ()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}
