//! Whether there is reason to begin a round, and what it begins with.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use plaudit::{
    domain::{Kind, Rating, VersionId},
    registry::RegistryError,
    round::{NewRound, RoundOutcome, RoundRecord, VotesWaiting},
    store::ExportScope,
    trial,
};
use serde_json::json;

use super::{Daemon, DaemonError, Done, Health, Watermark};

/// Rounds that are looked back at.
const LOOKED_BACK: usize = 100;
/// Gold items at most: more than anybody answers by hand.
const GOLD: usize = 100_000;
/// Parents of a version at most: lines are shorter.
const LONGEST_LINE: usize = 1000;
const DAY: i64 = 86_400;
const MINUTE: i64 = 60;
const SECONDS_AN_HOUR: f64 = 3600.0;

/// To begin, or what to say instead.
pub(super) enum Reason {
    Begin(NewRound),
    Not(Done),
}

impl From<Done> for Reason {
    fn from(done: Done) -> Self {
        Self::Not(done)
    }
}

/// Looks at votes, trials and earlier rounds.
pub(super) async fn reason(daemon: &Daemon) -> Result<Reason, DaemonError> {
    let (store, registry, settings) = (&daemon.store, &daemon.registry, &daemon.settings);
    let rounds = store.rounds(LOOKED_BACK).await?;
    let after = learned_until(&rounds);
    let waiting = store.votes_waiting(after).await?;
    daemon.metrics.waiting.set(waiting.votes);
    let now = now();
    if let Some(why) = too_soon(&waiting, &settings.watermark, now) {
        return Ok(Done::Nothing(why).into());
    }
    let Some(generator) = registry.aliases(Kind::Generator).await?.champion else {
        let why =
            "no generator is champion yet: a server makes its pack champion when it first starts on this directory";
        return Ok(Done::Nothing(why.to_owned()).into());
    };
    if !settings.learning.rewards_only
        && let Some(trial) = trial::list(store, None, 1).await?.pop().filter(|trial| !trial.state.is_over())
    {
        let why = format!("{} is on trial ({}); the next round waits for its end", trial.version, trial.state.name());
        return Ok(Done::Nothing(why).into());
    }
    if let Some(why) = failed_lately(&rounds, &settings.watermark, now) {
        return Ok(Done::Capped(why).into());
    }
    let base = base(daemon, &generator).await?;
    let counted = store.count_rounds(now - DAY, &base).await?;
    if let Some(why) = capped(counted, &base, &settings.watermark) {
        return Ok(Done::Capped(why).into());
    }
    let health = health(daemon, after).await?;
    if let Some(refusal) = health.refusal(&settings.soundness) {
        return Ok(Done::Unfit(refusal).into());
    }
    let reward = registry.aliases(Kind::Reward).await?.champion;
    Ok(Reason::Begin(NewRound { generator, reward, base, after, upto: waiting.upto, facts: json!({"votes": health}) }))
}

/// The last place of the event log that a round learned from. What a round that failed was to learn from is still to be learned.
fn learned_until(rounds: &[RoundRecord]) -> i64 {
    let learned = |round: &&RoundRecord| matches!(round.outcome, Some(RoundOutcome::Released | RoundOutcome::Refused));
    rounds.iter().filter(learned).map(|round| round.upto).max().unwrap_or(0)
}

/// Why there are too few new votes for a round, if so.
fn too_soon(waiting: &VotesWaiting, watermark: &Watermark, now: i64) -> Option<String> {
    let Watermark { new_votes, max_age, aged_votes, .. } = *watermark;
    let hours = waiting.oldest.map_or(0.0, |oldest| (now - oldest) as f64 / SECONDS_AN_HOUR);
    let old = max_age > 0.0 && hours >= max_age;
    let needed = i64::from(if old { aged_votes.min(new_votes) } else { new_votes });
    let age = if old { format!(" although the oldest is {hours:.0} hours old") } else { String::new() };
    (waiting.votes < needed).then(|| format!("{} new votes of {needed} that a round needs{age}", waiting.votes))
}

fn failed_lately(rounds: &[RoundRecord], watermark: &Watermark, now: i64) -> Option<String> {
    let last = rounds.first().filter(|round| round.outcome == Some(RoundOutcome::Failed))?;
    let left = last.changed + i64::from(watermark.retry_after) * MINUTE - now;
    (left > 0).then(|| {
        let minutes = (left + MINUTE - 1) / MINUTE;
        format!(
            "round {} failed ({}); the next begins in {minutes} minutes (--retry-after)",
            last.sequence, last.reason
        )
    })
}

