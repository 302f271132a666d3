//! The gate: whether a candidate may take the champion's place.
//!
//! Both are asked the same, and compared in pairs: generators on the same prompts and seeds, rewards on the same votes. Every measure has an
//! interval over prompts and a bound that is named beforehand ([`GeneratorBounds`], [`RewardBounds`]); [`Verdict`] says what follows.
//! The amount of prompts is fixed before the first is drawn: nobody looks until a bound is met by chance.
//!
//! ```text
//! OUT/begun.json          what a gate of generators was begun with
//! OUT/pictures/0000.png   a prompt's pictures (rows: champion, candidate, champion again with other seeds); 0000.json beside it: times, flags
//! OUT/gate.json           the evidence; docs/gate.md has its fields
//! OUT/gate.md             the same for people
//! OUT/differences.svg     differences with intervals, in units of their bounds
//! OUT/sheet.png           rows of prompts: the champion's pictures, then the candidate's, of the same seeds
//! ```

mod bounds;
mod distance;
mod draw;
mod error;
mod evidence;
mod generator;
mod looks;
mod markdown;
mod pairs;
mod plot;
mod reward;
mod score;
mod sheet;
mod verdict;
mod votes;

use std::path::PathBuf;

pub use bounds::{GeneratorBounds, RewardBounds};
pub use error::GateError;
pub use evidence::{Evidence, Kind, LeftOut, SCHEMA};
pub use looks::Looks;
pub use verdict::{Bound, Compared, Measure, Verdict};

use crate::collect::Prompts;

/// A gate of generators: what is compared, on what, and where the evidence goes.
#[derive(Debug, Clone)]
pub struct GeneratorGate {
    /// The pack that serves.
    pub champion: PathBuf,
    /// The pack that would.
    pub candidate: PathBuf,
    /// The reward that both are measured by; `None`: the champion's own.
    pub reward: Option<PathBuf>,
    /// Where prompts come from.
    pub prompts: Prompts,
    /// Pictures of each prompt, of each pack.
    pub pictures: usize,
    /// Steps of a picture.
    pub steps: usize,
    /// Seed of prompts, pictures and intervals.
    pub seed: u64,
    /// What is allowed.
    pub bounds: GeneratorBounds,
    /// Pictures and evidence.
    pub out: PathBuf,
    /// Threads of the runtime; 0 means one for each core.
    pub threads: usize,
}

/// A gate of rewards.
#[derive(Debug, Clone)]
pub struct RewardGate {
    /// The reward pack that serves.
    pub champion: PathBuf,
    /// The reward pack that would.
    pub candidate: PathBuf,
    /// The pack whose CLIP both read.
    pub pack: PathBuf,
    /// Votes that stay the same from gate to gate.
    pub golden: PathBuf,
    /// The votes that came last.
    pub newest: Option<PathBuf>,
    /// What is allowed.
    pub bounds: RewardBounds,
    /// Evidence.
    pub out: PathBuf,
    /// Threads of the runtime; 0 means one for each core.
    pub threads: usize,
}

/// Draws what is not drawn yet, measures, and writes the evidence.
///
/// # Errors
/// A pack that cannot be used, packs of different sizes, a directory that another gate began, a full disk.
pub fn generator(gate: &GeneratorGate) -> Result<Evidence, GateError> {
    let asked = crate::collect::prompts(&gate.prompts, gate.seed)?;
    let gallery = draw::all(gate, &asked)?;
    let scores = score::all(gate, &gallery)?;
    let evidence = generator::evidence(gate, &gallery, &scores);
    sheet::write(&gate.out, &gallery)?;
    evidence.write(&gate.out)?;
    Ok(evidence)
}

/// Scores every picture of the votes with both rewards, measures, and writes the evidence.
///
/// # Errors
/// A reward of another CLIP, a dataset that cannot be read or has no vote to measure on, a full disk.
pub fn reward(gate: &RewardGate) -> Result<Evidence, GateError> {
    let mut heads = votes::Heads::open(gate)?;
    let golden = votes::Votes::read("golden", &gate.golden, &mut heads)?;
    let newest = gate.newest.as_deref().map(|newest| votes::Votes::read("newest", newest, &mut heads)).transpose()?;
    let evidence = reward::evidence(gate, &heads, std::iter::once(golden).chain(newest));
    evidence.write(&gate.out)?;
    Ok(evidence)
}
