//! A reward that sees noise: the denoiser's own first half, trained on votes, says of a noised latent whether its picture is going to be liked.
//!
//! ```text
//! x_t, t, z  ─►  UNet down to its smallest maps  ─►  mean, maximum, prompt  ─►  z  ─►  σ(z) = p(thumb up | x_t)
//! ```
//!
//! Its gradient leads a drawing at each of its steps (classifier guidance: Dhariwal and Nichol 2021, §4): ε − s √(1 − ᾱ) ∂ ln σ(z) / ∂x_t. The step takes that
//! for its target, so that the tuned denoiser goes there by itself and its pictures cost no more calls. A network that must judge through any noise cannot
//! be content with traces in pixels, which the gradient of a reward of finished pictures finds. The denoiser's features as a reward: Zhang et al. 2025 (LPO).
//!
//! ```text
//! DATA/run/latent-reward/      checkpoints, metrics.jsonl, curve.svg; ranks.json: how well it ranks pictures of other prompts
//! ```

mod graph;
mod rows;

use std::{fs, path::Path, time::Instant};

use plaudit::runtime::{BoundSession, Session, SessionSettings};
use plaudit_onnx::Model;
use serde::Serialize;

use super::{
    Finetune, FinetuneError,
    batch::MicroBatch,
    data::Data,
    estimate::Memory,
    graph::Shape,
    noising::Noising,
    objective::LatentReward,
    train::{directory, sessions, threads},
};
use crate::{
    measure::{Scored, within_group_auroc},
    optim::{AdamWSettings, Schedule},
    pretrain::feed::Feed,
    progress::{Run, RunSettings},
    random::Random,
    step::{Selection, TrainGraph, Trainer, TrainerSettings, Which, differentiate},
};
use graph::{LOGIT, Network, SAMPLE};
use rows::Votes;

/// Rows of one run of the graph, and runs of an update.
const ROWS: usize = 32;
const MICRO_BATCHES: usize = 2;
/// How often it sees a picture at most: with few pictures it would know them by heart.
const EPOCHS: usize = 20;
/// Updates even then.
const LEAST_STEPS: u64 = 50;
const WARMUP: u64 = 100;
const WEIGHT_DECAY: f32 = 0.05;
/// Decay of the weights' average, which is what guides.
const AVERAGE: f32 = 0.998;
const CHECKPOINT_EVERY: u64 = 100;
const RANKS: &str = "ranks.json";
/// Levels of noise at which its ranking is looked at, as shares of all timesteps.
const LOOKS: [f64; 5] = [0.0, 0.2, 0.4, 0.6, 0.8];

/// A session that answers logits and their gradients.
#[derive(Debug)]
pub(super) struct Guide {
    session: BoundSession,
    gradient: String,
}

/// How well pictures of prompts that were not learned from are ranked, by the votes on them.
#[derive(Debug, Serialize)]
struct Ranks {
    pictures: usize,
    /// Share of pairs of one prompt that are ranked as their votes are, by timestep.
    by_timestep: Vec<(usize, Option<f64>)>,
}

/// What it is trained with.
pub(super) struct Lesson<'a> {
    pub(super) settings: &'a Finetune,
    pub(super) unet: &'a Model,
    pub(super) shape: Shape,
    pub(super) noising: Noising,
    pub(super) learned: &'a Data,
    pub(super) kept: Option<&'a Data>,
    pub(super) began: Instant,
}

