//! What legs came to: base and tuned, alone and with best-of-N, by a judge that nothing in the loop has heard.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Instant,
};

use serde::Serialize;

use plaudit::{
    pack::Pack,
    pipeline::{
        PipelineError,
        schedule::{Schedule, SchedulerConfig, SchedulerKind},
    },
};

use super::{
    Leg, Pooled, SimulateError, Simulation, Tally, figures,
    figures::{Critics, Gallery},
    leg,
    leg::Planned,
    seeds, studio,
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
    /// The base alone, by the scheduler that the tuned pack names, where that is another: what of a difference is the scheduler's.
    Resampled,
}

impl Arm {
    /// Every arm.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Equal, Self::BestOf, Self::Resampled];

    fn series(self, simulation: &Simulation) -> Series {
        match self {
            Self::Plain | Self::Resampled => Series::plain(&simulation.protocol),
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
    /// Base and the last champion, in the arms that the leg is drawn in. Empty until all is drawn.
    pub arms: Vec<ArmFigures>,
    /// Comparisons by raters.
    pub versus: Vec<Versus>,
    /// Of each round and prompt, the generator's mean by the report judge less the base's, alone at the usual cost.
    #[serde(skip)]
    pub gains: Vec<Vec<f64>>,
}

/// Everything that is measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) legs: Vec<MeasuredLeg>,
    pub(super) pooled: Vec<Pooled>,
    pub(super) asks: Vec<Ask>,
    /// Whether nothing is left to be drawn.
    pub(super) whole: bool,
}

/// Which arm of whom is set beside which other: (tuned?, arm) each.
const COMPARISONS: [((bool, Arm), (bool, Arm)); 7] = [
    ((true, Arm::Plain), (false, Arm::Plain)),
    ((true, Arm::Plain), (false, Arm::Resampled)),
    ((true, Arm::Equal), (false, Arm::Equal)),
    ((false, Arm::BestOf), (false, Arm::Equal)),
    ((true, Arm::Equal), (false, Arm::BestOf)),
    ((true, Arm::BestOf), (false, Arm::BestOf)),
    ((true, Arm::BestOf), (false, Arm::Equal)),
];

/// What was looked at before: a picture looks the same each time.
#[derive(Default)]
pub(super) struct Seen(HashMap<(String, String, Series), Gallery>);

/// Draws what is missing and measures every leg that has begun.
pub(super) fn all(simulation: &Simulation, seen: &mut Seen, until: Option<Instant>) -> Result<Measured, SimulateError> {
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
        let (measured, all) = bench.leg(&planned, leg, seen)?;
        whole &= all;
        legs.push(measured);
    }
    let by_kind = Which::ALL.map(|which| which.of(&asks));
    let pooled = seeds::pool(&legs, by_kind.each_ref().map(|prompts| &prompts[..]), simulation.protocol.seed);
    Ok(Measured { legs, pooled, asks, whole })
}

struct Bench<'a> {
    simulation: &'a Simulation,
    asks: &'a [Ask],
    versions: PathBuf,
    until: Option<Instant>,
}

/// Who looks at a leg's pictures: the reward is its last.
struct Eyes<'a> {
    critics: Critics,
    reward: String,
    seen: &'a mut Seen,
}

