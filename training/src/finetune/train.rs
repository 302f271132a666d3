//! The loop.

use std::{path::PathBuf, thread::available_parallelism, time::Instant};

use plaudit::{
    pack::{Component, Pack},
    pipeline::schedule::SchedulerConfig,
    runtime::SessionSettings,
};
use plaudit_onnx::Model;

use super::{
    Finetune, FinetuneError, Objective,
    batch::{GlobalBatch, MicroBatch},
    data::Data,
    estimate::{self, Memory},
    forward::Forward,
    graph::{ANCHOR_ERROR, Shape, objective_graph},
    kto::{self, Window},
    latent_reward::{self, Guide, Lesson},
    look::Looks,
    noising::Noising,
    pull::{Plan, Pull},
    rollout::Rollout,
    source::Source,
    validation::{Judge, Validation},
    watch::{REFERENCE_ERROR, Watch},
};
use crate::{
    optim::{AdamWSettings, Schedule},
    pretrain::feed::Feed,
    progress::{Run, RunSettings},
    report::Line,
    step::{Lora, Selection, StepError, StepReport, TrainGraph, Trainer, TrainerSettings, Which},
};

/// The last rate, as a share of the highest.
const FLOOR: f32 = 0.1;
/// Weights in bytes up to which micro-batches run side by side, as the engine's lanes do.
const SMALL_WEIGHTS: u64 = 64 << 20;
/// Mean reward of what a batch's predictions say the pictures will be, in `metrics.jsonl`.
const REWARD: &str = "reward";
/// Effective rows of a batch in `metrics.jsonl`.
const EFFECTIVE: &str = "effective_rows";

/// A run's end.
pub(super) struct Trained {
    pub(super) trainer: Trainer,
    pub(super) rewards: Option<(f64, f64)>,
    pub(super) validation: Option<(f64, f64)>,
}

/// The weights that leave a run.
pub(super) fn which(settings: &Finetune) -> Which {
    if settings.average.is_some() { Which::Average } else { Which::Current }
}

/// Where a run's files are.
pub(super) fn directory(settings: &Finetune) -> PathBuf {
    settings.data.join("run")
}

/// Trains from wherever the run stands to its last step.
pub(super) fn train(settings: &Finetune, pack: &Pack, data: &Data) -> Result<Trained, FinetuneError> {
    let began = Instant::now();
    let directory = directory(settings);
    let unet = unet(settings, pack)?;
    let shape = shape(settings, pack, data)?;
    let (learned, kept) = data.divide(settings);
    let noising = Noising::of(settings, pack, &shape)?;
    let learning = Source::new(settings, learned.clone(), shape, noising.clone())?;
    tracing::info!("{}", learning.summary());
    let lesson =
        Lesson { settings, unet, shape, noising: noising.clone(), learned: &learned, kept: kept.as_ref(), began };
    let guide = match settings.objective {
        Objective::LatentReward(wanted) => Some((wanted.strength, latent_reward::learn(lesson, wanted)?)),
        _ => None,
    };
    let plan = Plan::of(settings, pack, &shape)?;
    let led = guide.as_ref().map_or(0, |(_, (model, _))| estimate::session(model));
    let mut trainer = trainer(settings, pack, unet, &shape, (kept.is_some(), plan.as_ref()), led)?;
    let mut bench = Bench::open(settings, unet, &shape, &trainer, plan)?;
    if let Some((strength, (model, gradient))) = guide {
        bench.guide = Some((strength, Guide::open(&model, gradient, &sessions(threads(settings)))?));
    }
    let mut run = Run::open(run_settings(settings), &mut trainer)?;
    let lines = kto::lines(&directory)?;
    bench.resume(settings, &lines);
    if !run.is_done(&trainer) {
        bench.admit(settings, learning.clone(), &mut trainer)?;
    }
    let mut validation = match kept.map(|kept| Source::new(settings, kept, shape, noising)) {
        Some(Ok(source)) => Some(bench.validation(settings, pack, unet, &shape, source, &trainer)?),
        // Too little to go by: the run itself has enough.
        None | Some(Err(FinetuneError::Few { .. })) => None,
        Some(Err(error)) => return Err(error),
    };
    let mut watch = Watch::of(settings.divergence, &lines);
    let mut looks = Looks::open(settings, pack, unet, data, &directory, trainer.steps())?;
    looks.look(&trainer)?;
    if let Some(validation) = &mut validation {
        validation.see(&trainer)?;
    }
    let feed = feed(learning, trainer.steps());
    while !run.is_done(&trainer) {
        if settings.leg.is_some_and(|leg| began.elapsed() >= leg) {
            run.finish(&trainer)?;
            return Err(FinetuneError::Unfinished { step: trainer.steps(), steps: settings.steps });
        }
        let mut batch = feed.next()?;
        let facts = bench.prepare(&mut batch, &trainer)?;
        let stepped = trainer.step(|micro| batch.micros[micro.micro].fill(micro));
        let mut report = match stepped {
            Ok(report) => report,
            Err(error) => return Err(astray(settings, run, &watch, error)?),
        };
        report.extra.extend(facts);
        bench.prune(&mut report.extra);
        // Before the record: a checkpoint of weights that went astray would take the place of a good one.
        if let Some(reason) = watch.see(&line(&report)) {
            return Err(diverged(settings, run, &watch, report.step, reason)?);
        }
        run.record(&trainer, &report)?;
        looks.look(&trainer)?;
        if let Some(validation) = &mut validation {
            validation.see(&trainer)?;
        }
    }
    run.finish(&trainer)?;
    let validation = validation.and_then(|validation| validation.found());
    Ok(Trained { rewards: looks.rewards(), validation, trainer })
}

