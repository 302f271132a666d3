//! From the fields of a request to an order: everything is checked here, once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use image::RgbImage;

use super::{ApiError, Code, fields::Fields};
use crate::{
    domain::{Owner, Rater},
    engine::{Class, ModelFacts, Order},
    jobs::{Choosing, ImageFormat, Pruning, Submission, optional},
    pipeline::{Request, Start, schedule::SchedulerKind},
    scoring::Scorer,
    settings::{BestOfSettings, LimitSettings},
};

/// Characters of a prompt at most: OpenAI's own bound.
pub(super) const LONGEST_PROMPT: usize = 32_000;
/// Where guidance scales end.
pub(super) const MOST_GUIDANCE: f64 = 100.0;
/// Previews of a picture at most.
pub(super) const MOST_PREVIEWS: u64 = 3;
/// How far image to image leaves the picture where a request does not say: diffusers' default.
pub(super) const STRENGTH: f64 = 0.8;
/// OpenAI's texts that change nothing here.
const WITHOUT_EFFECT: [&str; 5] = ["quality", "style", "background", "moderation", "input_fidelity"];
/// OpenAI's number that changes nothing here, in percent.
const COMPRESSION: &str = "output_compression";
/// Codings by name.
const FORMATS: [(&str, ImageFormat); 3] =
    [("png", ImageFormat::Png), ("webp", ImageFormat::Webp), ("jpeg", ImageFormat::Jpeg)];

/// How pictures come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Inside the answer.
    Base64,
    /// As an address.
    Url,
}

/// What requests may ask of this server.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// As the server was started: versions that serve later differ in their version only.
    pub(crate) model: ModelFacts,
    pub(crate) max_pictures: u32,
    pub(crate) max_steps: u32,
    /// Pixels.
    pub(crate) max_side: usize,
    /// What could tell candidates apart when the server was started; [`Rules::judge`] says what can now.
    pub(crate) judge: Judge,
    pub(crate) scorer: Option<Scorer>,
    /// Numbers of a point of CLIP's; 0 where there is none.
    pub(crate) points: usize,
    pub(crate) best_of: BestOfSettings,
}

/// What can tell candidates apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// The pack has no CLIP.
    Nothing,
    /// CLIP alone.
    Clip,
    /// A reward.
    Reward,
}

impl Judge {
    fn of(scorer: Option<&Scorer>) -> Self {
        match scorer {
            None => Self::Nothing,
            Some(scorer) if scorer.reward_version().is_none() => Self::Clip,
            Some(_) => Self::Reward,
        }
    }
}

impl Rules {
    pub(crate) fn new(
        model: &ModelFacts,
        limits: &LimitSettings,
        scorer: Option<&Scorer>,
        best_of: &BestOfSettings,
    ) -> Self {
        let (width, height) = model.size;
        let twice = 2 * width.max(height);
        let max_side = if limits.max_side == 0 { twice } else { limits.max_side as usize };
        Self {
            model: model.clone(),
            max_pictures: limits.max_pictures,
            max_steps: limits.max_steps,
            max_side,
            points: scorer.map_or(0, Scorer::width),
            judge: Judge::of(scorer),
            scorer: scorer.cloned(),
            best_of: best_of.clone(),
        }
    }

    /// What tells candidates apart now.
    pub(crate) fn judge(&self) -> Judge {
        self.scorer.as_ref().map_or(self.judge, |scorer| Judge::of(Some(scorer)))
    }

    /// Whether the pack can draw this size here.
    pub(crate) fn can_draw(&self, (width, height): (usize, usize)) -> bool {
        let fits = |side: usize| side > 0 && side <= self.max_side && side.is_multiple_of(self.model.size_multiple);
        fits(width) && fits(height)
    }

    fn size(&self, text: &str) -> Result<Option<(usize, usize)>, ApiError> {
        if text == "auto" {
            return Ok(None);
        }
        let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let size = parsed.filter(|size| self.can_draw(*size));
        size.map(Some).ok_or_else(|| ApiError::new(Code::SizeNotSupported, self.sizes(text)).at("size"))
    }

    fn sizes(&self, asked: &str) -> String {
        let ((width, height), multiple) = (self.model.size, self.model.size_multiple);
        let most = self.max_side - self.max_side % multiple;
        format!(
            "{} cannot draw {asked:?}; it can draw {width}x{height}, its own size, and any WIDTHxHEIGHT of multiples of \
             {multiple} up to {most}",
            self.model.name
        )
    }

