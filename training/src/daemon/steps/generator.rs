//! Steps about the generator.

use std::{fs, path::PathBuf};

use plaudit::{
    domain::{Kind, VersionId},
    feedback::dataset::Format,
    registry::RegistryError,
    round::{RoundOutcome, RoundStage},
    trial::{self, NewTrial, TrialError},
};
use serde_json::json;

use super::{Next, Step, blocking, quiet};
use crate::{
    collect::{Collection, Prompts, Voters, collect},
    daemon::{
        ACTOR, DaemonError, Release, TuneObjective,
        crash::{CrashPoint, pass},
        sets,
    },
    finetune::{Finetune, finetune},
    gate::{self, GeneratorGate},
};

/// Seeds of gates' prompts, far from those that datasets are collected with; each round has its own.
const GATE_SEEDS: u64 = 4100;
/// Share of prompts of a gate about held-out objects.
const GATE_HELD_OUT: f64 = 0.4;
/// Updates between sample sheets of a tuning; a shorter one has none.
const SHEET_EVERY: u64 = 100;
/// Pictures that nobody voted on, and the prompts that they were drawn for, in a round's folder.
const DRAWN: &str = "drawn";
const DRAWN_PROMPTS: &str = "drawn-prompts.txt";

/// What is said of a release, or why there was none: what the round began with is gone.
type Released = Result<String, String>;

