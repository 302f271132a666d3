//! A pack with a safety checker: what it flags is drawn, and withheld from whoever asked.

use std::{fs, path::Path, sync::Arc};

use anyhow::Result;
use image::RgbImage;
use plaudit::{
    domain::Owner,
    engine::{Class, Engine, EngineSettings, Event, Order, Stage, Timings},
    jobs::{ImageFormat, JobEventKind, JobSettings, Jobs, Submission},
    metrics::Metrics,
    pack::{Component, Edits, Pack, seal},
    pipeline::Request,
    runtime::{Device, SessionSettings},
    store::Store,
};
use plaudit_onnx::{DType, expr::Builder};

fn bundled() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() {
            copy(&entry, &target)?;
        } else {
            fs::copy(entry, target)?;
        }
    }
    Ok(())
}

/// The bundled pack with a checker that flags pictures brighter than `threshold`, of 0 … 1, on average.
fn pack_that_flags(folder: &Path, threshold: f32) -> Result<Pack> {
    copy(&bundled(), folder)?;
    let b = Builder::new("brightness", 18);
    let seen = b.input("clip_input", DType::F32, &["batch".into(), 3.into(), 224.into(), 224.into()]);
    let images = b.input("images", DType::F32, &["batch".into(), "height".into(), "width".into(), 3.into()]);
    let brightness = images.mean(&[1, 2, 3], false);
    // What CLIP sees has no say here, but a checker must read it.
    let brightness = brightness + seen.mean(&[1, 2, 3], false) * 0.0;
    b.output("has_nsfw_concepts", &brightness.greater(&b.constant(threshold)));
    b.finish()?.write(&folder.join(Component::SafetyChecker.folder()))?;
    seal(folder, "checked", &Edits::default(), &SessionSettings::default(), |_| ())?;
    Ok(Pack::open(folder)?)
}

fn order() -> Order {
    let request = Request { prompt: "two blue stars".into(), steps: 4, count: 2, ..Request::default() };
    Order {
        request,
        client: "alice".into(),
        class: Class::Interactive,
        deadline: None,
        previews: 0,
        optional: 0,
        deterministic: false,
    }
}

fn engine(pack: &Pack, metrics: &Metrics) -> Result<Arc<Engine>> {
    Ok(Arc::new(Engine::start(pack, Device::Cpu, &EngineSettings::default(), metrics.clone())?))
}

/// Both pictures, in the order of their seeds, and where the time went.
async fn draw(engine: &Engine) -> Result<([Option<RgbImage>; 2], Timings)> {
    let mut ticket = engine.submit(order())?;
    let mut pictures = [None, None];
    while let Some(event) = ticket.next().await {
        match event {
            Event::Picture { picture, image, .. } => pictures[picture] = image,
            Event::Finished { timings, .. } => return Ok((pictures, timings)),
            Event::Failed(failure) => return Err(failure.into()),
            _ => {}
        }
    }
    anyhow::bail!("no end")
}

fn brightness(image: &RgbImage) -> f32 {
    image.iter().map(|&byte| f32::from(byte) / 255.0).sum::<f32>() / image.len() as f32
}

/// Which pictures a job withheld, and how many jobs were observed in the safety checker so far.
async fn withheld(engine: &Arc<Engine>, metrics: &Metrics) -> Result<(Vec<bool>, u64)> {
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
    let jobs = Jobs::open(store, engine.clone(), metrics.clone(), None, JobSettings::default()).await?;
    let submission = Submission {
        owner: Owner::session("alice"),
        order: order(),
        choosing: None,
        format: ImageFormat::Png,
        keep: false,
        rater: None,
        idempotency: None,
        model: engine.model().name,
        warnings: vec![],
        request_id: None,
        traceparent: None,
    };
    let mut listener = jobs.submit(submission).await?;
    while let Some(event) = listener.next().await {
        if let JobEventKind::Completed(result) = event.kind {
            let observed = metrics.stage_seconds.with_label_values(&["safety"]).get_sample_count();
            return Ok((result.images.iter().map(|image| image.withheld).collect(), observed));
        }
    }
    anyhow::bail!("not completed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flagged_picture_is_withheld_and_its_neighbour_is_not() -> Result<()> {
    let metrics = Metrics::new();
    let unchecked = engine(&Pack::open(&bundled())?, &metrics)?;
    let (pictures, timings) = draw(&unchecked).await?;
    assert_eq!(timings.total(Stage::Safety), None);
    assert_eq!(withheld(&unchecked, &metrics).await?, (vec![false; 2], 0));
    let [Some(first), Some(second)] = pictures else { panic!("without a checker everything is shown") };
    let (one, other) = (brightness(&first), brightness(&second));
    assert!((one - other).abs() > 0.01, "{one} and {other} are too alike for this test");

    let folder = tempfile::tempdir()?;
    let checked = engine(&pack_that_flags(folder.path(), (one + other) / 2.0)?, &metrics)?;
    let (pictures, timings) = draw(&checked).await?;
    assert!(timings.total(Stage::Safety).is_some_and(|time| !time.is_zero()), "{timings:?}");
    let expected = if one > other { [None, Some(second)] } else { [Some(first), None] };
    assert!(pictures == expected, "{:?}", pictures.map(|picture| picture.map(|image| brightness(&image))));
    assert_eq!(withheld(&checked, &metrics).await?, (vec![one > other, other > one], 1));
    Ok(())
}
