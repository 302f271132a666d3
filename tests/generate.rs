//! `plaudit generate` as a user meets it: files, text chunks, and errors that say what to do.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use common::golden;
use plaudit::{
    pack::{MANIFEST, import},
    runtime::SessionSettings,
};

/// A folder with the tiny pack in `pack`; commands run inside.
struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    fn new() -> Self {
        let workplace = Self { folder: tempfile::tempdir().expect("a folder") };
        import(&golden("tiny_sd"), &workplace.path("pack"), &SessionSettings::default(), |_| ()).expect("a pack");
        workplace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plaudit"));
        command.current_dir(self.folder.path()).arg("generate").args(arguments);
        command.args(["--device", "cpu", "--steps", "2", "--seed", "7"]);
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ort/libonnxruntime.so");
        command.env("ORT_DYLIB_PATH", library);
        command
    }

    /// Standard output of a run that succeeds.
    fn draws(&self, arguments: &[&str]) -> (String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("a run");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let (stdout, stderr) = (text(stdout), text(stderr));
        assert!(status.success(), "{stderr}");
        (stdout, stderr)
    }

    /// What a run that fails says.
    fn fails(&self, arguments: &[&str]) -> String {
        error_of(&mut self.command(arguments))
    }
}

fn error_of(command: &mut Command) -> String {
    let output = command.output().expect("a run");
    assert!(!output.status.success());
    String::from_utf8(output.stderr).expect("text")
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

fn png(path: &Path) -> (u32, u32, Vec<String>) {
    let decoder = png::Decoder::new(std::io::BufReader::new(fs::File::open(path).expect("a file")));
    let reader = decoder.read_info().expect("a PNG file");
    let info = reader.info();
    (info.width, info.height, info.uncompressed_latin1_text.iter().map(|chunk| chunk.text.clone()).collect())
}

#[test]
fn each_picture_is_a_file_that_tells_how_it_was_made() {
    let workplace = Workplace::new();
    let (files, _) = workplace.draws(&[
        "two blue stars",
        "-n",
        "2",
        "--pack",
        "pack",
        "--scheduler",
        "euler",
        "--guidance",
        "3",
        "--size",
        "96x64",
        "--negative",
        "a cat",
        "-o",
        "pictures",
    ]);
    assert_eq!(files, "pictures/two-blue-stars-7.png\npictures/two-blue-stars-8.png\n");
    let (width, height, texts) = png(&workplace.path("pictures/two-blue-stars-8.png"));
    assert_eq!((width, height), (96, 64));
    let expected = "two blue stars\nNegative prompt: a cat\nSteps: 2, Sampler: Euler, CFG scale: 3, Seed: 8, Size: 96x64, Model hash: ";
    assert!(texts[0].starts_with(expected), "{}", texts[0]);
    let facts: serde_json::Value = serde_json::from_str(&texts[1]).unwrap();
    assert_eq!((facts["seed"].as_u64(), facts["scheduler"].as_str()), (Some(8), Some("euler")));
}

#[test]
fn the_same_command_draws_the_same_bytes() {
    let workplace = Workplace::new();
    for folder in ["a", "b"] {
        workplace.draws(&["a fish", "--pack", "pack", "--scheduler", "euler_a", "-o", folder]);
    }
    let read = |folder: &str| fs::read(workplace.path(folder).join("a-fish-7.png")).unwrap();
    assert_eq!(read("a"), read("b"));
}

#[test]
fn a_file_of_prompts_becomes_pictures_and_one_sheet() {
    let workplace = Workplace::new();
    fs::write(workplace.path("prompts.txt"), "a fish\n\n# not this\ntwo hearts\na cat\n").unwrap();
    let (files, _) = workplace.draws(&["--prompts", "prompts.txt", "--pack", "pack", "--sheet", "sheets/all.png"]);
    assert_eq!(files, "out/a-fish-7.png\nout/two-hearts-7.png\nout/a-cat-7.png\nsheets/all.png\n");
    let (width, height, texts) = png(&workplace.path("sheets/all.png"));
    assert_eq!((width, height), (2 * 68 + 4, 2 * 68 + 4));
    assert_eq!(texts, ["a fish\ntwo hearts\na cat"]);
}

#[test]
fn a_cut_prompt_is_drawn_with_a_warning() {
    let workplace = Workplace::new();
    let (_, said) = workplace.draws(&[&format!("{}fish", "a ".repeat(75)), "--pack", "pack"]);
    assert_says(&said, &["warning", "77 tokens", "\"fish\""]);
}

#[test]
fn a_missing_library_names_the_places_and_the_remedy() {
    let workplace = Workplace::new();
    let mut command = workplace.command(&["a fish", "--pack", "pack"]);
    let message = error_of(command.env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so"));
    assert_says(&message, &["error: ", "ONNX Runtime", "/nowhere/libonnxruntime.so", "ORT_DYLIB_PATH"]);
    assert!(!message.contains("text_encoder"), "{message}");
}

#[test]
fn a_broken_pack_names_every_fault_at_once() {
    let workplace = Workplace::new();
    fs::remove_file(workplace.path("pack/unet/model.onnx")).unwrap();
    fs::write(workplace.path("pack/scheduler/scheduler_config.json"), "[]").unwrap();
    fs::remove_file(workplace.path("pack/tokenizer/merges.txt")).unwrap();
    let message = workplace.fails(&["a fish", "--pack", "pack"]);
    assert_says(&message, &["unet/model.onnx", "scheduler_config.json", "merges.txt"]);
}

#[test]
fn a_folder_that_is_no_pack_says_so() {
    let workplace = Workplace::new();
    assert_says(&workplace.fails(&["a fish", "--pack", "absent"]), &["absent is not a folder"]);
    fs::remove_file(workplace.path("pack").join(MANIFEST)).unwrap();
    assert_says(&workplace.fails(&["a fish", "--pack", "pack"]), &["plaudit pack import"]);
}

#[test]
fn without_a_bundled_pack_the_places_are_named() {
    assert_says(&Workplace::new().fails(&["a fish"]), &["--pack DIR", "onnx/packs/miniature", "share/plaudit"]);
}

#[test]
fn an_unwritable_folder_is_found_before_anything_is_drawn() {
    let workplace = Workplace::new();
    fs::write(workplace.path("file"), "").unwrap();
    let message = workplace.fails(&["a fish", "--pack", "pack", "-o", "file/pictures"]);
    assert_says(&message, &["cannot write into file/pictures", "-o"]);
    assert_says(
        &workplace.fails(&["a fish", "--pack", "pack", "--sheet", "file/sheet.png"]),
        &["cannot write into file"],
    );
}

#[test]
fn arguments_that_mean_nothing_are_explained() {
    let workplace = Workplace::new();
    let cases: [(&[&str], &[&str]); 8] = [
        (&["a fish", "--scheduler", "magic"], &["magic", "dpmpp_2m_karras"]),
        (&["a fish", "--size", "64"], &["64x64"]),
        (&["a fish", "--size", "65x64", "--pack", "pack"], &["multiples of 16", "64×64"]),
        (&["a fish", "--size", "1000000x1000000", "--pack", "pack"], &["1000000×1000000", "up to 4096"]),
        (&["a fish", "-n", "4000000000", "--pack", "pack"], &["4000000000 pictures of 64×64", "65536 are the most"]),
        (&["a fish", "--device", "gpu"], &["cuda:N"]),
        (&["a fish", "-n", "0"], &["-n"]),
        (&[], &["PROMPT"]),
    ];
    for (arguments, parts) in cases {
        assert_says(&workplace.fails(arguments), parts);
    }
}