impl Step<'_> {
    pub(super) async fn tune(&self) -> Result<Next, DaemonError> {
        let (settings, more) = (self.tuning(), self.more_pictures()?);
        let tuned = blocking(move || {
            more.as_ref().map(collect).transpose()?;
            Ok::<_, DaemonError>(finetune(&settings)?)
        })
        .await?;
        pass(CrashPoint::Tuned);
        let facts = json!({"steps": tuned.steps, "seconds": tuned.seconds, "data_sha256": tuned.data_sha256, "rewards": tuned.rewards, "validation": tuned.validation});
        Ok(self.on(RoundStage::GeneratorGate, "tune", facts))
    }

    /// Where pictures lie that nobody voted on, where there are to be any.
    fn drawn(&self) -> Option<PathBuf> {
        let learning = &self.daemon.settings.learning;
        let wanted = learning.tune_pictures > 0 && learning.objective != TuneObjective::Kto;
        wanted.then(|| self.folder.join(DRAWN))
    }

    /// More of the voted prompts' pictures, by the champion.
    fn more_pictures(&self) -> Result<Option<Collection>, DaemonError> {
        let Some(out) = self.drawn() else { return Ok(None) };
        let learning = &self.daemon.settings.learning;
        let prompts = self.folder.join(DRAWN_PROMPTS);
        fs::write(&prompts, sets::prompts(&self.folder.join(sets::LEARNED))?.join("\n"))
            .map_err(DaemonError::io("write", &prompts))?;
        Ok(Some(Collection {
            pack: self.champion(),
            out,
            prompts: Prompts::File(prompts),
            images: learning.tune_pictures,
            voters: Voters::Nobody,
            format: Format::JsonLines,
            seed: learning.seed.wrapping_add(self.round.sequence.unsigned_abs()),
            threads: learning.threads,
        }))
    }

    fn tuning(&self) -> Finetune {
        let learning = &self.daemon.settings.learning;
        let folder = self.folder.join("tune");
        let usual = Finetune::new(self.champion(), &folder, folder.join("pack"));
        let usual = usual.with_objective(learning.tuned_by());
        let steps = learning.tune_steps.unwrap_or(usual.steps);
        Finetune {
            labelled: Some(self.folder.join(sets::LEARNED)),
            unlabelled: self.drawn().into_iter().collect(),
            pretraining: learning.base_data.clone(),
            reward: self.reward_folder(),
            anchor: learning.anchor.or(usual.anchor),
            guidance: learning.tune_guidance.filter(|_| self.round.generator != self.round.base),
            steps,
            rows: learning.tune_rows,
            rate: learning.tune_rate.unwrap_or(usual.rate),
            sheet_every: if steps < SHEET_EVERY { 0 } else { SHEET_EVERY },
            seed: learning.seed,
            threads: learning.threads,
            ..usual
        }
    }

    pub(super) async fn judge_generator(&self) -> Result<Next, DaemonError> {
        let (passing, learning) = (&self.daemon.settings.passing, &self.daemon.settings.learning);
        let grammar = Prompts::Grammar { amount: passing.gate_prompts, held_out: GATE_HELD_OUT };
        let gate = GeneratorGate {
            champion: self.champion(),
            candidate: self.folder.join("tune").join("pack"),
            reward: self.reward_folder(),
            prompts: passing.gate_prompts_file.clone().map_or(grammar, Prompts::File),
            pictures: passing.gate_pictures,
            steps: passing.gate_steps,
            seed: GATE_SEEDS + self.round.sequence.unsigned_abs(),
            bounds: passing.generator_bounds.clone(),
            out: self.folder.join("generator-gate"),
            threads: learning.threads,
        };
        let evidence = blocking(move || gate::generator(&gate)).await?;
        pass(CrashPoint::GeneratorJudged);
        Ok(self.judged(&evidence, "generator_gate", RoundStage::Publish))
    }

    pub(super) async fn publish(&self) -> Result<Next, DaemonError> {
        let registry = &self.daemon.registry;
        let training = json!({"round": self.round.sequence, "objective": self.daemon.settings.learning.objective.name(),
            "reward": self.version("reward"), "tune": self.round.facts["tune"]});
        let lineage = self.lineage("generator-gate", Some(self.round.generator.clone()), training);
        let pack = self.folder.join("tune").join("pack");
        let version = registry.publish(Kind::Generator, &pack, lineage).await?.version;
        registry.verify(Kind::Generator, &version, None, &quiet()).await?;
        pass(CrashPoint::Published);
        Ok(self.on(RoundStage::Release, "generator", json!({"version": version})))
    }

    pub(super) async fn release(&self) -> Result<Next, DaemonError> {
        let version = self.version("generator").ok_or_else(|| anyhow::anyhow!("the round names no generator"))?;
        let released = match self.daemon.settings.passing.release {
            Release::Publish => Ok(format!("{version} is published; `plaudit registry try` tries it")),
            Release::Promote => self.promote(&version).await?,
            Release::Trial => self.ask_for_trial(&version).await?,
        };
        pass(CrashPoint::Released);
        Ok(match released {
            Ok(said) => self.over(RoundOutcome::Released, said),
            Err(why) => self.over(RoundOutcome::Abandoned, why),
        })
    }

    async fn promote(&self, version: &VersionId) -> Result<Released, DaemonError> {
        let promotion = self.promotion(Kind::Generator, version, Some(self.round.generator.clone()));
        match self.daemon.registry.promote(promotion).await {
            Ok(_) | Err(RegistryError::IsChampion { .. }) => Ok(Ok(format!("{version} is champion"))),
            Err(error @ RegistryError::Conflict { .. }) => Ok(Err(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// A trial that this round began before it was killed is this round's.
    async fn ask_for_trial(&self, version: &VersionId) -> Result<Released, DaemonError> {
        let (daemon, passing) = (self.daemon, &self.daemon.settings.passing);
        let last = trial::list(&daemon.store, None, 1).await?.pop();
        if last.is_some_and(|trial| trial.version == *version && trial.started >= self.round.started) {
            return Ok(Ok(format!("{version} is on trial, or was")));
        }
        let trial = NewTrial {
            kind: Kind::Generator,
            version: version.clone(),
            champion: self.round.generator.clone(),
            share: passing.share,
            shadow: passing.shadow,
            actor: ACTOR.to_owned(),
            reason: self.reason(),
        };
        match trial::begin(&daemon.store, &daemon.registry, trial).await {
            Ok(begun) => {
                let percent = 100.0 * begun.share;
                Ok(Ok(format!("{version} is on trial beside {} for {percent:.0} % of those who ask", begun.champion)))
            }
            Err(error @ (TrialError::GoesOn(_) | TrialError::Registry(RegistryError::Conflict { .. }))) => {
                Ok(Err(format!("{version} is published and not tried: {error}")))
            }
            Err(error) => Err(error.into()),
        }
    }
}
