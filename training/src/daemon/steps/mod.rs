//! The steps of a round. Each can be done again: what lies whole at its place is taken, what is half done goes on.

mod generator;
mod reward;

use std::path::{Path, PathBuf};

use plaudit::{
    domain::{Kind, VersionId},
    feedback::{
        dataset::{Card, Format},
        exchange::export_dataset,
    },
    registry::{EventRange, Lineage, Promotion},
    round::{RoundOutcome, RoundRecord, RoundStage},
    runtime::SessionSettings,
    store::ExportScope,
};
use serde_json::{Value, json};

use super::{
    ACTOR, Daemon, DaemonError,
    crash::{CrashPoint, pass},
    sets,
};
use crate::gate::{Evidence, Measure, Verdict};

/// What follows a step.
pub(super) enum Next {
    /// The next step, and all facts of the round.
    Stage(RoundStage, Value),
    /// The end, why, and all facts.
    Over(RoundOutcome, String, Value),
}

/// A step of a round.
pub(super) struct Step<'a> {
    daemon: &'a Daemon,
    round: &'a RoundRecord,
    folder: PathBuf,
}

impl<'a> Step<'a> {
    pub(super) fn new(daemon: &'a Daemon, round: &'a RoundRecord) -> Self {
        Self { daemon, round, folder: daemon.runs.join(format!("round-{}", round.sequence)) }
    }

    /// Does the step that the round is in.
    pub(super) async fn run(&self) -> Result<Next, DaemonError> {
        if let Some(why) = self.gone().await? {
            return Ok(self.over(RoundOutcome::Abandoned, why));
        }
        match self.round.stage {
            RoundStage::Export => self.export().await,
            RoundStage::Reward => self.reward().await,
            RoundStage::RewardGate => self.judge_reward().await,
            RoundStage::RewardRelease => self.release_reward().await,
            RoundStage::Tune => self.tune().await,
            RoundStage::GeneratorGate => self.judge_generator().await,
            RoundStage::Publish => self.publish().await,
            RoundStage::Release => self.release().await,
        }
    }

    /// Why the round cannot go on, if so: what it was begun with is not what is.
    async fn gone(&self) -> Result<Option<String>, DaemonError> {
        let round = self.round;
        if round.stage > RoundStage::Export && !self.folder.join(sets::VOTES).is_dir() {
            return Ok(Some(format!("its files are not in {}; the next round begins anew", self.folder.display())));
        }
        let now = self.daemon.registry.aliases(Kind::Generator).await?.champion;
        let ours = round.stage == RoundStage::Release && now == self.version("generator");
        if now.as_ref() != Some(&round.generator) && !ours {
            let now = now.map_or_else(|| "none".to_owned(), |now| now.to_string());
            return Ok(Some(format!("it began with {}, and the champion is {now} by now", round.generator)));
        }
        Ok(None)
    }

    async fn export(&self) -> Result<Next, DaemonError> {
        let place = self.folder.join(sets::VOTES);
        let most = self.daemon.settings.soundness.rater_weight;
        if !place.exists() {
            let card =
                Card { collected: "Votes of a server's users, exported to learn from.".into(), ..Card::default() };
            let scope = ExportScope::default();
            export_dataset(&self.daemon.store, &scope, most, &place, Format::JsonLines, card).await?;
        }
        let (folder, seed) = (self.folder.clone(), self.daemon.settings.learning.seed);
        let facts = blocking(move || sets::divide(&folder, seed)).await?;
        pass(CrashPoint::Exported);
        let facts = json!({"rows": facts.rows, "images": facts.images, "from_sequence": facts.from_sequence,
            "to_sequence": facts.to_sequence, "rows_sha256": facts.rows_sha256});
        Ok(self.on(RoundStage::Reward, "export", facts))
    }

    fn champion(&self) -> PathBuf {
        self.daemon.registry.folder(Kind::Generator, &self.round.generator)
    }

    /// Where this round's reward is.
    fn reward_folder(&self) -> Option<PathBuf> {
        self.version("reward").map(|version| self.daemon.registry.folder(Kind::Reward, &version))
    }

    /// A version that the round has made.
    fn version(&self, of: &str) -> Option<VersionId> {
        self.round.facts[of]["version"].as_str()?.parse().ok()
    }

    fn reason(&self) -> String {
        format!("round {}: the gate let it pass", self.round.sequence)
    }

    fn promotion(&self, kind: Kind, version: &VersionId, expected: Option<VersionId>) -> Promotion {
        Promotion { kind, version: version.clone(), expected, actor: ACTOR.to_owned(), reason: self.reason() }
    }

    fn lineage(&self, gate: &str, parent: Option<VersionId>, training: Value) -> Lineage {
        let export = &self.round.facts["export"];
        let range = export["from_sequence"].as_i64().zip(export["to_sequence"].as_i64());
        Lineage {
            parent,
            events: range.map(|(first, last)| EventRange { first, last }),
            events_digest: export["rows_sha256"].as_str().map(str::to_owned),
            training,
            evidence: evidence_of(&self.folder.join(gate)),
            published_by: ACTOR.to_owned(),
        }
    }

    fn judged(&self, evidence: &Evidence, of: &str, next: RoundStage) -> Next {
        let facts = self.with(of, json!({"verdict": evidence.verdict.word(), "why": why(evidence)}));
        let passes = match evidence.verdict {
            Verdict::Pass => true,
            Verdict::Inconclusive => self.daemon.settings.passing.accept_inconclusive && evidence.is_within(),
            Verdict::Fail => false,
        };
        let said = format!("the {} gate says {}: {}", evidence.kind.word(), evidence.verdict.word(), why(evidence));
        if passes { Next::Stage(next, facts) } else { Next::Over(RoundOutcome::Refused, said, facts) }
    }

    /// The round's facts and one more.
    fn with(&self, name: &str, fact: Value) -> Value {
        let mut facts = self.round.facts.clone();
        facts[name] = fact;
        facts
    }

    fn on(&self, to: RoundStage, name: &str, fact: Value) -> Next {
        Next::Stage(to, self.with(name, fact))
    }

    fn over(&self, outcome: RoundOutcome, why: String) -> Next {
        Next::Over(outcome, why, self.round.facts.clone())
    }
}

/// Which measures decided.
fn why(evidence: &Evidence) -> String {
    let named = |measure: &Measure| format!("{}, {}", measure.name, measure.on);
    let names: Vec<String> = evidence.of(evidence.verdict).map(named).collect();
    match evidence.verdict {
        Verdict::Pass => "every interval lies within its bound".to_owned(),
        Verdict::Inconclusive => format!("across the bound: {}", names.join("; ")),
        Verdict::Fail => format!("beyond the bound: {}", names.join("; ")),
    }
}

/// What a gate wrote; null where there was none.
fn evidence_of(gate: &Path) -> Value {
    let text = std::fs::read(gate.join("gate.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// One thread: a server may be beside it.
fn quiet() -> SessionSettings {
    SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() }
}

/// Runs what takes long where that holds nobody up.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, DaemonError>
where
    T: Send + 'static,
    E: Into<DaemonError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await?.map_err(Into::into)
}
