//! From the text of a prompt back to its meaning.

use std::str::FromStr;

use super::{Background, Colour, Count, Object, Scene};

/// Why a text is no prompt of this grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No object is named.
    #[error(
        "`{0}` names no object of the miniature world; name one of star, heart, fish, mug, tree, car, cat, house, moon, flower, umbrella, boat"
    )]
    NoObject(String),
    /// A word has no place in the grammar.
    #[error("`{word}` in `{text}` is not a word of the miniature world, or is not where the grammar has it")]
    Word {
        /// The word.
        word: String,
        /// The whole text.
        text: String,
    },
}

const FILLERS: [&str; 6] = ["a", "an", "the", "picture", "drawing", "image"];

impl FromStr for Scene {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let lowered = text.to_lowercase();
        let cleaned = lowered.trim().trim_end_matches('.');
        let (rest, background) = split_background(cleaned);
        let mut count = None;
        let mut colour = None;
        let mut object = None;
        for word in rest.split_whitespace() {
            if let Some(found) = Object::ALL.into_iter().find(|object| is_named(*object, word)) {
                object = Some(found);
            } else if let Some(found) = Colour::ALL.into_iter().find(|colour| colour.word() == word) {
                colour = Some(found);
            } else if let Some(found) = Count::from_word(word) {
                count = Some(found);
            } else if !FILLERS.contains(&word) && word != "of" {
                return Err(ParseError::Word { word: word.to_owned(), text: text.to_owned() });
            }
        }
        let object = object.ok_or_else(|| ParseError::NoObject(text.to_owned()))?;
        Ok(Self { object, count, colour, background })
    }
}

fn is_named(object: Object, word: &str) -> bool {
    let (singular, plural) = object.words();
    word == singular || word == plural
}

fn split_background(text: &str) -> (&str, Option<Background>) {
    let phrases =
        Background::ALL.into_iter().flat_map(|place| place.phrases().iter().map(move |phrase| (place, phrase)));
    for (place, phrase) in phrases {
        if let Some(rest) = text.strip_suffix(phrase) {
            return (rest, Some(place));
        }
    }
    (text, None)
}
