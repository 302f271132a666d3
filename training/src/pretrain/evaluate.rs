//! What the whole pack draws, rated: seen-object prompts at default settings, by category.

use std::fmt::Write;

use image::RgbImage;
use plaudit::{
    pack::Pack,
    pipeline::{Pipeline, PipelineSettings, Request},
};

use super::{
    PretrainError, Workshop,
    journal::{self, Mark},
    leg, sealing,
};
use crate::{
    miniature::{
        draw::sheet,
        grammar::{Category, Object, Scene},
        rate::{Verdict, judge, observe},
    },
    random::Random,
};

/// Pictures of each category on the sheet, and how large they are shown.
const SHOWN: usize = 12;
const SCALE: u32 = 2;

/// One picture and what the rater says of it.
struct Rated {
    scene: Scene,
    picture: RgbImage,
    verdict: Verdict,
}

/// Writes the pack's golden outputs and manifest, draws `workshop.pictures` prompts, and writes a table and a sheet.
pub(super) fn run(workshop: &Workshop) -> Result<(), PretrainError> {
    sealing::seal(workshop)?;
    let pack = Pack::open(&workshop.pack)?;
    let mut pipeline =
        Pipeline::load(&pack, &PipelineSettings { threads: workshop.threads, ..PipelineSettings::default() })?;
    let mut random = Random::stream(workshop.seed, "evaluation");
    let seen: Vec<Object> = Object::seen().collect();
    let mut rated = Vec::with_capacity(workshop.pictures);
    for index in 0..workshop.pictures {
        let scene = Scene::sample(Category::ALL[index % Category::ALL.len()], &seen, &mut random);
        let guidance = workshop.guidance.unwrap_or(pipeline.default_guidance());
        let request = Request { prompt: scene.prompt(), seed: index as u32, guidance, ..Request::default() };
        let generation = pipeline.run(&request, &mut |_| {})?;
        rated.extend(generation.pictures.into_iter().map(|picture| {
            let verdict = judge(&observe(&picture.pixels), &scene);
            Rated { scene, picture: picture.pixels, verdict }
        }));
    }
    write_results(workshop, &rated)
}

fn write_results(workshop: &Workshop, rated: &[Rated]) -> Result<(), PretrainError> {
    let directory = leg::directory(workshop, "evaluation");
    std::fs::create_dir_all(&directory).map_err(PretrainError::io(&directory))?;
    let path = directory.join("table.md");
    let table = table(rated);
    tracing::info!("evaluation:\n{table}");
    std::fs::write(&path, table).map_err(PretrainError::io(path))?;
    let path = directory.join("sheet.png");
    let written = sheet(&shown(rated), SHOWN as u32, SCALE).save(&path);
    written.map_err(|source| PretrainError::Picture { path, source })?;
    let share = |category| share(rated.iter().filter(|one| one.scene.category() == category), Verdict::is_good);
    let others = [Category::Object, Category::Colour, Category::Background].map(share);
    let next_weakest = others.into_iter().fold(1.0, f64::min);
    let marks = [
        Mark { what: "good", reached: self::share(rated.iter(), Verdict::is_good), pass: 0.4..=0.7 },
        Mark { what: "good_object", reached: share(Category::Object), pass: 0.5..=1.0 },
        Mark { what: "good_count", reached: share(Category::Count), pass: 0.0..=1.0 },
        Mark { what: "good_colour", reached: share(Category::Colour), pass: 0.5..=1.0 },
        Mark { what: "good_background", reached: share(Category::Background), pass: 0.0..=1.0 },
        Mark { what: "good_composition", reached: share(Category::Composition), pass: 0.0..=1.0 },
        // Of prompts that say one thing, a count is the hardest, as for the paper's model: that is what votes are to mend.
        Mark { what: "count_minus_next_weakest", reached: share(Category::Count) - next_weakest, pass: -1.0..=0.0 },
    ];
    journal::record(workshop, "evaluation", None, &marks)
}

/// The first pictures of each category, a row each.
fn shown(rated: &[Rated]) -> Vec<RgbImage> {
    let of = |category| rated.iter().filter(move |one| one.scene.category() == category).take(SHOWN);
    Category::ALL.into_iter().flat_map(of).map(|one| one.picture.clone()).collect()
}

fn share<'a>(rated: impl Iterator<Item = &'a Rated>, right: impl Fn(&Verdict) -> bool) -> f64 {
    let (right, all) = rated.fold((0, 0), |(sum, all), one| (sum + usize::from(right(&one.verdict)), all + 1));
    right as f64 / f64::from(all.max(1))
}

/// Markdown: a row for each category, then all; shares in percent.
fn table(rated: &[Rated]) -> String {
    let mut text = String::from(
        "| prompts | pictures | good | object right | count right | colour right | background right |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut row = |name: &str, rows: &[&Rated]| {
        let percent = |right: fn(&Verdict) -> bool| 100.0 * share(rows.iter().copied(), right);
        let (good, object) = (percent(Verdict::is_good), percent(|verdict| verdict.object));
        let (count, colour) = (percent(|verdict| verdict.count), percent(|verdict| verdict.colour));
        let place = percent(|verdict| verdict.background);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {name} | {} | {good:.1} | {object:.1} | {count:.1} | {colour:.1} | {place:.1} |",
            rows.len()
        );
    };
    for category in Category::ALL {
        let rows: Vec<&Rated> = rated.iter().filter(|one| one.scene.category() == category).collect();
        row(category.word(), &rows);
    }
    row("all", &rated.iter().collect::<Vec<_>>());
    text
}
