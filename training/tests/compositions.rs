//! Whole steps on tiny models of diffusers and transformers: one small batch, learnt by heart.

mod support;

use std::{collections::BTreeMap, path::Path};

use plaudit_onnx::{
    DType, Dim, Model, Tensor,
    expr::{Builder, Expr},
};
use plaudit_training::{
    loss::{self, INITIAL_LOGIT_SCALE},
    optim::Schedule,
    random::Random,
    step::{Batch, LOSS, Selection, TrainGraph, Trainer, TrainerSettings},
};

const ROWS: usize = 2;
const STEPS: usize = 40;
const RATE: f32 = 3e-3;
/// The tiny text tower's length, and its end marker, where it pools.
const TOKENS: usize = 12;
const LAST_TOKEN: usize = 63;
const LATENT_CHANNELS: usize = 4;
/// As in the recipe for the miniature pack: the sum over a latent is large beside a mean over pixels.
const KL_WEIGHT: f32 = 1e-8;

fn tiny(name: &str) -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}/dynamo/model.onnx"));
    Model::read(&path).expect("a golden model")
}

/// An input of `model` as an input of the graph being built.
fn input(builder: &Builder, model: &Model, name: &str) -> Expr {
    let info = model.graph.inputs.iter().find(|input| input.name == name).expect("an input of the model");
    builder.input(name, info.dtype, info.shape.as_deref().expect("a rank"))
}

fn noise_prediction() -> Model {
    let unet = tiny("unet");
    let builder = Builder::new("noise prediction", unet.opsets[""]);
    let inputs = ["sample", "timestep", "encoder_hidden_states"].map(|name| (name, input(&builder, &unet, name)));
    let noise = builder.input("noise", DType::F32, unet.graph.inputs[0].shape.as_deref().expect("a rank"));
    let weights = builder.input("weights", DType::F32, &[Dim::Named("batch".to_owned())]);
    let prediction = builder.call(&unet, "", &inputs);
    builder.output(LOSS, &loss::weighted_mse(&prediction[0], &noise, &weights));
    builder.finish().expect("a formula")
}

fn autoencoder() -> Model {
    let (encoder, decoder) = (tiny("vae_encoder"), tiny("vae_decoder"));
    let builder = Builder::new("autoencoder", encoder.opsets[""]);
    let image = input(&builder, &encoder, "sample");
    let noise = builder.input("noise", DType::F32, decoder.graph.inputs[0].shape.as_deref().expect("a rank"));
    let moments = builder.call(&encoder, "encoder/", &[("sample", image.clone())]);
    let (mean, log_variance) = loss::posterior(&moments[0], LATENT_CHANNELS);
    let latent = loss::reparameterised(&mean, &log_variance, &noise);
    let decoded = builder.call(&decoder, "decoder/", &[("latent_sample", latent)]);
    let kl = loss::gaussian_kl(&mean, &log_variance);
    let l1 = loss::l1(&decoded[0], &image);
    builder.output(LOSS, &(&l1 + loss::gradient_l1(&decoded[0], &image) * 0.5 + &kl * KL_WEIGHT));
    builder.output("l1", &l1);
    builder.output("kl", &kl);
    builder.finish().expect("a formula")
}

fn pairs() -> Model {
    let (text, vision) = (tiny("clip_text"), tiny("clip_vision"));
    let builder = Builder::new("pairs", text.opsets[""]);
    let (ids, pixels) = (input(&builder, &text, "input_ids"), input(&builder, &vision, "pixel_values"));
    let texts = builder.call(&text, "text/", &[("input_ids", ids)]);
    let images = builder.call(&vision, "vision/", &[("pixel_values", pixels)]);
    let scale = builder.weight("logit_scale", Tensor::f32(&[], &[INITIAL_LOGIT_SCALE]));
    let contrastive = loss::contrastive(&images[0], &texts[0], &scale);
    builder.output(LOSS, &contrastive.loss);
    builder.output("scale", &contrastive.scale);
    builder.finish().expect("a formula")
}

/// Losses of [`STEPS`] steps on the same batch.
fn by_heart(model: Model, sizes: &[(&str, usize)], fill: impl Fn(&mut Batch<'_>)) -> Vec<f32> {
    let dims: BTreeMap<String, usize> = sizes.iter().map(|&(name, size)| (name.to_owned(), size)).collect();
    let graph = TrainGraph::build(model, &Selection::All, &dims).expect("a differentiable graph");
    let settings = TrainerSettings::new(Schedule { warmup: 5, ..Schedule::constant(RATE) });
    let mut trainer = Trainer::new(graph, &support::session(), settings).expect("a trainer");
    let step = |_| {
        let report = trainer.step(|batch| {
            *batch.random = Random::new(3);
            fill(batch);
        });
        report.expect("a step").loss
    };
    (0..STEPS).map(step).collect()
}

#[track_caller]
fn assert_learnt(losses: &[f32], share: f32) {
    let (first, last) = (losses[0], losses[STEPS - 1]);
    assert!(last < share * first, "{first} → {last}");
}

#[test]
fn a_unet_learns_the_noise_of_a_batch() {
    let sizes = [("batch", ROWS), ("height", 8), ("width", 8), ("sequence", 5)];
    let losses = by_heart(noise_prediction(), &sizes, |batch| {
        ["sample", "encoder_hidden_states", "noise"].iter().for_each(|name| batch.fill_normal(name));
        batch.f32("timestep").copy_from_slice(&[10.0, 700.0]);
        batch.f32("weights").copy_from_slice(&[1.0, 0.5]);
    });
    assert_learnt(&losses, 0.5);
}

#[test]
fn an_autoencoder_learns_a_batch_through_its_sampled_latent() {
    let sizes = [("batch", ROWS), ("height", 16), ("width", 16), ("latent_height", 4), ("latent_width", 4)];
    let losses = by_heart(autoencoder(), &sizes, |batch| {
        batch.fill_normal("noise");
        batch.f32("sample").iter_mut().enumerate().for_each(|(place, value)| *value = (place as f32 * 0.05).sin());
    });
    assert_learnt(&losses, 0.6);
}

#[test]
fn two_towers_learn_which_caption_belongs_to_which_picture() {
    let sizes = [("batch", 2 * ROWS)];
    let losses = by_heart(pairs(), &sizes, |batch| {
        batch.fill_normal("pixel_values");
        let mut random = Random::new(8);
        for row in batch.i64("input_ids").chunks_mut(TOKENS) {
            row.iter_mut().for_each(|token| *token = random.below(LAST_TOKEN) as i64);
            row[TOKENS - 1] = LAST_TOKEN as i64;
        }
    });
    assert_learnt(&losses, 0.2);
}