/// A step's figures as the metrics have them.
fn line(report: &StepReport) -> Line {
    let StepReport { step, loss, grad_norm, learning_rate, ref extra, .. } = *report;
    Line { step, loss, grad_norm, learning_rate, extra: extra.clone() }
}

/// A step that failed, as the run's end.
fn astray(settings: &Finetune, run: Run, watch: &Watch, error: StepError) -> Result<FinetuneError, FinetuneError> {
    match error {
        StepError::Diverged { step, loss, grad_norm } => {
            diverged(settings, run, watch, step, format!("loss {loss}, gradient norm {grad_norm}"))
        }
        other => Ok(other.into()),
    }
}

fn diverged(
    settings: &Finetune,
    run: Run,
    watch: &Watch,
    step: u64,
    reason: String,
) -> Result<FinetuneError, FinetuneError> {
    let kept = run.give_up(watch.good())?;
    Ok(FinetuneError::Diverged { step, reason, kept, directory: directory(settings) })
}

fn feed(mut source: Source, first: u64) -> Feed<Result<GlobalBatch, FinetuneError>> {
    Feed::start(first, move |step| source.batch(step))
}

fn run_settings(settings: &Finetune) -> RunSettings {
    RunSettings {
        checkpoint_every: settings.checkpoint_every,
        show: settings.show,
        ..RunSettings::new(directory(settings), "fine-tuning", settings.steps)
    }
}

fn unet<'a>(settings: &Finetune, pack: &'a Pack) -> Result<&'a Model, FinetuneError> {
    let unfit = || FinetuneError::Unfit { pack: settings.pack.clone(), fault: "it has no unet".into() };
    pack.model(Component::Unet).ok_or_else(unfit)
}

fn shape(settings: &Finetune, pack: &Pack, data: &Data) -> Result<Shape, FinetuneError> {
    let side = pack.size() / pack.pixels_per_cell().max(1);
    let tokens = plaudit::pipeline::tokenize::Tokenizer::open(&pack.tokenizer())?.length();
    let words = data.cache.demand(&data.prompts[data.empty].embedding)?.len();
    Ok(Shape {
        rows: settings.rows,
        latent: [pack.channels(), side, side],
        features: [tokens, words / tokens.max(1)],
        guided: settings.guidance.is_some(),
    })
}

