//! What legs of different seeds have in common: a difference that only one of them shows is luck.

use serde::Serialize;

use super::measure::MeasuredLeg;
use crate::measure::{Interval, bootstrap};

/// Legs that differ in their seed alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pooled {
    /// What generators were tuned by.
    pub objective: String,
    /// Share of hostile raters.
    pub hostile: f64,
    /// Rounds that every leg has at least; what is compared is the generator after the last of these.
    pub rounds: usize,
    /// Seeds, from 0.
    pub seeds: Vec<usize>,
    /// Tuned less base by the report judge, drawn alone at the usual cost: the mean over seeds of each prompt's difference, with an interval over
    /// prompts; of all prompts, of seen objects, of held-out objects.
    pub judged: [Option<Interval>; 3],
    /// The same of each seed, without an interval.
    pub by_seed: Vec<[Option<f64>; 3]>,
}

/// Pools legs of several seeds. `prompts`: numbers of all, of those of seen objects, and of held-out ones.
pub(super) fn pool(legs: &[MeasuredLeg], prompts: [&[usize]; 3], seed: u64) -> Vec<Pooled> {
    let mut pooled: Vec<Pooled> = Vec::new();
    for leg in legs {
        let alike =
            |other: &&MeasuredLeg| (&other.leg.objective, other.leg.hostile) == (&leg.leg.objective, leg.leg.hostile);
        let known = pooled.iter().any(|one| (&one.objective, one.hostile) == (&leg.leg.objective, leg.leg.hostile));
        let group: Vec<&MeasuredLeg> = legs.iter().filter(alike).collect();
        let rounds = group.iter().map(|leg| leg.gains.len()).min().unwrap_or(0);
        if known || group.len() < 2 || rounds == 0 {
            continue;
        }
        let gains: Vec<&[f64]> = group.iter().map(|leg| &leg.gains[rounds - 1][..]).collect();
        let mean = |prompt: usize| gains.iter().map(|of| of[prompt]).sum::<f64>() / gains.len() as f64;
        pooled.push(Pooled {
            objective: leg.leg.objective.clone(),
            hostile: leg.leg.hostile,
            rounds,
            seeds: group.iter().map(|leg| leg.leg.seed).collect(),
            judged: prompts.map(|which| {
                let over = |drawn: &[usize]| average(drawn.iter().map(|&at| mean(which[at])));
                bootstrap(which.len(), seed, over)
            }),
            by_seed: gains.iter().map(|of| prompts.map(|which| average(which.iter().map(|&at| of[at])))).collect(),
        });
    }
    pooled
}

fn average(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Leg;

    fn leg(objective: &str, seed: usize, gains: &[f64]) -> MeasuredLeg {
        let leg = Leg { objective: objective.into(), seed, ..Leg::default() };
        let gains = gains.iter().map(|&gain| vec![gain, gain + 0.1, gain + 0.2, gain + 0.3]).collect();
        MeasuredLeg { name: seed.to_string(), leg, by_round: Vec::new(), arms: Vec::new(), versus: Vec::new(), gains }
    }

    #[test]
    fn seeds_of_one_recipe_are_pooled_after_the_rounds_that_all_have() {
        let legs = [leg("a", 0, &[0.0, 0.4]), leg("b", 0, &[1.0]), leg("a", 1, &[0.2])];
        let pooled = pool(&legs, [&[0, 1, 2, 3], &[0, 1], &[2, 3]], 0);
        assert_eq!(pooled.len(), 1, "{pooled:?}");
        let (found, close) = (&pooled[0], |a: Option<f64>, b: f64| (a.unwrap_or(f64::NAN) - b).abs() < 1e-9);
        assert_eq!((found.objective.as_str(), found.rounds, &found.seeds[..]), ("a", 1, &[0, 1][..]));
        let values = found.judged.map(|interval| interval.map(|interval| interval.value));
        assert!(close(values[0], 0.25) && close(values[1], 0.15) && close(values[2], 0.35), "{values:?}");
        assert!(close(found.by_seed[1][0], 0.35) && close(found.by_seed[0][2], 0.25), "{found:?}");
    }
}
