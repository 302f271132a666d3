//! Draws the pictures, a prompt at a time, and goes on where a run before stopped.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use plaudit::{
    pack::Pack,
    pipeline::{
        Pipeline, PipelineSettings, Request,
        encode::{Provenance, png},
    },
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Ask, CollectError, Collection, Prompts};
use crate::random::Random;

/// The pictures in the order in which they were drawn.
const DRAWN: &str = "drawn.jsonl";
/// What the collection was begun with.
const SETTINGS: &str = "collect.json";
const IMAGES: &str = "images";
/// How often a line is logged where there is no terminal for a bar.
const LINE_EVERY: Duration = Duration::from_secs(60);
/// Bytes of a hash that make an image's id.
const ID_BYTES: usize = 16;

/// A picture that was drawn; a line of `drawn.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// Name of the picture, a UUID of version 8 over model, prompt and seed.
    pub image_id: String,
    /// The file, below the dataset's directory.
    pub file_name: String,
    /// What was asked for.
    #[serde(flatten)]
    pub ask: Ask,
    /// Number of the prompt, from 0.
    pub prompt_number: usize,
    /// The pack that drew it.
    pub model_version: String,
    /// The seed.
    pub seed: u32,
}

/// Draws what is missing; returns every picture, in order.
pub(super) fn all(collection: &Collection, asked: &[Ask]) -> Result<Vec<Drawn>, CollectError> {
    let folder = collection.out.join(IMAGES);
    fs::create_dir_all(&folder).map_err(CollectError::io("create", &folder))?;
    let pack = Pack::open(&collection.pack)?;
    begin(collection, &pack.version())?;
    let mut journal = Journal::open(&collection.out.join(DRAWN), collection.images)?;
    journal.drawn.truncate(asked.len() * collection.images);
    let first = journal.drawn.len() / collection.images.max(1);
    if first >= asked.len() {
        return Ok(journal.drawn);
    }
    let settings = PipelineSettings { threads: collection.threads, ..PipelineSettings::default() };
    let mut pipeline = Pipeline::load(&pack, &settings)?;
    let mut progress = Progress::start("collect", first * collection.images, asked.len() * collection.images);
    for (number, ask) in asked.iter().enumerate().skip(first) {
        let drawn = one(collection, &mut pipeline, number, ask)?;
        journal.append(drawn)?;
        progress.show(journal.drawn.len());
    }
    Ok(journal.drawn)
}

/// Draws one prompt's pictures and writes their files.
fn one(collection: &Collection, pipeline: &mut Pipeline, number: usize, ask: &Ask) -> Result<Vec<Drawn>, CollectError> {
    let seed = Random::stream(collection.seed, &format!("pictures of prompt {number}")).bits() as u32;
    let request = Request {
        prompt: ask.prompt.clone(),
        count: collection.images,
        seed,
        guidance: pipeline.default_guidance(),
        ..Request::default()
    };
    let generation = pipeline.run(&request, &mut |_| {})?;
    let version = pipeline.version();
    let provenance = Provenance { request: &request, scheduler: pipeline.default_scheduler()?, version };
    let write = |picture: &plaudit::pipeline::Picture| {
        let image_id = id(version, &ask.prompt, picture.seed);
        let file_name = format!("{IMAGES}/{image_id}.png");
        let path = collection.out.join(&file_name);
        let encoded = png(picture, &provenance)
            .map_err(|error| CollectError::Encode { path: path.clone(), source: error.into() })?;
        durable(&path, &encoded)?;
        let model_version = version.to_owned();
        Ok(Drawn { image_id, file_name, ask: ask.clone(), prompt_number: number, model_version, seed: picture.seed })
    };
    generation.pictures.par_iter().map(write).collect()
}

