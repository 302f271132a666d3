//! Each objective's loss and gradient against PyTorch (golden/finetune.py), and what the formulas promise with the real denoiser.

use std::{collections::BTreeMap, path::Path};

use plaudit::{
    pack::{Component, Pack},
    pipeline::schedule::{Prediction, SchedulerConfig},
    runtime::{Session, SessionSettings, View},
};
use plaudit_onnx::{DType::F32, Model, Tensor, expr::Builder};
use plaudit_training::{
    finetune::{
        ANCHOR, BASELINE, GUIDANCE, KTO_SLOPE, KTO_WEIGHT, MIX, NOISE, REFERENCE, Shape, WEIGHT, objective_graph,
    },
    optim::Schedule,
    random::Random,
    step::{Batch, Selection, TrainGraph, Trainer, TrainerSettings},
};
use serde_json::Value;

use crate::harness::{bundled, session};

/// f32 sums of a few dozen numbers.
const TOLERANCE: f64 = 2e-6;

/// A "denoiser" whose answer is its weight: gradients of the weight are gradients of the prediction.
fn table(prediction: &[f32], shape: &Shape) -> Model {
    let b = Builder::new("table", 18);
    let [channels, height, width] = shape.latent;
    let rows = shape.prompts();
    let sample = b.input("sample", F32, &[rows, channels, height, width].map(Into::into));
    let timestep = b.input("timestep", F32, &[rows.into()]);
    let text = b.input("encoder_hidden_states", F32, &[rows, shape.features[0], shape.features[1]].map(Into::into));
    let weight = b.weight("table.weight", Tensor::f32(&[rows, channels, height, width], prediction));
    let nothing = timestep.sum_all() * 0.0 + text.sum_all() * 0.0;
    b.output("out_sample", &(weight + sample * 0.0 + nothing));
    b.finish().expect("a graph")
}

fn trainer(unet: &Model, shape: &Shape) -> Trainer {
    let graph = objective_graph(unet, shape).expect("a step");
    let graph = TrainGraph::build(graph, &Selection::All, &BTreeMap::new()).expect("gradients");
    Trainer::new(graph, &session(), TrainerSettings::new(Schedule::constant(0.0))).expect("a trainer")
}

/// Loss and all gradients, one after another.
fn evaluate(trainer: &mut Trainer, fill: impl FnMut(&mut Batch<'_>)) -> (f64, Vec<f64>) {
    let means = trainer.evaluate(fill).expect("a run");
    let gradients = trainer.parameters().iter().flat_map(|parameter| trainer.output(&parameter.gradient));
    (f64::from(means["loss"]), gradients.map(|&value| f64::from(value)).collect())
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number") as f32).collect()
}

struct Golden(Value);

impl Golden {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/finetune.json");
        Self(serde_json::from_slice(&std::fs::read(path).expect("the fixture")).expect("JSON"))
    }

    fn number(&self, name: &str) -> f32 {
        self.0[name].as_f64().expect("a number") as f32
    }

    fn shape(&self, guided: bool) -> Shape {
        let latent = numbers(&self.0["latent"]);
        let latent = [0, 1, 2].map(|axis| latent[axis] as usize);
        Shape { rows: self.number("rows") as usize, latent, features: [2, 3], guided }
    }

    /// Terms of the model's own rows and of pre-training rows, as the objectives' table says.
    fn terms(&self, name: &str) -> Terms {
        let rows = self.number("rows");
        let pretraining = self.number("pretraining");
        let own = rows - pretraining;
        let (reward, mean) = (numbers(&self.0["reward"]), numbers(&self.0["mean"]));
        let good = self.0["good"].as_array().expect("a list");
        let mut terms = Terms::default();
        for row in 0..own as usize {
            let up = good[row] == true;
            let (mix, weight, kto, slope) = match name {
                "centred" => (1.0, reward[row] - mean[row], 0.0, 0.0),
                "signed_target" => ((2.0 * reward[row] - 1.0) / self.number("bound"), 1.0, 0.0, 0.0),
                "kto" => {
                    let side = numbers(&self.0["kto_weights"])[usize::from(!up)];
                    (1.0, 0.0, side, self.number("kto_beta") * if up { 1.0 } else { -1.0 })
                }
                _ => (1.0, reward[row], 0.0, 0.0),
            };
            let anchor = if name == "anchored" { self.number("gamma") } else { 0.0 };
            terms.push(mix, weight * rows / own, anchor * rows / own, kto * rows / own, slope, self.number("scale"));
        }
        for _ in 0..pretraining as usize {
            terms.push(1.0, self.number("beta") * rows / pretraining, 0.0, 0.0, 0.0, 1.0);
        }
        terms
    }
}

/// Columns of the step's inputs.
#[derive(Default)]
struct Terms([Vec<f32>; 6]);

impl Terms {
    fn push(&mut self, mix: f32, weight: f32, anchor: f32, kto_weight: f32, kto_slope: f32, guidance: f32) {
        let values = [mix, weight, anchor, kto_weight, kto_slope, guidance];
        self.0.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
    }

    fn fill(&self, batch: &mut Batch<'_>, guided: bool) {
        let names = [MIX, WEIGHT, ANCHOR, KTO_WEIGHT, KTO_SLOPE, GUIDANCE];
        for (name, column) in names.into_iter().zip(&self.0).filter(|(name, _)| guided || *name != GUIDANCE) {
            batch.f32(name).copy_from_slice(column);
        }
    }
}

