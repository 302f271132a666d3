//! Stable Diffusion v1.5 at its real size, with random weights: no line of code may depend on how small miniature is.
//!
//! ```sh
//! python onnx/export.py --config sd15-random /tmp/sd15          # 4.3 GB of the 15, never committed
//! PLAUDIT_SD15_EXPORT=/tmp/sd15 cargo nextest run --run-ignored only sd15 --no-capture
//! ```

#![allow(clippy::unwrap_used)]

use std::{
    mem::MaybeUninit,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::Instant,
};

/// The folder that holds the export; the pack and the picture are made beside it and removed.
const EXPORT: &str = "PLAUDIT_SD15_EXPORT";

/// What the machine this must run on has, less what its system needs.
const MEMORY_GIB: f64 = 22.0;

/// `ru_maxrss` counts in KiB, on macOS in bytes.
const RSS_UNITS_PER_GIB: f64 = if cfg!(target_os = "macos") { (1u64 << 30) as f64 } else { (1u64 << 20) as f64 };

/// Runs `plaudit` and says how long it took and its largest resident set.
fn plaudit(arguments: &[&str]) {
    let start = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_plaudit")).args(arguments).spawn().unwrap();
    let (status, peak) = wait(child);
    assert!(status.success(), "plaudit {arguments:?}: {status}");
    println!("plaudit {}: {:.1} s, peak {peak:.2} GiB", arguments[..2].join(" "), start.elapsed().as_secs_f64());
    assert!(peak < MEMORY_GIB, "plaudit {arguments:?}: {peak:.1} GiB");
}

/// Waits for a child: its status, and its largest resident set in GiB. (`getrusage` knows only the largest of all children.)
fn wait(child: Child) -> (ExitStatus, f64) {
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both places outlive the call; `usage` is plain numbers, valid when zeroed. The child is waited for only here.
    let usage = unsafe {
        let waited = libc::wait4(child.id().cast_signed(), &mut status, 0, usage.as_mut_ptr());
        assert_eq!(waited, child.id().cast_signed(), "{}", std::io::Error::last_os_error());
        usage.assume_init()
    };
    (ExitStatus::from_raw(status), usage.ru_maxrss as f64 / RSS_UNITS_PER_GIB)
}

#[test]
fn the_peak_of_a_small_command_is_its_own() {
    let run = |arguments: &[&str]| wait(Command::new(env!("CARGO_BIN_EXE_plaudit")).args(arguments).spawn().unwrap());
    let (status, peak) = run(&["--version"]);
    assert!(status.success() && peak > 0.0 && peak < 1.0, "{status}, {peak} GiB");
    assert_eq!(run(&["no-such-command"]).0.code(), Some(2));
}

#[test]
#[ignore = "takes minutes, 15 GB of disk with the export, and an export named by PLAUDIT_SD15_EXPORT"]
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
