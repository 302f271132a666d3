//! Token ids to the features that the denoiser attends to.

use super::{PipelineError, tokenize::Tokens};
use crate::{
    pack::Component,
    runtime::{Session, View},
};

/// The CLIP text encoder of a pack.
#[derive(Debug)]
pub(super) struct TextEncoder {
    session: Session,
}

/// Text features, f32 `[prompts, tokens, width]`: the encoder's last hidden state.
#[derive(Debug)]
pub(super) struct Features {
    /// `[tokens, width]` of one prompt.
    pub(super) shape: [usize; 2],
    values: Vec<f32>,
}

impl Features {
    /// The features of one prompt.
    pub(super) fn row(&self, prompt: usize) -> &[f32] {
        let size = self.shape[0] * self.shape[1];
        &self.values[prompt * size..(prompt + 1) * size]
    }
}

impl TextEncoder {
    pub(super) fn new(session: Session) -> Self {
        Self { session }
    }

    /// Encodes prompts of equal length in one call.
    pub(super) fn encode(&mut self, prompts: &[&Tokens]) -> Result<Features, PipelineError> {
        let failed = PipelineError::component(Component::TextEncoder);
        let tokens = prompts.first().map_or(0, |prompt| prompt.ids.len());
        let ids: Vec<i64> = prompts.iter().flat_map(|prompt| prompt.ids.iter().copied()).collect();
        let shape = [prompts.len(), tokens];
        let outputs = self.session.run_views(&[("input_ids", View::new(&shape, &ids))]).map_err(&failed)?;
        let hidden = super::answer(&outputs, Component::TextEncoder, "last_hidden_state", tokens)?;
        let width = hidden.len() / (prompts.len() * tokens);
        Ok(Features { shape: [tokens, width], values: hidden.to_vec() })
    }
}
