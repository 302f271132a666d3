//! The pack's tokenizer: a byte-level BPE in CLIP's format, learned from prompts of the grammar and some English.
//!
//! Token ids: 256 bytes, 256 bytes that end a word (`</w>`), merges in the order they were learned, the start marker,
//! the end marker (which also pads, as in CLIP). Training is deterministic: ties go to the smaller pair in text order.

mod bpe;
mod corpus;
mod files;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use bpe::Vocabulary;
pub use files::WriteError;

/// Tokens in all.
pub const SIZE: usize = 1024;
/// Longest prompt in tokens, both markers included.
pub const LENGTH: usize = 24;
/// Marks the beginning of a prompt; the last token but one.
pub const START: &str = "<|startoftext|>";
/// Marks the end of a prompt and fills what follows; the last token.
pub const END: &str = "<|endoftext|>";
/// What a token that ends a word ends with.
const WORD_END: &str = "</w>";
/// Text tokens: all but the two markers.
const TEXT_TOKENS: usize = SIZE - 2;

/// Learns the vocabulary of the miniature world.
pub fn train() -> Vocabulary {
    bpe::learn(&corpus::words(), TEXT_TOKENS)
}

/// Writes `vocab.json`, `merges.txt`, `tokenizer_config.json` and `special_tokens_map.json` into `directory`.
///
/// # Errors
/// If the directory or a file cannot be written.
pub fn write(vocabulary: &Vocabulary, directory: &Path) -> Result<(), WriteError> {
    files::write(vocabulary, directory)
}
