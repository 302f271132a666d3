//! Draws the pictures that were labelled by hand, at the pack's default settings:
//! `cargo run --workspace --example hand_pictures -- training/tests/hand_labelled/first`, and with `--seed 43000` those of `second`.
//! Writes one PNG each and `pictures.csv` (file, prompt, seed), to which the labels were added by hand; no judge sees them here.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use clap::Parser;
use plaudit::{
    pack::Pack,
    pipeline::{Pipeline, PipelineSettings, Request},
};
use plaudit_training::{
    miniature::grammar::{Category, Object, Scene},
    random::Random,
};

/// Pictures of each object in each category: 360 in all.
const EACH: usize = 6;

#[derive(Parser)]
struct Arguments {
    /// Where pictures and table go.
    folder: PathBuf,
    /// The pack that draws.
    #[arg(long, default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// Seed of prompts and first seed of pictures: the sets' are used nowhere else.
    #[arg(long, default_value_t = 41_000)]
    seed: u32,
}

fn main() -> anyhow::Result<()> {
    let Arguments { folder, pack, seed: first } = Arguments::parse();
    std::fs::create_dir_all(folder.join("pictures"))?;
    let mut pipeline = Pipeline::load(&Pack::open(&pack)?, &PipelineSettings::default())?;
    let mut table = String::from("file,prompt,seed\n");
    for (index, scene) in scenes(first).iter().enumerate() {
        let seed = first + index as u32;
        let file = format!("pictures/{index:03}.png");
        draw(&mut pipeline, scene, seed, &folder.join(&file))?;
        writeln!(table, "{file},{scene},{seed}")?;
    }
    Ok(std::fs::write(folder.join("pictures.csv"), table)?)
}

/// As many of every object in every category, shuffled: neighbours on a sheet tell nothing of each other.
fn scenes(seed: u32) -> Vec<Scene> {
    let mut random = Random::stream(seed.into(), "hand-labelled prompts");
    let kinds = Category::ALL.into_iter().flat_map(|category| Object::ALL.map(|object| (category, object)));
    let each = kinds.flat_map(|kind| std::iter::repeat_n(kind, EACH));
    let mut scenes: Vec<Scene> =
        each.map(|(category, object)| Scene::sample(category, &[object], &mut random)).collect();
    random.shuffle(&mut scenes);
    scenes
}

fn draw(pipeline: &mut Pipeline, scene: &Scene, seed: u32, path: &Path) -> anyhow::Result<()> {
    let guidance = pipeline.default_guidance();
    let request = Request { prompt: scene.prompt(), seed, guidance, ..Request::default() };
    for picture in pipeline.run(&request, &mut |_| {})?.pictures {
        picture.pixels.save(path)?;
    }
    Ok(())
}
