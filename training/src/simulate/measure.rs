//! What legs came to: base and tuned, alone and with best-of-N, by a judge that nothing in the loop has heard.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde::Serialize;

use super::{
    Leg, SimulateError, Simulation, Tally, figures,
    figures::{Critics, Gallery},
    leg, studio,
    studio::Series,
};
use crate::{collect::Ask, measure::Interval};

/// How pictures are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// Alone, at the usual cost.
    Plain,
    /// Alone, with as many calls of the denoiser as best-of-N takes.
    Equal,
    /// The best of N by the reward.
    BestOf,
}

impl Arm {
    /// Every arm.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Equal, Self::BestOf];

    fn series(self, simulation: &Simulation) -> Series {
        match self {
            Self::Plain => Series::plain(&simulation.protocol),
            Self::Equal => Series::equal(&simulation.protocol),
            Self::BestOf => Series::candidates(&simulation.protocol),
        }
    }
}

/// Prompts that figures are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// All of them.
    All,
    /// Those about objects that votes were about.
    Seen,
    /// Those about held-out objects.
    HeldOut,
}

impl Which {
    const ALL: [Self; 3] = [Self::All, Self::Seen, Self::HeldOut];

    fn of(self, asks: &[Ask]) -> Vec<usize> {
        let belongs = |ask: &Ask| {
            let held_out = ask.scene().is_some_and(|scene| scene.object.is_held_out());
            match self {
                Self::All => true,
                Self::Seen => !held_out,
                Self::HeldOut => held_out,
            }
        };
        (0..asks.len()).filter(|&number| belongs(&asks[number])).collect()
    }
}

/// Figures of a version's pictures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmFigures {
    /// `base` or `tuned`, and with what.
    pub name: String,
    /// Who drew.
    pub version: String,
    /// How.
    pub arm: Arm,
    /// Calls of the denoiser for each picture that is shown.
    pub calls: usize,
    /// Mean probability that a picture is right, by the report judge: of all prompts, of seen objects, of held-out objects.
    pub judged: [Option<Interval>; 3],
    /// Share of right pictures by the rule that votes come from, of the same three.
    pub right: [Option<Interval>; 3],
    /// Mean reward.
    pub reward: Option<Interval>,
    /// Mean chroma.
    pub saturation: Option<Interval>,
    /// Within prompts.
    pub diversity: Option<f64>,
}

/// Two arms before the raters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Versus {
    /// The first side, which wins or loses.
    pub side: String,
    /// The other.
    pub against: String,
    /// Which prompts.
    pub on: Which,
    /// What they came to.
    pub tally: Tally,
    /// The first side's mean by the report judge less the other's.
    pub judged: Option<Interval>,
}

/// What a leg came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasuredLeg {
    /// Its name.
    pub name: String,
    /// Its rounds.
    pub leg: Leg,
    /// The generator after each round, the base first: its pictures alone at the usual cost.
    pub by_round: Vec<ArmFigures>,
    /// Base and the last champion, in every arm. Empty until all is drawn.
    pub arms: Vec<ArmFigures>,
    /// Comparisons by raters.
    pub versus: Vec<Versus>,
}

/// Everything that is measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) legs: Vec<MeasuredLeg>,
    pub(super) asks: Vec<Ask>,
    /// Whether nothing is left to be drawn.
    pub(super) whole: bool,
}

/// Which arm of whom is set beside which other: (tuned?, arm) each.
const COMPARISONS: [((bool, Arm), (bool, Arm)); 6] = [
    ((true, Arm::Plain), (false, Arm::Plain)),
    ((true, Arm::Equal), (false, Arm::Equal)),
    ((false, Arm::BestOf), (false, Arm::Equal)),
    ((true, Arm::Equal), (false, Arm::BestOf)),
    ((true, Arm::BestOf), (false, Arm::BestOf)),
    ((true, Arm::BestOf), (false, Arm::Equal)),
];

/// Draws what is missing and measures every leg that has begun.
pub(super) fn all(simulation: &Simulation, until: Option<Instant>) -> Result<Measured, SimulateError> {
    let asks = simulation.protocol.asks()?;
    let (mut legs, mut whole) = (Vec::new(), true);
    for planned in leg::plan(simulation) {
        let leg = planned.read(&simulation.out)?;
        if leg.rounds.is_empty() {
            continue;
        }
        let data = simulation
            .running
            .as_ref()
            .map_or_else(|| planned.folder(&simulation.out).join("data"), |running| running.data.clone());
        let bench = Bench { simulation, asks: &asks, versions: data.join("versions"), until };
        let (measured, all) = bench.leg(planned.name(), leg)?;
        whole &= all;
        legs.push(measured);
    }
    Ok(Measured { legs, asks, whole })
}

struct Bench<'a> {
    simulation: &'a Simulation,
    asks: &'a [Ask],
    versions: PathBuf,
    until: Option<Instant>,
}

