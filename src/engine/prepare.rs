//! The thread that makes jobs ready for the denoiser: text features, start pictures, first noise.

use std::{sync::Arc, time::Instant};

use moka::sync::Cache;

use super::{
    Failure, Generator, Order, Stage,
    guard::alone,
    shared::{CrashPoint, Shared},
};
use crate::pipeline::{
    PipelineError,
    denoise::Row,
    image_encoder::{ImageEncoder, Posterior},
    parts::tokenize,
    request::{self, Plan},
    text_encoder::{Features, Prompted, TextEncoder},
    tokenize::{Tokenizer, Tokens},
};

/// Makes rows of a version's orders.
#[derive(Debug)]
pub(super) struct Preparer {
    pub(super) tokenizer: Tokenizer,
    pub(super) text_encoder: TextEncoder,
    pub(super) image_encoder: Option<ImageEncoder>,
    /// Features by token ids.
    pub(super) features: Cache<Vec<i64>, Arc<Features>>,
}

/// Prepares jobs, those due first, until the engine stops. Few are prepared ahead of need: features take memory, and who
/// cancels early costs nothing.
pub(super) fn run(shared: &Arc<Shared>) {
    while let Some(number) = shared.wait_for(|book| book.next_unprepared(shared.settings.max_rows)) {
        let job = shared
            .book()
            .job(number)
            .map(|job| (job.generator.clone(), job.order.clone(), job.plan.clone(), job.delivery.clone()));
        let Some((generator, order, plan, delivery)) = job else { continue };
        let began = Instant::now();
        let rows = alone(|| {
            shared.pass(CrashPoint::Prepare);
            generator.rows(&order, &plan).map_err(|error| {
                tracing::error!(%error, "a request could not be prepared");
                Failure::Runtime(error.to_string())
            })
        });
        match rows {
            Ok((rows, tokens)) => {
                let mut report = delivery.report();
                report.warnings = request::warnings(&tokens);
                report.timings.end(Stage::Text, began);
                drop(report);
                shared.book().ready(number, rows);
            }
            Err(failure) => shared.book().fail([number], &failure),
        }
        shared.announce();
    }
}

impl Generator {
    /// An order's rows before their first call, and the tokens of its texts.
    pub(super) fn rows(&self, order: &Order, plan: &Arc<Plan>) -> Result<(Vec<Row>, Vec<Tokens>), PipelineError> {
        let size = self.planner.limits.pixels(plan.latent);
        self.preparer.run(|preparer| preparer.rows(order, plan, size))
    }
}

impl Preparer {
    fn rows(
        &mut self,
        order: &Order,
        plan: &Arc<Plan>,
        size: (u32, u32),
    ) -> Result<(Vec<Row>, Vec<Tokens>), PipelineError> {
        let request = &order.request;
        let tokens = tokenize(&self.tokenizer, request, plan)?;
        let prompt = self.features(&tokens[0])?;
        let negative = tokens.get(1).map(|tokens| self.features(tokens)).transpose()?;
        let text = Arc::new(Prompted { prompt, negative });
        let start = self.start(order, size)?;
        Ok((request.seeds().map(|seed| Row::new(plan, &text, seed, start.as_ref())).collect(), tokens))
    }

    fn features(&mut self, tokens: &Tokens) -> Result<Arc<Features>, PipelineError> {
        if let Some(known) = self.features.get(&tokens.ids) {
            return Ok(known);
        }
        let made = Arc::new(self.text_encoder.encode(tokens)?);
        self.features.insert(tokens.ids.clone(), made.clone());
        Ok(made)
    }

    fn start(&mut self, order: &Order, (width, height): (u32, u32)) -> Result<Option<Posterior>, PipelineError> {
        let (Some(start), Some(encoder)) = (&order.request.start, &mut self.image_encoder) else { return Ok(None) };
        encoder.encode(&start.image, width, height).map(Some)
    }
}
