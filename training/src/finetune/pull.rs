//! The reward's gradient at what a prediction says the picture will be (ReFL: Xu et al. 2023, §3).
//!
//! ```text
//! x̂₀ = (x_t − √(1 − ᾱ) ε) / √ᾱ  ─►  decoder  ─►  CLIP's vision  ─►  reward head  ─►  log r
//! ```
//!
//! A session of its own answers ∂J/∂ε for a prediction, where J is log r and, weighted, how well the picture's prompt is told from its contrasts, and the step then takes the denoiser's own prediction, moved that way, for its target. So the step's
//! graph stays what it is, nothing of the decoder or CLIP is in its memory, and weights meet the gradient once.

use plaudit::{
    pack::{Component, Pack},
    runtime::{BoundSession, Session, SessionSettings},
    scoring::{Preprocessor, REWARD_FOLDER, RewardPack},
};
use plaudit_onnx::{
    DType::F32,
    Dim, Model, Tensor,
    expr::{BuildError, Builder},
};

use super::{Finetune, FinetuneError, Objective, batch::MicroBatch, graph::Shape};
use crate::step::{LOSS, differentiate};

const PREDICTION: &str = "prediction";
const SAMPLE: &str = "sample";
const SIGNAL: &str = "signal";
const DEVIATION: &str = "deviation";
const TEXTS: &str = "texts";
const CONTRAST: &str = "contrast";
const REWARD: &str = "reward";
/// Contrasts of a prompt that its picture is told from.
pub(super) const CONTRASTS: usize = 9;
/// Keeps the logarithm of a reward of 0 finite.
pub(super) const LEAST: f32 = 1e-4;

/// A session that answers rewards and their gradients.
#[derive(Debug)]
pub(super) struct Pull {
    session: BoundSession,
    gradient: String,
}

/// The graph of a session, before there is one.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    model: Model,
    gradient: String,
}

impl Plan {
    /// Of the settings' reward, or the pack's own; `None` for objectives that need no gradient of it.
    pub(super) fn of(settings: &Finetune, pack: &Pack, shape: &Shape) -> Result<Option<Self>, FinetuneError> {
        if !matches!(settings.objective, Objective::RewardGradient { .. }) {
            return Ok(None);
        }
        let folder = settings.reward.clone().unwrap_or_else(|| settings.pack.join(REWARD_FOLDER));
        let reward = RewardPack::open(&folder, pack, &SessionSettings::default())?;
        let model = reward_graph(pack, reward.model(), shape, settings)?;
        let (model, gradients) = differentiate(model, &[PREDICTION.to_owned()])?;
        Ok(Some(Self { model, gradient: gradients[PREDICTION].clone() }))
    }

    /// The graph that a session of it runs.
    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// A session of it.
    pub(super) fn open(&self, sessions: &SessionSettings) -> Result<Pull, FinetuneError> {
        let session = Session::from_model(&self.model, sessions)?;
        Ok(Pull { session: BoundSession::new(session)?, gradient: self.gradient.clone() })
    }
}

impl Pull {
    /// Rewards `[n]`, and the gradient of J by ε `[n, c, h, w]`, at a prediction.
    pub(super) fn at(&mut self, micro: &MicroBatch, prediction: &[f32]) -> Result<(&[f32], &[f32]), FinetuneError> {
        let (signal, deviation): (Vec<f32>, Vec<f32>) = micro.levels.iter().copied().unzip();
        self.run(prediction, &micro.sample, [&signal, &deviation], micro)
    }

    /// Rewards `[n]` of finished latents.
    pub(super) fn at_end(&mut self, latents: &[f32], micro: &MicroBatch) -> Result<&[f32], FinetuneError> {
        let (ones, nothing) = (vec![1.0; micro.levels.len()], vec![0.0; latents.len()]);
        Ok(self.run(&nothing, latents, [&ones, &ones], micro)?.0)
    }

    fn run(
        &mut self,
        prediction: &[f32],
        sample: &[f32],
        [signal, deviation]: [&[f32]; 2],
        micro: &MicroBatch,
    ) -> Result<(&[f32], &[f32]), FinetuneError> {
        let inputs: [(&str, &[f32]); 6] = [
            (PREDICTION, prediction),
            (SAMPLE, sample),
            (SIGNAL, signal),
            (DEVIATION, deviation),
            (TEXTS, &micro.points),
            (CONTRAST, &micro.contrast),
        ];
        inputs.into_iter().for_each(|(name, values)| self.session.buffer_mut::<f32>(name).copy_from_slice(values));
        self.session.run()?;
        Ok((self.session.buffer(REWARD), self.session.buffer(&self.gradient)))
    }
}