impl Bench<'_> {
    fn generator(&self, version: &str) -> PathBuf {
        self.versions.join("generator").join(version)
    }

    /// Whether all of it was drawn.
    fn leg(&self, planned: &Planned, leg: Leg, seen: &mut Seen) -> Result<(MeasuredLeg, bool), SimulateError> {
        let base = leg.base.first().cloned().unwrap_or_default();
        let last = leg.rounds.last().map_or_else(|| base.clone(), |round| round.generator.clone());
        let reward = leg.rounds.last().map(|round| round.reward.clone()).unwrap_or_default();
        let threads = self.simulation.daemon.learning.threads;
        let critics = Critics::open(&self.generator(&base), &self.versions.join("reward").join(&reward), threads)?;
        let mut eyes = Eyes { critics, reward, seen };
        let (mut by_round, mut gains, mut whole) = (Vec::new(), Vec::new(), true);
        let mut before: Option<Vec<f64>> = None;
        let versions = std::iter::once(&base).chain(leg.rounds.iter().map(|round| &round.generator));
        for (round, version) in versions.enumerate() {
            let Some(gallery) = self.gallery(&mut eyes, version, Arm::Plain, None)? else {
                whole = false;
                break;
            };
            by_round.push(self.figures(&format!("round {round}"), version, (Arm::Plain, None), &gallery)?);
            let judged: Vec<f64> = gallery.iter().map(|of| figures::judged(of)).collect();
            match &before {
                Some(base) => gains.push(judged.iter().zip(base).map(|(now, base)| now - base).collect()),
                None => before = Some(judged),
            }
        }
        let sides = self.sides(planned, &mut eyes, [&base, &last])?;
        let (mut arms, mut versus) = (Vec::new(), Vec::new());
        match &sides {
            Some(sides) => {
                for side in sides {
                    arms.push(self.figures(&side.name, &side.version, (side.arm, side.scheduler), &side.gallery)?);
                }
                versus = self.versus(sides);
            }
            None => whole = false,
        }
        Ok((MeasuredLeg { name: planned.name(), leg, by_round, arms, versus, gains }, whole))
    }

    /// Base and tuned in every arm that the leg is drawn in; `None` where this run's time is over before all are drawn.
    fn sides(
        &self,
        planned: &Planned,
        eyes: &mut Eyes<'_>,
        versions: [&str; 2],
    ) -> Result<Option<Vec<Side>>, SimulateError> {
        let schedulers = [self.scheduler(versions[0])?, self.scheduler(versions[1])?];
        let mut sides = Vec::new();
        for (tuned, version) in versions.into_iter().enumerate() {
            for arm in Arm::ALL {
                let drawn = match arm {
                    Arm::Plain => true,
                    Arm::Equal | Arm::BestOf => planned.finalist,
                    Arm::Resampled => tuned == 0 && schedulers[0] != schedulers[1],
                };
                if !drawn {
                    continue;
                }
                let scheduler = (arm == Arm::Resampled).then_some(schedulers[1]);
                let Some(gallery) = self.gallery(eyes, version, arm, scheduler)? else { return Ok(None) };
                let name = self.name(tuned == 1, arm, scheduler);
                sides.push(Side { name, tuned: tuned == 1, version: version.to_owned(), arm, scheduler, gallery });
            }
        }
        Ok(Some(sides))
    }

    /// How a version draws.
    fn config(&self, version: &str) -> Result<SchedulerConfig, SimulateError> {
        // Not by its path: versions share what they have in common.
        let pack = Pack::open(&self.generator(version))?;
        Ok(SchedulerConfig::from_json(pack.scheduler()).map_err(PipelineError::from)?)
    }

    /// The scheduler that a version names.
    fn scheduler(&self, version: &str) -> Result<SchedulerKind, SimulateError> {
        Ok(self.config(version)?.kind().map_err(PipelineError::from)?)
    }

    fn name(&self, tuned: bool, arm: Arm, scheduler: Option<SchedulerKind>) -> String {
        let (who, protocol) = (if tuned { "tuned" } else { "base" }, &self.simulation.protocol);
        let scheduler = scheduler.map_or_else(String::new, |kind| format!(" by {kind}"));
        match arm {
            Arm::Plain | Arm::Resampled => format!("{who}{scheduler}, {} steps", protocol.steps),
            Arm::Equal => format!("{who}, {} steps", protocol.steps * protocol.best_of),
            Arm::BestOf => format!("{who}, best of {}", protocol.best_of),
        }
    }

    /// A version's pictures in an arm, looked at.
    fn gallery(
        &self,
        eyes: &mut Eyes<'_>,
        version: &str,
        arm: Arm,
        scheduler: Option<SchedulerKind>,
    ) -> Result<Option<Gallery>, SimulateError> {
        let series = Series { scheduler, ..arm.series(self.simulation) };
        let pack: &Path = &self.generator(version);
        if !studio::draw(self.simulation, version, pack, series, self.asks, self.until)? {
            return Ok(None);
        }
        let key = (version.to_owned(), eyes.reward.clone(), series);
        if !eyes.seen.0.contains_key(&key) {
            let gallery = eyes.critics.look(self.simulation, version, series, self.asks)?;
            eyes.seen.0.insert(key.clone(), gallery);
        }
        let (gallery, shown) = (&eyes.seen.0[&key], self.simulation.protocol.pictures);
        Ok(Some(if arm == Arm::BestOf { figures::best(gallery, shown) } else { gallery.clone() }))
    }

    /// Calls of the denoiser for each picture that is shown.
    fn calls(&self, version: &str, arm: Arm, scheduler: Option<SchedulerKind>) -> Result<usize, SimulateError> {
        let config = self.config(version)?;
        let (series, best_of) = (arm.series(self.simulation), self.simulation.protocol.best_of);
        let kind = scheduler.map_or_else(|| config.kind(), Ok).map_err(PipelineError::from)?;
        let schedule = Schedule::new(kind, &config, series.steps).map_err(PipelineError::from)?;
        Ok(schedule.timesteps().len() * if arm == Arm::BestOf { best_of } else { 1 })
    }

    fn figures(
        &self,
        name: &str,
        version: &str,
        (arm, scheduler): (Arm, Option<SchedulerKind>),
        gallery: &Gallery,
    ) -> Result<ArmFigures, SimulateError> {
        let protocol = &self.simulation.protocol;
        let everywhere = Which::All.of(self.asks);
        let three = |figure: fn(&figures::Scored) -> f64| {
            Which::ALL.map(|which| figures::mean(gallery, &which.of(self.asks), protocol.seed, figure))
        };
        Ok(ArmFigures {
            name: name.to_owned(),
            version: version.to_owned(),
            arm,
            calls: self.calls(version, arm, scheduler)?,
            judged: three(|one| one.judged),
            right: three(|one| f64::from(u8::from(one.right))),
            reward: figures::mean(gallery, &everywhere, protocol.seed, |one| one.reward),
            saturation: figures::mean(gallery, &everywhere, protocol.seed, |one| one.looks.saturation),
            diversity: figures::diversity(gallery),
        })
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
            .map(|&prompt| figures::judged(&one.gallery[prompt]) - figures::judged(&other.gallery[prompt]))
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
    scheduler: Option<SchedulerKind>,
    gallery: Gallery,
}
