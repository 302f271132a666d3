//! Runs: they repeat, go on after a kill, learn, stop when they go astray, and are refused before they start where they cannot be.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use plaudit::{feedback::dataset::Format, pack::Pack};
use plaudit_training::{
    finetune::{Finetune, FinetuneError, Kto, LatentReward, Objective, Signal, finetune},
    step::{Lora, Selection},
};

use crate::harness::{captioned, column, dataset, metrics, settings, tuned, weights};

/// Names the worker's folder; only set in its process.
const FOLDER: &str = "PLAUDIT_TEST_FINETUNE";
/// A worker that has not got to its kill by then hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is killed and repeated: votes, pre-training, an average, a window, attention only.
fn everything(folder: &Path, name: &str) -> Finetune {
    Finetune {
        labelled: Some(folder.join("dataset")),
        pretraining: Some(folder.join("captioned")),
        objective: Objective::Kto(Kto { sharpness: 50.0, window: 3, ..Kto::default() }),
        anchor: Some(0.5),
        average: Some(0.5),
        selection: Selection::AttentionOnly,
        validation_share: 0.4,
        validation_rows: 6,
        validate_every: 3,
        micro_batches: 3,
        steps: 7,
        ..settings(folder, name)
    }
}

#[test]
fn equal_seeds_give_equal_packs_and_others_do_not() {
    let folder = tempfile::tempdir().unwrap();
    dataset(folder.path(), 5, Format::JsonLines);
    let of = |name: &str, seed: u64| Finetune {
        labelled: Some(folder.path().join("dataset")),
        objective: Objective::SignedTarget { bound: 1.0, relative: false },
        seed,
        steps: 2,
        ..settings(folder.path(), name)
    };
    let one = tuned(&of("one", 1));
    let again = tuned(&of("again", 1));
    assert_eq!(one.version, again.version);
    assert!(weights(&one.pack) == weights(&again.pack), "bit for bit");
    let other = tuned(&of("other", 2));
    assert_ne!(one.version, other.version);
    // Called once more, a finished run answers what it made.
    assert_eq!(tuned(&of("one", 1)).version, one.version);
    let changed = Finetune { anchor: Some(3.0), ..of("one", 1) };
    let error = finetune(&changed).expect_err("another run's place");
    assert!(matches!(error, FinetuneError::There { .. } | FinetuneError::Begun { .. }), "{error}");
}

/// Not a test: the process that the test below kills.
#[test]
#[ignore = "the worker of the test below"]
fn worker() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        tuned(&everything(Path::new(&folder), "killed"));
    }
}

fn start(folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this test's own file"));
    command.args(["--exact", "runs::worker", "--ignored"]).env(FOLDER, folder);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a worker")
}

fn lines(settings: &Finetune) -> usize {
    fs::read(settings.data.join("run/metrics.jsonl")).map_or(0, |bytes| bytes.iter().filter(|&&b| b == b'\n').count())
}

#[test]
fn killed_in_the_middle_a_run_ends_as_one_never_killed() {
    let folder = tempfile::tempdir().unwrap();
    dataset(folder.path(), 5, Format::JsonLines);
    captioned(folder.path(), 3, |_| {});
    let whole = everything(folder.path(), "whole");
    let expected = tuned(&whole);
    let killed = everything(folder.path(), "killed");
    for target in [3, 5] {
        let (mut worker, began) = (start(folder.path()), Instant::now());
        while lines(&killed) < target {
            assert!(began.elapsed() < PATIENCE, "the worker hangs at line {}", lines(&killed));
            assert!(worker.try_wait().expect("a state").is_none(), "the worker ended before line {target}");
            std::thread::sleep(Duration::from_millis(2));
        }
        worker.kill().expect("SIGKILL");
        worker.wait().expect("an end");
    }
    let found = tuned(&killed);
    assert_eq!(metrics(&whole), metrics(&killed));
    assert!(weights(&expected.pack) == weights(&found.pack), "the same weights");
    assert_eq!(expected.version, found.version);
    assert!(column(&whole, "kto_baseline").iter().all(|&baseline| baseline >= 0.0));
    assert!(column(&whole, "kto_gain")[0].abs() < 1e-4, "the model is its own reference at the start");
    let anchor = column(&whole, "anchor_error");
    assert!(anchor[0] < 1e-9 && anchor[6] > anchor[0], "{anchor:?}");
}