/// Trains it from wherever its run stands; the graph that guides, of `shape`'s rows, and its gradient's name.
pub(super) fn learn(lesson: Lesson<'_>, wanted: LatentReward) -> Result<(Model, String), FinetuneError> {
    let Lesson { settings, unet, shape, noising, learned, kept, began } = lesson;
    let most = (EPOCHS * learned.scored.len() / (ROWS * MICRO_BATCHES)) as u64;
    let wanted = LatentReward { steps: wanted.steps.min(most.max(LEAST_STEPS)), ..wanted };
    let taught = Shape { rows: ROWS, guided: false, ..shape };
    let network = Network::of(unet, &taught, settings.seed)?.ok_or_else(|| FinetuneError::Unfit {
        pack: settings.pack.clone(),
        fault: "its denoiser is no U-Net, whose smallest maps the latent reward looks at; take another --objective"
            .into(),
    })?;
    let mut trainer = trainer(settings, &network, &taught, wanted)?;
    let folder = directory(settings).join("latent-reward");
    let mut run = Run::open(
        RunSettings {
            checkpoint_every: CHECKPOINT_EVERY,
            show: settings.show,
            ..RunSettings::new(&folder, "latent reward", wanted.steps)
        },
        &mut trainer,
    )?;
    if !run.is_done(&trainer) {
        let mut votes = Votes::new(learned.clone(), noising.clone(), taught, wanted.contrast, settings.seed);
        let feed = Feed::start(trainer.steps(), move |step| votes.batch(step, MICRO_BATCHES));
        while !run.is_done(&trainer) {
            if settings.leg.is_some_and(|leg| began.elapsed() >= leg) {
                run.finish(&trainer)?;
                return Err(FinetuneError::Unfinished { step: trainer.steps(), steps: wanted.steps });
            }
            let batch = feed.next()?;
            let report = trainer.step(|micro| batch[micro.micro].fill(micro))?;
            run.record(&trainer, &report)?;
        }
    }
    run.finish(&trainer)?;
    let guide = |shape: &Shape| -> Result<(Model, String), FinetuneError> {
        let mut model = network.guide(shape)?;
        trainer.apply(&mut model, "", Which::Average);
        let (model, gradients) = differentiate(model, &[SAMPLE.to_owned()])?;
        Ok((model, gradients[SAMPLE].clone()))
    };
    if let Some(kept) = kept.filter(|_| !folder.join(RANKS).exists()) {
        let (model, gradient) = guide(&taught)?;
        let mut session = Guide::open(&model, gradient, &sessions(threads(settings)))?;
        rank(&mut session, Votes::new(kept.clone(), noising, taught, 0.0, settings.seed), kept, settings, &folder)?;
    }
    guide(&Shape { guided: false, ..shape })
}

fn trainer(
    settings: &Finetune,
    network: &Network,
    shape: &Shape,
    wanted: LatentReward,
) -> Result<Trainer, FinetuneError> {
    let graph = TrainGraph::build(network.objective(shape)?, &Selection::All, &Default::default())?;
    let threads = threads(settings);
    let lanes = threads.min(MICRO_BATCHES);
    Memory::of(settings, &graph, lanes, 0, 0).admit(settings)?;
    let trainer = TrainerSettings {
        optimiser: AdamWSettings { weight_decay: WEIGHT_DECAY, average: Some(AVERAGE), ..AdamWSettings::default() },
        micro_batches: MICRO_BATCHES,
        lanes,
        seed: settings.seed,
        ..TrainerSettings::new(Schedule {
            peak: wanted.rate,
            floor: 0.0,
            warmup: WARMUP.min(wanted.steps / 2),
            total: wanted.steps.max(2),
        })
    };
    Ok(Trainer::new(graph, &sessions(threads / lanes), trainer)?)
}

/// Ranks pictures that were not learned from, and writes down how well.
fn rank(guide: &mut Guide, votes: Votes, kept: &Data, settings: &Finetune, folder: &Path) -> Result<(), FinetuneError> {
    let pictures: Vec<usize> = (0..kept.scored.len()).collect();
    let timesteps = votes.timesteps();
    let mut by_timestep = Vec::new();
    for look in LOOKS {
        let timestep = (look * timesteps as f64) as usize;
        let mut random = Random::stream(settings.seed, &format!("latent reward at {timestep}"));
        let mut scored = Vec::new();
        for chunk in pictures.chunks(ROWS) {
            // The last run of the graph is filled up.
            let filled: Vec<usize> = chunk.iter().copied().cycle().take(ROWS).collect();
            let rows = votes.rows(&filled, Some(timestep), &mut random)?;
            let (logits, _) = guide.run(&rows.sample, &rows.timestep, &rows.text)?;
            scored.extend(chunk.iter().zip(logits).map(|(&picture, &logit)| {
                let picture = &kept.scored[picture];
                Scored { score: f64::from(logit), good: picture.reward > 0.5, group: picture.prompt }
            }));
        }
        by_timestep.push((timestep, within_group_auroc(&scored)));
    }
    let words: Vec<String> = by_timestep
        .iter()
        .filter_map(|(timestep, share)| Some(format!("{:.1} % at {timestep}", 100.0 * (*share)?)))
        .collect();
    tracing::info!(
        "latent reward: pairs of pictures of other prompts ranked as their votes, by timestep: {}",
        words.join(", ")
    );
    let path = folder.join(RANKS);
    let text = serde_json::to_string_pretty(&Ranks { pictures: pictures.len(), by_timestep }).unwrap_or_default();
    // Whole or not there: it is not made again.
    let aside = path.with_extension("new");
    fs::write(&aside, text).map_err(FinetuneError::io("write", &aside))?;
    fs::rename(&aside, &path).map_err(FinetuneError::io("rename to", &path))
}

