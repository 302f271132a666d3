//! Draws the protocol's pictures, once for each version and arm, and scores them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use image::{RgbImage, imageops};
use plaudit::{
    pack::Pack,
    pipeline::{Pipeline, PipelineSettings, Request, schedule::SchedulerKind},
};

use super::{Protocol, SimulateError, Simulation, is_over};
use crate::collect::{Ask, Progress};

const DRAWN: &str = "drawn";

/// Pictures of every prompt, drawn alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Series {
    /// Steps of a picture.
    pub(super) steps: usize,
    /// Pictures of a prompt: seeds follow each other from the prompt's first.
    pub(super) count: usize,
    /// `None`: the pack's own.
    pub(super) scheduler: Option<SchedulerKind>,
}

impl Series {
    /// Drawn alone at the usual cost.
    pub(super) fn plain(protocol: &Protocol) -> Self {
        Self { steps: protocol.steps, count: protocol.pictures, scheduler: None }
    }

    /// Drawn alone with as many calls as the candidates of best-of-N take.
    pub(super) fn equal(protocol: &Protocol) -> Self {
        Self { steps: protocol.steps * protocol.best_of, count: protocol.pictures, scheduler: None }
    }

    /// Candidates of best-of-N: picture i is chosen among i, i + pictures, …
    pub(super) fn candidates(protocol: &Protocol) -> Self {
        Self { steps: protocol.steps, count: protocol.pictures * protocol.best_of, scheduler: None }
    }
}

/// Where a version's series lies.
pub(super) fn folder(simulation: &Simulation, version: &str, series: Series) -> PathBuf {
    let scheduler = series.scheduler.map_or_else(String::new, |kind| format!("-{kind}"));
    let name = format!("{}-{}x{}{scheduler}", simulation.protocol.seed, series.steps, series.count);
    simulation.out.join(DRAWN).join(version).join(name)
}

fn file(folder: &Path, prompt: usize) -> PathBuf {
    folder.join(format!("{prompt:04}.png"))
}

/// Draws what is missing of a series; whether it is whole, which it is not where this run's time is over.
pub(super) fn draw(
    simulation: &Simulation,
    version: &str,
    pack: &Path,
    series: Series,
    asks: &[Ask],
    until: Option<Instant>,
) -> Result<bool, SimulateError> {
    let folder = folder(simulation, version, series);
    fs::create_dir_all(&folder).map_err(SimulateError::io("create", &folder))?;
    let missing: Vec<usize> = (0..asks.len()).filter(|&prompt| !file(&folder, prompt).exists()).collect();
    if missing.is_empty() {
        return Ok(true);
    }
    if is_over(until) {
        return Ok(false);
    }
    let settings = PipelineSettings { threads: simulation.daemon.learning.threads, ..PipelineSettings::default() };
    let mut pipeline = Pipeline::load(&Pack::open(pack)?, &settings)?;
    let (mut done, all) = (asks.len() - missing.len(), asks.len());
    let mut progress = Progress::start("protocol", done * series.count, all * series.count);
    for prompt in missing {
        if is_over(until) {
            return Ok(false);
        }
        let request = Request {
            prompt: asks[prompt].prompt.clone(),
            count: series.count,
            steps: series.steps,
            seed: simulation.protocol.first_seed(prompt),
            guidance: pipeline.default_guidance(),
            scheduler: series.scheduler,
            ..Request::default()
        };
        let made = pipeline.run(&request, &mut |_| {})?;
        write(&file(&folder, prompt), &made.pictures.into_iter().map(|picture| picture.pixels).collect::<Vec<_>>())?;
        done += 1;
        progress.show(done * series.count);
    }
    Ok(true)
}

/// A strip of pictures, whole or not there.
fn write(path: &Path, pictures: &[RgbImage]) -> Result<(), SimulateError> {
    let picture = |source| SimulateError::Picture { path: path.to_owned(), source };
    let (width, height) = pictures.first().map_or((1, 1), RgbImage::dimensions);
    let mut strip = RgbImage::new(width * pictures.len().max(1) as u32, height);
    for (number, one) in pictures.iter().enumerate() {
        imageops::replace(&mut strip, one, i64::from(number as u32 * width), 0);
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    strip.write_to(&mut bytes, image::ImageFormat::Png).map_err(picture)?;
    super::leg::replace(path, bytes.get_ref())
}

/// The pictures of a prompt.
pub(super) fn read(
    simulation: &Simulation,
    version: &str,
    series: Series,
    prompt: usize,
) -> Result<Vec<RgbImage>, SimulateError> {
    let path = file(&folder(simulation, version, series), prompt);
    let strip = image::open(&path).map_err(|source| SimulateError::Picture { path: path.clone(), source })?.to_rgb8();
    let (width, height) = (strip.width() / series.count as u32, strip.height());
    let cut = |number: usize| imageops::crop_imm(&strip, number as u32 * width, 0, width, height).to_image();
    Ok((0..series.count).map(cut).collect())
}
