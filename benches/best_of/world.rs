//! Prompts, their candidates in full, quick looks and early estimates, each with its reward.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, ensure};
use image::{RgbImage, imageops};
use indicatif::{ProgressBar, ProgressStyle};
use plaudit::{
    pack::Pack,
    pipeline::{Generation, Pipeline, PipelineSettings, Request},
    runtime::SessionSettings,
    scoring::{ClipModel, RewardHead, RewardPack, cosine},
};
use plaudit_training::{
    judges::ReportJudge,
    miniature::{
        grammar::{Category, Object, Scene},
        rate::{judge, observe},
    },
    random::Random,
};

use crate::{
    Arguments,
    page::WHOLE,
    table::{self, Candidate, Prompt},
};

/// One prompt in four names a held-out object.
const HELD_OUT_EVERY: usize = 4;

/// All that was drawn of a prompt: a row of pictures in full, one of each estimate, one of each quick look at those that may be pruned.
/// It stays on disk, so that another reward or judge needs no drawing.
struct Sheet(Vec<Vec<RgbImage>>);

impl Sheet {
    /// The sheet in this file, if it is whole.
    fn read(path: &Path, arguments: &Arguments) -> Option<Self> {
        let picture = image::open(path).ok()?.to_rgb8();
        let (all, few) = (arguments.candidates, arguments.candidates.min(WHOLE));
        let rows = [vec![all; 1 + arguments.estimates.len()], vec![few; arguments.previews.len()]].concat();
        let side = picture.width() / all as u32;
        let fits = picture.width() == side * all as u32 && picture.height() == side * rows.len() as u32;
        let cut =
            |x: usize, y: usize| imageops::crop_imm(&picture, x as u32 * side, y as u32 * side, side, side).to_image();
        fits.then(|| Self(rows.iter().enumerate().map(|(y, count)| (0..*count).map(|x| cut(x, y)).collect()).collect()))
    }

    fn write(&self, path: &Path) -> Result<()> {
        let side = self.0.first().and_then(|row| row.first()).map_or(0, RgbImage::width);
        let wide = self.0.iter().map(Vec::len).max().unwrap_or(0) as u32;
        let mut picture = RgbImage::new(side * wide, side * self.0.len() as u32);
        for (y, row) in self.0.iter().enumerate() {
            for (x, one) in row.iter().enumerate() {
                imageops::replace(&mut picture, one, x as i64 * i64::from(side), y as i64 * i64::from(side));
            }
        }
        let aside = path.with_extension("new.png");
        picture.save(&aside).with_context(|| format!("cannot write {}", aside.display()))?;
        Ok(std::fs::rename(&aside, path)?)
    }
}

struct World {
    pipeline: Pipeline,
    clip: ClipModel,
    reward: RewardHead,
    judge: ReportJudge,
}

/// Draws what is missing of the table.
pub(crate) fn draw(arguments: &Arguments) -> Result<Vec<Prompt>> {
    let path = arguments.output.join("candidates.jsonl");
    std::fs::create_dir_all(arguments.output.join("pictures"))?;
    check(arguments)?;
    let mut prompts = table::read(&path)?;
    prompts.truncate(arguments.prompts);
    if prompts.len() == arguments.prompts {
        return Ok(prompts);
    }
    let mut file = table::rewrite(&path, &prompts)?;
    let mut world = World::open(arguments)?;
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} prompts, {eta} left · {wide_msg}")?;
    let bar = ProgressBar::new(arguments.prompts as u64).with_style(style).with_position(prompts.len() as u64);
    for number in prompts.len()..arguments.prompts {
        let prompt = world.prompt(arguments, number)?;
        bar.set_message(prompt.prompt.clone());
        table::append(&mut file, &prompt)?;
        prompts.push(prompt);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(prompts)
}

/// Refuses an output whose pictures another pack or other arguments drew.
fn check(arguments: &Arguments) -> Result<()> {
    let (path, Arguments { candidates, previews, estimates, seed, .. }) =
        (arguments.output.join("drawn.txt"), arguments);
    let version = Pack::open(&arguments.pack)?.version();
    let drawn = format!("{version}, seed {seed}, {candidates} candidates, looks {previews:?}, estimates {estimates:?}");
    match std::fs::read_to_string(&path) {
        Ok(before) => ensure!(
            before == drawn,
            "{} holds what was drawn by {before}; name another --output for {drawn}",
            arguments.output.display()
        ),
        Err(_) => std::fs::write(&path, drawn).with_context(|| format!("cannot write {}", path.display()))?,
    }
    Ok(())
}

/// The scene of a number: categories take turns, the objects of votes and the held-out ones too.
fn scene(number: usize, seed: u64) -> Scene {
    let mut random = Random::stream(seed, &format!("best of N, prompt {number}"));
    let held_out = number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1;
    let objects: Vec<Object> = Object::ALL.into_iter().filter(|object| object.is_held_out() == held_out).collect();
    Scene::sample(Category::ALL[number % Category::ALL.len()], &objects, &mut random)
}

