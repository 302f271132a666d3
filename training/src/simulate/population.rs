//! Who votes, and how: raters of four kinds, each with a mind of its own.

use serde::{Deserialize, Serialize};

use crate::{
    miniature::{
        grammar::Scene,
        rate::{Observation, Rater, RaterSettings, Vote},
    },
    random::Random,
};

/// How a rater votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RaterKind {
    /// Says what it sees, and errs now and then.
    Honest,
    /// Mostly forgives one object too many or too few.
    Lenient,
    /// Hardly looks, and quickly.
    Careless,
    /// Says the opposite of what it sees, to make the model worse.
    Hostile,
}

impl RaterKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Honest, Self::Lenient, Self::Careless, Self::Hostile];

    /// Its name in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Lenient => "lenient",
            Self::Careless => "careless",
            Self::Hostile => "hostile",
        }
    }

    /// How it departs from the truth. A single person disagrees with the majority on 8 % to 17 % of pictures, and skips 5 %.
    pub fn settings(self) -> RaterSettings {
        match self {
            Self::Honest => RaterSettings { error_rate: 0.1, leniency: 0.0, skip_rate: 0.05 },
            Self::Lenient => RaterSettings { error_rate: 0.1, leniency: 0.7, skip_rate: 0.05 },
            Self::Careless => RaterSettings { error_rate: 0.35, leniency: 0.0, skip_rate: 0.15 },
            Self::Hostile => RaterSettings { error_rate: 0.95, leniency: 0.0, skip_rate: 0.0 },
        }
    }

    /// Milliseconds that a picture is in view, at least and at most.
    fn dwell(self) -> (f32, f32) {
        match self {
            Self::Honest | Self::Lenient => (600.0, 3000.0),
            Self::Careless => (100.0, 500.0),
            Self::Hostile => (300.0, 1500.0),
        }
    }
}

/// Shares of raters who are not honest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    /// Of lenient ones.
    pub lenient: f64,
    /// Of careless ones.
    pub careless: f64,
    /// Of hostile ones.
    pub hostile: f64,
}

/// One rater.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// As the server knows it.
    pub name: String,
    /// How it votes.
    pub kind: RaterKind,
}

/// What a rater answers about a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The thumb, or none.
    pub vote: Vote,
    /// Milliseconds that the picture was in view.
    pub dwell_ms: u32,
}

/// All raters of a leg.
#[derive(Debug, Clone)]
pub struct Population {
    people: Vec<Person>,
    seed: u64,
}

impl Population {
    /// Raters, of each kind as many as its share says, to the nearest number. Names do not tell the kind.
    pub fn new(raters: usize, shares: Shares, seed: u64) -> Self {
        let amount = |share: f64| (share * raters as f64).round() as usize;
        let (hostile, careless, lenient) = (amount(shares.hostile), amount(shares.careless), amount(shares.lenient));
        let mut kinds: Vec<RaterKind> = std::iter::repeat_n(RaterKind::Hostile, hostile)
            .chain(std::iter::repeat_n(RaterKind::Careless, careless))
            .chain(std::iter::repeat_n(RaterKind::Lenient, lenient))
            .chain(std::iter::repeat(RaterKind::Honest))
            .take(raters)
            .collect();
        Random::stream(seed, "kinds of raters").shuffle(&mut kinds);
        let person = |(number, kind)| Person { name: format!("rater-{number:03}"), kind };
        Self { people: kinds.into_iter().enumerate().map(person).collect(), seed }
    }

    /// Everybody.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// Who sees the pictures of a request: `votes` different raters, each as likely. The first is the one who asks.
    pub fn panel(&self, request: &str, votes: usize) -> Vec<&Person> {
        let mut order: Vec<usize> = (0..self.people.len()).collect();
        Random::stream(self.seed, &format!("panel of {request}")).shuffle(&mut order);
        order.into_iter().take(votes).map(|number| &self.people[number]).collect()
    }

