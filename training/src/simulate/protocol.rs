//! The comparison of Lee et al. 2023: prompts, half of them about held-out objects; raters see both sides' pictures; two-thirds decide.

use serde::{Deserialize, Serialize};

use crate::{
    collect::{Ask, CollectError, Prompts, prompts},
    miniature::{
        grammar::Scene,
        rate::{Observation, Rater, Vote},
    },
    random::Random,
};

use super::RaterKind;

/// How much is compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// Prompts; the paper's 120.
    pub prompts: usize,
    /// Share of them about objects that no vote was about; the paper's half.
    pub held_out: f64,
    /// Pictures of a prompt that a rater sees of each side.
    pub pictures: usize,
    /// Raters; the paper's nine. They are honest, and none of those whose votes were learned from.
    pub raters: usize,
    /// Share of the raters that must prefer one side; the paper's two thirds. Else it is a tie.
    pub majority: f64,
    /// Candidates of each picture of best-of-N.
    pub best_of: usize,
    /// Steps of a candidate, and of a picture that is drawn alone at the usual cost; at equal calls it has `best_of` times as many.
    pub steps: usize,
    /// Seed of prompts, pictures and raters: far from those of votes and gates.
    pub seed: u64,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            prompts: 120,
            held_out: 0.5,
            pictures: 2,
            raters: 9,
            majority: 2.0 / 3.0,
            best_of: 4,
            steps: 20,
            seed: 73_000,
        }
    }
}

/// What a prompt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Enough raters prefer the first side.
    Win,
    /// Enough prefer the other.
    Loss,
    /// Neither.
    Tie,
}

/// What all prompts came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Prompts that the first side won.
    pub wins: usize,
    /// Those it lost.
    pub losses: usize,
    /// The others.
    pub ties: usize,
}

impl Tally {
    /// Adds a prompt.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Win => self.wins += 1,
            Outcome::Loss => self.losses += 1,
            Outcome::Tie => self.ties += 1,
        }
    }

    /// Prompts.
    pub fn all(&self) -> usize {
        self.wins + self.losses + self.ties
    }
}

impl Protocol {
    /// Its prompts, in order.
    ///
    /// # Errors
    /// None that the grammar's prompts have.
    pub fn asks(&self) -> Result<Vec<Ask>, CollectError> {
        prompts(&Prompts::Grammar { amount: self.prompts, held_out: self.held_out }, self.seed)
    }

    /// The first seed of a prompt's pictures.
    pub fn first_seed(&self, prompt: usize) -> u32 {
        Random::stream(self.seed, &format!("pictures of prompt {prompt}")).bits() as u32
    }

    /// What the raters say of two sides' pictures of a prompt: each prefers the side with more thumbs up.
    pub fn compare(&self, prompt: usize, scene: &Scene, sides: [&[Observation]; 2]) -> Outcome {
        let mut prefer = [0_usize; 2];
        for rater in 0..self.raters {
            // The same rater looks at picture i of both sides in the same mood: what is equal is a tie.
            let thumbs = sides.map(|pictures| {
                let up = |(number, seen): (usize, &Observation)| {
                    let seed =
                        Random::stream(self.seed, &format!("rater {rater}, prompt {prompt}, picture {number}")).bits();
                    Rater::new(RaterKind::Honest.settings(), seed).vote_on(seen, scene) == Vote::Up
                };
                pictures.iter().enumerate().filter(|one| up(*one)).count()
            });
            match thumbs[0].cmp(&thumbs[1]) {
                std::cmp::Ordering::Greater => prefer[0] += 1,
                std::cmp::Ordering::Less => prefer[1] += 1,
                std::cmp::Ordering::Equal => {}
            }
        }
        let enough = |votes: usize| votes as f64 >= self.majority * self.raters as f64 - f64::EPSILON;
        match prefer.map(enough) {
            [true, _] => Outcome::Win,
            [_, true] => Outcome::Loss,
            _ => Outcome::Tie,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miniature::{draw::draw, grammar::Object, rate::observe};

    #[test]
    fn right_pictures_win_equal_ones_tie_and_half_the_prompts_are_held_out() {
        let protocol = Protocol::default();
        let asks = protocol.asks().expect("prompts");
        let held = asks.iter().filter(|ask| ask.scene().is_some_and(|scene| scene.object.is_held_out())).count();
        assert_eq!((asks.len(), held), (120, 60));
        let scene = Scene::of(Object::Star);
        let look = |object| -> Vec<Observation> {
            (0..2).map(|seed| observe(&draw(&Scene::of(object), seed).picture)).collect()
        };
        let (right, wrong) = (look(Object::Star), look(Object::Car));
        let mut tally = Tally::default();
        for prompt in 0..40 {
            assert_eq!(protocol.compare(prompt, &scene, [&right, &right]), Outcome::Tie);
            tally.add(protocol.compare(prompt, &scene, [&right, &wrong]));
            assert_ne!(protocol.compare(prompt, &scene, [&wrong, &right]), Outcome::Win);
        }
        assert!(tally.wins >= 38 && tally.losses == 0 && tally.all() == 40, "{tally:?}");
    }
}
