//! Every scheduler moves a latent as diffusers' class of the same name does. Fixtures: `tests/golden/scripts/trajectories.py`.

mod common;

use common::{all_hold, arrays, json, max_difference};
use plaudit::pipeline::schedule::{Schedule, ScheduleError, SchedulerConfig, SchedulerKind};
use serde::Deserialize;

/// Largest difference after any call, relative to max |x| over the trajectory up to there. (The start counts: from σ = 4096, a
/// schedule that ends in pure noise, Euler's first step subtracts nearly all of x, and torch's own last bit decides what is left.)
const TRAJECTORY_TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Case {
    key: String,
    scheduler: String,
    config: serde_json::Value,
    steps: usize,
    timesteps: Vec<f32>,
    init_noise_sigma: f32,
}

fn schedule(case: &Case) -> Schedule {
    let config = SchedulerConfig::parse(&case.config.to_string()).expect(&case.key);
    Schedule::new(case.scheduler.parse().expect("a scheduler's name"), &config, case.steps).expect(&case.key)
}

#[test]
fn a_file_names_another_scheduler_and_keeps_its_options() {
    let config = SchedulerConfig::parse(
        r#"{"_class_name": "PNDMScheduler", "beta_end": 0.012, "lambda_min_clipped": -Infinity}"#,
    )
    .unwrap();
    for kind in SchedulerKind::ALL {
        let named = config.clone().named(kind);
        assert_eq!(named.kind().unwrap(), kind);
        assert_eq!(SchedulerConfig::from_json(&named.to_json()).unwrap(), named, "written as it is read");
        assert_eq!(named.to_json()["beta_end"], 0.012);
    }
    let karras = config.named(SchedulerKind::DpmPp2mKarras);
    assert_eq!(karras.named(SchedulerKind::DpmPp2m).kind().unwrap(), SchedulerKind::DpmPp2m);
}

#[test]
fn timesteps_and_the_initial_scale_are_those_of_diffusers() {
    let mut failures = Vec::new();
    for case in json::<Vec<Case>>("trajectories.json") {
        let schedule = schedule(&case);
        let sigma = (schedule.init_noise_sigma() / case.init_noise_sigma - 1.0).abs();
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
        let same = schedule.timesteps().len() == case.timesteps.len()
            && schedule.timesteps().iter().zip(&case.timesteps).all(close);
        if !same || sigma > 1e-6 {
            failures.push(format!(
                "{}: {:?} against {:?}, sigma off by {sigma:e}",
                case.key,
                schedule.timesteps(),
                case.timesteps
            ));
        }
    }
    all_hold(failures);
}

#[test]
fn trajectories_are_those_of_diffusers() {
    let arrays = arrays("trajectories.safetensors");
    let mut failures = Vec::new();
    let mut worst = (0.0, String::new());
    for case in json::<Vec<Case>>("trajectories.json") {
        let schedule = schedule(&case);
        let mut state = schedule.state();
        let mut latent: Vec<f32> = arrays["start"].f32().iter().map(|x| x * schedule.init_noise_sigma()).collect();
        let mut largest = latent.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        for call in 0..schedule.timesteps().len() {
            let seen = schedule.scale_input(call, &latent).into_owned();
            let output: Vec<f32> = seen.iter().zip(arrays["model"].row(call)).map(|(x, m)| 0.1 * x + m).collect();
            let noise = |out: &mut [f32]| out.copy_from_slice(&arrays["noise"].row(call));
            schedule.step(&mut state, call, &output, &mut latent, noise);
            let expected = arrays[&case.key].row(call);
            largest = expected.iter().fold(largest, |largest, x| largest.max(x.abs()));
            let difference = max_difference(&latent, &expected) / largest;
            if difference > worst.0 {
                worst = (difference, format!("{} call {call}", case.key));
            }
            if difference.is_nan() || difference > TRAJECTORY_TOLERANCE {
                failures.push(format!("{} call {call}: {difference:e}", case.key));
                break;
            }
        }
    }
    println!("worst {:e} ({})", worst.0, worst.1);
    all_hold(failures);
}