fn capped((today, of_base): (i64, i64), base: &VersionId, watermark: &Watermark) -> Option<String> {
    if today >= i64::from(watermark.rounds_per_day) {
        return Some(format!("{today} rounds began within 24 hours, and no more may (--rounds-per-day)"));
    }
    (of_base >= i64::from(watermark.rounds_per_base)).then(|| {
        format!(
            "{of_base} rounds were built on {base}, and no more may (--rounds-per-base): train a base anew on what was learned, publish \
             it without a parent, and promote it"
        )
    })
}

/// Where a version's line begins: the last parent that is known.
async fn base(daemon: &Daemon, version: &VersionId) -> Result<VersionId, DaemonError> {
    let mut base = version.clone();
    for _ in 0..LONGEST_LINE {
        match daemon.registry.version(Kind::Generator, &base).await {
            Ok(record) => match record.lineage.parent {
                Some(parent) => base = parent,
                None => break,
            },
            Err(RegistryError::NotFound { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(base)
}

/// What the votes are like.
async fn health(daemon: &Daemon, after: i64) -> Result<Health, DaemonError> {
    let most = daemon.settings.soundness.rater_weight;
    let found = daemon.store.votes_to_export(&ExportScope::default(), most).await?;
    let gold = daemon.store.list_gold(None, GOLD).await?;
    let gold: HashMap<String, Rating> = gold.into_iter().map(|(image, right)| (image.to_string(), right)).collect();
    let kept = found.votes.iter().filter(|vote| vote.blob.is_some());
    Ok(Health::of(kept.map(|vote| &vote.row), after, &gold))
}

/// Unix seconds.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use plaudit::round::RoundStage;

    use super::*;
    use crate::daemon::DaemonSettings;

    fn watermark() -> Watermark {
        let usual = DaemonSettings::new("x").watermark;
        Watermark { new_votes: 100, aged_votes: 20, max_age: 2.0, rounds_per_day: 2, rounds_per_base: 3, ..usual }
    }

    fn round(sequence: i64, outcome: Option<RoundOutcome>, upto: i64) -> RoundRecord {
        let version: VersionId = "miniature@0123456789ab".parse().expect("a version");
        RoundRecord {
            sequence,
            stage: RoundStage::Reward,
            outcome,
            reason: "the disk is full".into(),
            generator: version.clone(),
            reward: None,
            base: version,
            after: 0,
            upto,
            holder: "one".into(),
            started: 0,
            changed: 1000,
            facts: json!({}),
        }
    }

    #[test]
    fn a_round_needs_enough_votes_or_old_ones() {
        let waiting = |votes, hours: i64| VotesWaiting { votes, oldest: Some(100_000 - 3600 * hours), upto: 0 };
        let cases =
            [((99, 0), true), ((100, 0), false), ((20, 1), true), ((20, 2), false), ((19, 30), true), ((0, 0), true)];
        for ((votes, hours), early) in cases {
            assert_eq!(
                too_soon(&waiting(votes, hours), &watermark(), 100_000).is_some(),
                early,
                "{votes} after {hours} h"
            );
        }
        let never = Watermark { max_age: 0.0, ..watermark() };
        assert!(too_soon(&waiting(99, 1000), &never, 100_000).is_some());
    }

    #[test]
    fn votes_of_a_failed_round_are_still_to_be_learned() {
        let rounds = [
            round(3, Some(RoundOutcome::Failed), 90),
            round(2, Some(RoundOutcome::Refused), 60),
            round(1, Some(RoundOutcome::Released), 30),
        ];
        assert_eq!((learned_until(&rounds), learned_until(&[])), (60, 0));
        let left = failed_lately(&rounds, &watermark(), 1000).expect("it waits");
        assert!(left.contains("30 minutes") && left.contains("the disk is full"), "{left}");
        assert_eq!(failed_lately(&rounds, &watermark(), 1000 + 30 * 60), None);
        assert_eq!(failed_lately(&rounds[1..], &watermark(), 1000), None);
    }

    #[test]
    fn rounds_are_capped_a_day_and_of_a_base() {
        let base: VersionId = "miniature@0123456789ab".parse().expect("a version");
        let said = |counted| capped(counted, &base, &watermark());
        assert_eq!(said((1, 2)), None);
        assert!(said((2, 0)).is_some_and(|why| why.contains("--rounds-per-day")));
        assert!(said((0, 3)).is_some_and(|why| why.contains(base.as_str())));
    }
}
