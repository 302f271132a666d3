//! What machines see of both versions while a trial goes on, and what of it counts for which kind of version.

use serde_json::{Map, Value, json};

use super::race::{Arm, Race};
use crate::domain::Kind;

/// What served a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// `name@hash` of what drew it.
    pub generator: String,
    /// And of what judged it.
    pub reward: Option<String>,
}

/// How the scoring of a request's pictures went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scoring {
    /// A picture could not be scored.
    pub failed: bool,
    /// From a picture to its score, with the wait for others; `None` where that was not measured.
    pub seconds_a_picture: Option<f64>,
}

/// How a request ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The server's fault.
    pub failed: bool,
    /// For each picture whether it was withheld, and whether it is as good as black.
    pub pictures: Vec<(bool, bool)>,
    /// Of the denoiser, for a step of a picture.
    pub seconds_a_step: Option<f64>,
    /// `None`: nothing was scored.
    pub scoring: Option<Scoring>,
    /// Mean reward of the candidates.
    pub reward: Option<f64>,
    /// Mean difference between the pictures (`trial/drift`).
    pub spread: Option<f64>,
}

/// Seconds a step, or a picture, by their logarithms (Welford).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Pace {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Pace {
    fn push(&mut self, seconds: f64) {
        let value = seconds.max(f64::MIN_POSITIVE).ln();
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    /// Squared standard error of the mean.
    fn error(self) -> f64 {
        self.squares / (self.count - 1.0).max(1.0) / self.count.max(1.0)
    }
}

/// What was seen since the trial began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    /// Requests that the server failed; of a reward those that it could not score.
    pub failed: Race,
    /// Pictures of one colour, or as good as black.
    pub black: Race,
    /// Pictures that the safety checker withheld.
    pub flagged: Race,
    pace: [Pace; 2],
}

impl Seen {
    /// How many times as long the candidate takes, less three standard errors; `None` before there is enough.
    pub fn slowdown(&self) -> Option<f64> {
        /// Requests of each version.
        const ENOUGH: f64 = 30.0;
        const ERRORS: f64 = 3.0;
        let [champion, candidate] = self.pace;
        let error = (champion.error() + candidate.error()).sqrt();
        (champion.count >= ENOUGH && candidate.count >= ENOUGH)
            .then(|| (candidate.mean - champion.mean - ERRORS * error).exp())
    }

    /// A request that one of both served.
    pub(super) fn push(&mut self, kind: Kind, arm: Arm, outcome: &Outcome) {
        let (failed, seconds) = match kind {
            Kind::Generator => {
                for &(flagged, black) in &outcome.pictures {
                    self.flagged.push(arm, flagged);
                    self.black.push(arm, black);
                }
                (Some(outcome.failed), outcome.seconds_a_step)
            }
            Kind::Reward => {
                let scoring = outcome.scoring;
                (scoring.map(|scoring| scoring.failed), scoring.and_then(|scoring| scoring.seconds_a_picture))
            }
        };
        if let Some(failed) = failed {
            self.failed.push(arm, failed);
        }
        if let Some(seconds) = seconds {
            self.pace[usize::from(arm == Arm::Candidate)].push(seconds);
        }
    }

    /// What must not happen more often than with the champion: its name in the evidence, and in words.
    pub(super) fn faults(&self, kind: Kind) -> Vec<(&'static str, &'static str, &Race)> {
        match kind {
            Kind::Generator => vec![
                ("failed", "requests fail", &self.failed),
                ("black", "pictures are black", &self.black),
                ("flagged", "pictures are flagged", &self.flagged),
            ],
            Kind::Reward => vec![("failed", "requests are not scored", &self.failed)],
        }
    }

    /// For whoever asks why.
    pub(super) fn told(&self, kind: Kind) -> Value {
        let race = |race: &Race| {
            json!({
                "champion": race.champion.told(), "candidate": race.candidate.told(),
                "log_evidence_of_more": race.more(0.0),
            })
        };
        let faults = self.faults(kind).into_iter().map(|(name, _, of)| (name.to_owned(), race(of)));
        let slowdown = ("slowdown_at_least".to_owned(), json!(self.slowdown()));
        Value::Object(faults.chain([slowdown]).collect::<Map<_, _>>())
    }
}