#[test]
fn an_option_that_a_scheduler_cannot_do_is_refused_by_name() {
    let cases = [
        (SchedulerKind::Ddim, r#"{"thresholding": true}"#, "thresholding"),
        (SchedulerKind::Ddim, r#"{"beta_schedule": "sigmoid"}"#, "beta_schedule"),
        (SchedulerKind::Pndm, r#"{"prediction_type": "sample"}"#, "prediction_type"),
        (SchedulerKind::Pndm, r#"{"timestep_spacing": "odd"}"#, "timestep_spacing"),
        (SchedulerKind::Euler, r#"{"use_beta_sigmas": true}"#, "use_beta_sigmas"),
        (SchedulerKind::Euler, r#"{"use_exponential_sigmas": true}"#, "use_exponential_sigmas"),
        (SchedulerKind::Euler, r#"{"interpolation_type": "cubic"}"#, "interpolation_type"),
        (SchedulerKind::Euler, r#"{"timestep_type": "continuous"}"#, "timestep_type"),
        (SchedulerKind::Euler, r#"{"beta_start": "small"}"#, "beta_start"),
        (SchedulerKind::Euler, r#"{"beta_end": 1.5}"#, "beta_end"),
        (SchedulerKind::Euler, r#"{"num_train_timesteps": 1}"#, "num_train_timesteps"),
        (SchedulerKind::Ddim, r#"{"num_train_timesteps": 1e18}"#, "num_train_timesteps"),
        (SchedulerKind::Pndm, r#"{"num_train_timesteps": 999.5}"#, "num_train_timesteps"),
        (SchedulerKind::Pndm, r#"{"steps_offset": -1}"#, "steps_offset"),
        (SchedulerKind::DpmPp2m, r#"{"num_train_timesteps": 2, "trained_betas": [0.1, 0.2, 0.3]}"#, "trained_betas"),
        (SchedulerKind::DpmPp2m, r#"{"num_train_timesteps": 2, "trained_betas": [0.1, 2]}"#, "trained_betas"),
        (SchedulerKind::DpmPp2m, r#"{"algorithm_type": "sde-dpmsolver++"}"#, "algorithm_type"),
        (SchedulerKind::DpmPp2m, r#"{"solver_order": 3}"#, "solver_order"),
        (SchedulerKind::DpmPp2m, r#"{"use_flow_sigmas": true}"#, "use_flow_sigmas"),
        (SchedulerKind::DpmPp2mKarras, r#"{"use_lu_lambdas": true}"#, "use_lu_lambdas"),
        (SchedulerKind::DpmPp2mKarras, r#"{"variance_type": "learned"}"#, "variance_type"),
    ];
    let refused = |(kind, config, key): &(SchedulerKind, &str, &str)| {
        let error = Schedule::new(*kind, &SchedulerConfig::parse(config).unwrap(), 20).err();
        let named = matches!(&error, Some(ScheduleError::Unsupported { faults, .. }) if faults[0].key == *key);
        (!named).then(|| format!("{kind} {config}: {error:?}"))
    };
    all_hold(cases.iter().filter_map(refused).collect());
}

#[test]
fn all_refused_options_are_named_at_once() {
    let config =
        SchedulerConfig::parse(r#"{"thresholding": true, "beta_schedule": "sigmoid", "steps_offset": "one"}"#).unwrap();
    let message = Schedule::new(SchedulerKind::Ddim, &config, 20).unwrap_err().to_string();
    for key in ["thresholding", "beta_schedule", "steps_offset"] {
        assert!(message.contains(key), "{message}");
    }
}

#[test]
fn options_of_other_classes_are_passed_over() {
    let config = SchedulerConfig::parse(r#"{"thresholding": true, "solver_order": 3}"#).unwrap();
    assert!(Schedule::new(SchedulerKind::Euler, &config, 20).is_ok());
}

#[test]
fn what_diffusers_writes_is_read_even_where_it_is_no_json() {
    let text = r#"{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity, "note": "-Infinity \" NaN"}"#;
    let config = SchedulerConfig::parse(text).unwrap();
    assert_eq!(config.kind().unwrap(), SchedulerKind::DpmPp2m);
    assert_eq!(Schedule::new(SchedulerKind::DpmPp2m, &config, 20).unwrap().timesteps().len(), 20);
}

#[test]
fn pndm_calls_the_denoiser_once_more_than_it_has_steps() {
    let config = SchedulerConfig::parse(r#"{"skip_prk_steps": true}"#).unwrap();
    assert_eq!(Schedule::new(SchedulerKind::Pndm, &config, 20).unwrap().timesteps().len(), 21);
}

#[test]
fn a_number_of_steps_that_the_schedule_does_not_have_is_refused() {
    let config = SchedulerConfig::parse(r#"{"num_train_timesteps": 100, "steps_offset": 1}"#).unwrap();
    for (kind, steps) in
        [(SchedulerKind::Euler, 0), (SchedulerKind::Ddim, 101), (SchedulerKind::Ddim, 100), (SchedulerKind::Pndm, 3)]
    {
        let refused = Schedule::new(kind, &config, steps);
        assert!(matches!(refused, Err(ScheduleError::Steps { .. })), "{kind} {steps}: {refused:?}");
    }
}

#[test]
fn trained_betas_take_the_place_of_the_beta_schedule() {
    let common = r#""num_train_timesteps": 5, "prediction_type": "sample", "trained_betas""#;
    let listed = format!("{{{common}: [0.125, 0.25, 0.375, 0.5, 0.625]}}");
    let computed = format!(r#"{{{common}: null, "beta_start": 0.125, "beta_end": 0.625}}"#);
    let run = |text: &str| {
        let schedule = Schedule::new(SchedulerKind::Euler, &SchedulerConfig::parse(text).unwrap(), 3).unwrap();
        let mut latent = vec![schedule.init_noise_sigma()];
        let mut state = schedule.state();
        for step in 0..2 {
            schedule.step(&mut state, step, &[0.5], &mut latent, |_| ());
        }
        latent
    };
    assert_eq!(run(&listed), run(&computed));
    assert_ne!(run(&listed), run(&computed.replace("0.625", "0.75")));
}