fn durable(path: &Path, bytes: &[u8]) -> Result<(), CollectError> {
    let written = File::create(path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(CollectError::io("write", path))
}

/// A UUID of version 8 (RFC 9562, 5.8) over what determines the picture.
fn id(version: &str, prompt: &str, seed: u32) -> String {
    let digest = Sha256::digest(format!("{version}\n{prompt}\n{seed}"));
    let mut bytes = [0; ID_BYTES];
    bytes.copy_from_slice(&digest[..ID_BYTES]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = crate::checkpoint::hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Writes what the collection is made with, or compares it with what it was begun with.
fn begin(collection: &Collection, version: &str) -> Result<(), CollectError> {
    let path = collection.out.join(SETTINGS);
    let prompts = match &collection.prompts {
        Prompts::Grammar { held_out, .. } => json!({"grammar": {"held_out": held_out}}),
        Prompts::File(path) => json!({"file": path}),
    };
    let now = json!({
        "model_version": version, "images": collection.images, "seed": collection.seed, "prompts": prompts,
    });
    if !path.exists() {
        return durable(&path, format!("{now:#}\n").as_bytes());
    }
    let text = fs::read(&path).map_err(CollectError::io("read", &path))?;
    let before: Value = serde_json::from_slice(&text).unwrap_or_default();
    let differs = ["model_version", "images", "seed", "prompts"].into_iter().find(|field| before[field] != now[field]);
    differs.map_or(Ok(()), |field| {
        let (before, now) = (before[field].to_string(), now[field].to_string());
        Err(CollectError::Begun { path: collection.out.clone(), field: field.to_owned(), before, now })
    })
}

/// `drawn.jsonl`: appended to prompt by prompt, so that a kill costs at most the prompt at hand.
struct Journal {
    path: PathBuf,
    file: File,
    drawn: Vec<Drawn>,
}

impl Journal {
    /// Reads the whole prompts of `images` lines each, and cuts off what a kill left half written.
    fn open(path: &Path, images: usize) -> Result<Self, CollectError> {
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).open(path);
        let mut file = opened.map_err(CollectError::io("open", path))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(CollectError::io("read", path))?;
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        let whole = ends.len() / images.max(1) * images;
        let kept = if whole == 0 { 0 } else { ends[whole - 1] };
        let parse = |(at, line): (usize, &str)| {
            let fault = |error: serde_json::Error| error.to_string();
            serde_json::from_str(line).map_err(|error| CollectError::Line {
                path: path.to_owned(),
                line: at + 1,
                fault: fault(error),
            })
        };
        let drawn = text[..kept].lines().enumerate().map(parse).collect::<Result<_, _>>()?;
        file.set_len(kept as u64)
            .and_then(|()| file.seek(SeekFrom::Start(kept as u64)))
            .map_err(CollectError::io("cut", path))?;
        Ok(Self { path: path.to_owned(), file, drawn })
    }

    fn append(&mut self, drawn: Vec<Drawn>) -> Result<(), CollectError> {
        let line = |drawn: &Drawn| serde_json::to_string(drawn).map(|line| line + "\n");
        let lines = drawn.iter().map(line).collect::<Result<String, _>>();
        let written = lines.map_err(Into::into).and_then(|text| self.file.write_all(text.as_bytes()));
        written.and_then(|()| self.file.sync_data()).map_err(CollectError::io("write", &self.path))?;
        self.drawn.extend(drawn);
        Ok(())
    }
}

/// A bar, or a line now and then where there is no terminal.
pub(crate) struct Progress {
    /// Whose pictures these are, in log lines.
    what: &'static str,
    bar: ProgressBar,
    logged: Instant,
    began: Instant,
    first: usize,
    all: usize,
}

impl Progress {
    /// `first` of `all` pictures are there already.
    pub(crate) fn start(what: &'static str, first: usize, all: usize) -> Self {
        let style = ProgressStyle::with_template("drawing {wide_bar} {pos}/{len} · {per_sec} · {eta} left");
        let bar = ProgressBar::new(all as u64).with_position(first as u64);
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if first > 0 {
            tracing::info!("{what}: going on after {first} of {all} pictures");
        }
        Self { what, bar, logged: Instant::now(), began: Instant::now(), first, all }
    }

    /// `done` pictures are there.
    pub(crate) fn show(&mut self, done: usize) {
        self.bar.set_position(done as u64);
        if self.bar.is_hidden() && (self.logged.elapsed() >= LINE_EVERY || done == self.all) {
            let rate = (done - self.first) as f64 / self.began.elapsed().as_secs_f64();
            tracing::info!("{}: {done} of {} pictures, {rate:.1} a second", self.what, self.all);
            self.logged = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(number: usize) -> Drawn {
        let ask = Ask { prompt: "a star".into(), part: None };
        Drawn {
            image_id: id("m@1", "a star", number as u32),
            file_name: "images/a.png".into(),
            ask,
            prompt_number: number,
            model_version: "m@1".into(),
            seed: number as u32,
        }
    }

    #[test]
    fn an_id_is_a_uuid_of_version_8() {
        let id = id("m@1", "a star", 7);
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert!(id.as_bytes()[14] == b'8' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }

    #[test]
    fn a_journal_keeps_whole_prompts_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(DRAWN);
        let mut journal = Journal::open(&path, 2).expect("a journal");
        journal.append(vec![drawn(0), drawn(1)]).expect("two lines");
        journal.append(vec![drawn(2)]).expect("half a prompt");
        journal.file.write_all(b"{\"image_id\":").expect("a torn line");
        let mut journal = Journal::open(&path, 2).expect("a journal");
        assert_eq!(journal.drawn, [drawn(0), drawn(1)]);
        journal.append(vec![drawn(2), drawn(3)]).expect("two lines");
        assert_eq!(Journal::open(&path, 2).expect("a journal").drawn.len(), 4);
    }
}
