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

impl Parts {
    /// Opens the tokenizer and a session for each component, all with `settings`; of the denoiser as many as [`Lanes`] says.
    /// The graphs are those that the device prefers.
    pub(crate) fn open(
        pack: &Pack,
        settings: &SessionSettings,
        lanes: usize,
        decode_cells: usize,
    ) -> Result<Self, PipelineError> {
        let model = |component: Component| serving::model(pack, component, settings);
        let session = |component: Component| {
            Session::from_model(&*model(component)?, settings).map_err(PipelineError::component(component))
        };
        let (scaling, shift) = (pack.scaling_factor(), pack.shift_factor());
        let limits = Limits::of(pack);
        let image_encoder = match limits.image_to_image {
            true => Some(ImageEncoder::new(session(Component::VaeEncoder)?, scaling, shift)),
            false => None,
        };
        let safety = match pack.model(Component::SafetyChecker) {
            Some(_) => Some(SafetyChecker::new(session(Component::SafetyChecker)?)),
            None => None,
        };
        Ok(Self {
            safety,
            tokenizer: Tokenizer::open(&pack.tokenizer())?,
            text_encoder: TextEncoder::new(session(Component::TextEncoder)?),
            denoiser: Denoiser::new(Lanes::open(&*model(Component::Unet)?, settings, lanes)?),
            decoder: Decoder::new(session(Component::VaeDecoder)?, scaling, shift, decode_cells),
            image_encoder,
            planner: Planner {
                scheduler: SchedulerConfig::from_json(pack.scheduler())?,
                limits,
                guidance: pack.guidance() as f32,
            },
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
