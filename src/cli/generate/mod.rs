//! `plaudit generate`: prompts in, PNG files out.

mod choose;
pub(crate) mod locate;
mod output;

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use plaudit::{
    pack::Pack,
    pipeline::{Generation, Pipeline, PipelineSettings, Request, encode::Provenance, schedule::SchedulerKind},
    runtime::SessionSettings,
    settings::DeviceChoice,
};

use choose::{Chosen, Judge};
use output::Output;

/// What `plaudit generate` is told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What to draw; several prompts draw one after the other
    #[arg(required_unless_present = "prompts")]
    prompt: Vec<String>,

    /// A file with one prompt a line; empty lines and lines that start with # are passed over
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,

    /// Pictures of each prompt; picture i uses seed + i
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,

    /// Candidates of each prompt, of which the best N by reward are written, best first
    #[arg(long, value_name = "CANDIDATES", value_parser = clap::value_parser!(u32).range(1..))]
    best_of: Option<u32>,

    /// The reward that chooses; by default the pack's own, or CLIP's score where it has none
    #[arg(long, value_name = "DIR", requires = "best_of")]
    reward: Option<PathBuf>,

    /// The first picture's seed, modulo 2^32; by default a random one
    #[arg(long)]
    seed: Option<u64>,

    /// Steps of the scheduler
    #[arg(long, default_value_t = Request::default().steps)]
    steps: usize,

    /// How strongly the prompt steers; 1 and below turns guidance off and halves the work; by default the pack's own
    #[arg(long)]
    guidance: Option<f32>,

    /// ddim, pndm, euler, euler_a, dpmpp_2m, dpmpp_2m_karras or diffusers' class name; by default the pack's own
    #[arg(long)]
    scheduler: Option<SchedulerKind>,

    /// What to steer away from
    #[arg(long, default_value = "")]
    negative: String,

    /// Width and height in pixels; by default the pack's own
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<(usize, usize)>,

    /// Where the pictures go
    #[arg(short, long, default_value = "out", value_name = "DIR")]
    output: PathBuf,

    /// Also write all pictures as one contact sheet
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,

    /// The pack to draw with; by default the bundled one
    #[arg(long, value_name = "DIR")]
    pack: Option<PathBuf>,

    /// auto (a GPU if one can be used), cpu, cuda or cuda:N
    #[arg(long, default_value_t)]
    device: DeviceChoice,

    /// Threads inside one operator; 0: one for each core
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

fn size(text: &str) -> Result<(usize, usize), String> {
    let parsed = text.split_once(['x', '×']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    parsed.ok_or_else(|| format!("{text:?} is not a size such as 64x64"))
}

/// Draws and writes what was asked for.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut requests = requests(&arguments)?;
    let mut output = Output::open(&arguments.output, arguments.sheet.as_deref())?;
    let Loaded { mut pipeline, mut judge } = load(&arguments)?;
    let guidance = arguments.guidance.unwrap_or_else(|| pipeline.default_guidance());
    requests.iter_mut().for_each(|request| request.guidance = guidance);
    let bar = progress_bar(&pipeline, &requests)?;
    let begun = Instant::now();
    for request in &requests {
        bar.set_message(request.prompt.clone());
        let drawn = draw(&mut pipeline, request, &bar)?;
        let scheduler = request.scheduler.map_or_else(|| pipeline.default_scheduler(), Ok)?;
        let provenance = Provenance { request, scheduler, version: pipeline.version() };
        let Some(judge) = &mut judge else {
            for path in output.write(&drawn.pictures, &provenance)? {
                bar.suspend(|| println!("{}", path.display()));
            }
            continue;
        };
        for Chosen { picture, rank, score } in judge.best(&request.prompt, drawn.pictures, arguments.n as usize)? {
            let facts = format!("{} {score:.3}, rank {rank} of {}", judge.name(), request.count);
            for path in output.write(&[picture], &provenance)? {
                bar.suspend(|| println!("{}  {facts}", path.display()));
            }
        }
    }
    bar.finish_and_clear();
    if let Some(path) = output.finish(&requests, arguments.n as usize)? {
        println!("{}", path.display());
    }
    report(&requests, begun);
    Ok(())
}

fn requests(arguments: &Arguments) -> anyhow::Result<Vec<Request>> {
    let mut prompts = arguments.prompt.clone();
    if let Some(path) = &arguments.prompts {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        prompts.extend(lines.map(str::to_owned));
        ensure!(!prompts.is_empty(), "{} holds no prompt", path.display());
    }
    let seed = arguments.seed.map_or_else(random_seed, |seed| seed as u32);
    let request = |prompt| Request {
        prompt,
        negative_prompt: arguments.negative.clone(),
        count: arguments.best_of.unwrap_or(0).max(arguments.n) as usize,
        seed,
        steps: arguments.steps,
        scheduler: arguments.scheduler,
        size: arguments.size,
        ..Request::default()
    };
    Ok(prompts.into_iter().map(request).collect())
}

/// The standard library's hash keys are random for each process.
fn random_seed() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(()) as u32
}

/// What draws, and what chooses if there is a choice.
struct Loaded {
    pipeline: Pipeline,
    judge: Option<Judge>,
}

fn load(arguments: &Arguments) -> anyhow::Result<Loaded> {
    let folder = arguments.pack.clone().map_or_else(locate::bundled_pack, Ok)?;
    let pack = Pack::open(&folder)?;
    let device = arguments.device.resolve()?;
    let settings = PipelineSettings { device, threads: arguments.threads, ..PipelineSettings::default() };
    let pipeline = Pipeline::load(&pack, &settings)?;
    let chooses = arguments.best_of.is_some_and(|candidates| candidates > arguments.n);
    let sessions = SessionSettings { device, threads: arguments.threads, ..SessionSettings::default() };
    let judge = chooses.then(|| Judge::open(&pack, &folder, arguments.reward.as_deref(), &sessions)).transpose()?;
    Ok(Loaded { pipeline, judge })
}

/// One tick for each call of the denoiser and picture. It is drawn on a terminal only.
fn progress_bar(pipeline: &Pipeline, requests: &[Request]) -> anyhow::Result<ProgressBar> {
    let mut ticks = 0;
    for request in requests {
        ticks += pipeline.calls(request)? * request.count;
    }
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} steps, {eta} left · {wide_msg}")?;
    Ok(ProgressBar::new(ticks as u64).with_style(style))
}

fn draw(pipeline: &mut Pipeline, request: &Request, bar: &ProgressBar) -> anyhow::Result<Generation> {
    let before = bar.position();
    let drawn = pipeline.run(request, &mut |progress| bar.set_position(before + progress.done as u64))?;
    for warning in &drawn.warnings {
        bar.suspend(|| eprintln!("warning: {warning}"));
    }
    Ok(drawn)
}

fn report(requests: &[Request], begun: Instant) {
    let pictures: usize = requests.iter().map(|request| request.count).sum();
    let seconds = begun.elapsed().as_secs_f64();
    let plural = if pictures == 1 { "picture" } else { "pictures" };
    eprintln!(
        "{pictures} {plural} in {seconds:.2} s ({:.2} s each), seed {}",
        seconds / pictures as f64,
        requests[0].seed
    );
}
