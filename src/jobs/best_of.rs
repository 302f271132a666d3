//! Many candidates, few pictures: quick looks where they are wanted, the choice, and what is told of it.

use std::{sync::Arc, time::Duration};

use super::{
    Choosing, JobFailure, Pruning, Submission,
    admit::retry_after,
    draw::{Candidate, Drawing},
    live::Stop,
    run::{DEADLINE, End, Run},
};
use crate::{
    engine::{Order, Refusal, Ticket},
    selection::{self, choose},
};

/// Longest and shortest wait between two tries to hand the second part of a job to a full engine.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What became of the choice, for the log.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// Whether chance chose.
    pub(super) random: bool,
    /// Whether the reward did, and something was left out: with another reward something else might be shown.
    pub(super) by_reward: bool,
    /// Of each candidate that was drawn in full, in the order of `Run::candidates`.
    pub(super) ranks: Vec<Option<u32>>,
    pub(super) propensities: Vec<f64>,
    /// Of each candidate, in the order of the seeds, where there was a quick look.
    pub(super) looks: Vec<Option<f32>>,
}

impl Submission {
    /// What the engine draws first: a quick look at all candidates, or what was asked for.
    pub(super) fn first(&self) -> Order {
        let Some(Pruning { steps, .. }) = self.pruning() else { return self.order.clone() };
        let mut look = self.order.clone();
        look.request.steps = steps;
        look.optional = 0;
        look
    }

    fn pruning(&self) -> Option<Pruning> {
        self.choosing.as_ref()?.pruning
    }

    /// Picture-steps in all.
    pub(super) fn steps(&self) -> usize {
        picture_steps(self.order.request.count, self.order.request.steps, self.choosing.as_ref())
    }
}

/// Picture-steps of so many candidates in all.
pub(super) fn picture_steps(candidates: usize, steps: usize, choosing: Option<&Choosing>) -> usize {
    match choosing.and_then(|choosing| choosing.pruning) {
        None => candidates * steps,
        Some(Pruning { steps: look, survivors }) => candidates * look + survivors * steps,
    }
}

impl Run {
    /// Draws candidates and shows the best.
    pub(super) async fn best_of(&mut self, ticket: Ticket, choosing: &Choosing) -> End {
        let random = uniform() < choosing.random_share;
        let total = self.submission.steps();
        let enough = choosing.threshold.map(|threshold| (choosing.most, threshold));
        let (ticket, drawing) = match choosing.pruning {
            None => (ticket, Drawing { held: true, enough, ..Drawing::default() }),
            Some(pruning) => {
                let looking = Drawing { held: true, steps: Some((0, total)), ..Drawing::default() };
                match self.draw(ticket, &looking).await {
                    End::Completed(_) => {}
                    other => return other,
                }
                let picked = self.sort_out(pruning, random);
                let before = self.submission.order.request.count * pruning.steps;
                match self.second(picked.clone()).await {
                    Ok(ticket) => {
                        (ticket, Drawing { picked: Some(picked), held: true, enough, steps: Some((before, total)) })
                    }
                    Err(end) => return end,
                }
            }
        };
        match self.draw(ticket, &drawing).await {
            End::Completed(warnings) => self.choose(choosing, random, warnings).await,
            End::Failed(failure) if failure.code == DEADLINE && self.has_any() => {
                let (done, asked) = (self.candidates.len(), self.submission.order.request.count);
                let late = format!("the deadline came after {done} of {asked} candidates; these are the best of them");
                self.choose(choosing, random, vec![late]).await
            }
            other => other,
        }
    }

