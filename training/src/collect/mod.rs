//! Collects votes: prompts are drawn several times each, people or simulated raters say which pictures are right, and both become a dataset.
//!
//! The directory is in Hugging Face's layout: `data/votes.jsonl` has a row for each vote, `images/` the pictures. `drawn.jsonl` lists
//! the pictures in the order in which they were drawn; a run that was killed goes on behind its last whole prompt, and one with more
//! prompts behind the last of the run before.

mod choose;
mod draw;
mod error;
mod human;
mod panel;
mod part;
mod simulate;
mod write;

use std::path::PathBuf;

pub use choose::Ask;
pub use draw::Drawn;
pub use error::CollectError;
pub use human::{HumanVote, parse as parse_votes};
pub use part::Part;

use crate::miniature::rate::RaterSettings;

/// What to draw, whom to ask, and where it goes.
#[derive(Debug, Clone)]
pub struct Collection {
    /// The pack that draws.
    pub pack: PathBuf,
    /// The dataset's directory.
    pub out: PathBuf,
    /// Where prompts come from.
    pub prompts: Prompts,
    /// Pictures of each prompt.
    pub images: usize,
    /// Who votes.
    pub voters: Voters,
    /// Seed of prompts, pictures and raters.
    pub seed: u64,
    /// Threads of the runtime; 0 means one for each core.
    pub threads: usize,
}

/// Where prompts come from.
#[derive(Debug, Clone)]
pub enum Prompts {
    /// The miniature world's grammar, all five categories alike.
    Grammar {
        /// Number of prompts.
        amount: usize,
        /// Share of them about objects that reward training never sees, 0 to 1.
        held_out: f64,
    },
    /// A text file, one prompt a line; empty lines are left out.
    File(PathBuf),
}

/// Who votes.
#[derive(Debug, Clone)]
pub enum Voters {
    /// Raters that judge pixels by the grammar and err as told.
    Simulated {
        /// Number of raters.
        raters: usize,
        /// Votes on each picture, by different raters.
        votes: usize,
        /// How they err.
        settings: RaterSettings,
    },
    /// A CSV file of people's votes (see [`parse_votes`]).
    People(PathBuf),
    /// Nobody yet: the pictures are drawn, to be shown to people.
    Nobody,
}

/// Draws what is not drawn yet, asks for votes, and writes the dataset.
///
/// # Errors
/// A pack or prompt that cannot be drawn, a directory that another collection began, votes that name no picture, a full disk.
pub fn collect(collection: &Collection) -> Result<(), CollectError> {
    let asked = choose::prompts(collection)?;
    let drawn = draw::all(collection, &asked)?;
    let votes = match &collection.voters {
        Voters::Simulated { raters, votes, settings } => {
            let panel = panel::Panel::new(*raters, *votes, collection.seed)?;
            simulate::votes(collection, &panel, *settings, &drawn)?
        }
        Voters::People(file) => human::votes(file, &drawn)?,
        Voters::Nobody => Vec::new(),
    };
    write::dataset(collection, &drawn, &votes)
}