impl World {
    fn open(arguments: &Arguments) -> Result<Self> {
        let pack = Pack::open(&arguments.pack)?;
        let folder = arguments.reward.clone().unwrap_or_else(|| arguments.pack.join("reward"));
        let sessions = SessionSettings { threads: arguments.threads, ..SessionSettings::default() };
        let settings = PipelineSettings { threads: arguments.threads, ..PipelineSettings::default() };
        let reward = RewardPack::open(&folder, &pack, &sessions)?;
        Ok(Self {
            pipeline: Pipeline::load(&pack, &settings)?,
            clip: ClipModel::open(&pack, &sessions)?,
            reward: RewardHead::open(&reward, &sessions)?,
            judge: ReportJudge::open().context("the report judge")?,
        })
    }

    fn prompt(&mut self, arguments: &Arguments, number: usize) -> Result<Prompt> {
        let scene = scene(number, arguments.seed);
        let guidance = self.pipeline.default_guidance();
        let request = Request {
            prompt: scene.prompt(),
            count: arguments.candidates,
            seed: (number * arguments.candidates) as u32,
            guidance,
            ..Request::default()
        };
        let kept = arguments.output.join("pictures").join(format!("{number:04}.png"));
        let sheet = match Sheet::read(&kept, arguments) {
            Some(sheet) => sheet,
            None => {
                let sheet = self.sheet(arguments, &request)?;
                sheet.write(&kept)?;
                sheet
            }
        };
        let text = self.clip.text_embeddings(&[&request.prompt])?.pop().context("a text's embedding")?;
        let mut rows = sheet.0.into_iter();
        let full = rows.next().unwrap_or_default();
        let mut candidates = self.candidates(&request, &scene, &text, &full)?;
        for call in &arguments.estimates {
            let pixels = rows.next().unwrap_or_default();
            for (candidate, (reward, _)) in candidates.iter_mut().zip(self.scores(&text, &pixels)?) {
                candidate.estimates.insert(*call, reward);
            }
        }
        for steps in &arguments.previews {
            let pixels = rows.next().unwrap_or_default();
            for (candidate, (reward, _)) in candidates.iter_mut().zip(self.scores(&text, &pixels)?) {
                candidate.previews.insert(*steps, reward);
            }
        }
        let (category, held_out) = (scene.category().word().to_owned(), scene.object.is_held_out());
        Ok(Prompt { number, prompt: request.prompt, category, held_out, candidates })
    }

    /// Draws everything of a prompt.
    fn sheet(&mut self, arguments: &Arguments, request: &Request) -> Result<Sheet> {
        let mut early: BTreeMap<usize, Vec<RgbImage>> = BTreeMap::new();
        let drawn = self.pipeline.run_with_estimates(
            request,
            &arguments.estimates,
            &mut |call, pixels| early.entry(call).or_default().extend(pixels),
            &mut |_| {},
        )?;
        let pixels = |drawn: Generation| drawn.pictures.into_iter().map(|picture| picture.pixels).collect();
        let mut rows = vec![pixels(drawn)];
        rows.extend(arguments.estimates.iter().map(|call| early.remove(call).unwrap_or_default()));
        for &steps in &arguments.previews {
            let count = request.count.min(WHOLE);
            rows.push(pixels(self.pipeline.run(&Request { steps, count, ..request.clone() }, &mut |_| {})?));
        }
        Ok(Sheet(rows))
    }

    fn candidates(
        &mut self,
        request: &Request,
        scene: &Scene,
        text: &[f32],
        full: &[RgbImage],
    ) -> Result<Vec<Candidate>> {
        let scores = self.scores(text, full)?;
        ensure!(scores.len() == full.len(), "{} scores of {} pictures", scores.len(), full.len());
        let mut candidates = Vec::with_capacity(full.len());
        for ((seed, pixels), (reward, clip)) in request.seeds().zip(full).zip(scores) {
            candidates.push(Candidate {
                seed,
                reward,
                clip,
                truth: judge(&observe(pixels), scene).is_good(),
                judged: self.judge.good(pixels, scene)?,
                previews: BTreeMap::new(),
                estimates: BTreeMap::new(),
            });
        }
        Ok(candidates)
    }

    /// Reward and CLIP score of each picture.
    fn scores(&mut self, text: &[f32], pixels: &[RgbImage]) -> Result<Vec<(f32, f32)>> {
        let pictures: Vec<&RgbImage> = pixels.iter().collect();
        let images = self.clip.image_embeddings(&pictures)?;
        let rewards = self.reward.run(images.iter().map(|image| (image.as_slice(), text)))?;
        Ok(rewards.iter().zip(&images).map(|(row, image)| (row.reward, cosine(image, text))).collect())
    }
}