fn trainer(
    settings: &Finetune,
    pack: &Pack,
    unet: &Model,
    shape: &Shape,
    (validates, plan): (bool, Option<&Plan>),
    led: u64,
) -> Result<Trainer, FinetuneError> {
    let graph = TrainGraph::build(objective_graph(unet, shape)?, &settings.selection, &Default::default())?;
    let threads = threads(settings);
    let small = estimate::weights(unet) <= SMALL_WEIGHTS;
    let lanes = if small { threads.min(settings.micro_batches) } else { 1 };
    let sheets =
        if settings.sheet_every > 0 { pack.components().map(|(_, model)| estimate::weights(model)).sum() } else { 0 };
    let references = usize::from(wants_reference(settings) && !shares(settings));
    let forwards = references + usize::from(kto(settings).is_some()) + usize::from(validates);
    let forwards = forwards + usize::from(plan.is_some());
    let sessions_of_plan = 1 + u64::from(validates);
    let pulls = plan.map_or(0, |plan| sessions_of_plan * estimate::session(plan.model()));
    Memory::of(settings, &graph, lanes, forwards, sheets + pulls + led).admit(settings)?;
    let trainer = TrainerSettings {
        optimiser: AdamWSettings {
            weight_decay: settings.weight_decay,
            average: settings.average,
            ..AdamWSettings::default()
        },
        micro_batches: settings.micro_batches,
        lanes,
        seed: settings.seed,
        ..TrainerSettings::new(Schedule {
            peak: settings.rate,
            floor: settings.rate * FLOOR,
            warmup: settings.warmup,
            total: settings.steps.max(settings.warmup + 1),
        })
    };
    Ok(Trainer::new(graph, &sessions(threads / lanes), trainer)?)
}

pub(super) fn threads(settings: &Finetune) -> usize {
    if settings.threads == 0 { available_parallelism().map_or(1, usize::from) } else { settings.threads }
}

/// Runs take hours beside other work: threads that wait must not burn the cores.
pub(super) fn sessions(threads: usize) -> SessionSettings {
    SessionSettings {
        threads,
        spinning: false,
        memory_pattern: false,
        flush_denormals: true,
        ..SessionSettings::default()
    }
}

fn wants_reference(settings: &Finetune) -> bool {
    settings.gamma() > 0.0 || settings.balance || settings.objective.needs_reference()
}

fn kto(settings: &Finetune) -> Option<super::Kto> {
    match settings.objective {
        Objective::Kto(kto) => Some(kto),
        _ => None,
    }
}

fn lora(settings: &Finetune) -> Option<Lora> {
    match settings.selection {
        Selection::Lora(lora) => Some(lora),
        _ => None,
    }
}

/// Whether the session of the weights of the moment answers for the reference as well: with LoRA's adapters off it is the parent.
fn shares(settings: &Finetune) -> bool {
    kto(settings).is_some() && matches!(settings.selection, Selection::Lora(_))
}

/// What completes a batch before its step: the reference's predictions, and KTO's z₀.
struct Bench {
    reference: Option<Forward>,
    current: Option<Forward>,
    pull: Option<(f32, Pull)>,
    plan: Option<Plan>,
    /// s, and who leads.
    guide: Option<(f32, Guide)>,
    window: Option<Window>,
    balance: bool,
}

impl Bench {
    fn open(
        settings: &Finetune,
        unet: &Model,
        shape: &Shape,
        trainer: &Trainer,
        plan: Option<Plan>,
    ) -> Result<Self, FinetuneError> {
        let sessions = sessions(threads(settings));
        let alone = wants_reference(settings) && !shares(settings);
        let reference = alone.then(|| Forward::reference(unet, shape, &sessions)).transpose()?;
        let pull = match (settings.objective, &plan) {
            (Objective::RewardGradient { reach, .. }, Some(plan)) => Some((reach, plan.open(&sessions)?)),
            _ => None,
        };
        let moving = kto(settings).is_some() || pull.is_some();
        let current = moving.then(|| Forward::current(unet, shape, lora(settings), trainer.parameters(), &sessions));
        Ok(Self {
            reference,
            current: current.transpose()?,
            pull,
            plan,
            guide: None,
            window: None,
            balance: settings.balance,
        })
    }

    fn resume(&mut self, settings: &Finetune, lines: &[Line]) {
        self.window = kto(settings).map(|kto| Window::of(&kto, lines));
    }

