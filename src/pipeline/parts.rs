//! The sessions and facts of a pack, before they are put to work by a pipeline or an engine.

use super::{
    PipelineError, Request,
    decode::Decoder,
    denoise::Denoiser,
    image_encoder::ImageEncoder,
    lanes::Lanes,
    request::{Limits, Plan},
    safety::SafetyChecker,
    schedule::{SchedulerConfig, SchedulerKind},
    serving,
    text_encoder::TextEncoder,
    tokenize::{Tokenizer, Tokens},
};
use crate::{
    pack::{Component, Pack},
    runtime::{Session, SessionSettings},
};

/// Everything that draws.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) text_encoder: TextEncoder,
    pub(crate) denoiser: Denoiser,
    pub(crate) decoder: Decoder,
    pub(crate) image_encoder: Option<ImageEncoder>,
    pub(crate) safety: Option<SafetyChecker>,
    pub(crate) planner: Planner,
    pub(crate) tokenizer: Tokenizer,
}

/// What turns a request into a plan.
#[derive(Debug, Clone)]
pub(crate) struct Planner {
    pub(crate) scheduler: SchedulerConfig,
    pub(crate) limits: Limits,
    /// Guidance scale of requests that name none.
    pub(crate) guidance: f32,
}

/// Opens a pack's parts one by one, each with the graph that the device prefers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opener<'a> {
    pub(crate) pack: &'a Pack,
    pub(crate) settings: &'a SessionSettings,
}

impl Opener<'_> {
    fn session(&self, component: Component) -> Result<Session, PipelineError> {
        let model = serving::model(self.pack, component, self.settings)?;
        Session::from_model(&model, self.settings).map_err(PipelineError::component(component))
    }

    pub(crate) fn tokenizer(&self) -> Result<Tokenizer, PipelineError> {
        Ok(Tokenizer::open(&self.pack.tokenizer())?)
    }

    pub(crate) fn text_encoder(&self) -> Result<TextEncoder, PipelineError> {
        Ok(TextEncoder::new(self.session(Component::TextEncoder)?))
    }

    /// Of as many sessions as [`Lanes`] says.
    pub(crate) fn denoiser(&self, lanes: usize) -> Result<Denoiser, PipelineError> {
        let model = serving::model(self.pack, Component::Unet, self.settings)?;
        Ok(Denoiser::new(Lanes::open(&model, self.settings, lanes)?))
    }

    /// For calls of so many latent cells.
    pub(crate) fn decoder(&self, cells: usize) -> Result<Decoder, PipelineError> {
        let session = self.session(Component::VaeDecoder)?;
        Ok(Decoder::new(session, self.pack.scaling_factor(), self.pack.shift_factor(), cells))
    }

    /// `None` for a pack without one.
    pub(crate) fn image_encoder(&self) -> Result<Option<ImageEncoder>, PipelineError> {
        let (scaling, shift) = (self.pack.scaling_factor(), self.pack.shift_factor());
        let has_one = Limits::of(self.pack).image_to_image;
        let session = has_one.then(|| self.session(Component::VaeEncoder)).transpose()?;
        Ok(session.map(|session| ImageEncoder::new(session, scaling, shift)))
    }

    /// `None` for a pack without one.
    pub(crate) fn safety(&self) -> Result<Option<SafetyChecker>, PipelineError> {
        let has_one = self.pack.model(Component::SafetyChecker).is_some();
        let session = has_one.then(|| self.session(Component::SafetyChecker)).transpose()?;
        Ok(session.map(SafetyChecker::new))
    }

    pub(crate) fn planner(&self) -> Result<Planner, PipelineError> {
        Ok(Planner {
            scheduler: SchedulerConfig::from_json(self.pack.scheduler())?,
            limits: Limits::of(self.pack),
            guidance: self.pack.guidance() as f32,
        })
    }
}

impl Parts {
    /// Opens the tokenizer and a session for each component, all with `settings`.
    pub(crate) fn open(
        pack: &Pack,
        settings: &SessionSettings,
        lanes: usize,
        decode_cells: usize,
    ) -> Result<Self, PipelineError> {
        let open = Opener { pack, settings };
        Ok(Self {
            text_encoder: open.text_encoder()?,
            denoiser: open.denoiser(lanes)?,
            decoder: open.decoder(decode_cells)?,
            image_encoder: open.image_encoder()?,
            safety: open.safety()?,
            planner: open.planner()?,
            tokenizer: open.tokenizer()?,
        })
    }
}

impl Planner {
    pub(crate) fn plan(&self, request: &Request) -> Result<Plan, PipelineError> {
        Plan::new(request, &self.scheduler, &self.limits)
    }

    /// The scheduler that is used where a request names none.
    pub(crate) fn default_scheduler(&self) -> Result<SchedulerKind, PipelineError> {
        Ok(self.scheduler.kind()?)
    }
}

/// The prompt's tokens, and with guidance the negative prompt's after them.
pub(crate) fn tokenize(tokenizer: &Tokenizer, request: &Request, plan: &Plan) -> Result<Vec<Tokens>, PipelineError> {
    let negative = plan.is_guided().then_some(request.negative_prompt.as_str());
    let encode = |text| Ok(tokenizer.encode(text)?);
    std::iter::once(request.prompt.as_str()).chain(negative).map(encode).collect()
}
