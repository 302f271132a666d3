//! The trainer on a small regression.

mod support;

use plaudit_training::{
    optim::{AdamWSettings, Schedule},
    step::{Lora, Selection, StepError, TrainGraph, Trainer, TrainerSettings, Which},
};
use support::{BATCH, fill, graph, regression, session, settings, trainer};

#[test]
fn the_loss_falls_by_a_factor_of_fifty() {
    let mut trainer = trainer(settings());
    let losses: Vec<f32> = (0..600).map(|_| trainer.step(fill).unwrap().loss).collect();
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    let (first, last) = (mean(&losses[..20]), mean(&losses[580..]));
    assert!(last < first / 50.0, "{first} → {last}");
}

#[test]
fn the_same_seed_gives_the_same_run_bit_for_bit() {
    let run = || {
        let mut trainer = trainer(settings());
        let losses: Vec<f32> = (0..50).map(|_| trainer.step(fill).unwrap().loss).collect();
        (losses, trainer.weights(Which::Current))
    };
    assert!(run() == run());
}

#[test]
fn micro_batches_take_the_step_of_the_whole_batch() {
    let step = |micro_batches: usize| {
        let settings = TrainerSettings { micro_batches, ..settings() };
        let graph = graph(&Selection::All, BATCH / micro_batches);
        let mut trainer = Trainer::new(graph, &session(), settings).unwrap();
        let report = trainer.step(fill).unwrap();
        (report, trainer.weights(Which::Current))
    };
    let ((whole, weights), (parts, others)) = (step(1), step(4));
    assert!((whole.loss - parts.loss).abs() < 1e-5 * whole.loss, "{whole:?} {parts:?}");
    assert!((whole.grad_norm - parts.grad_norm).abs() < 1e-5 * whole.grad_norm, "{whole:?} {parts:?}");
    for (name, tensor) in weights {
        let pairs = tensor.to_f32().unwrap().into_iter().zip(others[&name].to_f32().unwrap());
        // The first step moves each weight by the rate; a gradient near zero may round to another sign.
        let apart = pairs.filter(|(a, b)| (a - b).abs() > 1e-6).count();
        assert!(apart * 50 < tensor.len(), "{name}: {apart} of {}", tensor.len());
    }
}

#[test]
fn lanes_change_no_bit() {
    let run = |lanes: usize| {
        let settings = TrainerSettings { micro_batches: 4, lanes, ..settings() };
        let mut trainer = Trainer::new(graph(&Selection::All, BATCH / 4), &session(), settings).unwrap();
        let losses: Vec<f32> = (0..20).map(|_| trainer.step(fill).unwrap().loss).collect();
        (losses, trainer.weights(Which::Current))
    };
    let alone = run(1);
    for lanes in [2, 3, 4, 9] {
        assert!(run(lanes) == alone, "{lanes} lanes");
    }
}

#[test]
fn other_scalar_outputs_are_logged() {
    let report = trainer(settings()).step(fill).unwrap();
    assert_eq!(report.extra.keys().collect::<Vec<_>>(), ["bias_size"]);
    assert!(report.extra["bias_size"] > 0.0);
}

#[test]
fn only_what_is_selected_moves() {
    let mut trainer = Trainer::new(graph(&Selection::AttentionOnly, BATCH), &session(), settings()).unwrap();
    trainer.step(fill).unwrap();
    let names: Vec<_> = trainer.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(names, ["attn.weight"]);
    let mut model = regression();
    assert_eq!(trainer.apply(&mut model, "", Which::Current), 1);
    let source = regression();
    assert_eq!(model.graph.initializers["first.weight"], source.graph.initializers["first.weight"]);
    assert_ne!(model.graph.initializers["attn.weight"], source.graph.initializers["attn.weight"]);
}

#[test]
fn lora_starts_at_the_source_and_its_merged_weights_compute_what_it_learned() {
    let selection = Selection::Lora(Lora { rank: 2, alpha: 4.0, seed: 5 });
    let mut adapted = Trainer::new(graph(&selection, BATCH), &session(), settings()).unwrap();
    let start = trainer(settings()).step(fill).unwrap().loss;
    let losses: Vec<f32> = (0..200).map(|_| adapted.step(fill).unwrap().loss).collect();
    assert!((losses[0] - start).abs() < 1e-6 * start, "B is zero at first: {} and {start}", losses[0]);
    assert!(losses[199] < 0.5 * start, "{start} → {}", losses[199]);
    let mut model = regression();
    assert_eq!(adapted.apply(&mut model, "", Which::Current), 2);
    let dims = std::collections::BTreeMap::from([("batch".to_owned(), BATCH)]);
    let merged = TrainGraph::build(model, &Selection::All, &dims).unwrap();
    let mut merged = Trainer::new(merged, &session(), settings()).unwrap();
    // Both generators are fresh copies of one state only if both have drawn as often.
    let same = |batch: &mut plaudit_training::step::Batch<'_>| {
        *batch.random = plaudit_training::random::Random::new(9);
        fill(batch);
    };
    let (ours, theirs) = (adapted.evaluate(same).unwrap()["loss"], merged.evaluate(same).unwrap()["loss"]);
    assert!((ours - theirs).abs() < 1e-5 * ours, "{ours} {theirs}");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_leaves_the_weights() {
    let mut trainer = trainer(settings());
    let before = trainer.weights(Which::Current);
    let error = trainer.step(|batch| batch.f32("x").fill(f32::INFINITY)).unwrap_err();
    assert!(matches!(error, StepError::Diverged { step: 1, .. }), "{error}");
    assert!(trainer.weights(Which::Current) == before && trainer.steps() == 0);
}

#[test]
fn the_average_follows_the_weights() {
    let optimiser = AdamWSettings { average: Some(0.9), ..AdamWSettings::default() };
    let mut trainer = trainer(TrainerSettings { optimiser, ..TrainerSettings::new(Schedule::constant(1e-2)) });
    (0..5).for_each(|_| _ = trainer.step(fill).unwrap());
    let (current, average) = (trainer.weights(Which::Current), trainer.weights(Which::Average));
    assert!(current.iter().all(|(name, tensor)| tensor != &average[name]));
}

#[test]
fn a_graph_without_a_loss_or_with_nothing_to_train_is_refused() {
    let dims = std::collections::BTreeMap::from([("batch".to_owned(), BATCH)]);
    let selection = Selection::Starting(vec!["nowhere".to_owned()]);
    let error = TrainGraph::build(regression(), &selection, &dims).unwrap_err();
    assert!(matches!(error, StepError::NothingToTrain { weights: 3, .. }), "{error}");
    let mut model = regression();
    model.graph.outputs[0].name = "squared".to_owned();
    let error = TrainGraph::build(model, &Selection::All, &dims).unwrap_err();
    assert!(matches!(error, StepError::NoLoss { .. }), "{error}");
}