    fn prepare(&mut self, batch: &mut GlobalBatch, trainer: &Trainer) -> Result<Vec<(String, f32)>, FinetuneError> {
        let mut facts = vec![(EFFECTIVE.to_owned(), batch.effective as f32)];
        if self.refer(batch, trainer)? {
            facts.push((REFERENCE_ERROR.to_owned(), batch.reference_error()));
        }
        facts.extend(self.lead(batch)?.map(|liked| (REWARD.to_owned(), liked)));
        if let (Some(current), Some(window)) = (&mut self.current, &mut self.window) {
            current.follow(trainer, Which::Current);
            let found = window.apply(batch, current)?;
            facts.extend(found.map(|(name, value)| (name.to_owned(), value)));
        }
        if let (Some(current), Some((reach, pull))) = (&mut self.current, &mut self.pull) {
            current.follow(trainer, Which::Current);
            let (mut sums, mut own) = ([0.0_f32; 2], 0);
            for micro in &mut batch.micros {
                let predicted = current.predict(micro)?;
                let (rewards, gradients) = pull.at(micro, predicted)?;
                sums[0] +=
                    rewards.iter().zip(&micro.own).filter(|(_, own)| **own).map(|(reward, _)| reward).sum::<f32>();
                own += micro.own.iter().filter(|own| **own).count();
                sums[1] += micro.pull(*reach, predicted, rewards, gradients);
            }
            let names = [REWARD, ANCHOR_ERROR];
            facts.extend(names.iter().zip(sums).map(|(name, sum)| ((*name).to_owned(), sum / own.max(1) as f32)));
        }
        Ok(facts)
    }

    /// Fills in the reference's predictions, where there is a reference.
    fn refer(&mut self, batch: &mut GlobalBatch, trainer: &Trainer) -> Result<bool, FinetuneError> {
        let reference = match (&mut self.reference, &mut self.current) {
            (Some(reference), _) => reference,
            (None, Some(current)) => {
                current.switch_off(trainer.adapters());
                current
            }
            (None, None) => return Ok(false),
        };
        for micro in &mut batch.micros {
            let predicted = reference.predict(micro)?.to_vec();
            micro.reference = predicted;
        }
        if self.balance {
            batch.balance();
        }
        Ok(true)
    }

    /// Moves targets where the latent reward leads; its mean over own rows.
    fn lead(&mut self, batch: &mut GlobalBatch) -> Result<Option<f32>, FinetuneError> {
        let Some((strength, guide)) = &mut self.guide else { return Ok(None) };
        let (mut sum, mut own) = (0.0, 0);
        for micro in &mut batch.micros {
            let (logits, gradients) = guide.at(micro)?;
            for (logit, _) in logits.iter().zip(&micro.own).filter(|(_, own)| **own) {
                sum += 1.0 / (1.0 + (-logit).exp());
                own += 1;
            }
            micro.lead(*strength, gradients);
        }
        Ok(Some(sum / own.max(1) as f32))
    }

    /// Rows of prompts that are not learned from, and a session of their loss.
    fn validation(
        &mut self,
        settings: &Finetune,
        pack: &Pack,
        unet: &Model,
        shape: &Shape,
        mut source: Source,
        trainer: &Trainer,
    ) -> Result<Validation, FinetuneError> {
        let count = settings.validation_rows.div_ceil(settings.batch()) as u64;
        let mut batches = (0..count).map(|number| source.batch(number)).collect::<Result<Vec<_>, _>>()?;
        for batch in &mut batches {
            self.refer(batch, trainer)?;
            self.lead(batch)?;
        }
        let (parameters, sessions) = (trainer.parameters(), sessions(threads(settings)));
        let judge = if let Some(plan) = &self.plan {
            let rollout = Rollout::new(&SchedulerConfig::from_json(pack.scheduler())?, settings.seed)?;
            let pull = plan.open(&sessions)?;
            let current = Forward::current(unet, shape, lora(settings), parameters, &sessions)?;
            Judge::Reward(Box::new((current, rollout, pull)))
        } else {
            Judge::Loss(Box::new(Forward::loss(unet, shape, lora(settings), parameters, &sessions)?))
        };
        Validation::open(settings, judge, batches, &directory(settings), trainer.steps())
    }

    /// Without a reference the distance from it is no figure, nor is it where a target has taken its place.
    fn prune(&self, extra: &mut indexmap::IndexMap<String, f32>) {
        if (self.reference.is_none() && self.current.is_none()) || self.guide.is_some() {
            extra.shift_remove(ANCHOR_ERROR);
        }
    }

    /// Measures a step that moves nothing, and compares the time of the whole run with what is allowed.
    fn admit(&mut self, settings: &Finetune, mut source: Source, trainer: &mut Trainer) -> Result<(), FinetuneError> {
        let mut batch = source.batch(trainer.steps())?;
        let window = self.window.clone();
        let began = Instant::now();
        self.prepare(&mut batch, trainer)?;
        let micros: &[MicroBatch] = &batch.micros;
        trainer.evaluate(|micro| micros[micro.micro].fill(micro))?;
        self.window = window;
        estimate::admit_time(settings, trainer.steps(), began.elapsed().as_secs_f64())
    }
}
