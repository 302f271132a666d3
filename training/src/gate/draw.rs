//! Draws both packs' pictures, a prompt at a time and in turns, and goes on where a run before stopped.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use image::{RgbImage, imageops};
use plaudit::{
    pack::Pack,
    pipeline::{Pipeline, PipelineSettings, Request},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{GateError, GeneratorGate, pairs::LEAST};
use crate::{
    collect::{Ask, Progress},
    random::Random,
};

const PICTURES: &str = "pictures";
/// What the gate was begun with.
const BEGUN: &str = "begun.json";
const FIELDS: [&str; 6] = ["champion", "candidate", "prompts", "pictures", "steps", "seed"];
/// Rows of a prompt's file: champion, candidate, champion again with other seeds.
const ROWS: u32 = 3;

/// Everything that was drawn, on disk.
pub(super) struct Gallery {
    /// Versions of champion and candidate.
    pub(super) versions: [String; 2],
    pub(super) asked: Vec<Ask>,
    folder: PathBuf,
    pictures: u32,
}

/// What is known of a prompt's pictures beside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Facts {
    prompt: String,
    /// Seconds a picture, champion and candidate.
    pub(super) seconds: [f64; 2],
    /// Pictures that the champion's safety checker flags, champion's and candidate's; `None` where there is no checker.
    pub(super) flagged: Option<[usize; 2]>,
}

/// A prompt's pictures.
pub(super) struct Drawn {
    pub(super) champion: Vec<RgbImage>,
    pub(super) candidate: Vec<RgbImage>,
    /// The champion's with other seeds.
    pub(super) reference: Vec<RgbImage>,
    pub(super) facts: Facts,
}

/// Draws what is missing.
pub(super) fn all(gate: &GeneratorGate, asked: &[Ask]) -> Result<Gallery, GateError> {
    if asked.len() < LEAST {
        return Err(GateError::Few { prompts: asked.len() });
    }
    let packs = [Pack::open(&gate.champion)?, Pack::open(&gate.candidate)?];
    let versions = [packs[0].version(), packs[1].version()];
    let folder = gate.out.join(PICTURES);
    fs::create_dir_all(&folder).map_err(GateError::io("create", &folder))?;
    begin(gate, asked, &versions)?;
    let gallery = Gallery { versions, asked: asked.to_vec(), folder, pictures: gate.pictures as u32 };
    let missing: Vec<usize> = (0..asked.len()).filter(|&number| !gallery.path(number, "json").exists()).collect();
    if missing.is_empty() {
        return Ok(gallery);
    }
    let mut easel = Easel::open(gate, &packs)?;
    easel.warm(&asked[missing[0]].prompt)?;
    let each = ROWS as usize * gate.pictures;
    let mut done = asked.len() - missing.len();
    let mut progress = Progress::start("gate", done * each, asked.len() * each);
    for number in missing {
        let drawn = easel.draw(number, &asked[number].prompt)?;
        gallery.write(number, &drawn)?;
        done += 1;
        progress.show(done * each);
    }
    Ok(gallery)
}

/// Writes what the gate is run with, or compares it with what it was begun with.
fn begin(gate: &GeneratorGate, asked: &[Ask], versions: &[String; 2]) -> Result<(), GateError> {
    let path = gate.out.join(BEGUN);
    let prompts: Vec<&str> = asked.iter().map(|ask| ask.prompt.as_str()).collect();
    let now = json!({
        "champion": versions[0], "candidate": versions[1], "prompts": prompts,
        "pictures": gate.pictures, "steps": gate.steps, "seed": gate.seed,
    });
    if !path.exists() {
        return replace(&path, format!("{now:#}\n").as_bytes());
    }
    let text = fs::read(&path).map_err(GateError::io("read", &path))?;
    let before: Value = serde_json::from_slice(&text)
        .map_err(|error| GateError::Content { path: path.clone(), fault: error.to_string() })?;
    let say = |value: &Value| value.as_array().map_or_else(|| value.to_string(), |all| format!("({})", all.len()));
    let differs = FIELDS.into_iter().find(|field| before[*field] != now[*field]);
    differs.map_or(Ok(()), |field| {
        Err(GateError::Begun { path: gate.out.clone(), field, before: say(&before[field]), now: say(&now[field]) })
    })
}

/// Writes a file aside and moves it to its place.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), GateError> {
    let aside = path.with_extension("new");
    fs::write(&aside, bytes).map_err(GateError::io("write", &aside))?;
    fs::rename(&aside, path).map_err(GateError::io("move to", path))
}

impl Gallery {
    fn path(&self, number: usize, extension: &str) -> PathBuf {
        self.folder.join(format!("{number:04}.{extension}"))
    }

