//! Trains one head: shuffled votes, drawn contrasts, and an end where held-out votes stop gaining.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
};

use indexmap::IndexMap;
use plaudit::runtime::SessionSettings;
use plaudit_onnx::Tensor;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::{
    Calibration, HeadShape, Objective, RewardError, data::Data, embed::Embedded, head::ABSENT, score, split::Split,
};
use crate::{
    collect::Part,
    init,
    measure::{Scored, brier},
    optim::{AdamWSettings, Schedule},
    progress::{Run, RunSettings},
    random::Random,
    step::{Batch, Selection, TrainGraph, Trainer, TrainerSettings, Which},
};

/// Steps over which the rate rises.
const WARMUP: u64 = 50;
/// The last rate, as a share of the highest.
const FLOOR: f32 = 0.02;
/// Decay of the averaged weights: over some hundred steps, less than the shortest run.
const AVERAGE: f32 = 0.99;
const SETTINGS: &str = "settings.json";
const VALIDATION: &str = "validation.jsonl";
const BEST: &str = "best.safetensors";

/// How one head is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The network.
    pub shape: HeadShape,
    /// The loss.
    pub objective: Objective,
    /// Steps at most.
    pub steps: u64,
    /// Highest learning rate.
    pub rate: f32,
    /// AdamW's λ.
    pub weight_decay: f32,
    /// Steps between looks at the held-out votes, and between checkpoints.
    pub look_every: u64,
    /// Looks without gain after which training ends.
    pub patience: usize,
    /// Whether only half of each prompt's pictures are learned from.
    pub half: bool,
    /// Seed of weights, order and contrasts.
    pub seed: u64,
}

/// A trained head.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    pub(super) weights: IndexMap<String, Tensor>,
    /// The step whose averaged weights these are.
    pub(super) step: u64,
    /// Steps done in all.
    pub(super) steps: u64,
}

/// A look at the held-out votes; a line of `validation.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Look {
    step: u64,
    brier: f64,
}

/// What a run works with.
pub(super) struct Bench<'a> {
    pub(super) data: &'a Data,
    pub(super) split: &'a Split,
    pub(super) embedded: &'a Embedded,
    pub(super) threads: usize,
}

impl Bench<'_> {
    /// Pairs (picture, own text) of a part's votes.
    pub(super) fn pairs(&self, votes: &[usize]) -> Vec<(usize, usize)> {
        let pair = |&vote: &usize| {
            let image = self.data.votes[vote].image;
            (image, self.embedded.own(self.data.images[image].prompt))
        };
        votes.iter().map(pair).collect()
    }

    /// Scores beside the votes that they should tell.
    pub(super) fn scored(&self, votes: &[usize], scores: &[f64]) -> Vec<Scored> {
        let one = |(&vote, &score): (&usize, &f64)| {
            let vote = &self.data.votes[vote];
            Scored { score, good: vote.good, group: self.data.meaning_of(vote.image) }
        };
        votes.iter().zip(scores).map(one).collect()
    }
}

/// Trains in `folder`, from wherever a run before stopped there; a run that ended is read back.
pub(super) fn fit(bench: &Bench<'_>, recipe: &Recipe, folder: &Path) -> Result<Fitted, RewardError> {
    begin(bench, recipe, folder)?;
    let model = recipe.shape.objective(&recipe.objective, &recipe.shape.weights(recipe.seed))?;
    let graph = TrainGraph::build(model, &Selection::All, &Default::default())?;
    let session = SessionSettings { threads: bench.threads, spinning: false, ..SessionSettings::default() };
    let mut trainer = Trainer::new(graph, &session, settings(recipe))?;
    let title = folder.file_name().map_or_else(|| "reward".into(), |name| name.to_string_lossy().into_owned());
    let settings =
        RunSettings { checkpoint_every: recipe.look_every, ..RunSettings::new(folder, &title, recipe.steps) };
    let mut run = Run::open(settings, &mut trainer)?;
    let mut looks = Looks::open(folder, trainer.steps())?;
    let mut feed = Feed::new(bench, recipe)?;
    while !looks.ended(recipe, trainer.steps()) {
        let step = trainer.steps();
        if step > 0 && step.is_multiple_of(recipe.look_every) && looks.last() < step {
            let weights = trainer.weights(Which::Average);
            looks.add(Look { step, brier: validation(bench, recipe, &weights)? }, &weights)?;
            continue;
        }
        let report = trainer.step(|batch| feed.fill(batch))?;
        run.record(&trainer, &report)?;
    }
    let steps = trainer.steps();
    run.finish(&trainer)?;
    looks.best(&recipe.shape, steps)
}

