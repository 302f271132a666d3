//! Prints a model's text form: `cargo run -p plaudit-onnx --example print -- unet/model.onnx`.

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: print MODEL.onnx");
        return ExitCode::FAILURE;
    };
    match plaudit_onnx::Model::read(&path) {
        Ok(model) => {
            print!("{model}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
