//! Uploaded pictures become small before they wait: decoded few at a time, and at once brought to the size that is drawn.

use std::{sync::Arc, time::Duration};

use actix_web::web;
use bytes::Bytes;
use image::{DynamicImage, imageops::FilterType};
use tokio::sync::Semaphore;

use super::{ApiError, Code, Rules, fields::Fields, generation::Wanted, picture};
use crate::{
    app::State,
    scoring::{Pixels, Preprocessor},
};

/// Uploads that wait for each decoder: some seconds, and as many files in memory.
const WAITING: usize = 16;
/// How long a decoder takes for a large picture, about.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How many uploads may be decoded, and wait for it, at a time.
#[derive(Debug)]
pub(crate) struct Decoders {
    turns: Arc<Semaphore>,
    places: Semaphore,
}

impl Decoders {
    pub(crate) fn new(at_once: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once)), places: Semaphore::new(at_once * (1 + WAITING)) }
    }

    /// Runs work that decodes when it is its turn. Whoever leaves does not free a turn that is still worked in.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let full = |_| {
            let message = "too many pictures are being uploaded; ask again in a moment";
            ApiError::new(Code::Overloaded, message).retry_after(RETRY_AFTER)
        };
        let _place = self.places.try_acquire().map_err(full)?;
        let turn = self.turns.clone().acquire_owned().await.map_err(ApiError::internal)?;
        let decode = move || {
            let _turn = turn;
            work()
        };
        web::block(decode).await.map_err(ApiError::internal)?
    }
}

/// Reads a request that starts from an uploaded picture.
pub(super) async fn read(state: &State, file: Bytes, fields: Fields) -> Result<Wanted, ApiError> {
    let (rules, max_side) = (state.rules.clone(), state.settings.server.max_upload_side);
    let work = move || {
        let picture = picture::decode(&file, max_side)?;
        let mut wanted = Wanted::parse(fields, Some(picture), &rules)?;
        fit(&mut wanted, &rules);
        Ok(wanted)
    };
    counted(state, state.decoders.run(work).await)
}

/// Reads a picture that is to be scored: what waits is what CLIP sees of it.
pub(super) async fn prepare(state: &State, file: Bytes, preprocessor: Preprocessor) -> Result<Pixels, ApiError> {
    let max_side = state.settings.server.max_upload_side;
    let work = move || Ok(preprocessor.prepare(&picture::decode(&file, max_side)?));
    counted(state, state.decoders.run(work).await)
}

fn counted<T>(state: &State, result: Result<T, ApiError>) -> Result<T, ApiError> {
    result.inspect_err(|error| {
        if error.code() == Code::Overloaded {
            state.metrics.rejected_total.with_label_values(&["uploads"]).inc();
        }
    })
}

/// As the engine would when it draws (`pipeline::image_encoder`), but before the request waits.
fn fit(wanted: &mut Wanted, rules: &Rules) {
    let request = &mut wanted.request;
    let (width, height) = request.size.unwrap_or(rules.model.size);
    let (width, height) = (width as u32, height as u32);
    if let Some(start) = &mut request.start
        && start.image.dimensions() != (width, height)
    {
        let picture = DynamicImage::ImageRgb8(Arc::unwrap_or_clone(std::mem::take(&mut start.image)));
        start.image = Arc::new(picture.resize_exact(width, height, FilterType::Lanczos3).into_rgb8());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::future::join_all;
    use image::RgbImage;
    use serde_json::json;

    use super::*;
    use crate::{api::generation::Judge, engine::ModelFacts, pipeline::schedule::SchedulerKind};

    fn rules() -> Rules {
        let model = ModelFacts {
            version: "tiny@0123".into(),
            name: "tiny".into(),
            size: (64, 48),
            size_multiple: 16,
            scheduler: SchedulerKind::Euler,
            guidance: 5.0,
            image_to_image: true,
        };
        let best_of = crate::settings::BestOfSettings::default();
        Rules {
            model,
            max_pictures: 4,
            max_steps: 50,
            max_side: 128,
            judge: Judge::Nothing,
            scorer: None,
            points: 0,
            best_of,
        }
    }

    #[actix_web::test]
    async fn uploads_beyond_the_budget_are_refused_and_told_when_to_come_back() {
        let decoders = Decoders::new(1);
        let (go, gone) = mpsc::channel::<()>();
        let first = decoders.run(move || gone.recv().map_err(ApiError::internal));
        let waiting = join_all((0..WAITING).map(|_| decoders.run(|| Ok(()))));
        let all = async { tokio::join!(biased; first, waiting) };
        let refused = async {
            // After the others: `join` polls in order.
            let error = decoders.run(|| Ok(())).await.expect_err("no place is left");
            go.send(()).expect("it is being decoded");
            error
        };
        let ((first, waited), error) = tokio::join!(biased; all, refused);
        assert_eq!(error.code(), Code::Overloaded);
        assert!(first.is_ok() && waited.iter().all(Result::is_ok));
        assert!(decoders.run(|| Ok(())).await.is_ok(), "all places are free again");
    }

    #[test]
    fn what_waits_has_the_size_that_is_drawn() {
        for (size, expected) in [(None, (64, 48)), (Some("32x96"), (32, 96))] {
            let mut fields = json!({"prompt": "a fish", "size": size});
            if size.is_none() {
                fields.as_object_mut().expect("an object").remove("size");
            }
            let fields = Fields::json(fields.as_object().expect("an object").clone());
            let mut wanted = Wanted::parse(fields, Some(RgbImage::new(400, 300)), &rules()).expect("a request");
            fit(&mut wanted, &rules());
            let start = wanted.request.start.expect("a picture");
            assert_eq!(start.image.dimensions(), expected);
        }
    }
}