fn settings(recipe: &Recipe) -> TrainerSettings {
    let schedule = Schedule { peak: recipe.rate, floor: recipe.rate * FLOOR, warmup: WARMUP, total: recipe.steps };
    let optimiser =
        AdamWSettings { weight_decay: recipe.weight_decay, average: Some(AVERAGE), ..AdamWSettings::default() };
    TrainerSettings { optimiser, seed: recipe.seed, ..TrainerSettings::new(schedule) }
}

/// Writes what the run is made with, or refuses to go on with another's.
fn begin(bench: &Bench<'_>, recipe: &Recipe, folder: &Path) -> Result<(), RewardError> {
    fs::create_dir_all(folder).map_err(RewardError::io("create", folder))?;
    let path = folder.join(SETTINGS);
    let now = serde_json::json!({"recipe": recipe, "rows_sha256": bench.data.sha256, "clip": bench.embedded.clip});
    let text = format!("{now:#}\n");
    if path.exists() {
        let before = fs::read_to_string(&path).map_err(RewardError::io("read", &path))?;
        return if before == text { Ok(()) } else { Err(RewardError::Begun { path: folder.to_owned() }) };
    }
    fs::write(&path, text).map_err(RewardError::io("write", &path))
}

/// Brier score of held-out raters' votes on held-out prompts, after a calibration of two numbers: what is told apart counts, not the level of
/// the raw reward. Prompt classification moves that level (it rewards spread), and the calibration moves it back.
fn validation(bench: &Bench<'_>, recipe: &Recipe, weights: &IndexMap<String, Tensor>) -> Result<f64, RewardError> {
    let votes = bench.split.votes(Part::Validation);
    let raw = score::raw(&recipe.shape, weights, bench.embedded, &bench.pairs(votes))?;
    let scored = bench.scored(votes, &raw);
    Ok(brier(&Calibration::platt(&scored).applied(&scored)))
}

/// `validation.jsonl` and the best weights so far.
struct Looks {
    folder: std::path::PathBuf,
    file: File,
    looks: Vec<Look>,
}

impl Looks {
    /// Reads the looks up to the checkpoint's step; later ones are made again, alike.
    fn open(folder: &Path, steps: u64) -> Result<Self, RewardError> {
        let path = folder.join(VALIDATION);
        let io = RewardError::io("open", &path);
        let text = if path.exists() { fs::read_to_string(&path).map_err(&io)? } else { String::new() };
        let looks: Vec<Look> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let looks: Vec<Look> = looks.into_iter().filter(|look| look.step <= steps).collect();
        let kept: String = looks.iter().map(line).collect();
        fs::write(&path, kept).map_err(&io)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(&io)?;
        Ok(Self { folder: folder.to_owned(), file, looks })
    }

    fn last(&self) -> u64 {
        self.looks.last().map_or(0, |look| look.step)
    }

    fn best_look(&self) -> Option<Look> {
        self.looks.iter().copied().min_by(|one, other| one.brier.total_cmp(&other.brier))
    }

    /// Whether the last look was made, or one that gains is too long ago.
    fn ended(&self, recipe: &Recipe, steps: u64) -> bool {
        let since = |best: Look| self.looks.iter().filter(|look| look.step > best.step).count();
        let looked = self.last() == steps || !steps.is_multiple_of(recipe.look_every);
        (steps >= recipe.steps && looked) || self.best_look().is_some_and(|best| since(best) >= recipe.patience)
    }

    /// The weights before the line: a line means that its weights are there.
    fn add(&mut self, look: Look, weights: &IndexMap<String, Tensor>) -> Result<(), RewardError> {
        if self.best_look().is_none_or(|best| look.brier < best.brier) {
            let (path, aside) = (self.folder.join(BEST), self.folder.join("best.new"));
            let tensors = weights.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
            init::write_weights(&aside, &tensors)?;
            fs::rename(&aside, &path).map_err(RewardError::io("rename", &path))?;
        }
        let path = self.folder.join(VALIDATION);
        self.file.write_all(line(&look).as_bytes()).map_err(RewardError::io("write", &path))?;
        self.looks.push(look);
        Ok(())
    }