/// Inputs `prediction`, `sample` `[n, c, h, w]`, `signal`, `deviation`, `contrast` `[n]` and `texts` `[n, 1 + contrasts, width]`, the own prompt first; outputs `reward`
/// `[n]` and `loss`, ΣJ: log r, and `contrast` times the log softmax of r's logits over the prompts.
fn reward_graph(pack: &Pack, head: &Model, shape: &Shape, settings: &Finetune) -> Result<Model, FinetuneError> {
    let unfit = |fault: String| FinetuneError::Unfit { pack: settings.pack.clone(), fault };
    let part = |component: Component| pack.model(component).ok_or_else(|| unfit(format!("it has no {component}")));
    let (decoder, vision) = (part(Component::VaeDecoder)?, part(Component::ClipVision)?);
    let preprocessor = Preprocessor::open(&pack.path("clip/preprocessor_config.json"))?;
    let (side, seen) = (pack.size(), preprocessor.crop());
    let resizing =
        preprocessor.resizing(side, side).ok_or_else(|| unfit("its CLIP sees more than its pictures".into()))?;
    let (mean, deviation) = preprocessor.normalisation();
    let points = head.graph.inputs.iter().find_map(|input| match input.shape.as_deref() {
        Some([_, Dim::Fixed(width)]) => Some(*width),
        _ => None,
    });
    let built: Result<Model, BuildError> = {
        let [channels, rows_high, rows_wide] = shape.latent;
        let latents = [shape.rows, channels, rows_high, rows_wide].map(Dim::Fixed);
        let rows = [Dim::Fixed(shape.rows)];
        let b = Builder::new("reward_gradient", decoder.opsets.get("").copied().unwrap_or_default());
        let (prediction, sample) = (b.input(PREDICTION, F32, &latents), b.input(SAMPLE, F32, &latents));
        let [signal, noise] = [SIGNAL, DEVIATION].map(|name| b.input(name, F32, &rows).unsqueeze(&[1, 2, 3]));
        let (count, width) = (shape.rows as i64, points.unwrap_or_default());
        let asked = 1 + CONTRASTS as i64;
        let texts = b.input(TEXTS, F32, &[shape.rows, 1 + CONTRASTS, width].map(Dim::Fixed));
        let weight = b.input(CONTRAST, F32, &rows);
        let start = (sample - noise * prediction) / signal;
        let latent = start / pack.scaling_factor() as f32 + pack.shift_factor() as f32;
        let decoded = b.call(decoder, "decoder.", &[("latent_sample", latent)]).remove(0);
        let pixels = (decoded * 0.5 + 0.5).clip(0.0, 1.0);
        let colours = |values: [f32; 3]| b.tensor(Tensor::f32(&[1, 3, 1, 1], &values));
        let resized = if (side, side) == seen {
            pixels
        } else {
            let across: Vec<f32> = (0..side * seen.0).map(|at| resizing.1[at % seen.0 * side + at / seen.0]).collect();
            let rows = b.tensor(Tensor::f32(&[seen.1, side], &resizing.0));
            rows.matmul(&pixels).matmul(&b.tensor(Tensor::f32(&[side, seen.0], &across)))
        };
        let seen = (resized - colours(mean)) / colours(deviation);
        let point = b.call(vision, "vision.", &[("pixel_values", seen)]).remove(0).normalized(1);
        let every = point.unsqueeze(&[1]).expand(&[count, asked, width as i64]).reshape(&[-1, width as i64]);
        let inputs = [("image_embeds", every), ("text_embeds", texts.reshape(&[-1, width as i64]))];
        let answers = b.call(head, "head.", &inputs);
        let place = head.graph.outputs.iter().position(|output| output.name == REWARD).unwrap_or_default();
        let rewards = answers[place].reshape(&[count, asked]);
        let reward = rewards.slice(1, 0, 1).squeeze(&[1]);
        let sure = rewards.clip(LEAST, 1.0 - LEAST);
        let logits = sure.log() - (1.0 - &sure).log();
        let told = logits.log_softmax(1).slice(1, 0, 1).squeeze(&[1]);
        b.output(REWARD, &reward);
        b.output(LOSS, &((reward + LEAST).log() + told * weight).sum_all());
        b.finish()
    };
    Ok(built?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature");
        let pack = Pack::open(&folder).expect("the bundled pack");
        let settings = Finetune::new(&folder, "data", "out").with_objective(Objective::REWARD_GRADIENT);
        let shape = Shape { rows: 2, latent: [4, 16, 16], features: [24, 128], guided: false };
        let plan = Plan::of(&settings, &pack, &shape).expect("a graph").expect("this objective's");
        let mut pull = plan.open(&SessionSettings::default()).expect("a session");
        let mut random = Random::new(5);
        let mut numbers = |count: usize, size: f32| (0..count).map(|_| size * random.normal()).collect::<Vec<f32>>();
        let micro = MicroBatch {
            sample: numbers(2 * shape.cells(), 1.0),
            points: numbers(2 * (1 + CONTRASTS) * 128, 0.09),
            contrast: vec![1.0, 0.0],
            levels: vec![(0.8, 0.6), (0.6, 0.8)],
            ..MicroBatch::default()
        };
        let prediction = numbers(2 * shape.cells(), 0.5);
        let (rewards, gradient) = pull.at(&micro, &prediction).expect("an answer");
        assert!(rewards.len() == 2 && rewards.iter().all(|reward| (0.0..=1.0).contains(reward)), "{rewards:?}");
        let gradient = gradient.to_vec();
        let length = gradient.iter().map(|x| x * x).sum::<f32>().sqrt();
        let mut value = |step: f32| {
            let moved: Vec<f32> = prediction.iter().zip(&gradient).map(|(x, g)| x + step * g / length).collect();
            pull.at(&micro, &moved).expect("an answer");
            f64::from(pull.session.buffer::<f32>(LOSS)[0])
        };
        let slope = (value(0.02) - value(-0.02)) / 0.04;
        assert!((slope / f64::from(length) - 1.0).abs() < 0.02, "{slope} along a gradient of length {length}");
    }
}
