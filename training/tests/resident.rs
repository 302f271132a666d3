//! The trainer over device tensors takes the host trainer's steps. (The device here is the processor; a GPU takes the same path.)

mod support;

use plaudit::runtime::View;
use plaudit_training::{
    checkpoint::latest,
    random::Random,
    step::{Checkpointed, Lora, ResidentTrainer, Selection, StepError, Trainer, TrainerSettings, Which},
};
use support::{BATCH, IN, OUT, fill, graph, regression, session, settings, trainer};

const STEPS: usize = 8;
/// Relative to 1, after eight steps of f32 arithmetic in another order.
const TOLERANCE: f32 = 1e-5;

#[test]
fn device_tensors_take_the_host_trainers_steps() {
    let mut host = trainer(settings());
    let mut device = ResidentTrainer::new(graph(&Selection::All, BATCH), &session(), settings()).unwrap();
    for step in 0..STEPS {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        let ours = host.step(|batch| {
            *batch.random = Random::new(step as u64);
            fill(batch);
            (x, y) = (batch.f32("x").to_vec(), batch.f32("y").to_vec());
        });
        let batch = [("x", View::new(&[BATCH, IN], &x)), ("y", View::new(&[BATCH, OUT], &y))];
        let (ours, theirs) = (ours.unwrap(), device.step(&batch).unwrap());
        assert!((ours.loss - theirs.loss).abs() <= TOLERANCE * ours.loss, "{ours:?} {theirs:?}");
        assert!((ours.grad_norm - theirs.grad_norm).abs() <= TOLERANCE * ours.grad_norm, "{ours:?} {theirs:?}");
        assert_eq!((ours.step, ours.learning_rate), (theirs.step, theirs.learning_rate));
    }
    for which in [Which::Current, Which::Average] {
        let theirs = device.weights(which).unwrap();
        for (name, ours) in host.weights(which) {
            let pairs = ours.to_f32().unwrap().into_iter().zip(theirs[&name].to_f32().unwrap());
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= TOLERANCE, "{which:?} {name}: {worst:e}");
        }
    }
}

/// A step on a batch of the trainer's own generator.
fn step(trainer: &mut ResidentTrainer) {
    let (random, position) = trainer.source();
    let mut x = vec![0.0; BATCH * IN];
    random.fill_normal(&mut x);
    *position += BATCH as u64;
    let y: Vec<f32> = x.chunks(IN).flat_map(|row| [row[0], row[1] - row[2], row[3]]).collect();
    trainer.step(&[("x", View::new(&[BATCH, IN], &x)), ("y", View::new(&[BATCH, OUT], &y))]).expect("a step");
}

fn device(selection: &Selection) -> ResidentTrainer {
    ResidentTrainer::new(graph(selection, BATCH), &session(), settings()).expect("the graph runs")
}

#[test]
fn a_run_on_the_device_goes_on_from_its_checkpoint_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = device(&Selection::All);
    (0..STEPS).for_each(|_| step(&mut whole));
    whole.save(folder.path(), 0).unwrap();
    let mut resumed = device(&Selection::All);
    assert_eq!(resumed.restore(latest(folder.path()).unwrap().unwrap()).unwrap(), Vec::<String>::new());
    assert_eq!((resumed.steps(), *resumed.source().1), (STEPS as u64, (STEPS * BATCH) as u64));
    for trainer in [&mut whole, &mut resumed] {
        (0..STEPS).for_each(|_| step(trainer));
    }
    for which in [Which::Current, Which::Average] {
        assert!(whole.weights(which).unwrap() == resumed.weights(which).unwrap(), "{which:?}");
    }
}

#[test]
fn a_run_can_change_its_device() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = trainer(settings());
    (0..STEPS).for_each(|_| drop(host.step(fill).unwrap()));
    host.save(folder.path(), 0).unwrap();
    let mut there = device(&Selection::All);
    assert_eq!(there.restore(latest(folder.path()).unwrap().unwrap()).unwrap(), Vec::<String>::new());
    assert!(there.weights(Which::Average).unwrap() == host.weights(Which::Average));
    there.save(folder.path(), 0).unwrap();
    let mut back = trainer(settings());
    back.restore(latest(folder.path()).unwrap().unwrap()).unwrap();
    let next = [&mut host, &mut back].map(|trainer| trainer.step(fill).unwrap());
    assert_eq!((next[0].loss.to_bits(), next[0].step), (next[1].loss.to_bits(), next[1].step));
    assert!(host.weights(Which::Average) == back.weights(Which::Average));
}

#[test]
fn low_rank_corrections_are_merged_into_the_weights() {
    let lora = Selection::Lora(Lora { rank: 2, alpha: 2.0, seed: 3 });
    let (mut there, mut here) = (device(&lora), Trainer::new(graph(&lora, BATCH), &session(), settings()).unwrap());
    (0..STEPS).for_each(|_| step(&mut there));
    let folder = tempfile::tempdir().unwrap();
    there.save(folder.path(), 0).unwrap();
    here.restore(latest(folder.path()).unwrap().unwrap()).unwrap();
    let mut models = [(); 2].map(|()| regression());
    assert!(there.apply(&mut models[0], "", Which::Current).unwrap() > 0);
    here.apply(&mut models[1], "", Which::Current);
    assert!(models[0] == models[1] && models[0] != regression());
}

#[test]
fn what_it_cannot_do_is_refused() {
    let many = TrainerSettings { micro_batches: 2, ..settings() };
    let error = ResidentTrainer::new(graph(&Selection::All, BATCH), &session(), many).unwrap_err();
    assert!(matches!(error, StepError::MicroBatches { asked: 2 }), "{error}");
    let mut device = ResidentTrainer::new(graph(&Selection::All, BATCH), &session(), settings()).unwrap();
    let before = device.weights(Which::Current).unwrap();
    let error = device.step(&[("z", View::new(&[1], &[0.0f32]))]).unwrap_err();
    assert!(matches!(error, StepError::UnknownInput { .. }), "{error}");
    let infinite = [f32::INFINITY; BATCH * IN];
    let batch = [("x", View::new(&[BATCH, IN], &infinite)), ("y", View::new(&[BATCH, OUT], &[0.0f32; BATCH * OUT]))];
    let error = device.step(&batch).unwrap_err();
    assert!(matches!(error, StepError::Diverged { step: 1, .. }), "{error}");
    assert!(device.weights(Which::Current).unwrap() == before);
}