#[test]
fn with_lora_the_parent_is_the_trained_graph_with_its_adapters_off() {
    let folder = tempfile::tempdir().unwrap();
    let votes = dataset(folder.path(), 5, Format::JsonLines);
    let of = |name: &str, selection: Selection, rate: f32| {
        let objective = Objective::Kto(Kto { sharpness: 50.0, window: 2, ..Kto::default() });
        let run = Finetune {
            labelled: Some(votes.clone()),
            objective,
            selection,
            rate,
            steps: 3,
            ..settings(folder.path(), name)
        };
        tuned(&run);
        run
    };
    let lora = of("adapters", Selection::Lora(Lora { rank: 2, alpha: 2.0, seed: 1 }), 1e-2);
    let still = of("still", Selection::All, 0.0);
    let (found, wanted) = (column(&lora, "reference_error"), column(&still, "reference_error"));
    let far = found.iter().zip(&wanted).any(|(found, wanted)| (found - wanted).abs() > 1e-5 * wanted);
    assert!(!far, "another reference than the parent: {found:?} and {wanted:?}");
    let (gain, anchor) = (column(&lora, "kto_gain"), column(&lora, "anchor_error"));
    assert!(gain[0] == 0.0 && gain[2].abs() > 1e-6, "one session, and then the weights of the moment: {gain:?}");
    assert!(anchor[0] < 1e-9 && anchor[2] > anchor[0], "{anchor:?}");
}

#[test]
fn a_batch_may_be_divided_in_any_way() {
    let folder = tempfile::tempdir().unwrap();
    let votes = dataset(folder.path(), 5, Format::JsonLines);
    let of = |rows: usize, micro_batches: usize| {
        let name = format!("{rows}x{micro_batches}");
        let kto = Kto { sharpness: 50.0, window: 2, ..Kto::default() };
        let run = Finetune {
            labelled: Some(votes.clone()),
            objective: Objective::Kto(kto),
            rate: 1e-3,
            rows,
            micro_batches,
            steps: 3,
            ..settings(folder.path(), &name)
        };
        tuned(&run);
        ["loss", "kto_gain", "kto_baseline", "anchor_error"].map(|name| column(&run, name)).concat()
    };
    let whole = of(4, 1);
    assert!(whole[4].abs() > 1e-4, "the weights have moved: {whole:?}");
    for (rows, micro_batches) in [(2, 2), (1, 4)] {
        let divided = of(rows, micro_batches);
        let close = |(one, other): (&f64, &f64)| (one - other).abs() < 1e-3 * one.abs().max(1e-3);
        assert!(whole.iter().zip(&divided).all(close), "{rows} × {micro_batches}: {divided:?} instead of {whole:?}");
    }
}

#[test]
fn guided_votes_through_lora_begin_where_the_reference_is() {
    let folder = tempfile::tempdir().unwrap();
    let run = Finetune {
        labelled: Some(dataset(folder.path(), 5, Format::JsonLines)),
        objective: Objective::Kto(Kto::default()),
        selection: Selection::Lora(Lora { rank: 2, alpha: 2.0, seed: 0 }),
        guidance: Some(5.0),
        steps: 2,
        ..settings(folder.path(), "guided")
    };
    tuned(&run);
    let (gain, anchor) = (column(&run, "kto_gain"), column(&run, "anchor_error"));
    assert!(gain[0].abs() < 1e-4 && anchor[0] < 1e-8, "{gain:?} {anchor:?}");
    assert!(anchor[1] > anchor[0]);
    assert_eq!(column(&run, "reference_error").len(), 2);
}

#[test]
fn a_legs_end_is_no_error_of_the_run_and_the_next_leg_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = captioned(folder.path(), 4, |_| {});
    let whole = Finetune { unlabelled: vec![pictures], steps: 2, ..settings(folder.path(), "legs") };
    let leg = Finetune { leg: Some(Duration::ZERO), ..whole.clone() };
    assert!(matches!(finetune(&leg), Err(FinetuneError::Unfinished { step: 0, steps: 2 })));
    assert_eq!(tuned(&whole).steps, 2);
}

#[test]
fn it_learns_what_it_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    // Pictures that no prompt ever meant, so that there is something to learn in a few steps.
    let pictures = captioned(folder.path(), 2, image::imageops::invert);
    let run = Finetune {
        unlabelled: vec![pictures],
        anchor: Some(0.0),
        steps: 30,
        rate: 2e-3,
        sheet_every: 30,
        sheet_prompts: vec!["a red star".into()],
        ..settings(folder.path(), "learns")
    };
    let done = tuned(&run);
    let errors = column(&run, "noise_error");
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&errors[..10]), mean(&errors[20..]));
    println!("noise error {first:.4} → {last:.4}, {:.2} s a step", done.seconds / done.steps as f64);
    assert!(last < 0.8 * first, "{first} → {last}");
    for file in ["curve.svg", "rewards.svg", "looks.jsonl", "sheets/step-000000.png", "sheets/step-000030.png"] {
        assert!(run.data.join("run").join(file).is_file(), "{file}");
    }
    assert!(done.rewards.is_some());
}