    /// The name that answers carry: the one asked for. Whether a version serves is seen when the request is taken.
    pub(super) fn model(&self, asked: Option<String>) -> Result<String, ApiError> {
        let name = &self.model.name;
        let is_version = |asked: &str| asked.strip_prefix(name).is_some_and(|rest| rest.starts_with('@'));
        match asked {
            None => Ok(name.clone()),
            Some(asked) if asked == *name || is_version(&asked) => Ok(asked),
            Some(asked) => {
                let message = format!("there is no model {asked:?} here; there is {name:?}");
                Err(ApiError::new(Code::ModelNotFound, message).at("model"))
            }
        }
    }
}

/// A generation as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) request: Request,
    pub(crate) choosing: Option<Choosing>,
    pub(crate) format: ImageFormat,
    pub(crate) delivery: Delivery,
    pub(crate) stream: bool,
    pub(crate) previews: usize,
    pub(crate) keep: bool,
    pub(crate) class: Option<Class>,
    pub(crate) deterministic: bool,
    pub(crate) rater: Option<String>,
    pub(crate) model: String,
    pub(crate) warnings: Vec<String>,
}

impl Wanted {
    /// Reads all fields of a request, with the picture that it starts from.
    pub(super) fn parse(mut fields: Fields, picture: Option<RgbImage>, rules: &Rules) -> Result<Self, ApiError> {
        let strength = match picture {
            Some(_) => fields.number("strength", f64::MIN_POSITIVE, 1.0)?.unwrap_or(STRENGTH),
            None => STRENGTH,
        };
        let start = picture.map(|image| Start { image: Arc::new(image), strength });
        let (rater, user) = (rater(&mut fields, "rater")?, rater(&mut fields, "user")?);
        let mut request = request(&mut fields, start, rules)?;
        let choosing = choosing(&mut fields, &mut request, rules)?;
        let mut warnings = without_effect(&mut fields)?;
        let mut previews = fields.integer("partial_images", 0, MOST_PREVIEWS)?.unwrap_or(0) as usize;
        if choosing.is_some() && std::mem::take(&mut previews) > 0 {
            warnings
                .push("partial_images has no effect with best_of: which picture is shown is known at the end".into());
        }
        let wanted = Self {
            request,
            choosing,
            format: fields.choice("output_format", &FORMATS)?.unwrap_or_default(),
            delivery: fields
                .choice("response_format", &[("b64_json", Delivery::Base64), ("url", Delivery::Url)])?
                .unwrap_or(Delivery::Base64),
            stream: fields.flag("stream")?.unwrap_or(false),
            previews,
            keep: fields.flag("keep")?.unwrap_or(false),
            class: fields.choice("priority", &[("interactive", Class::Interactive), ("bulk", Class::Bulk)])?,
            deterministic: fields.flag("deterministic")?.unwrap_or(false),
            rater: rater.or(user),
            model: rules.model(fields.text("model")?)?,
            warnings,
        };
        fields.finish()?;
        Ok(wanted)
    }

    /// What the job service takes.
    pub(super) fn into_submission(self, owner: Owner, client: Arc<str>, ask: Ask) -> Submission {
        let order = Order {
            optional: optional(self.request.count, self.choosing.as_ref()),
            request: self.request,
            client,
            class: self.class.unwrap_or(ask.class),
            deadline: ask.deadline.of(self.keep),
            previews: self.previews,
            deterministic: self.deterministic,
        };
        Submission {
            owner,
            order,
            choosing: self.choosing,
            format: self.format,
            keep: self.keep,
            rater: self.rater,
            idempotency: ask.idempotency,
            model: self.model,
            warnings: self.warnings,
            request_id: ask.request_id,
            traceparent: ask.traceparent,
        }
    }
}

/// Whom the pictures are for; `""` is nobody.
fn rater(fields: &mut Fields, name: &str) -> Result<Option<String>, ApiError> {
    let given = fields.text(name)?.filter(|text| !text.is_empty());
    let rater = given.map(|text| text.parse::<Rater>()).transpose().map_err(|error| ApiError::invalid(name, error))?;
    Ok(rater.map(|rater| rater.to_string()))
}

/// What a request says beside its fields.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// `Idempotency-Key`, with a digest of the request.
    pub(crate) idempotency: Option<(String, [u8; 32])>,
    /// After it the result is worthless.
    pub(crate) deadline: Deadline,
    /// How urgent it is where the fields do not say.
    pub(crate) class: Class,
    /// What the log has of it.
    pub(crate) request_id: Option<String>,
    /// Its caller's span.
    pub(crate) traceparent: Option<String>,
}

