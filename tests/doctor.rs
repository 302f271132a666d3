//! `plaudit doctor`, the real program: a healthy machine passes, whatever is missing is named with what to do.
#![allow(missing_docs)]

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pack() -> PathBuf {
    repository().join("onnx/packs/miniature")
}

/// The program in a directory of its own, without this process's settings.
fn plaudit(working: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plaudit"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PLAUDIT_")) {
        command.env_remove(name);
    }
    command.env("ORT_DYLIB_PATH", repository().join(".ort/libonnxruntime.so"));
    command.current_dir(working).args(arguments);
    command
}

fn doctor(working: &Path, pack: &Path, more: &[&str]) -> Command {
    let mut command = plaudit(working, &["doctor", "--device", "cpu", "--pack"]);
    command.arg(pack).args(more);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Fails, and one thing is missing: this one, told with these words.
fn misses(mut command: Command, what: &str, words: &[&str]) {
    let output = command.output().expect("it runs");
    let said = said(&output);
    assert!(!output.status.success(), "{said}");
    let line = said.lines().find(|line| line.starts_with(&format!("MISSING  {what}")));
    assert!(line.is_some(), "{what} is not missing:\n{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not said:\n{said}");
    }
}

#[test]
fn a_healthy_machine_passes_and_every_line_says_what_was_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = doctor(folder.path(), &pack(), &["--listen", "127.0.0.1:0"]).output().expect("it runs");
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for what in ["library", "device", "pack", "data", "disk", "lock", "port"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("ok       {what}"))), "{what}:\n{said}");
    }
    assert!(said.contains("every golden output is right") && !folder.path().join("data").exists(), "{said}");
}

#[test]
fn a_missing_library_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = doctor(folder.path(), &pack(), &["--listen", "127.0.0.1:0"]);
    command.env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
    misses(command, "library", &["/nowhere/libonnxruntime.so", "make setup", "ORT_DYLIB_PATH"]);
}

#[test]
fn a_broken_pack_is_named_by_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("pack");
    copy(&pack(), &broken);
    let weights = broken.join("unet/model.safetensors");
    let mut bytes = fs::read(&weights).expect("weights");
    let last = bytes.len() - 1;
    bytes[last] ^= 0x40;
    fs::write(&weights, bytes).expect("written");
    misses(doctor(folder.path(), &broken, &["--listen", "127.0.0.1:0"]), "pack", &["unet/model.safetensors"]);
    misses(doctor(folder.path(), Path::new("nowhere"), &["--listen", "127.0.0.1:0"]), "pack", &["nowhere"]);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

#[test]
fn a_port_in_use_and_data_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    misses(doctor(folder.path(), &pack(), &["--listen", &address]), "port", &[&address, "--listen"]);
    // Not even root writes there.
    let data = ["--listen", "127.0.0.1:0", "--data", "/proc/plaudit"];
    misses(doctor(folder.path(), &pack(), &data), "data", &["/proc", "--data"]);
    fs::write(folder.path().join("file"), "").expect("a file");
    let under_file = ["--listen", "127.0.0.1:0", "--data", "file/data"];
    misses(doctor(folder.path(), &pack(), &under_file), "data", &["file is no directory", "--data"]);
}

#[test]
fn doctor_and_keys_read_the_file_that_the_server_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let file = folder.path().join("plaudit.toml");
    let text = format!("listen = {address:?}\ndata = \"state\"\n[engine]\nmax_rows = 8\n");
    fs::write(&file, &text).expect("written");
    misses(doctor(folder.path(), &pack(), &[]), "port", &[&address]);
    let overruled = doctor(folder.path(), &pack(), &["--listen", "127.0.0.1:0"]).output().expect("it runs");
    assert!(overruled.status.success() && said(&overruled).contains("state"), "{}", said(&overruled));

    let made = plaudit(folder.path(), &["keys", "create", "app"]).output().expect("it runs");
    assert!(made.status.success(), "{}", said(&made));
    assert!(folder.path().join("state/plaudit.db").is_file() && !folder.path().join("data").exists());
    let listed = plaudit(folder.path(), &["keys", "list"]).output().expect("it runs");
    assert!(said(&listed).contains("app"), "{}", said(&listed));

    let elsewhere = tempfile::tempdir().expect("a folder");
    let named = file.to_str().expect("a path");
    misses(doctor(elsewhere.path(), &pack(), &["--config", named]), "port", &[&address]);
    fs::write(&file, format!("{text}max_cows = 3\n")).expect("written");
    for arguments in [["doctor", "--config", named].as_slice(), &["keys", "list", "--config", named]] {
        let refused = plaudit(elsewhere.path(), arguments).output().expect("it runs");
        assert!(!refused.status.success() && said(&refused).contains("engine.max_cows"), "{}", said(&refused));
    }
}