/// The losses of a run on prompts that it did not learn from, by step.
fn validated(settings: &Finetune) -> Vec<(u64, f64)> {
    let text = fs::read_to_string(settings.data.join("run/validation.jsonl")).expect("validations");
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        (line["step"].as_u64().expect("a step"), line["loss"].as_f64().expect("a loss"))
    };
    text.lines().map(line).collect()
}

#[test]
fn the_reward_gradient_raises_the_reward_of_pictures_of_other_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let run = Finetune {
        unlabelled: vec![captioned(folder.path(), 24, |_| {})],
        objective: Objective::RewardGradient { reach: 0.5, contrast: 1.0 },
        guidance: Some(3.0),
        timesteps: Some((100, 700)),
        anchor: Some(0.1),
        balance: true,
        rows: 4,
        steps: 24,
        rate: 2e-4,
        validation_share: 0.4,
        validation_rows: 16,
        validate_every: 12,
        ..settings(folder.path(), "reward")
    };
    let done = tuned(&run);
    let seen = validated(&run);
    println!("−ln r of pictures of other prompts: {seen:?}, {:.2} s a step", done.seconds / done.steps as f64);
    assert_eq!(seen.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [0, 12, 24]);
    assert!(seen[2].1 < seen[0].1 - 0.02, "{seen:?}");
    assert_eq!(done.validation, Some((seen[2].1 - seen[0].1, seen[0].1)));
    assert!(run.data.join("run/validation.svg").is_file());
    assert!(column(&run, "anchor_error")[23] > 0.0 && column(&run, "reward").iter().all(|r| (0.0..=1.0).contains(r)));
    let more = Finetune { validation_share: 0.2, out: folder.path().join("other"), ..run };
    let error = finetune(&more).expect_err("other prompts").to_string();
    assert!(error.contains("validation_share"), "{error}");
}

#[test]
fn the_latent_reward_is_learned_from_votes_first_and_leads_the_denoiser_then() {
    let folder = tempfile::tempdir().unwrap();
    dataset(folder.path(), 40, Format::JsonLines);
    let objective =
        Objective::LatentReward(LatentReward { strength: 60.0, steps: 60, rate: 1e-3, ..LatentReward::default() });
    let run = Finetune {
        labelled: Some(folder.path().join("dataset")),
        rows: 4,
        steps: 12,
        rate: 3e-4,
        average: None,
        validation_share: 0.4,
        validation_rows: 16,
        validate_every: 12,
        ..settings(folder.path(), "latent").with_objective(objective)
    };
    let done = tuned(&run);
    let learned = run.data.join("run/latent-reward");
    let lines = fs::read_to_string(learned.join("metrics.jsonl")).expect("its losses");
    let losses: Vec<f64> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["loss"].as_f64().expect("a loss"))
        .collect();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    println!(
        "cross-entropy {:.4} → {:.4}, {:.2} s a step",
        mean(&losses[..5]),
        mean(&losses[losses.len() - 5..]),
        done.seconds / done.steps as f64
    );
    assert!((losses[0] - std::f64::consts::LN_2).abs() < 1e-3, "a coin at first: {}", losses[0]);
    assert!(mean(&losses[losses.len() - 5..]) < 0.9 * losses[0], "{losses:?}");
    let ranks: serde_json::Value =
        serde_json::from_slice(&fs::read(learned.join("ranks.json")).expect("ranks")).expect("JSON");
    assert_eq!(ranks["by_timestep"].as_array().map(Vec::len), Some(5), "{ranks}");
    let seen = validated(&run);
    assert!(seen.len() == 2 && seen[1].1 < seen[0].1, "the denoiser goes where it is led: {seen:?}");
    assert!(column(&run, "reward").iter().all(|liked| (0.0..=1.0).contains(liked)));

    // Its pictures are drawn by DDIM where nobody says otherwise, here and by diffusers.
    let named = |pack: &Path| Pack::open(pack).expect("a pack").scheduler()["_class_name"].clone();
    let index = fs::read_to_string(run.out.join("model_index.json")).expect("an index");
    assert_eq!((named(&run.pack), named(&run.out)), ("PNDMScheduler".into(), "DDIMScheduler".into()));
    assert!(index.contains("DDIMScheduler") && !index.contains("PNDMScheduler"), "{index}");

    // Killed after it was learned: the next run takes it up and ends with the same pack.
    let bytes = fs::read(run.out.join("unet/model.safetensors")).expect("weights");
    fs::remove_dir_all(&run.out).expect("gone");
    fs::remove_dir_all(run.data.join("run/checkpoints")).expect("gone");
    tuned(&run);
    assert!(bytes == fs::read(run.out.join("unet/model.safetensors")).expect("weights"), "not the same weights");
    assert!(fs::read_to_string(learned.join("metrics.jsonl")).expect("its losses") == lines, "learned once");
}