    /// The pictures first, the facts last: a prompt that has facts is whole.
    fn write(&self, number: usize, drawn: &Drawn) -> Result<(), GateError> {
        let rows = [&drawn.champion, &drawn.candidate, &drawn.reference];
        let (width, height) = drawn.champion[0].dimensions();
        let mut page = RgbImage::new(self.pictures * width, ROWS * height);
        for (row, pictures) in rows.into_iter().enumerate() {
            for (column, picture) in pictures.iter().enumerate() {
                let (x, y) = (column as u32 * width, row as u32 * height);
                imageops::replace(&mut page, picture, i64::from(x), i64::from(y));
            }
        }
        let path = self.path(number, "png");
        page.save(&path).map_err(GateError::picture(&path))?;
        // Numbers and texts always serialise.
        replace(&self.path(number, "json"), &serde_json::to_vec(&drawn.facts).unwrap_or_default())
    }

    /// A prompt's pictures.
    pub(super) fn read(&self, number: usize) -> Result<Drawn, GateError> {
        let path = self.path(number, "json");
        let content = |path: &Path, fault: String| GateError::Content { path: path.to_owned(), fault };
        let text = fs::read(&path).map_err(GateError::io("read", &path))?;
        let facts: Facts = serde_json::from_slice(&text).map_err(|error| content(&path, error.to_string()))?;
        if facts.prompt != self.asked[number].prompt {
            return Err(content(&path, format!("it is of the prompt {:?}", facts.prompt)));
        }
        let path = self.path(number, "png");
        let page = image::open(&path).map_err(GateError::picture(&path))?.to_rgb8();
        let (width, height) = (page.width() / self.pictures, page.height() / ROWS);
        let row = |row: u32| -> Vec<RgbImage> {
            let cut = |column: u32| imageops::crop_imm(&page, column * width, row * height, width, height).to_image();
            (0..self.pictures).map(cut).collect()
        };
        Ok(Drawn { champion: row(0), candidate: row(1), reference: row(2), facts })
    }
}

/// Both packs, ready to draw.
struct Easel<'a> {
    gate: &'a GeneratorGate,
    champion: Pipeline,
    candidate: Pipeline,
}

impl<'a> Easel<'a> {
    fn open(gate: &'a GeneratorGate, packs: &[Pack; 2]) -> Result<Self, GateError> {
        let settings = PipelineSettings { threads: gate.threads, ..PipelineSettings::default() };
        let (champion, candidate) = (Pipeline::load(&packs[0], &settings)?, Pipeline::load(&packs[1], &settings)?);
        let sizes = (champion.default_size(), candidate.default_size());
        if sizes.0 != sizes.1 {
            return Err(GateError::Size { champion: sizes.0, candidate: sizes.1 });
        }
        Ok(Self { gate, champion, candidate })
    }

    /// The first call of a session is slower; it is nobody's.
    fn warm(&mut self, prompt: &str) -> Result<(), GateError> {
        let request = self.request(prompt, 0);
        for pipeline in [&mut self.champion, &mut self.candidate] {
            timed(pipeline, &request)?;
        }
        Ok(())
    }

    /// Champion and candidate take turns in being first, so that a machine that grows busy slows neither more than the other.
    fn draw(&mut self, number: usize, prompt: &str) -> Result<Drawn, GateError> {
        let seed =
            |what: &str| Random::stream(self.gate.seed, &format!("gate, {what} of prompt {number}")).bits() as u32;
        let (request, other) =
            (self.request(prompt, seed("pictures")), self.request(prompt, seed("reference pictures")));
        let ((champion, first), (candidate, second)) = if number.is_multiple_of(2) {
            let champion = timed(&mut self.champion, &request)?;
            (champion, timed(&mut self.candidate, &request)?)
        } else {
            let candidate = timed(&mut self.candidate, &request)?;
            (timed(&mut self.champion, &request)?, candidate)
        };
        let (reference, _) = timed(&mut self.champion, &other)?;
        let flagged = self.flagged(&champion)?.zip(self.flagged(&candidate)?).map(|(one, other)| [one, other]);
        let facts = Facts { prompt: prompt.to_owned(), seconds: [first, second], flagged };
        Ok(Drawn { champion, candidate, reference, facts })
    }

    fn request(&self, prompt: &str, seed: u32) -> Request {
        let GeneratorGate { pictures: count, steps, .. } = *self.gate;
        Request { prompt: prompt.to_owned(), count, steps, seed, ..Request::default() }
    }

    /// How many the champion's safety checker flags, if there is one.
    fn flagged(&mut self, pictures: &[RgbImage]) -> Result<Option<usize>, GateError> {
        let mut sum = 0;
        for picture in pictures {
            let Some(flagged) = self.champion.flags(picture)? else { return Ok(None) };
            sum += usize::from(flagged);
        }
        Ok(Some(sum))
    }
}

/// The pictures, and seconds for each. Guidance and scheduler are the pack's own.
fn timed(pipeline: &mut Pipeline, request: &Request) -> Result<(Vec<RgbImage>, f64), GateError> {
    let request = Request { guidance: pipeline.default_guidance(), ..request.clone() };
    let began = Instant::now();
    let made = pipeline.run(&request, &mut |_| {})?;
    let seconds = began.elapsed().as_secs_f64() / request.count.max(1) as f64;
    Ok((made.pictures.into_iter().map(|picture| picture.pixels).collect(), seconds))
}
