//! What can go wrong between a graph and its numbers.

use std::path::PathBuf;

use super::Device;

/// Why ONNX Runtime could not be found, loaded, or made to run a graph.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No library at any of the usual places.
    #[error(
        "ONNX Runtime's library was not found. Looked for:\n{}\nRun `make setup` in the repository, put the library beside the executable, or set ORT_DYLIB_PATH to it",
        bullets(tried)
    )]
    LibraryNotFound {
        /// Every place looked at, in order.
        tried: Vec<PathBuf>,
    },
    /// A library was found that cannot be used.
    #[error("{} is not a usable ONNX Runtime: {reason}. Version 1.{} or newer is needed (`make setup` fetches it)", path.display(), ort::MINOR_VERSION)]
    LibraryUnusable {
        /// The library's file.
        path: PathBuf,
        /// What the loader says.
        reason: String,
    },
    /// The device's execution provider did not register.
    #[error(
        "device {device} cannot be used: {reason}. Use `--device cpu`, or install ONNX Runtime's GPU library and its CUDA dependencies"
    )]
    Device {
        /// The device asked for.
        device: Device,
        /// What ONNX Runtime says.
        reason: String,
    },
    /// The graph was refused.
    #[error("ONNX Runtime cannot load {model}: {reason}")]
    Load {
        /// The graph's name or its file.
        model: String,
        /// What ONNX Runtime says.
        reason: String,
    },
    /// What was fed does not fit the graph's inputs.
    #[error("the inputs do not fit the graph:\n{}", bullets(problems))]
    Inputs {
        /// One sentence for each fault.
        problems: Vec<String>,
    },
    /// A run failed.
    #[error("ONNX Runtime failed while running: {reason}")]
    Run {
        /// What ONNX Runtime says.
        reason: String,
    },
    /// Fixed buffers need fixed shapes.
    #[error("these values have no fixed shape; give a size for each free dimension:\n{}", bullets(values))]
    NotStatic {
        /// The values and what is known of their shapes.
        values: Vec<String>,
    },
    /// Specialisation turned computations into large constants.
    #[error(
        "fixing the shapes folds computations into constants above {limit} bytes:\n{}\nTurn what they depend on into graph inputs, or remove additions that are multiplied by zero",
        bullets(constants)
    )]
    FoldedConstants {
        /// The largest allowed constant, in bytes.
        limit: usize,
        /// Name, shape and size of each.
        constants: Vec<String>,
    },
    /// A value of a type that is not a tensor, or of an element type graphs here do not use.
    #[error("value {name} is {kind}, which is not supported")]
    Unsupported {
        /// The value's name.
        name: String,
        /// Its type in ONNX Runtime's words.
        kind: String,
    },
    /// A model file could not be read.
    #[error(transparent)]
    Read(#[from] plaudit_onnx::ReadError),
    /// A temporary file could not be used.
    #[error("a temporary file for the optimised graph failed: {0}")]
    Temporary(#[from] std::io::Error),
}

fn bullets(lines: &[impl Line]) -> String {
    lines.iter().map(|line| format!("  - {}", line.line())).collect::<Vec<_>>().join("\n")
}

trait Line {
    fn line(&self) -> String;
}

impl Line for PathBuf {
    fn line(&self) -> String {
        self.display().to_string()
    }
}

impl Line for String {
    fn line(&self) -> String {
        self.clone()
    }
}

impl RuntimeError {
    pub(super) fn load(model: &str) -> impl Fn(ort::Error) -> Self {
        let model = if model.is_empty() { "an unnamed graph".to_owned() } else { format!("`{model}`") };
        move |error| Self::Load { model: model.clone(), reason: error.to_string() }
    }

    pub(super) fn run(error: ort::Error) -> Self {
        Self::Run { reason: error.to_string() }
    }
}
