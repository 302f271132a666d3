//! From what was seen and voted to what becomes of a trial.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{
    TrialRecord, TrialSettings, TrialVote,
    race::{Arm, Count, Race},
    seen::Seen,
};
use crate::domain::Kind;

/// What becomes of a trial.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing is shown yet.
    GoOn,
    /// The candidate is as good as the champion, or better.
    Promote(String),
    /// The candidate is worse, or fails.
    RollBack(String),
    /// It will not be shown: somebody has to decide.
    Pause(String),
}

/// Thumbs on the pictures of both.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Thumbs {
    /// Each request is an outcome, the share of its thumbs that are up: pictures of one prompt are liked together, so that thumbs alone would soon be sure of
    /// what two prompts say.
    requests: Race,
    /// Thumbs of the champion's, and of the candidate's.
    thumbs: [Count; 2],
}

/// Thumbs up of both, with at most so many of a rater on each side's pictures.
pub(super) fn thumbs(votes: &[TrialVote], per_rater: usize) -> Thumbs {
    let mut found = Thumbs::default();
    let mut counted: HashMap<(&(String, String), bool), usize> = HashMap::new();
    let mut requests: IndexMap<(&str, bool), Count> = IndexMap::new();
    for vote in votes {
        let count = counted.entry((&vote.rater, vote.candidate)).or_default();
        *count += 1;
        if *count <= per_rater {
            let request = requests.entry((&vote.job, vote.candidate)).or_default();
            for count in [request, &mut found.thumbs[usize::from(vote.candidate)]] {
                count.all += 1;
                count.had += f64::from(u8::from(vote.up));
            }
        }
    }
    for ((_, candidate), count) in requests {
        let arm = if candidate { Arm::Candidate } else { Arm::Champion };
        found.requests.push_share(arm, count.rate().unwrap_or_default());
    }
    found
}

/// What machines see; `None` where they have nothing to say.
pub(super) fn of_faults(kind: Kind, seen: &Seen, settings: &TrialSettings) -> Option<String> {
    let sure = -settings.alpha_faults.ln();
    for (_, what, race) in seen.faults(kind) {
        if race.more(0.0) >= sure {
            let share = |count: Count| 100.0 * count.rate().unwrap_or(0.0);
            let (candidate, champion) = (share(race.candidate), share(race.champion));
            return Some(format!("more {what}: {candidate:.1} % against {champion:.1} %"));
        }
    }
    let slow = seen.slowdown().filter(|slowdown| *slowdown > settings.slowdown)?;
    let what = match kind {
        Kind::Generator => "a step",
        Kind::Reward => "scoring a picture",
    };
    Some(format!("{what} takes at least {slow:.2} times as long"))
}

/// What the thumbs, the time and the machines say.
pub(super) fn of_canary(
    trial: &TrialRecord,
    seen: &Seen,
    thumbs: &Thumbs,
    settings: &TrialSettings,
    now: i64,
) -> Verdict {
    if let Some(fault) = of_faults(trial.kind, seen, settings) {
        return Verdict::RollBack(fault);
    }
    let sure = -settings.alpha.ln();
    let [champion, candidate] = thumbs.thumbs;
    let told = |count: Count, requests: Count| {
        format!("{:.1} % of {} thumbs up, {} requests", 100.0 * count.rate().unwrap_or(0.0), count.all, requests.all)
    };
    let rates = || {
        let Race { champion: before, candidate: now, .. } = thumbs.requests;
        format!("{}, against {}", told(candidate, now), told(champion, before))
    };
    if thumbs.requests.less(0.0) >= sure {
        return Verdict::RollBack(format!("people like it less: {}", rates()));
    }
    if candidate.all >= settings.min_votes && thumbs.requests.not_less(settings.margin) >= sure {
        return Verdict::Promote(format!("people like it as much or more: {}", rates()));
    }
    const HOUR: u64 = 3600;
    let late = now.saturating_sub(trial.changed) >= i64::try_from(settings.max_hours * HOUR).unwrap_or(i64::MAX);
    if late || candidate.all >= settings.max_votes {
        return Verdict::Pause(format!("nothing is shown: {}", rates()));
    }
    Verdict::GoOn
}

