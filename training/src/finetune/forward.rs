//! Predictions without a gradient: the frozen reference's, and those of the weights of the moment.

use plaudit::runtime::{BoundSession, Session, SessionSettings};
use plaudit_onnx::Model;

use super::{
    FinetuneError,
    batch::MicroBatch,
    graph::{self, ANCHOR_ERROR, NOISE_ERROR, PREDICTION, Shape},
};
use crate::step::{Adapter, LOSS, Lora, Parameter, Trainer, Which};

/// A forward-only session of a step's size.
#[derive(Debug)]
pub(super) struct Forward {
    session: BoundSession,
    /// Weights that are copied from the trainer before a batch; none for the reference.
    followed: Vec<String>,
}

impl Forward {
    /// The parent's weights, frozen.
    pub(super) fn reference(unet: &Model, shape: &Shape, settings: &SessionSettings) -> Result<Self, FinetuneError> {
        let session = Session::from_model(&graph::forward_graph(unet, shape)?, settings)?;
        Ok(Self { session: BoundSession::new(session)?, followed: Vec::new() })
    }

    /// The weights that `parameters` are trained into.
    pub(super) fn current(
        unet: &Model,
        shape: &Shape,
        lora: Option<Lora>,
        parameters: &[Parameter],
        settings: &SessionSettings,
    ) -> Result<Self, FinetuneError> {
        Self::following(&graph::current_graph(unet, shape, lora, parameters)?, parameters, settings)
    }

    /// The loss of those weights.
    pub(super) fn loss(
        unet: &Model,
        shape: &Shape,
        lora: Option<Lora>,
        parameters: &[Parameter],
        settings: &SessionSettings,
    ) -> Result<Self, FinetuneError> {
        Self::following(&graph::loss_graph(unet, shape, lora, parameters)?, parameters, settings)
    }

    fn following(model: &Model, parameters: &[Parameter], settings: &SessionSettings) -> Result<Self, FinetuneError> {
        let session = Session::from_model(model, settings)?;
        let followed = parameters.iter().map(|parameter| parameter.name.clone()).collect();
        Ok(Self { session: BoundSession::new(session)?, followed })
    }

    /// Takes over the trainer's weights.
    pub(super) fn follow(&mut self, trainer: &Trainer, which: Which) {
        for (index, name) in self.followed.iter().enumerate() {
            self.session.buffer_mut::<f32>(name).copy_from_slice(trainer.values(index, which));
        }
    }

    /// Scalars of a session of the loss: mean loss, mean ‖ε_θ − ε‖² and ‖ε_θ − ε_ref‖².
    pub(super) fn judge(&mut self, micro: &MicroBatch) -> Result<[f32; 3], FinetuneError> {
        micro.feed(|name, values| self.session.buffer_mut::<f32>(name).copy_from_slice(values));
        self.session.run()?;
        Ok([LOSS, NOISE_ERROR, ANCHOR_ERROR].map(|name| self.session.buffer::<f32>(name)[0]))
    }

    /// Until it follows again it is the parent.
    pub(super) fn switch_off(&mut self, adapters: &[Adapter]) {
        for adapter in adapters {
            self.session.buffer_mut::<f32>(&adapter.b()).fill(0.0);
        }
    }

    /// `[n, c, h, w]`.
    pub(super) fn predict(&mut self, micro: &MicroBatch) -> Result<&[f32], FinetuneError> {
        micro.asked(|name, values| self.session.buffer_mut::<f32>(name).copy_from_slice(values));
        self.session.run()?;
        Ok(self.session.buffer(PREDICTION))
    }
}
