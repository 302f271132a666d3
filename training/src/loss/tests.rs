//! Each loss against the number that its formula gives by hand or by plain Rust in f64.

use plaudit::runtime::{Session, SessionSettings};
use plaudit_onnx::{DType, Tensor, expr::Builder};

use super::*;
use crate::random::Random;

/// f32 graphs of a few dozen operations.
const TOLERANCE: f64 = 2e-6;

fn drawn(seed: u64, shape: &[usize]) -> Tensor {
    let mut values = vec![0.0; shape.iter().product()];
    Random::new(seed).fill_normal(&mut values);
    Tensor::f32(shape, &values)
}

/// The value of a formula over inputs named a, b, c ….
fn evaluate(inputs: &[Tensor], formula: impl Fn(&[Expr]) -> Expr) -> Vec<f32> {
    let builder = Builder::new("loss", 18);
    let names: Vec<String> = (0..inputs.len()).map(|i| format!("input_{i}")).collect();
    let input = |(name, tensor): (&String, &Tensor)| {
        let dims: Vec<plaudit_onnx::Dim> = tensor.shape.iter().map(|&n| plaudit_onnx::Dim::Fixed(n)).collect();
        builder.input(name, DType::F32, &dims)
    };
    let exprs: Vec<Expr> = names.iter().zip(inputs).map(input).collect();
    builder.output("result", &formula(&exprs));
    let model = builder.finish().unwrap();
    let settings = SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() };
    let fed: Vec<(&str, &Tensor)> = names.iter().map(String::as_str).zip(inputs).collect();
    Session::from_model(&model, &settings).unwrap().run(&fed).unwrap()[0].to_f32().unwrap()
}

fn wide(tensor: &Tensor) -> Vec<f64> {
    tensor.to_f32().unwrap().into_iter().map(f64::from).collect()
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    values.iter().sum::<f64>() / values.len() as f64
}

fn assert_close(name: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (found, expected) in found.iter().zip(expected) {
        let error = (f64::from(*found) - expected).abs() / expected.abs().max(1.0);
        assert!(error <= TOLERANCE, "{name}: {found} instead of {expected}");
    }
}

const IMAGES: [usize; 4] = [2, 3, 4, 5];

#[test]
fn errors_over_images_are_their_formulas() {
    let (p, t) = (drawn(1, &IMAGES), drawn(2, &IMAGES));
    let error: Vec<f64> = wide(&p).iter().zip(wide(&t)).map(|(p, t)| p - t).collect();
    let at = |n: usize, c: usize, h: usize, w: usize| error[((n * 3 + c) * 4 + h) * 5 + w];
    let places = |height: usize, width: usize| {
        (0..2 * 3 * height * width)
            .map(move |i| (i / (3 * height * width), i / (height * width) % 3, i / width % height, i % width))
    };
    let down = mean(places(3, 5).map(|(n, c, h, w)| (at(n, c, h + 1, w) - at(n, c, h, w)).abs()));
    let right = mean(places(4, 4).map(|(n, c, h, w)| (at(n, c, h, w + 1) - at(n, c, h, w)).abs()));
    let inputs = [p, t];
    assert_close("mse", &evaluate(&inputs, |e| mse(&e[0], &e[1])), &[mean(error.iter().map(|e| e * e))]);
    assert_close("l1", &evaluate(&inputs, |e| l1(&e[0], &e[1])), &[mean(error.iter().map(|e| e.abs()))]);
    assert_close("gradient l1", &evaluate(&inputs, |e| gradient_l1(&e[0], &e[1])), &[down + right]);
}

#[test]
fn row_weights_multiply_row_errors() {
    let inputs = [drawn(1, &IMAGES), drawn(2, &IMAGES), Tensor::f32(&[2], &[0.25, 3.0])];
    let rows: Vec<f64> = wide(&inputs[0])
        .chunks(60)
        .zip(wide(&inputs[1]).chunks(60))
        .map(|(p, t)| mean(p.iter().zip(t).map(|(p, t)| (p - t).powi(2))))
        .collect();
    assert_close("rows", &evaluate(&inputs[..2], |e| row_errors(&e[0], &e[1])), &rows);
    let expected = (0.25 * rows[0] + 3.0 * rows[1]) / 2.0;
    assert_close("weighted", &evaluate(&inputs, |e| weighted_mse(&e[0], &e[1], &e[2])), &[expected]);
}

