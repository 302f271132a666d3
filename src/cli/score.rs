//! `plaudit score`: pictures and prompts in, a table or JSON out.

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::{Context, bail};
use clap::Args;
use image::RgbImage;
use plaudit::{
    metrics::Metrics,
    pack::Pack,
    scoring::{Score, Scorer, ScoringSettings},
    settings::DeviceChoice,
};
use serde_json::{Value, json};

use super::generate::locate;

/// What `plaudit score` is told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Picture files: PNG, JPEG or WebP
    #[arg(required = true, value_name = "IMAGES")]
    images: Vec<PathBuf>,

    /// What the pictures may show; several are scored one by one
    #[arg(long, required = true)]
    prompt: Vec<String>,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,

    /// Write there instead of printing
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The pack whose CLIP and reward score; by default the bundled one
    #[arg(long, value_name = "DIR")]
    pack: Option<PathBuf>,

    /// The reward pack; by default `reward` inside of the pack, where it is there
    #[arg(long, value_name = "DIR")]
    reward: Option<PathBuf>,

    /// auto (a GPU if one can be used), cpu, cuda or cuda:N
    #[arg(long, default_value_t)]
    device: DeviceChoice,

    /// Threads inside one operator; 0: one for each core
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

/// One line of the table.
struct Line<'a> {
    prompt: &'a str,
    image: String,
    score: Score,
}

/// Scores and prints what was asked for.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let images = arguments.images.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let scorer = scorer(&arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut lines = Vec::new();
    for prompt in &arguments.prompt {
        let scores = runtime.block_on(scorer.score(prompt, images.clone()))?;
        let named = arguments.images.iter().map(|path| path.display().to_string()).zip(scores);
        lines.extend(named.map(|(image, score)| Line { prompt, image, score }));
    }
    let version = scorer.reward_version();
    let text =
        if arguments.json { format!("{:#}\n", document(&lines, &scorer)) } else { table(&lines, version.as_deref()) };
    match &arguments.output {
        Some(path) => fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?,
        None => print!("{text}"),
    }
    Ok(())
}

fn read(path: &PathBuf) -> anyhow::Result<Arc<RgbImage>> {
    let reader = image::ImageReader::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let picture = reader.with_guessed_format()?.decode();
    let picture = picture.with_context(|| format!("{} is not a PNG, JPEG or WebP file", path.display()))?;
    Ok(Arc::new(picture.into_rgb8()))
}

fn scorer(arguments: &Arguments) -> anyhow::Result<Scorer> {
    let folder = arguments.pack.clone().map_or_else(locate::bundled_pack, Ok)?;
    let pack = Pack::open(&folder)?;
    let device = arguments.device.resolve()?;
    plaudit::runtime::share_threads(arguments.threads, false);
    let settings = ScoringSettings { reward: arguments.reward.clone(), ..ScoringSettings::default() };
    match Scorer::start(&pack, device, &settings, Metrics::new())? {
        Some(scorer) => Ok(scorer),
        None => bail!(
            "{} has no CLIP (clip/text_model.onnx and clip/vision_model.onnx), so it cannot score pictures; \
             give a pack that has one with --pack DIR",
            pack.version()
        ),
    }
}

fn document(lines: &[Line<'_>], scorer: &Scorer) -> Value {
    let entry = |Line { prompt, image, score }: &Line<'_>| {
        let Score { reward, clip_score, normalized_score } = score;
        json!({"prompt": prompt, "image": image, "reward": reward, "clip_score": clip_score, "normalized_score": normalized_score})
    };
    let data: Vec<Value> = lines.iter().map(entry).collect();
    json!({"data": data, "clip_version": scorer.clip_version(), "reward_version": scorer.reward_version()})
}

fn table(lines: &[Line<'_>], version: Option<&str>) -> String {
    let number = |value: Option<f32>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    let mut text = format!("{:>7}  {:>7}  {:>10}  {:<40}  prompt\n", "reward", "clip", "normalized", "image");
    for Line { prompt, image, score } in lines {
        text += &format!(
            "{:>7}  {:>7}  {:>10}  {image:<40}  {prompt}\n",
            number(score.reward),
            number(Some(score.clip_score)),
            number(score.normalized_score)
        );
    }
    match version {
        Some(version) => text + &format!("reward: {version}, the probability of a thumbs-up\n"),
        None => text + "reward: this pack has none; see `plaudit-train reward`\n",
    }
}