/// When a result is worthless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// As the caller said.
    Named(Instant),
    /// The server's own, for those who wait.
    Default(Option<Instant>),
}

impl Deadline {
    /// Nobody waits for a kept job, so only a deadline that its caller named ends it.
    fn of(self, keep: bool) -> Option<Instant> {
        match self {
            Self::Named(at) => Some(at),
            Self::Default(at) => at.filter(|_| !keep),
        }
    }
}

fn request(fields: &mut Fields, start: Option<Start>, rules: &Rules) -> Result<Request, ApiError> {
    let defaults = Request::default();
    let size = fields.text("size")?.map_or(Ok(None), |text| rules.size(&text))?;
    Ok(Request {
        prompt: prompt(fields, "prompt")?.ok_or_else(|| ApiError::invalid("prompt", "it is missing"))?,
        negative_prompt: prompt(fields, "negative_prompt")?.unwrap_or_default(),
        picked: None,
        count: fields.integer("n", 1, u64::from(rules.max_pictures))?.unwrap_or(1) as usize,
        // Modulo 2³², as the contract says.
        seed: fields.integer("seed", 0, i64::MAX as u64)?.map_or_else(random_seed, |seed| Ok(seed as u32))?,
        steps: fields
            .integer("num_inference_steps", 1, u64::from(rules.max_steps))?
            .map_or(defaults.steps.min(rules.max_steps as usize), |steps| steps as usize),
        guidance: fields
            .number("guidance_scale", 0.0, MOST_GUIDANCE)?
            .map_or(rules.model.guidance, |scale| scale as f32),
        scheduler: scheduler(fields)?,
        size,
        guidance_interval: fields.interval("guidance_interval")?,
        start,
    })
}

/// How the request's pictures are chosen, if there are more candidates than pictures; the request then draws all of them.
fn choosing(fields: &mut Fields, request: &mut Request, rules: &Rules) -> Result<Option<Choosing>, ApiError> {
    let most = request.count;
    let candidates = fields.integer("best_of", 1, u64::from(rules.best_of.max))?.map(|count| count as usize);
    let threshold = fields.number("reward_threshold", 0.0, 1.0)?.map(|threshold| threshold as f32);
    if threshold.is_some() && rules.judge() != Judge::Reward {
        return Err(ApiError::invalid("reward_threshold", "there is no reward here; see --scoring-reward"));
    }
    let candidates = match (candidates, threshold) {
        (None, None) => return Ok(None),
        // A threshold alone: as many candidates as it takes.
        (None, Some(_)) => most.max(rules.best_of.max as usize),
        (Some(candidates), _) => most.max(candidates),
    };
    if candidates == most {
        return Ok(None);
    }
    if rules.judge() == Judge::Nothing {
        let message = format!("{} has no CLIP: nothing here can tell which picture is best", rules.model.name);
        return Err(ApiError::invalid("best_of", message));
    }
    request.count = candidates;
    Ok(Some(Choosing {
        most,
        threshold,
        random_share: rules.best_of.random_share,
        pruning: pruning(most, request, rules),
    }))
}

/// A quick look pays where it is quicker than the picture and leaves candidates out.
fn pruning(most: usize, request: &Request, rules: &Rules) -> Option<Pruning> {
    let survivors = most * rules.best_of.survivors as usize;
    let steps = rules.best_of.preview_steps as usize;
    (steps > 0 && steps < request.steps && survivors < request.count).then_some(Pruning { steps, survivors })
}

/// CLIP's own text cleaning drops NUL; stores and PNG chunks cannot hold it.
fn prompt(fields: &mut Fields, name: &str) -> Result<Option<String>, ApiError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let length = text.chars().count();
    if length > LONGEST_PROMPT {
        return Err(ApiError::invalid(name, format!("it has {length} characters; {LONGEST_PROMPT} are read at most")));
    }
    Ok(Some(text.replace('\0', "")))
}

fn scheduler(fields: &mut Fields) -> Result<Option<SchedulerKind>, ApiError> {
    let Some(name) = fields.text("scheduler")? else { return Ok(None) };
    name.parse().map(Some).map_err(|error| ApiError::invalid("scheduler", error))
}

/// A warning for each field that is there and changes nothing.
fn without_effect(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let mut idle = Vec::new();
    for name in WITHOUT_EFFECT {
        idle.extend(fields.text(name)?.map(|_| name));
    }
    idle.extend(fields.integer(COMPRESSION, 0, 100)?.map(|_| COMPRESSION));
    Ok(idle.into_iter().map(|name| format!("{name} has no effect here")).collect())
}

