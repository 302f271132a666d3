//! A prompt's words and where they stand, and the prompt with some of them changed.

use std::ops::Range;

/// A word in lower case, and its bytes in the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: Range<usize>,
}

/// Runs of letters, digits, hyphens and apostrophes.
pub(super) fn words(prompt: &str) -> Vec<Word> {
    let inside = |c: char| c.is_alphanumeric() || c == '-' || c == '\'';
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in prompt.char_indices().chain([(prompt.len(), ' ')]) {
        match (inside(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push(Word { text: prompt[from..at].to_lowercase(), at: from..at });
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// Bytes of the prompt, and what stands there instead.
pub(super) type Change = (Range<usize>, String);

/// The prompt with these changes, which do not overlap and come in the order of their places.
pub(super) fn changed(prompt: &str, changes: &[Change]) -> String {
    let mut text = String::with_capacity(prompt.len());
    let mut done = 0;
    for (at, new) in changes {
        text.push_str(&prompt[done..at.start]);
        text.push_str(&in_case_of(&prompt[at.clone()], new));
        done = at.end;
    }
    text.push_str(&prompt[done..]);
    text
}

/// A capital where there was one.
fn in_case_of(old: &str, new: &str) -> String {
    let mut letters = new.chars();
    match letters.next() {
        Some(first) if old.starts_with(char::is_uppercase) => first.to_uppercase().chain(letters).collect(),
        _ => new.to_owned(),
    }
}

/// "a" or "an". By letters, as the lexicon's words need it.
pub(super) fn article(following: &str) -> &'static str {
    if following.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
