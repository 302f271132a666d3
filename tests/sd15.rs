//! Stable Diffusion v1.5 at its real size, with random weights: no line of code may depend on how small miniature is.
//!
//! ```sh
//! python onnx/export.py --config sd15-random /tmp/sd15          # 4.3 GB, never committed
//! PLAUDIT_SD15_EXPORT=/tmp/sd15 cargo nextest run --run-ignored only sd15 --no-capture
//! ```

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// The folder that holds the export; the pack and the picture are made beside it and removed.
const EXPORT: &str = "PLAUDIT_SD15_EXPORT";

/// What the machine this must run on has, less what its system needs.
const MEMORY_GIB: f64 = 22.0;

/// Runs `plaudit` and says how long it took and the largest resident set of any command so far.
fn plaudit(arguments: &[&str]) {
    let start = Instant::now();
    let status = Command::new(env!("CARGO_BIN_EXE_plaudit")).args(arguments).status().unwrap();
    assert!(status.success(), "plaudit {arguments:?}: {status}");
    let (seconds, peak) = (start.elapsed().as_secs_f64(), peak_gib());
    println!("plaudit {}: {seconds:.1} s, peak so far {peak:.2} GiB", arguments[..2].join(" "));
    assert!(peak < MEMORY_GIB, "{peak:.1} GiB");
}

/// The largest resident set among the finished children, in GiB.
fn peak_gib() -> f64 {
    // SAFETY: the structure is plain numbers, filled by the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
        usage
    };
    // Linux counts in KiB.
    usage.ru_maxrss as f64 / f64::from(1 << 20)
}

#[test]
#[ignore = "takes minutes, 10 GB of disk and an export named by PLAUDIT_SD15_EXPORT"]
fn sd15_imports_verifies_and_draws_two_steps_at_512() {
    let export = PathBuf::from(std::env::var_os(EXPORT).expect("PLAUDIT_SD15_EXPORT names the export"));
    let beside = export.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = tempfile::tempdir_in(beside).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (pack, pictures) = (text(&folder.path().join("sd15")), text(&folder.path().join("pictures")));
    plaudit(&["pack", "import", &text(&export), "-o", &pack]);
    plaudit(&["pack", "show", &pack]);
    plaudit(&["pack", "verify", &pack]);
    plaudit(&[
        "generate",
        "two blue stars on the beach",
        "--pack",
        &pack,
        "--steps",
        "2",
        "--seed",
        "7",
        "-o",
        &pictures,
    ]);
    let mut files = std::fs::read_dir(&pictures).unwrap().map(|entry| entry.unwrap().path());
    let picture = files.find(|path| path.extension().is_some_and(|kind| kind == "png")).unwrap();
    assert_eq!(image::image_dimensions(picture).unwrap(), (512, 512));
}
