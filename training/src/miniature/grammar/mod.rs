//! Prompts of the miniature world: meaning ⇄ text.
//!
//! ```
//! use plaudit_training::miniature::grammar::Scene;
//! let scene: Scene = "a picture of two blue stars at the beach".parse()?;
//! assert_eq!(scene.prompt(), "two blue stars on the beach");
//! # Ok::<(), plaudit_training::miniature::grammar::ParseError>(())
//! ```

mod contrast;
mod parse;
mod scene;
#[cfg(test)]
mod tests;
mod words;

pub use contrast::Change;
pub use parse::ParseError;
pub use scene::{Category, Scene};
pub use words::{Background, Colour, Count, Object};