impl Guide {
    pub(super) fn open(model: &Model, gradient: String, sessions: &SessionSettings) -> Result<Self, FinetuneError> {
        Ok(Self { session: BoundSession::new(Session::from_model(model, sessions)?)?, gradient })
    }

    /// Logits `[n]` of a micro-batch's rows and ∂ ln σ(z) / ∂x_t `[n, c, h, w]`.
    pub(super) fn at(&mut self, micro: &MicroBatch) -> Result<(&[f32], &[f32]), FinetuneError> {
        // Guided steps have the empty prompt's features first.
        let words = micro.text.len() / if micro.guidance.is_some() { 2 } else { 1 };
        let prompted = &micro.text[micro.text.len() - words..];
        self.run(&micro.sample, &micro.timestep, prompted)
    }

    fn run(&mut self, sample: &[f32], timestep: &[f32], text: &[f32]) -> Result<(&[f32], &[f32]), FinetuneError> {
        for (name, values) in [(SAMPLE, sample), ("timestep", timestep), ("encoder_hidden_states", text)] {
            self.session.buffer_mut::<f32>(name).copy_from_slice(values);
        }
        self.session.run()?;
        Ok((self.session.buffer(LOGIT), self.session.buffer(&self.gradient)))
    }
}

#[cfg(test)]
mod tests {
    use plaudit::pack::{Component, Pack};

    use super::*;

    const SHAPE: Shape = Shape { rows: 2, latent: [4, 16, 16], features: [24, 128], guided: false };

    fn unet() -> Model {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature");
        let pack = Pack::open(&folder).expect("the bundled pack");
        pack.model(Component::Unet).expect("a denoiser").clone()
    }

    #[test]
    fn it_looks_at_the_smallest_maps_and_knows_nothing_at_first() {
        let network = Network::of(&unet(), &SHAPE, 0).expect("a graph").expect("a U-Net");
        let model = network.guide(&SHAPE).expect("a graph");
        let weights = |model: &Model| model.graph.initializers.keys().filter(|name| name.contains('.')).count();
        assert!(weights(&model) < weights(&unet()), "what comes after the turn is left out");
        let (model, gradients) = differentiate(model, &[SAMPLE.to_owned()]).expect("a gradient");
        let mut guide = Guide::open(&model, gradients[SAMPLE].clone(), &SessionSettings::default()).expect("a session");
        let (logits, gradients) =
            guide.run(&[0.5; 2 * 4 * 16 * 16], &[10.0, 900.0], &vec![0.1; 2 * 24 * 128]).expect("an answer");
        assert_eq!(logits, [0.0, 0.0]);
        assert!(gradients.iter().all(|&x| x == 0.0));
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let mut random = Random::new(3);
        let mut network = Network::of(&unet(), &SHAPE, 0).expect("a graph").expect("a U-Net");
        network.disturb(|| random.normal());
        let (model, gradients) =
            differentiate(network.guide(&SHAPE).expect("a graph"), &[SAMPLE.to_owned()]).expect("a gradient");
        let mut guide = Guide::open(&model, gradients[SAMPLE].clone(), &SessionSettings::default()).expect("a session");
        let mut numbers = |count: usize| (0..count).map(|_| random.normal()).collect::<Vec<f32>>();
        let (sample, text) = (numbers(2 * SHAPE.cells()), numbers(2 * SHAPE.words()));
        let gradient = guide.run(&sample, &[300.0, 700.0], &text).expect("an answer").1.to_vec();
        let length = gradient.iter().map(|x| x * x).sum::<f32>().sqrt();
        let mut value = |step: f32| {
            let moved: Vec<f32> = sample.iter().zip(&gradient).map(|(x, g)| x + step * g / length).collect();
            let (logits, _) = guide.run(&moved, &[300.0, 700.0], &text).expect("an answer");
            logits.iter().map(|&logit| -f64::from((-logit).exp()).ln_1p()).sum::<f64>()
        };
        let slope = (value(0.02) - value(-0.02)) / 0.04;
        assert!((slope / f64::from(length) - 1.0).abs() < 0.02, "{slope} along a gradient of length {length}");
    }

    #[test]
    fn a_denoiser_that_enlarges_nothing_has_no_turn() {
        let mut unet = unet();
        unet.graph.nodes.iter_mut().filter(|node| node.op == "Resize").for_each(|node| node.op = "Identity".into());
        assert!(Network::of(&unet, &SHAPE, 0).expect("no graph is needed").is_none());
    }
}