/// A seed that nobody chose.
pub(crate) fn random_seed() -> Result<u32, ApiError> {
    getrandom::u32().map_err(ApiError::internal)
}

/// Seconds of `X-Request-Timeout`, else the server's own deadline.
pub(super) fn deadline(header: Option<&str>, limits: &LimitSettings) -> Result<Deadline, ApiError> {
    /// A day: whoever waits longer does not wait.
    const LONGEST: f64 = 86_400.0;
    let Some(text) = header else {
        let own = (limits.deadline > 0).then(|| Instant::now() + Duration::from_secs(limits.deadline));
        return Ok(Deadline::Default(own));
    };
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && *seconds <= LONGEST);
    let wrong = || ApiError::invalid("X-Request-Timeout", format!("it must be seconds, above 0 and up to {LONGEST}"));
    seconds.map(|seconds| Deadline::Named(Instant::now() + Duration::from_secs_f64(seconds))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rules() -> Rules {
        let model = ModelFacts {
            version: "tiny@0123".into(),
            name: "tiny".into(),
            size: (64, 64),
            size_multiple: 16,
            scheduler: SchedulerKind::Euler,
            guidance: 5.0,
            image_to_image: true,
        };
        let best_of = BestOfSettings { max: 16, ..BestOfSettings::default() };
        Rules {
            model,
            max_pictures: 4,
            max_steps: 50,
            max_side: 128,
            judge: Judge::Reward,
            scorer: None,
            points: 8,
            best_of,
        }
    }

    fn parse(value: Value) -> Result<Wanted, ApiError> {
        Wanted::parse(Fields::json(value.as_object().expect("an object").clone()), None, &rules())
    }

    #[test]
    fn every_field_finds_its_place() {
        let wanted = parse(json!({
            "prompt": "a\u{0} fish", "negative_prompt": "b", "n": 2, "size": "96x64", "response_format": "url",
            "output_format": "webp", "stream": true, "partial_images": 2, "user": "u", "model": "tiny@0123",
            "num_inference_steps": 7, "guidance_scale": 3, "guidance_interval": [0.25, 0.5], "seed": 4294967297u64,
            "scheduler": "EulerDiscreteScheduler", "keep": true, "priority": "bulk", "deterministic": true,
            "quality": "hd", "style": "vivid",
        }))
        .expect("all fields exist");
        let request = &wanted.request;
        assert_eq!((request.prompt.as_str(), request.negative_prompt.as_str()), ("a fish", "b"));
        assert_eq!((request.count, request.seed, request.steps, request.guidance), (2, 1, 7, 3.0));
        assert_eq!((request.size, request.guidance_interval), (Some((96, 64)), Some((0.25, 0.5))));
        assert_eq!((request.scheduler, wanted.format), (Some(SchedulerKind::Euler), ImageFormat::Webp));
        assert_eq!((wanted.delivery, wanted.stream, wanted.previews), (Delivery::Url, true, 2));
        assert!(wanted.keep && wanted.deterministic && wanted.class == Some(Class::Bulk));
        assert_eq!((wanted.rater.as_deref(), wanted.model.as_str()), (Some("u"), "tiny@0123"));
        assert_eq!(wanted.warnings, ["quality has no effect here", "style has no effect here"]);
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_its_field() {
        let cases = [
            (json!({}), Code::InvalidValue, "prompt"),
            (json!({"prompt": 3}), Code::InvalidValue, "prompt"),
            (json!({"prompt": "a", "n": 5}), Code::InvalidValue, "n"),
            (json!({"prompt": "a", "size": "65x64"}), Code::SizeNotSupported, "size"),
            (json!({"prompt": "a", "size": "256x64"}), Code::SizeNotSupported, "size"),
            (json!({"prompt": "a", "size": "64"}), Code::SizeNotSupported, "size"),
            (json!({"prompt": "a", "model": "dall-e-2"}), Code::ModelNotFound, "model"),
            (json!({"prompt": "a", "scheduler": "magic"}), Code::InvalidValue, "scheduler"),
            (json!({"prompt": "a", "guidance_interval": [0.5, 0.2]}), Code::InvalidValue, "guidance_interval"),
            (json!({"prompt": "a", "num_inference_steps": 51}), Code::InvalidValue, "num_inference_steps"),
            (json!({"prompt": "a", "quality": 3}), Code::InvalidValue, "quality"),
            (json!({"prompt": "a", "output_compression": 101}), Code::InvalidValue, "output_compression"),
            (json!({"prompt": "a", "best_of": 17}), Code::InvalidValue, "best_of"),
            (json!({"prompt": "a", "reward_threshold": 1.5}), Code::InvalidValue, "reward_threshold"),
            (json!({"prompt": "a", "strength": 0.5}), Code::UnknownField, "strength"),
        ];
        for (body, code, param) in cases {
            let error = parse(body.clone()).expect_err("cannot be done");
            assert_eq!((error.code(), error.envelope()["error"]["param"].as_str()), (code, Some(param)), "{body}");
        }
    }

    #[test]
    fn the_best_of_many_are_chosen_only_where_there_is_a_choice() {
        let choosing = |value: Value| parse(value).map(|wanted| (wanted.request.count, wanted.choosing));
        for body in [
            json!({"prompt": "a"}),
            json!({"prompt": "a", "n": 3, "best_of": 3}),
            json!({"prompt": "a", "n": 3, "best_of": 2}),
        ] {
            assert!(matches!(choosing(body.clone()), Ok((_, None))), "{body}");
        }
        let (count, chosen) = choosing(json!({"prompt": "a", "n": 2, "best_of": 8})).expect("a choice");
        assert_eq!((count, chosen.map(|chosen| (chosen.most, chosen.threshold))), (8, Some((2, None))));
        let (count, chosen) = choosing(json!({"prompt": "a", "reward_threshold": 0.5})).expect("a choice");
        assert_eq!((count, chosen.map(|chosen| (chosen.most, chosen.threshold))), (16, Some((1, Some(0.5)))));
    }

    #[test]
    fn who_cannot_judge_does_not_choose() {
        let body = |field: &str, value: Value| {
            Fields::json(json!({"prompt": "a", field: value}).as_object().cloned().unwrap_or_default())
        };
        for (judge, field, value) in [
            (Judge::Nothing, "best_of", json!(4)),
            (Judge::Nothing, "reward_threshold", json!(0.5)),
            (Judge::Clip, "reward_threshold", json!(0.5)),
        ] {
            let refused = Wanted::parse(body(field, value), None, &Rules { judge, ..rules() }).expect_err("no judge");
            assert_eq!(refused.envelope()["error"]["param"], field, "{judge:?}");
        }
        assert!(Wanted::parse(body("best_of", json!(4)), None, &Rules { judge: Judge::Clip, ..rules() }).is_ok());
    }

    #[test]
    fn a_quick_look_is_taken_where_it_saves_steps() {
        let looking = |preview_steps, body: Value| {
            let best_of = BestOfSettings { max: 16, preview_steps, survivors: 2, ..BestOfSettings::default() };
            let fields = Fields::json(body.as_object().cloned().unwrap_or_default());
            let wanted = Wanted::parse(fields, None, &Rules { best_of, ..rules() }).expect("a request");
            wanted.choosing.and_then(|choosing| choosing.pruning)
        };
        let body = json!({"prompt": "a", "n": 2, "best_of": 8, "num_inference_steps": 10});
        assert_eq!(looking(5, body.clone()), Some(Pruning { steps: 5, survivors: 4 }));
        assert_eq!(looking(0, body.clone()), None, "it is off");
        assert_eq!(looking(10, body), None, "it is no quicker");
        assert_eq!(looking(5, json!({"prompt": "a", "n": 2, "best_of": 4})), None, "it leaves nothing out");
    }

    #[test]
    fn a_size_that_cannot_be_drawn_is_refused_with_those_that_can() {
        let error = parse(json!({"prompt": "a", "size": "1024x1024"})).expect_err("too large");
        assert!(error.message().contains("64x64") && error.message().contains("multiples of 16 up to 128"), "{error}");
    }

    #[test]
    fn deadlines_are_positive_seconds() {
        let limits = crate::settings::Settings::from_flags([]).expect("defaults").limits;
        let (named, own) = (deadline(Some("1.5"), &limits), deadline(None, &limits));
        let (named, own) = (named.expect("seconds"), own.expect("the server's own"));
        assert!(named.of(false).is_some() && named.of(true).is_some());
        assert!(own.of(false).is_some() && own.of(true).is_none(), "nobody waits for what is kept");
        for wrong in ["0", "-1", "soon", "inf", "NaN", "1e9"] {
            assert!(deadline(Some(wrong), &limits).is_err(), "{wrong}");
        }
    }
}