    fn has_any(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.pixels.is_some())
    }

    /// The candidates that are drawn in full after a look at all.
    fn sort_out(&mut self, pruning: Pruning, random: bool) -> Vec<u32> {
        let mut looks = std::mem::take(&mut self.candidates);
        looks.sort_by_key(|candidate| candidate.index);
        let share = f64::from(u8::from(random));
        let choice = choose(&judged(&looks), pruning.survivors, share, random, uniform);
        self.chosen.looks = looks.iter().map(Candidate::worth).collect();
        let mut picked: Vec<u32> = choice.shown.iter().map(|&at| looks[at].index as u32).collect();
        picked.sort_unstable();
        picked
    }

    /// Hands the survivors to the engine, as soon as it has room.
    async fn second(&self, picked: Vec<u32>) -> Result<Ticket, End> {
        let id = self.live.facts.id;
        let mut order = self.submission.order.clone();
        order.request.count = picked.len();
        order.optional = picked.len().saturating_sub(1);
        if picked.is_empty() {
            return Err(End::Failed(JobFailure::internal(id, "no candidate passed the safety checker")));
        }
        order.request.picked = Some(Arc::from(picked));
        loop {
            let refusal = match self.jobs.engine.submit_to(&self.generator, order.clone()) {
                Ok(ticket) => return Ok(ticket),
                Err(refusal) => refusal,
            };
            let Some(wait) = retry_after(&refusal) else {
                return Err(match refusal {
                    Refusal::Draining | Refusal::Broken => End::Stopped(Stop::Suspend),
                    Refusal::Late { .. } => {
                        End::Failed(JobFailure { code: DEADLINE.into(), message: refusal.to_string() })
                    }
                    other => End::Failed(JobFailure::internal(id, other)),
                });
            };
            let (shortest, longest) = PATIENCE;
            tokio::select! {
                cause = self.live.stopped() => return Err(End::Stopped(cause)),
                () = tokio::time::sleep(wait.clamp(shortest, longest)) => {}
            }
        }
    }

    /// Chooses among what was drawn, and shows it.
    async fn choose(&mut self, choosing: &Choosing, random: bool, mut warnings: Vec<String>) -> End {
        self.candidates.sort_by_key(|candidate| candidate.index);
        let candidates = std::mem::take(&mut self.candidates);
        let choice = choose(&judged(&candidates), choosing.most, choosing.random_share, random, uniform);
        let narrowed = choosing.pruning.is_some() || choosing.threshold.is_some();
        let drawn = candidates.iter().filter(|candidate| candidate.pixels.is_some()).count();
        self.chosen.by_reward = !random && (narrowed || drawn > choice.shown.len());
        // Where the checker left too few, who asked is told what it withheld.
        let missing = choosing.most.saturating_sub(choice.shown.len());
        let withheld = (0..candidates.len()).filter(|&at| candidates[at].pixels.is_none()).take(missing);
        let mut told = Ok(());
        for at in choice.shown.iter().copied().chain(withheld) {
            told = self.show(&candidates[at], self.drawn.len(), choice.ranks[at]).await;
            if told.is_err() {
                break;
            }
        }
        self.observe_uplift(&candidates, &choice.shown);
        if let Some(threshold) = choosing.threshold {
            let rewards = choice.shown.iter().filter_map(|&at| candidates[at].score.as_ref()?.reward);
            let reached = rewards.filter(|reward| *reward >= threshold).count();
            if reached < choice.shown.len() {
                let shown = choice.shown.len();
                warnings.push(format!("{reached} of {shown} pictures have a reward of at least {threshold}"));
            }
        }
        self.chosen.random = random;
        (self.chosen.ranks, self.chosen.propensities) = (choice.ranks, choice.propensities);
        self.candidates = candidates;
        match told {
            Ok(()) => End::Completed(warnings),
            Err(error) => End::of_error(self.live.facts.id, &error),
        }
    }

    /// How much better what is shown is than a candidate is on average.
    fn observe_uplift(&self, candidates: &[Candidate], shown: &[usize]) {
        let mean = |rewards: Vec<f32>| {
            let count = rewards.len() as f32;
            (count > 0.0).then(|| f64::from(rewards.iter().sum::<f32>() / count))
        };
        let reward = |candidate: &Candidate| candidate.score.as_ref()?.reward;
        let all = mean(candidates.iter().filter_map(reward).collect());
        let best = mean(shown.iter().filter_map(|&at| reward(&candidates[at])).collect());
        if let (Some(all), Some(best)) = (all, best) {
            self.jobs.metrics.reward_uplift.observe(best - all);
        }
    }
}

/// Candidates as a choice sees them.
pub(super) fn judged(candidates: &[Candidate]) -> Vec<selection::Candidate> {
    let judged = |candidate: &Candidate| match candidate.pixels {
        None => selection::Candidate::Flagged,
        Some(_) => selection::Candidate::Drawn(candidate.worth()),
    };
    candidates.iter().map(judged).collect()
}

impl Candidate {
    /// What candidates are ordered by: the reward; without one, CLIP's score.
    pub(super) fn worth(&self) -> Option<f32> {
        let score = self.score.as_ref()?;
        Some(score.reward.unwrap_or(score.clip_score))
    }
}

/// Uniform in [0, 1). Where the system gives no numbers, the middle: the best are shown.
fn uniform() -> f64 {
    /// Of 53 bits, as many as an f64 holds.
    const UNIT: f64 = 1.0 / (1u64 << 53) as f64;
    getrandom::u64().map_or(0.5, |bits| (bits >> 11) as f64 * UNIT)
}