#[test]
fn the_posterior_splits_clips_samples_and_measures_itself() {
    let mut moments = wide(&drawn(3, &[2, 8, 2, 2]));
    moments[16] = 90.0;
    let fed: Vec<f32> = moments.iter().map(|&value| value as f32).collect();
    let inputs = [Tensor::f32(&[2, 8, 2, 2], &fed), drawn(4, &[2, 4, 2, 2])];
    let noise = wide(&inputs[1]);
    let element = |i: usize| {
        let (row, place) = (i / 16, i % 16);
        (moments[row * 32 + place], moments[row * 32 + 16 + place].clamp(-30.0, 20.0))
    };
    let sample: Vec<f64> = (0..32).map(|i| element(i).0 + (element(i).1 / 2.0).exp() * noise[i]).collect();
    let kl = |i: usize| 0.5 * (element(i).0.powi(2) + element(i).1.exp() - 1.0 - element(i).1);
    let expected = (0..32).map(kl).sum::<f64>() / 2.0;
    let found = evaluate(&inputs, |e| {
        let (mean, log_variance) = posterior(&e[0], 4);
        reparameterised(&mean, &log_variance, &e[1])
    });
    assert_close("sample", &found, &sample);
    let found = evaluate(&inputs[..1], |e| {
        let (mean, log_variance) = posterior(&e[0], 4);
        gaussian_kl(&mean, &log_variance)
    });
    assert_close("KL", &found, &[expected]);
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn the_contrastive_loss_is_the_mean_of_both_cross_entropies() {
    const N: usize = 5;
    const D: usize = 7;
    for scale in [INITIAL_LOGIT_SCALE, 6.0] {
        let inputs = [drawn(5, &[N, D]), drawn(6, &[N, D]), Tensor::f32(&[], &[scale])];
        let (images, texts) = (wide(&inputs[0]), wide(&inputs[1]));
        let factor = f64::from(scale).exp().min(100.0);
        let logit = |i: usize, j: usize| factor * cosine(&images[i * D..][..D], &texts[j * D..][..D]);
        let entropy = |row: Vec<f64>, at: usize| row.iter().map(|l| l.exp()).sum::<f64>().ln() - row[at];
        let by_image = mean((0..N).map(|i| entropy((0..N).map(|j| logit(i, j)).collect(), i)));
        let by_text = mean((0..N).map(|j| entropy((0..N).map(|i| logit(i, j)).collect(), j)));
        let found = evaluate(&inputs, |e| contrastive(&e[0], &e[1], &e[2]).loss);
        assert_close("contrastive", &found, &[(by_image + by_text) / 2.0]);
    }
}

#[test]
fn min_snr_weights_fall_where_there_is_little_noise() {
    // SNR 1 and 5 at γ = 5 count fully; SNR 50 a tenth.
    for (alpha_bar, expected) in [(0.5, 1.0), (5.0 / 6.0, 1.0), (50.0 / 51.0, 0.1)] {
        assert!((min_snr_weight(alpha_bar, 5.0) - expected).abs() < 1e-4, "{alpha_bar}");
    }
}

/// What `training/tests/golden/prompt_classification.py` wrote.
#[derive(serde::Deserialize)]
struct Classified {
    temperature: f32,
    shape: [usize; 2],
    rewards: Vec<f32>,
    absent: Vec<f32>,
    good: Vec<f32>,
    loss: f64,
    gradient: Vec<f64>,
}

#[test]
fn prompt_classification_and_its_gradient_are_torchs() {
    let text = include_str!("../../tests/golden/prompt_classification.json");
    let golden: Classified = serde_json::from_str(text).expect("the golden file");
    let [rows, _] = golden.shape;
    let inputs = [
        Tensor::f32(&golden.shape, &golden.rewards),
        Tensor::f32(&golden.shape, &golden.absent),
        Tensor::f32(&[rows], &golden.good),
    ];
    let builder = Builder::new("loss", 18);
    let fixed =
        |shape: &[usize]| -> Vec<plaudit_onnx::Dim> { shape.iter().map(|&n| plaudit_onnx::Dim::Fixed(n)).collect() };
    let rewards = builder.weight("rewards.weight", inputs[0].clone());
    let absent = builder.input("absent", DType::F32, &fixed(&golden.shape));
    let good = builder.input("good", DType::F32, &fixed(&[rows]));
    builder.output("loss", &prompt_classification(&rewards, &absent, &good, golden.temperature));
    let model = builder.finish().expect("a graph");
    let graph =
        crate::step::TrainGraph::build(model, &crate::step::Selection::All, &Default::default()).expect("a gradient");
    let settings = SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() };
    let mut session = Session::from_model(graph.model(), &settings).expect("a session");
    let gradient = graph.parameters()[0].gradient.clone();
    let fed = [
        ("rewards.weight", plaudit::runtime::View::from(&inputs[0])),
        ("absent", plaudit::runtime::View::from(&inputs[1])),
        ("good", plaudit::runtime::View::from(&inputs[2])),
    ];
    let outputs = session.run_views(&fed).expect("a run");
    let values =
        |name: &str| outputs.get(name).and_then(|view| view.values::<f32>().map(<[f32]>::to_vec)).expect("an output");
    assert_close("loss", &values("loss"), &[golden.loss]);
    assert_close("gradient", &values(&gradient), &golden.gradient);
}
