//! Prompts to token ids, as diffusers feeds them to a CLIP text encoder.

mod files;

use std::path::{Path, PathBuf};

/// CLIP's byte-pair encoding with the markers, the length and the padding of a pack.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    length: usize,
    end: u32,
    padding: u32,
}

/// What the text encoder reads for one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Start marker, content, end marker, padding: always [`Tokenizer::length`] long.
    pub ids: Vec<i64>,
    /// The end of the prompt that did not fit, if any, as the tokenizer spells it.
    pub cut: Option<String>,
}

/// Why a tokenizer cannot be made from its files.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum TokenizeError {
    #[error("cannot read {path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path} is not JSON: {source}", path = path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{folder} holds no tokenizer: there is neither vocab.json with merges.txt nor tokenizer.json", folder = folder.display())]
    Missing { folder: PathBuf },
    #[error("{folder}: {fault}", folder = folder.display())]
    Faulty { folder: PathBuf, fault: String },
    #[error("the prompt cannot be tokenized: {0}")]
    Prompt(String),
}

impl Tokenizer {
    /// Opens a pack's `tokenizer/` folder: vocab.json with merges.txt (as Stable Diffusion v1.5 ships), or tokenizer.json.
    ///
    /// # Errors
    /// A file that is missing or malformed, or a `tokenizer_config.json` without `model_max_length`.
    pub fn open(folder: &Path) -> Result<Self, TokenizeError> {
        let faulty = |fault: String| TokenizeError::Faulty { folder: folder.to_owned(), fault };
        let files = files::read(folder)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(files.tokenizer.to_string())
            .map_err(|error| faulty(format!("is not a tokenizer: {error}")))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| faulty(error.to_string()))?;
        let id =
            |token: &str| inner.token_to_id(token).ok_or_else(|| faulty(format!("{token:?} is not in the vocabulary")));
        let (end, padding) = (id(&files.end)?, id(&files.padding)?);
        Ok(Self { inner, length: files.length, end, padding })
    }

    /// Tokens in a prompt, markers and padding included.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Tokenizes a prompt, cut and padded to [`Tokenizer::length`].
    ///
    /// # Errors
    /// When the tokenizer refuses the text, which CLIP's byte-level one never does.
    pub fn encode(&self, text: &str) -> Result<Tokens, TokenizeError> {
        let refused = |error: tokenizers::Error| TokenizeError::Prompt(error.to_string());
        let encoding = self.inner.encode_fast(text, true).map_err(refused)?;
        let mut ids = encoding.get_ids().to_vec();
        let mut cut = None;
        if ids.len() > self.length {
            let removed = &ids[self.length - 1..ids.len() - 1];
            cut = Some(self.spell(removed).map_err(refused)?);
            ids.truncate(self.length - 1);
            ids.push(self.end);
        }
        ids.resize(self.length, self.padding);
        Ok(Tokens { ids: ids.into_iter().map(i64::from).collect(), cut })
    }

    /// Ids as text; byte-level decoding leaves CLIP's end-of-word mark for us to replace.
    fn spell(&self, ids: &[u32]) -> Result<String, tokenizers::Error> {
        Ok(self.inner.decode(ids, false)?.replace(files::END_OF_WORD, " ").trim().to_owned())
    }
}
