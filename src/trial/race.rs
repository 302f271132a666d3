//! Two versions, one kind of outcome: which has more of it, looked at after every outcome without paying for looking.
//!
//! With p the rate of the outcome, b the champion and c the candidate, the evidence against a null hypothesis H is the e-process
//!
//! E_t = Π_i q_i(y_i) / max over (p_b, p_c) in H of Π_i p^y_i (1 − p)^(1 − y_i),   q_i = Beta(½, ½) prediction of its arm from what came before,
//!
//! which by Ville's inequality exceeds 1/α with probability at most α under H, whenever one stops (universal inference: Wasserman,
//! Ramdas and Balakrishnan 2020, <https://arxiv.org/abs/1912.11436>, section 8). Nothing is assumed of how outcomes are divided between the arms.
//!
//! An outcome may also be a share y from 0 to 1 of mean p, as of the thumbs of one request: a factor is then (q / p)^y ((1 − q) / (1 − p))^(1 − y), at most
//! y q / p + (1 − y) (1 − q) / (1 − p) by the inequality of means, whose mean is 1, so that the bound holds for shares as well.

/// Whose outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// What serves.
    Champion,
    /// What is tried.
    Candidate,
}

/// Outcomes of an arm.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Count {
    /// All.
    pub all: u64,
    /// Those that had it; of shares, their sum.
    pub had: f64,
}

impl Count {
    /// Share of those that had it; `None` before the first.
    pub fn rate(self) -> Option<f64> {
        (self.all > 0).then(|| self.had / self.all as f64)
    }

    /// Those that had it, and all; for whole outcomes.
    pub fn told(self) -> [u64; 2] {
        [self.had as u64, self.all]
    }

    /// Prediction of the next outcome: the mean of Beta(had + ½, others + ½).
    fn prediction(self) -> f64 {
        (self.had + 0.5) / (self.all as f64 + 1.0)
    }

    /// Derivative of the log-likelihood at a rate.
    fn slope(self, rate: f64) -> f64 {
        self.had / rate - self.others() / (1.0 - rate)
    }

    /// Log-likelihood at a rate.
    fn log_likelihood(self, rate: f64) -> f64 {
        // 0 · ln 0 is 0.
        let term = |count: f64, probability: f64| if count == 0.0 { 0.0 } else { count * probability.ln() };
        term(self.had, rate) + term(self.others(), 1.0 - rate)
    }

    /// Those that had it not. Sums of shares may be off by their last digit.
    fn others(self) -> f64 {
        (self.all as f64 - self.had).max(0.0)
    }
}

/// Outcomes of both arms so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Race {
    /// The champion's.
    pub champion: Count,
    /// The candidate's.
    pub candidate: Count,
    /// ln Π q_i.
    predicted: f64,
}

impl Race {
    /// An outcome: whether it was had.
    pub fn push(&mut self, arm: Arm, had: bool) {
        self.push_share(arm, if had { 1.0 } else { 0.0 });
    }

    /// An outcome between none, 0, and all, 1.
    pub fn push_share(&mut self, arm: Arm, share: f64) {
        let count = match arm {
            Arm::Champion => &mut self.champion,
            Arm::Candidate => &mut self.candidate,
        };
        let prediction = count.prediction();
        self.predicted += share * prediction.ln() + (1.0 - share) * (1.0 - prediction).ln();
        count.all += 1;
        count.had += share;
    }

    /// ln E against p_c ≥ p_b − `margin`: how sure it is that the candidate has less of it, by more than the margin.
    pub fn less(&self, margin: f64) -> f64 {
        self.predicted - fit(self.champion, self.candidate, |b, c| c >= b - margin, -margin)
    }

    /// ln E against p_c ≤ p_b − `margin`: how sure it is that the candidate has as much of it, or at most less by the margin.
    pub fn not_less(&self, margin: f64) -> f64 {
        self.predicted - fit(self.champion, self.candidate, |b, c| c <= b - margin, -margin)
    }