impl Bench<'_> {
    fn generator(&self, version: &str) -> PathBuf {
        self.versions.join("generator").join(version)
    }

    /// Whether all of it was drawn.
    fn leg(&self, name: String, leg: Leg) -> Result<(MeasuredLeg, bool), SimulateError> {
        let base = leg.base.first().cloned().unwrap_or_default();
        let last = leg.rounds.last().map_or_else(|| base.clone(), |round| round.generator.clone());
        let reward = leg.rounds.last().map(|round| round.reward.clone()).unwrap_or_default();
        let threads = self.simulation.daemon.learning.threads;
        let mut critics = Critics::open(&self.generator(&base), &self.versions.join("reward").join(reward), threads)?;
        let (mut by_round, mut whole) = (Vec::new(), true);
        let versions = std::iter::once(&base).chain(leg.rounds.iter().map(|round| &round.generator));
        for (round, version) in versions.enumerate() {
            match self.gallery(&mut critics, version, Arm::Plain)? {
                Some(gallery) => by_round.push(self.figures(&format!("round {round}"), version, Arm::Plain, &gallery)),
                None => {
                    whole = false;
                    break;
                }
            }
        }
        let sides = self.sides(&mut critics, [&base, &last])?;
        let (mut arms, mut versus) = (Vec::new(), Vec::new());
        match &sides {
            Some(sides) => {
                for side in sides {
                    arms.push(self.figures(&side.name, &side.version, side.arm, &side.gallery));
                }
                versus = self.versus(sides);
            }
            None => whole = false,
        }
        Ok((MeasuredLeg { name, leg, by_round, arms, versus }, whole))
    }

    /// Every arm of base and tuned; `None` where this run's time is over before all are drawn.
    fn sides(&self, critics: &mut Critics, versions: [&str; 2]) -> Result<Option<Vec<Side>>, SimulateError> {
        let mut sides = Vec::new();
        for (tuned, version) in versions.into_iter().enumerate() {
            for arm in Arm::ALL {
                let Some(gallery) = self.gallery(critics, version, arm)? else { return Ok(None) };
                let (version, name) = (version.to_owned(), self.name(tuned == 1, arm));
                sides.push(Side { name, tuned: tuned == 1, version, arm, gallery });
            }
        }
        Ok(Some(sides))
    }

    fn name(&self, tuned: bool, arm: Arm) -> String {
        let (who, protocol) = (if tuned { "tuned" } else { "base" }, &self.simulation.protocol);
        match arm {
            Arm::Plain => format!("{who}, {} steps", protocol.steps),
            Arm::Equal => format!("{who}, {} steps", protocol.steps * protocol.best_of),
            Arm::BestOf => format!("{who}, best of {}", protocol.best_of),
        }
    }

    /// A version's pictures in an arm, looked at.
    fn gallery(&self, critics: &mut Critics, version: &str, arm: Arm) -> Result<Option<Gallery>, SimulateError> {
        let series = arm.series(self.simulation);
        let pack: &Path = &self.generator(version);
        if !studio::draw(self.simulation, version, pack, series, self.asks, self.until)? {
            return Ok(None);
        }
        let gallery = critics.look(self.simulation, version, series, self.asks)?;
        let shown = self.simulation.protocol.pictures;
        Ok(Some(if arm == Arm::BestOf { figures::best(&gallery, shown) } else { gallery }))
    }

    fn figures(&self, name: &str, version: &str, arm: Arm, gallery: &Gallery) -> ArmFigures {
        let protocol = &self.simulation.protocol;
        let everywhere = Which::All.of(self.asks);
        let three = |figure: fn(&figures::Scored) -> f64| {
            Which::ALL.map(|which| figures::mean(gallery, &which.of(self.asks), protocol.seed, figure))
        };
        ArmFigures {
            name: name.to_owned(),
            version: version.to_owned(),
            arm,
            calls: if arm == Arm::Plain { protocol.steps } else { protocol.steps * protocol.best_of },
            judged: three(|one| one.judged),
            right: three(|one| f64::from(u8::from(one.right))),
            reward: figures::mean(gallery, &everywhere, protocol.seed, |one| one.reward),
            saturation: figures::mean(gallery, &everywhere, protocol.seed, |one| one.looks.saturation),
            diversity: figures::diversity(gallery),
        }
    }

    fn versus(&self, sides: &[Side]) -> Vec<Versus> {
        let find = |(tuned, arm)| sides.iter().find(|side| (side.tuned, side.arm) == (tuned, arm));
        let pairs = COMPARISONS.into_iter().filter_map(|(one, other)| find(one).zip(find(other)));
        pairs.flat_map(|(one, other)| Which::ALL.map(|on| self.compare(one, other, on))).collect()
    }

    fn compare(&self, one: &Side, other: &Side, on: Which) -> Versus {
        let (protocol, belongs) = (&self.simulation.protocol, on.of(self.asks));
        let mut tally = Tally::default();
        for &prompt in &belongs {
            let Some(scene) = self.asks[prompt].scene() else { continue };
            let seen =
                [one, other].map(|side| side.gallery[prompt].iter().map(|one| one.seen.clone()).collect::<Vec<_>>());
            tally.add(protocol.compare(prompt, &scene, [&seen[0], &seen[1]]));
        }
        let paired: Vec<f64> = belongs
            .iter()
            .map(|&prompt| {
                let mean = |side: &Side| {
                    let all = &side.gallery[prompt];
                    all.iter().map(|one| one.judged).sum::<f64>() / all.len().max(1) as f64
                };
                mean(one) - mean(other)
            })
            .collect();
        let over = |drawn: &[usize]| {
            (!drawn.is_empty()).then(|| drawn.iter().map(|&at| paired[at]).sum::<f64>() / drawn.len() as f64)
        };
        let judged = crate::measure::bootstrap(paired.len(), protocol.seed, over);
        Versus { side: one.name.clone(), against: other.name.clone(), on, tally, judged }
    }
}

/// An arm of base or tuned.
struct Side {
    name: String,
    tuned: bool,
    version: String,
    arm: Arm,
    gallery: Gallery,
}
