//! Pictures a second of scoring, as a process of its own: one side of `compare.py`, which says how to run it.
//!
//! Each request has one prompt and as many pictures as `--batch`; preparing, both encoders and the cosines are measured, decoding
//! is not. Pictures follow a formula that the peers share, so that the scores printed last can be compared.

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Context, Result};
use clap::Parser;
use image::{Rgb, RgbImage};
use plaudit::{
    metrics::Metrics,
    pack::Pack,
    runtime::{Device, share_threads},
    scoring::{Scorer, ScoringSettings},
};

/// Measure scoring.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// Pictures of a request.
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Requests, each with another prompt; the first is a warm-up.
    #[arg(long, default_value_t = 33)]
    requests: usize,
    /// Width and height of the pictures.
    #[arg(long, default_value_t = 64)]
    side: u32,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Picture `index`: channel c of (x, y) is (3x + 7·index) xor 5y(c + 1), modulo 256.
fn picture(index: usize, side: u32) -> RgbImage {
    let channel = |x: u32, y: u32, c: u32| ((3 * x + 7 * index as u32) ^ (5 * y * (c + 1))) as u8;
    RgbImage::from_fn(side, side, |x, y| Rgb([0, 1, 2].map(|c| channel(x, y, c))))
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    share_threads(arguments.threads, true);
    let pack = Pack::open(&arguments.pack)?;
    // Nothing but the prompt itself, as the peers do.
    let settings = ScoringSettings { contrasts: 0, max_batch: arguments.batch, ..ScoringSettings::default() };
    let scorer = Scorer::start(&pack, Device::Cpu, &settings, Metrics::new())?.context("the pack has no CLIP")?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (mut seconds, mut last) = (Vec::new(), Vec::new());
    for request in 0..arguments.requests {
        let at = |index| picture(request * arguments.batch + index, arguments.side);
        let pictures: Vec<Arc<RgbImage>> = (0..arguments.batch).map(at).map(Arc::new).collect();
        let prompt = format!("{request} blue stars on the beach");
        let began = Instant::now();
        last = runtime.block_on(scorer.score(&prompt, pictures))?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    let scores: Vec<f32> = last.iter().map(|score| score.clip_score).collect();
    println!("{}", serde_json::json!({"seconds": seconds, "scores": scores}));
    Ok(())
}