/// What a verdict rests on. What the shadow requests showed stays.
pub(super) fn evidence(trial: &TrialRecord, seen: &Seen, thumbs: &Thumbs, settings: &TrialSettings) -> Value {
    let [champion, candidate] = thumbs.thumbs.map(Count::told);
    let requests = thumbs.requests;
    json!({
        "shadow": trial.evidence.get("shadow"),
        "thumbs_up": {
            "champion": champion,
            "candidate": candidate,
            "requests": [requests.champion.all, requests.candidate.all],
            "log_evidence_of_less": requests.less(0.0),
            "log_evidence_of_not_less": requests.not_less(settings.margin),
            "sure_from": -settings.alpha.ln(),
        },
        "seen": seen.told(trial.kind),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{
        TrialState,
        seen::{Outcome, Scoring},
        watch::Watch,
    };

    fn trial() -> TrialRecord {
        TrialRecord {
            sequence: 1,
            kind: Kind::Generator,
            version: "m@0123456789ab".parse().expect("a name"),
            champion: "m@ba9876543210".parse().expect("a name"),
            share: 0.5,
            shadow: 0,
            state: TrialState::Canary,
            actor: "a".into(),
            reason: "b".into(),
            after: 0,
            started: 0,
            changed: 0,
            evidence: Value::Null,
        }
    }

    /// Votes of many raters, `up` of a hundred on each side, mixed.
    fn votes(champion: usize, candidate: usize, rounds: usize) -> Vec<TrialVote> {
        let vote = |at: usize, is_candidate: bool, up: bool| TrialVote {
            rater: ("key".into(), format!("rater {at}")),
            job: format!("job {at}"),
            candidate: is_candidate,
            up,
        };
        // 37 is coprime to 100: the ups are spread.
        let round = |round: usize| {
            (0..100).flat_map(move |at| {
                let place = at * 37 % 100;
                let rater = round * 100 + at;
                [vote(rater, false, place < champion), vote(rater, true, place < candidate)]
            })
        };
        (0..rounds).flat_map(round).collect()
    }

    #[test]
    fn thumbs_promote_roll_back_or_leave_it_to_somebody() {
        let settings = TrialSettings::default();
        let verdict = |votes: &[TrialVote], now| {
            of_canary(&trial(), &Seen::default(), &thumbs(votes, settings.votes_per_rater), &settings, now)
        };
        assert_eq!(verdict(&[], 0), Verdict::GoOn);
        assert!(matches!(verdict(&votes(47, 65, 4), 0), Verdict::Promote(_)));
        assert!(matches!(verdict(&votes(47, 20, 4), 0), Verdict::RollBack(why) if why.contains("20.0 %")));
        assert_eq!(verdict(&votes(47, 45, 2), 0), Verdict::GoOn);
        assert!(matches!(verdict(&votes(47, 43, 20), 0), Verdict::Pause(_)));
        assert!(matches!(verdict(&votes(47, 45, 2), 169 * 3600), Verdict::Pause(_)));
    }

    #[test]
    fn one_raters_thumbs_count_a_few_times_only() {
        let one: Vec<TrialVote> = votes(47, 0, 4)
            .into_iter()
            .map(|vote| if vote.candidate { TrialVote { rater: ("key".into(), "angry".into()), ..vote } } else { vote })
            .collect();
        assert_eq!(thumbs(&one, 20).thumbs[1].all, 20);
    }

    #[test]
    fn thumbs_on_one_request_decide_nothing() {
        let settings = TrialSettings::default();
        let all = |votes: Vec<TrialVote>| {
            votes
                .into_iter()
                .map(|vote| TrialVote { job: format!("of {}", vote.candidate), ..vote })
                .collect::<Vec<_>>()
        };
        let found = thumbs(&all(votes(47, 0, 4)), settings.votes_per_rater);
        assert_eq!((found.thumbs[1].all, found.requests.candidate.all), (400, 1));
        let verdict = of_canary(&trial(), &Seen::default(), &found, &settings, 0);
        assert_eq!(verdict, Verdict::GoOn, "a prompt that it cannot draw is one prompt");
        let told = evidence(&trial(), &Seen::default(), &found, &settings);
        assert_eq!(
            (&told["thumbs_up"]["candidate"], &told["thumbs_up"]["requests"]),
            (&json!([0, 400]), &json!([1, 1]))
        );
    }

    #[test]
    fn failures_and_black_pictures_roll_back_without_a_vote() {
        let settings = TrialSettings::default();
        for (failed, black) in [(true, false), (false, true)] {
            let watch = Watch::default();
            watch.begin(Kind::Generator, "a", "b");
            for at in 0..40 {
                watch.record(Kind::Generator, "a", &Outcome { pictures: vec![(false, false)], ..Outcome::default() });
                let bad = Outcome { failed, pictures: vec![(false, black)], ..Outcome::default() };
                watch.record(Kind::Generator, "b", &bad);
                if of_faults(Kind::Generator, &watch.seen(), &settings).is_some() {
                    assert!((2..30).contains(&at), "after {at}");
                    break;
                }
                assert!(at < 39, "never");
            }
        }
        let watch = Watch::default();
        watch.begin(Kind::Generator, "a", "b");
        for _ in 0..500 {
            let fine = Outcome { pictures: vec![(false, false)], ..Outcome::default() };
            ["a", "b"].iter().for_each(|version| watch.record(Kind::Generator, version, &fine));
        }
        assert_eq!(of_faults(Kind::Generator, &watch.seen(), &settings), None);
    }

    #[test]
    fn a_reward_that_fails_or_is_slow_is_rolled_back_without_a_vote() {
        let settings = TrialSettings::default();
        let of_both = |failed: bool, seconds: f64| {
            let watch = Watch::default();
            watch.begin(Kind::Reward, "r", "s");
            let scoring = |failed: bool, seconds: f64| Outcome {
                scoring: Some(Scoring { failed, seconds_a_picture: Some(seconds) }),
                ..Outcome::default()
            };
            for at in 0..40 {
                watch.record(Kind::Reward, "r", &scoring(false, 0.02 + f64::from(at % 5) * 0.001));
                watch.record(Kind::Reward, "s", &scoring(failed, seconds + f64::from(at % 5) * 0.001));
            }
            of_faults(Kind::Reward, &watch.seen(), &settings)
        };
        assert_eq!(of_both(false, 0.021), None);
        assert_eq!(of_both(true, 0.021).as_deref(), Some("more requests are not scored: 100.0 % against 0.0 %"));
        assert!(of_both(false, 0.06).is_some_and(|why| why.starts_with("scoring a picture takes at least 2.")));
    }
}
