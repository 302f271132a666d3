//! Steps about the reward.

use std::path::PathBuf;

use plaudit::{
    domain::Kind,
    pack::Pack,
    round::{RoundOutcome, RoundStage},
};
use serde_json::json;

use super::{Next, Step, blocking, quiet};
use crate::{
    daemon::{
        DaemonError, Release,
        crash::{CrashPoint, pass},
        sets,
    },
    gate::{self, RewardGate},
    reward::{self, Training},
};

/// The word in the name of a reward that has no parent.
const REWARD: &str = "reward";

impl Step<'_> {
    pub(super) async fn reward(&self) -> Result<Next, DaemonError> {
        let out = self.folder.join("reward").join("pack");
        if !out.exists() {
            let training = self.reward_training(out);
            blocking(move || reward::reward(&training)).await?;
        }
        pass(CrashPoint::Rewarded);
        Ok(Next::Stage(RoundStage::RewardGate, self.round.facts.clone()))
    }

    /// The recipe of `plaudit-train reward`, without what only its report needs.
    fn reward_training(&self, out: PathBuf) -> Training {
        let learning = &self.daemon.settings.learning;
        let named = || format!("{}-{REWARD}", self.round.generator.name());
        Training {
            pack: self.champion(),
            dataset: self.folder.join(sets::VOTES),
            data: self.folder.join("reward"),
            out,
            name: self.round.reward.as_ref().map_or_else(named, |reward| reward.name().to_owned()),
            steps: learning.reward_steps,
            seed: learning.seed,
            seeds: 1,
            ablations: false,
            threads: learning.threads,
            ..Training::default()
        }
    }

    pub(super) async fn judge_reward(&self) -> Result<Next, DaemonError> {
        let Some(champion) = &self.round.reward else {
            let facts = json!({"verdict": "pass", "why": "there is no champion to compare with"});
            return Ok(self.on(RoundStage::RewardRelease, "reward_gate", facts));
        };
        let (own, passing) = (self.folder.join(sets::GOLDEN), &self.daemon.settings.passing);
        let (golden, newest) = match &passing.golden {
            Some(golden) => (golden.clone(), Some(own)),
            None => (own, None),
        };
        let gate = RewardGate {
            champion: self.daemon.registry.folder(Kind::Reward, champion),
            candidate: self.folder.join("reward").join("pack"),
            pack: self.champion(),
            golden,
            newest,
            bounds: passing.reward_bounds.clone(),
            out: self.folder.join("reward-gate"),
            threads: self.daemon.settings.learning.threads,
        };
        let evidence = blocking(move || gate::reward(&gate)).await?;
        pass(CrashPoint::RewardJudged);
        Ok(self.judged(&evidence, "reward_gate", RoundStage::RewardRelease))
    }

    pub(super) async fn release_reward(&self) -> Result<Next, DaemonError> {
        let registry = &self.daemon.registry;
        let lineage = self.lineage("reward-gate", self.round.reward.clone(), json!({"round": self.round.sequence}));
        let pack = self.folder.join("reward").join("pack");
        let version = registry.publish(Kind::Reward, &pack, lineage).await?.version;
        pass(CrashPoint::RewardPublished);
        let champion = registry.aliases(Kind::Reward).await?.champion;
        let promoted = self.daemon.settings.passing.release != Release::Publish;
        if promoted && champion.as_ref() != Some(&version) {
            if champion != self.round.reward {
                let why =
                    format!("somebody promoted another reward meanwhile; {version} is published and not promoted");
                return Ok(self.over(RoundOutcome::Abandoned, why));
            }
            let generator = Pack::open(&self.champion())?;
            registry.verify(Kind::Reward, &version, Some(&generator), &quiet()).await?;
            registry.promote(self.promotion(Kind::Reward, &version, champion)).await?;
        }
        pass(CrashPoint::RewardPromoted);
        let facts = self.with("reward", json!({"version": version, "promoted": promoted}));
        Ok(match self.daemon.settings.learning.rewards_only {
            true => Next::Over(RoundOutcome::Released, format!("the reward {version} has passed its gate"), facts),
            false => Next::Stage(RoundStage::Tune, facts),
        })
    }
}
