//! The trainer over device tensors takes the host trainer's steps. (The device here is the processor; a GPU takes the same path.)

mod support;

use plaudit::runtime::View;
use plaudit_training::{
    random::Random,
    step::{ResidentTrainer, Selection, StepError, TrainerSettings, Which},
};
use support::{BATCH, IN, OUT, fill, graph, session, settings, trainer};

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