#[test]
fn timesteps_and_the_pictures_own_votes_are_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    dataset(folder.path(), 5, Format::JsonLines);
    let of = |name: &str| Finetune {
        labelled: Some(folder.path().join("dataset")),
        steps: 2,
        ..settings(folder.path(), name)
    };
    let range = |name: &str, from: usize, to: usize| Finetune { timesteps: Some((from, to)), ..of(name) };
    let (clean, noisy) = (range("clean", 0, 50), range("noisy", 900, 1000));
    let scored = tuned(&clean);
    tuned(&noisy);
    // Where there is much noise it is easily told.
    let [clean, noisy] = [&clean, &noisy].map(|run| column(run, "noise_error").iter().sum::<f64>());
    assert!(clean > 5.0 * noisy, "{clean} and {noisy}");
    let error = finetune(&range("beyond", 900, 1001)).expect_err("no such timestep").to_string();
    assert!(error.contains("timesteps") && error.contains("1000"), "{error}");
    let voted = tuned(&Finetune { signal: Signal::Votes, ..of("voted") });
    assert_ne!(voted.data_sha256, scored.data_sha256, "votes are in r");
}

#[test]
fn a_run_that_goes_astray_keeps_its_last_good_checkpoint_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = captioned(folder.path(), 4, |_| {});
    let run = Finetune { unlabelled: vec![pictures], steps: 60, ..settings(folder.path(), "astray") };
    let (lost, infinite) = (Finetune { rate: 3.0, ..run.clone() }, Finetune { rate: 1e25, ..run.clone() });
    let error = finetune(&infinite).expect_err("no pack").to_string();
    assert!(error.contains("diverged at step 2") && error.contains("begins anew"), "{error}");
    let error = finetune(&lost).expect_err("no pack");
    assert!(matches!(error, FinetuneError::Diverged { kept: None, .. }), "{error}");
    // From a run that was good for a while.
    tuned(&Finetune { steps: 8, out: folder.path().join("short"), ..run });
    let error = finetune(&lost).expect_err("no pack");
    assert!(matches!(error, FinetuneError::Diverged { kept: Some(8), .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("of step 8, is kept") && text.contains("--rate"), "{text}");
    assert!(!lost.out.exists());
}

#[test]
fn too_little_memory_or_time_is_refused_with_figures() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = captioned(folder.path(), 4, |_| {});
    let fits = Finetune { unlabelled: vec![pictures], steps: 100_000, ..settings(folder.path(), "large") };
    let small = Finetune { memory_limit: Some(50 << 20), ..fits.clone() };
    let error = finetune(&small).expect_err("no memory").to_string();
    assert!(error.contains("and 50 MiB are free") && error.contains("--force"), "{error}");
    let short = Finetune { most_time: Some(Duration::from_secs(60)), ..fits };
    let error = finetune(&short).expect_err("no time").to_string();
    assert!(error.contains("100000 steps would take about") && error.contains("--force"), "{error}");
}

#[test]
fn what_cannot_be_learned_from_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = captioned(folder.path(), 2, |_| {});
    let base = settings(folder.path(), "named");
    let cases = [
        (base.clone(), "give --dataset or --unlabelled"),
        (Finetune { unlabelled: vec![pictures.clone()], rows: 0, ..base.clone() }, "rows"),
        (
            Finetune { unlabelled: vec![pictures.clone()], objective: Objective::Kto(Kto::default()), ..base.clone() },
            "votes",
        ),
        (
            Finetune { unlabelled: vec![pictures], objective: Objective::Centred, anchor: Some(0.0), ..base },
            "more pictures of each prompt",
        ),
        (
            Finetune {
                labelled: Some(folder.path().join("votes")),
                unlabelled: vec![folder.path().join("more")],
                objective: Objective::Kto(Kto::default()),
                ..settings(folder.path(), "votes only")
            },
            "leave --unlabelled out",
        ),
    ];
    for (settings, part) in cases {
        let error = finetune(&settings).expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
    }
}
