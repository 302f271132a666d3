//! Looks at a run: fixed prompts and seeds drawn with the weights of the moment, and what the reward says of them.
//!
//! ```text
//! sheets/step-000100.png    a row a prompt, a column a seed
//! looks.jsonl               mean reward of each sheet
//! rewards.svg               the same as a curve
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
};

use image::RgbImage;
use plaudit::{
    pack::{Component, Pack},
    pipeline::{Pipeline, PipelineSettings, Request},
};
use plaudit_onnx::Model;
use serde::{Deserialize, Serialize};

use super::{
    Finetune, FinetuneError,
    data::{Data, Scorer},
    train::which,
};
use crate::{miniature::draw::sheet, random::Random, report::Curve, step::Trainer};

/// Prompts of a sheet where none are named, and pictures of each.
const PROMPTS: usize = 6;
const SEEDS: usize = 6;
/// The first picture's seed: no dataset is drawn with it by chance.
const SEED: u32 = 977_000;
/// Pictures smaller than this are shown twice as large.
const SMALL: u32 = 128;
const LOOKS: &str = "looks.jsonl";

/// One sheet's figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Look {
    step: u64,
    /// Mean calibrated reward.
    reward: Option<f64>,
}

/// Draws sheets.
pub(super) struct Looks {
    settings: Finetune,
    directory: PathBuf,
    unet: Model,
    scorer: Option<Scorer>,
    prompts: Vec<String>,
    looks: Vec<Look>,
}

impl Looks {
    /// Takes up what was seen up to `step`.
    pub(super) fn open(
        settings: &Finetune,
        pack: &Pack,
        unet: &Model,
        data: &Data,
        directory: &Path,
        step: u64,
    ) -> Result<Self, FinetuneError> {
        let sheets = directory.join("sheets");
        fs::create_dir_all(&sheets).map_err(FinetuneError::io("create", &sheets))?;
        let path = directory.join(LOOKS);
        let text = if path.exists() {
            fs::read_to_string(&path).map_err(FinetuneError::io("read", &path))?
        } else {
            String::new()
        };
        let looks =
            text.lines().map_while(|line| serde_json::from_str(line).ok()).filter(|look: &Look| look.step <= step);
        let scorer = if settings.sheet_every > 0 { Scorer::open(settings, pack)? } else { None };
        Ok(Self {
            looks: looks.collect(),
            settings: settings.clone(),
            directory: directory.to_owned(),
            unet: unet.clone(),
            scorer,
            prompts: prompts(settings, data),
        })
    }

    /// Draws a sheet if one is due and not there yet.
    pub(super) fn look(&mut self, trainer: &Trainer) -> Result<(), FinetuneError> {
        let (step, every) = (trainer.steps(), self.settings.sheet_every);
        let due = every > 0 && (step.is_multiple_of(every) || step == self.settings.steps);
        if !due || self.looks.iter().any(|look| look.step == step) || self.prompts.is_empty() {
            return Ok(());
        }
        let mut model = self.unet.clone();
        trainer.apply(&mut model, "", which(&self.settings));
        let pictures = self.draw(model)?;
        let reward = self.reward(&pictures)?;
        let all: Vec<RgbImage> = pictures.concat();
        let scale = if all[0].width() < SMALL { 2 } else { 1 };
        let path = self.directory.join("sheets").join(format!("step-{step:06}.png"));
        let saved = sheet(&all, SEEDS as u32, scale).save(&path);
        saved.map_err(|source| FinetuneError::Picture { path, source })?;
        if let Some(reward) = reward {
            tracing::info!("step {step}: mean reward {reward:.3} on the sheet");
        }
        self.looks.push(Look { step, reward });
        self.write()
    }

    /// Mean reward of the first look and of the last.
    pub(super) fn rewards(&self) -> Option<(f64, f64)> {
        self.looks.first()?.reward.zip(self.looks.last()?.reward)
    }

    fn draw(&self, unet: Model) -> Result<Vec<Vec<RgbImage>>, FinetuneError> {
        let mut pack = Pack::open(&self.settings.pack)?;
        pack.replace(Component::Unet, unet);
        let settings = PipelineSettings { threads: self.settings.threads, ..PipelineSettings::default() };
        let mut pipeline = Pipeline::load(&pack, &settings)?;
        let guidance = pipeline.default_guidance();
        let mut rows = Vec::with_capacity(self.prompts.len());
        for (number, prompt) in self.prompts.iter().enumerate() {
            let seed = SEED + (number * SEEDS) as u32;
            let scheduler = self.settings.scheduler;
            let request =
                Request { prompt: prompt.clone(), count: SEEDS, seed, guidance, scheduler, ..Request::default() };
            let made = pipeline.run(&request, &mut |_| {})?;
            rows.push(made.pictures.into_iter().map(|picture| picture.pixels).collect());
        }
        Ok(rows)
    }

    fn reward(&mut self, pictures: &[Vec<RgbImage>]) -> Result<Option<f64>, FinetuneError> {
        let Some(scorer) = &mut self.scorer else { return Ok(None) };
        let mut sum = 0.0;
        for (prompt, row) in self.prompts.iter().zip(pictures) {
            sum += scorer.mean(prompt, row)?;
        }
        Ok(Some(sum / self.prompts.len() as f64))
    }

    fn write(&self) -> Result<(), FinetuneError> {
        let path = self.directory.join(LOOKS);
        let lines = self.looks.iter().map(|look| serde_json::to_string(look).unwrap_or_default() + "\n");
        let aside = path.with_extension("new");
        fs::write(&aside, lines.collect::<String>()).map_err(FinetuneError::io("write", &aside))?;
        fs::rename(&aside, &path).map_err(FinetuneError::io("rename to", &path))?;
        let mut curve = Curve::new("mean reward on fixed prompts and seeds");
        self.looks.iter().for_each(|look| curve.push(look.step, look.reward.map_or(f32::NAN, |reward| reward as f32)));
        Ok(curve.write(&self.directory.join("rewards.svg"))?)
    }
}

/// The named prompts, or some that are learned from.
fn prompts(settings: &Finetune, data: &Data) -> Vec<String> {
    if !settings.sheet_prompts.is_empty() {
        return settings.sheet_prompts.clone();
    }
    let mut numbers: Vec<usize> = data.scored.iter().map(|picture| picture.prompt).collect();
    numbers.sort_unstable();
    numbers.dedup();
    Random::stream(settings.seed, "sheet").shuffle(&mut numbers);
    numbers.iter().take(PROMPTS).map(|&number| data.prompts[number].text.clone()).collect()
}
