//! Collects votes: prompts are drawn several times each, people or simulated raters say which pictures are right, and both become a dataset.
//!
//! ```text
//! OUT/collect.json    what the collection was begun with
//! OUT/drawn.jsonl     the pictures in the order in which they were drawn
//! OUT/images/         their files
//! OUT/dataset/        the dataset (see [`plaudit::feedback::dataset`]): a row a vote
//! ```
//!
//! Drawing takes long and goes on where it stopped: behind the last whole prompt of a run that was killed, behind the last prompt of a run
//! with fewer. Voting is quick and is done anew each time.

mod choose;
mod draw;
mod error;
mod human;
mod panel;
mod part;
mod simulate;
mod write;

use std::path::PathBuf;

use plaudit::feedback::dataset::Format;

pub use choose::Ask;
pub(crate) use choose::prompts;
pub use draw::Drawn;
pub(crate) use draw::Progress;
pub use error::CollectError;
pub use part::Part;

use crate::miniature::rate::{RaterSettings, Vote};

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
    /// How the dataset is written.
    pub format: Format,
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
    /// A CSV file of people's votes with the columns `image_id` (or the picture's file name), `rater` and `rating` (up or down).
    People(PathBuf),
    /// Nobody yet: the pictures are drawn, to be shown to people.
    Nobody,
}

/// One vote on one picture.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cast {
    /// Which of the pictures.
    image: usize,
    rater: String,
    vote: Vote,
    /// Whether the picture is right, where that is known.
    truth: Option<bool>,
    split: Option<Part>,
}

/// Draws what is not drawn yet, asks for votes, and writes the dataset.
///
/// # Errors
/// A pack or prompt that cannot be drawn, a directory that another collection began, votes that name no picture, a full disk.
pub fn collect(collection: &Collection) -> Result<(), CollectError> {
    let asked = choose::prompts(&collection.prompts, collection.seed)?;
    let drawn = draw::all(collection, &asked)?;
    let votes = match &collection.voters {
        Voters::Simulated { raters, votes, settings } => {
            let panel = panel::Panel::new(*raters, *votes, collection.seed)?;
            simulate::votes(collection, &panel, *settings, &drawn)?
        }
        Voters::People(file) => human::votes(file, &drawn)?,
        Voters::Nobody => return Ok(()),
    };
    write::dataset(collection, &drawn, &votes)
}