#[test]
fn every_objective_has_pytorchs_loss_and_gradient() {
    let golden = Golden::read();
    for (name, expected) in golden.0["cases"].as_object().expect("cases") {
        let guided = name == "guided";
        let shape = golden.shape(guided);
        let mut prediction = if guided { numbers(&golden.0["empty"]) } else { Vec::new() };
        prediction.extend(numbers(&golden.0["predicted"]));
        let mut trainer = trainer(&table(&prediction, &shape), &shape);
        let terms = golden.terms(name);
        let (loss, gradient) = evaluate(&mut trainer, |batch| {
            batch.f32(NOISE).copy_from_slice(&numbers(&golden.0["noise"]));
            batch.f32(REFERENCE).copy_from_slice(&numbers(&golden.0["reference"]));
            batch.f32(BASELINE)[0] = golden.number("baseline");
            terms.fill(batch, guided);
        });
        let close = |found: f64, wanted: f64| (found - wanted).abs() <= TOLERANCE * wanted.abs().max(1.0);
        let wanted = expected["loss"].as_f64().expect("a number");
        assert!(close(loss, wanted), "{name}: loss {loss} instead of {wanted}");
        let wanted: Vec<f64> =
            expected["gradient"].as_array().expect("a list").iter().filter_map(Value::as_f64).collect();
        assert_eq!(gradient.len(), wanted.len(), "{name}");
        for (at, (found, wanted)) in gradient.iter().zip(&wanted).enumerate() {
            assert!(close(*found, *wanted), "{name}: gradient {at} is {found} instead of {wanted}");
        }
    }
}

const SHAPE: Shape = Shape { rows: 2, latent: [4, 8, 8], features: [24, 128], guided: false };

/// One batch for the miniature's denoiser, at an eighth of its size.
struct Row {
    sample: Vec<f32>,
    text: Vec<f32>,
    noise: Vec<f32>,
    reference: Vec<f32>,
}

impl Row {
    fn new(unet: &Model) -> Self {
        let mut random = Random::new(5);
        let mut drawn = |count: usize| (0..count).map(|_| random.normal()).collect::<Vec<f32>>();
        let (sample, text) = (drawn(SHAPE.rows * SHAPE.cells()), drawn(SHAPE.rows * SHAPE.words()));
        let noise = drawn(SHAPE.rows * SHAPE.cells());
        let mut session = Session::from_model(unet, &SessionSettings { threads: 1, ..session() }).expect("a session");
        let inputs = [
            ("sample", View::new(&[2, 4, 8, 8], &sample)),
            ("timestep", View::new(&[2], &TIMES)),
            ("encoder_hidden_states", View::new(&[2, 24, 128], &text)),
        ];
        let outputs = session.run_views(&inputs).expect("a prediction");
        let reference = outputs.get("out_sample").and_then(|view| view.values().map(<[f32]>::to_vec)).expect("f32");
        Self { sample, text, noise, reference }
    }

    fn fill(&self, batch: &mut Batch<'_>, mix: f32, weight: f32, anchor: f32) {
        batch.f32("sample").copy_from_slice(&self.sample);
        batch.f32("timestep").copy_from_slice(&TIMES);
        batch.f32("encoder_hidden_states").copy_from_slice(&self.text);
        batch.f32(NOISE).copy_from_slice(&self.noise);
        batch.f32(REFERENCE).copy_from_slice(&self.reference);
        for (name, value) in [(MIX, mix), (WEIGHT, weight), (ANCHOR, anchor), (KTO_WEIGHT, 0.0), (KTO_SLOPE, 0.0)] {
            batch.f32(name).fill(value);
        }
    }
}

const TIMES: [f32; 2] = [120.0, 840.0];

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[test]
fn the_anchor_begins_at_zero_and_the_signed_target_between_denoising_and_standing_still() {
    let pack = Pack::open(&bundled()).expect("the pack");
    let unet = pack.model(Component::Unet).expect("a unet");
    let row = Row::new(unet);
    let mut trainer = trainer(unet, &SHAPE);
    let mut of = |reward: f32, weight: f32, anchor: f32| {
        evaluate(&mut trainer, |batch| row.fill(batch, 2.0 * reward - 1.0, weight, anchor))
    };
    let (anchor, pull) = of(1.0, 0.0, 1.0);
    let (denoising, plain) = of(1.0, 1.0, 0.0);
    assert!(anchor < 1e-9 && norm(&pull) < 1e-4 * norm(&plain), "anchor {anchor}, its gradient {}", norm(&pull));

    let square: f64 = row.reference.iter().zip(&row.noise).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let expected = square / row.noise.len() as f64;
    assert!((denoising - expected).abs() < 1e-5 * expected, "r = 1 is plain denoising: {denoising} and {expected}");
    let (still, standing) = of(0.5, 1.0, 0.0);
    assert!(still < 1e-9 && norm(&standing) < 1e-4 * norm(&plain), "r = ½: {still}, {}", norm(&standing));
    let (_, away) = of(0.0, 1.0, 0.0);
    let sum: Vec<f64> = plain.iter().zip(&away).map(|(one, other)| one + other).collect();
    assert!(norm(&sum) < 1e-3 * norm(&plain), "r = 0 is as far on the other side");
}

#[test]
fn the_pack_says_how_its_pictures_are_noised() {
    let pack = Pack::open(&bundled()).expect("the pack");
    let config = SchedulerConfig::from_json(pack.scheduler()).expect("a scheduler");
    let process = config.forward_process().expect("a process");
    assert_eq!((process.alphas.len(), process.prediction), (1000, Prediction::Epsilon));
    // ᾱ₀ and ᾱ₉₉₉ of SD v1.5's schedule.
    assert!((process.alphas[0] - 0.99915).abs() < 1e-5 && (process.alphas[999] - 0.00466).abs() < 1e-5);
}