    fn best(&self, shape: &HeadShape, steps: u64) -> Result<Fitted, RewardError> {
        let path = self.folder.join(BEST);
        let bytes = fs::read(&path).map_err(RewardError::io("read", &path))?;
        let content = |fault: String| RewardError::Content { path: path.clone(), fault };
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| content(error.to_string()))?;
        let weight = |(name, tensor): (String, Tensor)| {
            let view = tensors.tensor(&name).map_err(|error| content(error.to_string()))?;
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
            Ok((name, Tensor::f32(&tensor.shape, &values)))
        };
        let weights = shape.weights(0).into_iter().map(weight).collect::<Result<_, RewardError>>()?;
        Ok(Fitted { weights, step: self.best_look().map_or(0, |look| look.step), steps })
    }
}

fn line(look: &Look) -> String {
    serde_json::to_string(look).unwrap_or_default() + "\n"
}

/// Batches: votes in a new order each epoch, contrasts drawn anew each time. A function of the seed and the step's number.
struct Feed<'a> {
    bench: &'a Bench<'a>,
    objective: Objective,
    seed: u64,
    votes: Vec<usize>,
    order: Vec<usize>,
    epoch: Option<usize>,
}

impl<'a> Feed<'a> {
    fn new(bench: &'a Bench<'a>, recipe: &Recipe) -> Result<Self, RewardError> {
        let data = bench.data;
        let mut sizes = vec![0; data.prompts.len()];
        data.images.iter().for_each(|image| sizes[image.prompt] += 1);
        let learned = |&vote: &usize| {
            let image = &data.images[data.votes[vote].image];
            !recipe.half || 2 * image.rank < sizes[image.prompt]
        };
        let votes: Vec<usize> = bench.split.votes(Part::Train).iter().copied().filter(learned).collect();
        let good = votes.iter().filter(|&&vote| data.votes[vote].good).count();
        let bad = votes.len() - good;
        if good == 0 || bad == 0 {
            return Err(RewardError::Few { part: Part::Train.word(), good, bad, purpose: "learn from" });
        }
        Ok(Self { bench, objective: recipe.objective, seed: recipe.seed, votes, order: Vec::new(), epoch: None })
    }

    /// The vote at a place in the endless sequence of epochs.
    fn vote(&mut self, place: usize) -> usize {
        let epoch = place / self.votes.len();
        if self.epoch != Some(epoch) {
            self.order.clone_from(&self.votes);
            Random::stream(self.seed, &format!("order of epoch {epoch}")).shuffle(&mut self.order);
            self.epoch = Some(epoch);
        }
        self.order[place % self.votes.len()]
    }

    fn fill(&mut self, batch: &mut Batch<'_>) {
        let Objective { batch: rows, prompts, .. } = self.objective;
        let width = self.bench.embedded.width;
        let mut random = Random::stream(self.seed, &format!("contrasts of step {}", batch.step));
        for row in 0..rows {
            let vote = self.vote(batch.step as usize * rows + row);
            let Bench { data, embedded, .. } = *self.bench;
            let vote = &data.votes[vote];
            let prompt = data.images[vote.image].prompt;
            let texts = self.texts(prompt, &mut random);
            let good = if vote.good && texts.len() > 1 { vote.weight } else { 0.0 };
            batch.f32("image_embeds")[row * width..][..width].copy_from_slice(embedded.image(vote.image));
            batch.f32("target")[row] = f32::from(u8::from(vote.good));
            batch.f32("weight")[row] = vote.weight;
            batch.f32("good")[row] = good;
            for column in 0..prompts {
                let place = row * prompts + column;
                let text = texts.get(column);
                batch.f32("absent")[place] = if text.is_some() { 0.0 } else { ABSENT };
                let point = embedded.text(*text.unwrap_or(&texts[0]));
                batch.f32("text_embeds")[place * width..][..width].copy_from_slice(point);
            }
        }
        *batch.position += rows as u64;
    }

    /// The own text and drawn contrasts.
    fn texts(&self, prompt: usize, random: &mut Random) -> Vec<usize> {
        let embedded = self.bench.embedded;
        let mut contrasts = embedded.contrasts(prompt).to_vec();
        random.shuffle(&mut contrasts);
        let own = std::iter::once(embedded.own(prompt));
        own.chain(contrasts.into_iter().take(self.objective.prompts - 1)).collect()
    }
}
