//! The update as a graph against the fused pass.

use plaudit::runtime::{Session, SessionSettings};
use plaudit_onnx::Tensor;
use plaudit_training::{
    optim::{AdamW, AdamWSettings, GRAD_NORM, Moments, Slot, Updated, gradient_norm, update_graph},
    random::Random,
};

/// Relative to 1: both sides round each of about ten f32 operations.
const TOLERANCE: f32 = 1e-6;
const STEPS: u64 = 4;
const MICRO_BATCHES: usize = 2;

#[test]
fn the_graph_and_the_fused_pass_agree_over_steps_that_clip_and_steps_that_do_not() {
    let settings = AdamWSettings { average: Some(0.9), weight_decay: 0.1, ..AdamWSettings::default() };
    let updated =
        |name: &str, shape: &[usize], decays| Updated { name: name.to_owned(), shape: shape.to_vec(), decays };
    let parameters = [updated("matrix", &[4, 3], true), updated("bias", &[5], false)];
    let model = update_graph(&parameters, &settings, MICRO_BATCHES).unwrap();
    let mut session =
        Session::from_model(&model, &SessionSettings { threads: 1, ..SessionSettings::default() }).unwrap();
    let mut random = Random::new(1);
    let mut drawn = |n: usize, scale: f32| (0..n).map(|_| scale * random.normal()).collect::<Vec<f32>>();
    let mut weights: Vec<Vec<f32>> = parameters.iter().map(|p| drawn(p.shape.iter().product(), 1.0)).collect();
    let mut moments: Vec<Moments> = weights.iter().map(|weight| Moments::new(weight, &settings)).collect();
    for step in 0..STEPS {
        let gradients: Vec<Vec<f32>> =
            weights.iter().map(|weight| drawn(weight.len(), [0.1, 5.0][step as usize % 2])).collect();
        let norm = gradient_norm(&gradients.iter().map(Vec::as_slice).collect::<Vec<_>>()) / MICRO_BATCHES as f32;
        let update = AdamW::at(&settings, step, 0.01, MICRO_BATCHES, norm);
        let mut fed: Vec<(String, Tensor)> = [
            ("decay", update.decay),
            ("step_size", update.step_size),
            ("second_scale", update.second_scale),
            ("average_rate", update.average_rate),
        ]
        .map(|(name, value)| (name.to_owned(), Tensor::f32(&[], &[value])))
        .into();
        for (index, parameter) in parameters.iter().enumerate() {
            let Moments { first, second, average } = &moments[index];
            for (kind, values) in [
                ("weight", &weights[index]),
                ("grad", &gradients[index]),
                ("first", first),
                ("second", second),
                ("average", average),
            ] {
                fed.push((format!("{kind}/{}", parameter.name), Tensor::f32(&parameter.shape, values)));
            }
        }
        let views: Vec<(&str, &Tensor)> = fed.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let outputs = session.run(&views).unwrap();
        let output = |name: &str| {
            let index = session.outputs().iter().position(|output| output.name == name).unwrap();
            outputs[index].to_f32().unwrap()
        };
        let slots = weights.iter_mut().zip(&mut moments).zip(&gradients).zip(&parameters);
        let slots = slots.map(|(((parameter, moments), gradient), facts)| Slot {
            parameter,
            gradient,
            moments,
            decays: facts.decays,
        });
        update.update(slots.collect());
        assert!((output(GRAD_NORM)[0] - norm).abs() <= TOLERANCE * norm, "norm of step {step}");
        for (index, parameter) in parameters.iter().enumerate() {
            let Moments { first, second, average } = &moments[index];
            for (kind, ours) in
                [("weight", &weights[index]), ("first", first), ("second", second), ("average", average)]
            {
                let theirs = output(&format!("new/{kind}/{}", parameter.name));
                let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max);
                assert!(worst <= TOLERANCE, "{kind} of {} after step {step}: {worst:e}", parameter.name);
            }
        }
    }
}
