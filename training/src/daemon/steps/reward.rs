//! Steps about the reward.

use std::path::PathBuf;

use plaudit::{
    domain::{Kind, VersionId},
    pack::Pack,
    round::{RoundOutcome, RoundStage},
};
use serde_json::{Value, json};

use super::{Next, Step, blocking, quiet};
use crate::{
    daemon::{
        DaemonError, Release, TuneObjective,
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
            // Votes are few; that raters are strangers is not what the gate asks.
            deal_raters: false,
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
        let next = self.judged(&evidence, "reward_gate", RoundStage::RewardRelease);
        Ok(match next {
            Next::Over(RoundOutcome::Refused, said, facts) if self.keeps_reward() => self.kept(champion, &said, facts),
            next => next,
        })
    }

    /// Whether the generator may be tuned by the champion's reward where the new one is refused.
    fn keeps_reward(&self) -> bool {
        let learning = &self.daemon.settings.learning;
        // KTO learns from the votes themselves, and they did not make a reward that passed.
        learning.keep_reward && !learning.rewards_only && learning.objective != TuneObjective::Kto
    }

    fn kept(&self, champion: &VersionId, said: &str, mut facts: Value) -> Next {
        tracing::info!(round = self.round.sequence, "{said}; the champion's reward is kept");
        facts["reward"] = json!({"version": champion, "promoted": false, "kept": true});
        Next::Stage(RoundStage::Tune, facts)
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