    /// What a rater answers: a function of seed, rater and picture, whenever it is asked.
    pub fn answer(&self, person: &Person, picture: &str, seen: &Observation, asked: &Scene) -> Answer {
        let mut random = Random::stream(self.seed, &format!("{} on {picture}", person.name));
        let (low, high) = person.kind.dwell();
        let dwell_ms = random.uniform(low, high) as u32;
        let vote = Rater::new(person.kind.settings(), random.bits()).vote_on(seen, asked);
        Answer { vote, dwell_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miniature::{
        draw::draw,
        grammar::{Category, Count, Object},
        rate::{judge, observe},
    };

    const SHARES: Shares = Shares { lenient: 0.2, careless: 0.1, hostile: 0.05 };
    /// Looks of each kind; a share is then known to ± 0.03 (three standard errors).
    const LOOKS: usize = 2000;

    #[test]
    fn every_kind_has_its_share_and_nobody_is_told_by_the_name() {
        let population = Population::new(40, SHARES, 3);
        let of = |kind| population.people().iter().filter(|person| person.kind == kind).count();
        assert_eq!(RaterKind::ALL.map(of), [26, 8, 4, 2]);
        let again = Population::new(40, SHARES, 4);
        assert_ne!(population.people(), again.people(), "another seed deals anew");
        assert!(
            Population::new(10, Shares { lenient: 0.0, careless: 0.0, hostile: 0.0 }, 0)
                .people()
                .iter()
                .all(|one| one.kind == RaterKind::Honest)
        );
    }

    #[test]
    fn a_panel_has_different_raters_and_stays_the_same() {
        let population = Population::new(12, SHARES, 0);
        let panel = population.panel("round 1, prompt 4", 3);
        assert_eq!(panel, population.panel("round 1, prompt 4", 3));
        assert!(panel[0] != panel[1] && panel[1] != panel[2] && panel[0] != panel[2]);
    }

    /// Three standard errors of a share.
    fn bound(share: f64, of: usize) -> f64 {
        3.0 * (share * (1.0 - share) / of as f64).sqrt()
    }

    #[test]
    fn kinds_agree_with_the_truth_as_often_as_they_should() {
        let mut random = Random::new(1);
        // Right, near (one too many) and wrong pictures of counted prompts.
        let scenes: Vec<(Scene, Scene)> = (0..60)
            .map(|number| {
                let asked = Scene::sample(Category::Count, &Object::ALL, &mut random);
                let other = if asked.number() == Count::MAX { asked.number() - 1 } else { asked.number() + 1 };
                let shown = match number % 3 {
                    0 => asked,
                    1 => Scene { count: Count::new(other), ..asked },
                    _ => {
                        Scene { object: if asked.object == Object::Star { Object::Car } else { Object::Star }, ..asked }
                    }
                };
                (asked, shown)
            })
            .collect();
        let looked: Vec<(Scene, Observation)> =
            scenes.iter().map(|(asked, shown)| (*asked, observe(&draw(shown, random.bits()).picture))).collect();
        let population = Population::new(4, SHARES, 7);
        for kind in RaterKind::ALL {
            let person = Person { name: format!("one {}", kind.word()), kind };
            let (mut votes, mut agree, mut skips, mut quick) = (0, 0, 0, 0);
            let mut forgiven = (0, 0);
            for look in 0..LOOKS {
                let (asked, seen) = &looked[look % looked.len()];
                let answer = population.answer(&person, &look.to_string(), seen, asked);
                quick += usize::from(answer.dwell_ms < 150);
                if answer.vote == Vote::Skip {
                    skips += 1;
                    continue;
                }
                let verdict = judge(seen, asked);
                let near = verdict.object
                    && verdict.colour
                    && verdict.background
                    && !verdict.count
                    && seen.things.len().abs_diff(usize::from(asked.number())) == 1;
                if near {
                    forgiven.0 += usize::from(answer.vote == Vote::Up);
                    forgiven.1 += 1;
                    continue;
                }
                votes += 1;
                agree += usize::from((answer.vote == Vote::Up) == verdict.is_good());
            }
            let settings = kind.settings();
            let right = 1.0 - f64::from(settings.error_rate);
            let found = agree as f64 / votes as f64;
            assert!(
                (found - right).abs() < bound(right, votes),
                "{}: agrees with {found:.3}, not {right}",
                kind.word()
            );
            let (skip, skipped) = (f64::from(settings.skip_rate), skips as f64 / LOOKS as f64);
            assert!((skipped - skip).abs() <= bound(skip, LOOKS), "{}: skips {skipped:.3}, not {skip}", kind.word());
            // One too many: up where it is forgiven and not turned round, or turned round.
            let (forgives, errs) = (f64::from(settings.leniency), f64::from(settings.error_rate));
            let up = forgives * (1.0 - errs) + (1.0 - forgives) * errs;
            assert!(forgiven.1 > 100, "{}: {} near pictures", kind.word(), forgiven.1);
            let found = forgiven.0 as f64 / forgiven.1 as f64;
            assert!((found - up).abs() < bound(up, forgiven.1), "{}: forgives {found:.3}, not {up:.3}", kind.word());
            assert_eq!(quick > LOOKS / 20, kind == RaterKind::Careless, "{}: {quick} quick looks", kind.word());
        }
    }
}
