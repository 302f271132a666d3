//! SD v1.5's exact shape, random weights: a LoRA step by `plaudit-train finetune`, on a processor, within a machine of 24 GiB.
//!
//! ```sh
//! python onnx/export.py --config sd15-random /tmp/sd15/export          # 4.3 GB; `make slow` does both
//! PLAUDIT_SD15_EXPORT=/tmp/sd15/export cargo nextest run --workspace --test finetune --run-ignored only sd15 --no-capture
//! ```

use std::{
    fs,
    mem::MaybeUninit,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Instant,
};

use plaudit::feedback::dataset::Format;
use plaudit_training::simulate::locate;

use crate::harness::dataset;

/// The folder that holds the export; what is made of it goes beside it and is removed.
const EXPORT: &str = "PLAUDIT_SD15_EXPORT";
/// What the machine this must run on has, less what its system needs.
const MEMORY_GIB: f64 = 22.0;
/// Linux counts a resident set in KiB.
const KIB_A_GIB: f64 = (1u64 << 20) as f64;

/// Runs a program and says how long it took and its largest resident set.
fn run(program: &Path, arguments: &[&str]) {
    let start = Instant::now();
    #[expect(clippy::zombie_processes, reason = "wait4 below waits for it")]
    let child = Command::new(program).args(arguments).spawn().expect("a process");
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both places outlive the call; `usage` is plain numbers, valid when zeroed. The child is waited for only here.
    let usage = unsafe {
        assert_eq!(libc::wait4(child.id().cast_signed(), &mut status, 0, usage.as_mut_ptr()), child.id().cast_signed());
        usage.assume_init()
    };
    let (status, peak) = (ExitStatus::from_raw(status), usage.ru_maxrss as f64 / KIB_A_GIB);
    println!("{}: {:.0} s, peak {peak:.2} GiB", arguments.join(" "), start.elapsed().as_secs_f64());
    assert!(status.success(), "{arguments:?}: {status}");
    assert!(peak < MEMORY_GIB, "{arguments:?}: {peak:.1} GiB");
}

#[test]
#[ignore = "takes minutes, 24 GiB of memory, 16 GB of disk, and an export named by PLAUDIT_SD15_EXPORT"]
fn a_lora_step_of_sd15_fits_a_machine_of_24_gib() {
    let export = PathBuf::from(std::env::var_os(EXPORT).expect("PLAUDIT_SD15_EXPORT names the export"));
    let beside = export.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = tempfile::tempdir_in(beside).expect("a folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let text = |path: &Path| path.to_str().expect("a path").to_owned();
    let plaudit = locate(None).expect("plaudit is built");
    run(&plaudit, &["pack", "import", &text(&export), "-o", &at("sd15")]);
    let votes = text(&dataset(folder.path(), 2, Format::JsonLines));
    let (sd15, data, out) = (at("sd15"), at("data"), at("tuned"));
    // The objective that needs no reward; beside the step it has a session for the weights of the moment and the reference.
    let mut arguments = vec!["finetune", "--pack", &sd15, "--dataset", &votes, "--objective", "kto", "--data", &data];
    arguments.extend(["--out", &out, "--selection", "lora", "--rows", "1", "--micro-batches", "2", "--steps", "1"]);
    arguments.extend(["--warmup", "0", "--rate", "1e-4", "--sheet-every", "0"]);
    run(Path::new(env!("CARGO_BIN_EXE_plaudit-train")), &arguments);

    let metrics = fs::read_to_string(folder.path().join("data/run/metrics.jsonl")).expect("metrics");
    let line: serde_json::Value = serde_json::from_str(metrics.lines().next().expect("a step")).expect("JSON");
    println!("{line}");
    assert!(line["loss"].as_f64().is_some_and(f64::is_finite) && line["grad_norm"].as_f64() > Some(0.0), "{line}");
    for file in ["data/exports/lora/pytorch_lora_weights.safetensors", "tuned/manifest.json"] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
}
