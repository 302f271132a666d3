//! Token ids to the features that the denoiser attends to.

use std::sync::Arc;

use super::{PipelineError, tokenize::Tokens};
use crate::{
    pack::Component,
    runtime::{Session, View},
};

/// The CLIP text encoder of a pack.
#[derive(Debug)]
pub(crate) struct TextEncoder {
    session: Session,
}

/// Features of one prompt, f32 `[tokens, width]`: the encoder's last hidden state.
#[derive(Debug)]
pub(crate) struct Features {
    shape: [usize; 2],
    values: Vec<f32>,
}

impl Features {
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }
}

/// What a row attends to.
#[derive(Debug, Clone)]
pub(crate) struct Prompted {
    /// The prompt.
    pub(crate) prompt: Arc<Features>,
    /// With guidance, the negative prompt.
    pub(crate) negative: Option<Arc<Features>>,
}

impl Prompted {
    /// Tokens and width.
    pub(crate) fn shape(&self) -> [usize; 2] {
        self.prompt.shape
    }

    /// Of a row that is guided; otherwise the prompt's, which nobody asks for.
    pub(crate) fn negative_values(&self) -> &[f32] {
        self.negative.as_ref().unwrap_or(&self.prompt).values()
    }
}

impl TextEncoder {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    /// Encodes a prompt. Each is a call of its own, so that its features do not depend on what else is asked for.
    pub(crate) fn encode(&mut self, tokens: &Tokens) -> Result<Features, PipelineError> {
        let failed = PipelineError::component(Component::TextEncoder);
        let shape = [1, tokens.ids.len()];
        let outputs = self.session.run_views(&[("input_ids", View::new(&shape, &tokens.ids))]).map_err(&failed)?;
        let hidden = super::answer(&outputs, Component::TextEncoder, "last_hidden_state", tokens.ids.len())?;
        Ok(Features { shape: [tokens.ids.len(), hidden.len() / tokens.ids.len()], values: hidden.to_vec() })
    }
}