    /// ln E against p_c ≤ p_b + `margin`: how sure it is that the candidate has more of it, by more than the margin.
    pub fn more(&self, margin: f64) -> f64 {
        self.predicted - fit(self.champion, self.candidate, |b, c| c <= b + margin, margin)
    }
}

/// The largest log-likelihood over the rates that `allowed` allows, whose border is p_c = p_b + `offset`.
fn fit(champion: Count, candidate: Count, allowed: impl Fn(f64, f64) -> bool, offset: f64) -> f64 {
    let of = |b: f64, c: f64| champion.log_likelihood(b) + candidate.log_likelihood(c);
    let free = (champion.rate(), candidate.rate());
    let (b, c) = (free.0.unwrap_or(0.5), free.1.unwrap_or(0.5));
    // An arm without outcomes can have any rate: some rate is allowed beside every rate of the other.
    if free.0.is_none() || free.1.is_none() || allowed(b, c) {
        return of(b, c);
    }
    // The likelihood is concave, so where its peak is not allowed the best is on the border, where its slope is zero.
    let slope = |b: f64| champion.slope(b) + candidate.slope(b + offset);
    let (mut low, mut high) = ((-offset).max(0.0), (1.0 - offset).min(1.0));
    /// Of an interval of length one, down to what makes no difference to the likelihood.
    const HALVINGS: usize = 40;
    for _ in 0..HALVINGS {
        let middle = low.midpoint(high);
        if slope(middle) > 0.0 { low = middle } else { high = middle }
    }
    let b = low.midpoint(high);
    of(b, b + offset)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Uniform numbers, the same in every run.
    pub(in crate::trial) struct Uniform(pub(in crate::trial) u64);

    impl Uniform {
        pub(in crate::trial) fn next(&mut self) -> f64 {
            // splitmix64.
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) as f64 / u64::MAX as f64
        }
    }

    /// Share of trials that are stopped within `most` outcomes, and the mean number of outcomes of those.
    fn stopped(rates: (f64, f64), share: f64, most: usize, trials: u64, evidence: impl Fn(&Race) -> f64) -> (f64, f64) {
        const ALPHA: f64 = 0.05;
        let mut lengths = Vec::new();
        for trial in 0..trials {
            let (mut race, mut uniform) = (Race::default(), Uniform(trial));
            for at in 0..most {
                let arm = if uniform.next() < share { Arm::Candidate } else { Arm::Champion };
                let rate = if arm == Arm::Candidate { rates.1 } else { rates.0 };
                race.push(arm, uniform.next() < rate);
                // Looked at after every outcome.
                if evidence(&race) >= -ALPHA.ln() {
                    lengths.push(at + 1);
                    break;
                }
            }
        }
        let mean = lengths.iter().sum::<usize>() as f64 / lengths.len().max(1) as f64;
        (lengths.len() as f64 / trials as f64, mean)
    }

    #[test]
    fn equal_versions_are_seldom_told_apart_however_often_one_looks() {
        for share in [0.1, 0.5] {
            for rate in [0.1, 0.465, 0.9] {
                let (alarms, _) = stopped((rate, rate), share, 2000, 200, |race| race.less(0.0));
                assert!(alarms <= 0.05, "{alarms} at a rate of {rate}, a share of {share}");
            }
        }
        // On the border of what is called not inferior.
        let (wrong, _) = stopped((0.5, 0.45), 0.5, 2000, 200, |race| race.not_less(0.05));
        assert!(wrong <= 0.05, "{wrong}");
    }

    /// Requests whose thumbs are of one mind, as those of an easy or an impossible prompt are.
    #[test]
    fn thumbs_of_one_request_are_one_outcome_however_many_they_are() {
        const TRIALS: u64 = 200;
        const THUMBS: usize = 16;
        let alarms = |by_request: bool| {
            let stopped = (0..TRIALS).filter(|&trial| {
                let (mut race, mut uniform) = (Race::default(), Uniform(trial));
                (0..150).any(|_| {
                    let arm = if uniform.next() < 0.5 { Arm::Candidate } else { Arm::Champion };
                    let rate = [0.05, 0.5, 0.95][(3.0 * uniform.next()) as usize % 3];
                    let thumbs: Vec<bool> = (0..THUMBS).map(|_| uniform.next() < rate).collect();
                    if by_request {
                        race.push_share(arm, thumbs.iter().filter(|up| **up).count() as f64 / THUMBS as f64);
                    } else {
                        thumbs.iter().for_each(|&up| race.push(arm, up));
                    }
                    race.less(0.0) >= 20.0_f64.ln()
                })
            });
            stopped.count() as f64 / TRIALS as f64
        };
        let (requests, thumbs) = (alarms(true), alarms(false));
        assert!(requests <= 0.05, "{requests}");
        assert!(thumbs > 0.3, "counted one by one they deceive: {thumbs}");
        // The requests' means tell a worse version all the same.
        let mut race = Race::default();
        (0..100).for_each(|at| {
            race.push_share(Arm::Champion, if at % 4 == 0 { 0.4 } else { 0.9 });
            race.push_share(Arm::Candidate, if at % 4 == 0 { 0.9 } else { 0.2 });
        });
        assert!(race.less(0.0) > 20.0_f64.ln() && race.not_less(0.05) < 0.0, "{race:?}");
    }

    #[test]
    fn a_version_that_is_clearly_worse_is_found() {
        let (found, outcomes) = stopped((0.465, 0.2), 0.5, 2000, 100, |race| race.less(0.0));
        assert!(found >= 0.95 && outcomes < 400.0, "{found} within {outcomes}");
        let (failing, outcomes) = stopped((0.0, 0.5), 0.1, 2000, 100, |race| race.more(0.0));
        assert!(failing >= 0.99 && outcomes < 200.0, "{failing} within {outcomes}");
    }

    #[test]
    fn a_version_that_is_better_is_found_not_to_be_worse() {
        let (found, outcomes) = stopped((0.465, 0.65), 0.5, 3000, 100, |race| race.not_less(0.05));
        assert!(found >= 0.95 && outcomes < 600.0, "{found} within {outcomes}");
    }

    #[test]
    fn without_outcomes_there_is_no_evidence() {
        let mut race = Race::default();
        assert_eq!((race.less(0.0), race.not_less(0.1), race.more(0.0)), (0.0, 0.0, 0.0));
        (0..100).for_each(|_| race.push(Arm::Candidate, true));
        assert!(race.less(0.0) <= 0.0 && race.more(0.0) <= 0.0, "one arm alone tells nothing: {race:?}");
    }

    #[test]
    fn the_border_is_searched_where_the_peak_is_not_allowed() {
        let count = |all, had: u32| Count { all, had: f64::from(had) };
        // Pooled: 70 of 200.
        let pooled = fit(count(100, 50), count(100, 20), |b, c| c >= b, 0.0);
        let expected = count(200, 70).log_likelihood(0.35);
        assert!((pooled - expected).abs() < 1e-9, "{pooled} {expected}");
        let free = fit(count(100, 20), count(100, 50), |b, c| c >= b, 0.0);
        assert!((free - count(100, 20).log_likelihood(0.2) - count(100, 50).log_likelihood(0.5)).abs() < 1e-12);
    }

    /// What docs/trials.md says: `cargo nextest run --workspace --lib the_table_of --run-ignored only --no-capture`.
    #[test]
    #[ignore = "a minute: the table of false alarms and of what is found"]
    fn the_table_of_false_alarms_and_power() {
        for (champion, candidate) in
            [(0.465, 0.465), (0.2, 0.2), (0.8, 0.8), (0.465, 0.415), (0.465, 0.365), (0.465, 0.265), (0.465, 0.565)]
        {
            for share in [0.1, 0.5] {
                let worse = stopped((champion, candidate), share, 4000, 500, |race| race.less(0.0));
                let fine = stopped((champion, candidate), share, 4000, 500, |race| race.not_less(0.05));
                println!(
                    "| {champion} | {candidate} | {share} | {:.3} | {:.0} | {:.3} | {:.0} |",
                    worse.0, worse.1, fine.0, fine.1
                );
            }
        }
    }
}
