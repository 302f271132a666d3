//! How a session is built.

use std::{collections::BTreeMap, path::PathBuf};

use ort::session::builder::GraphOptimizationLevel;

use super::Device;

/// How far ONNX Runtime rewrites a graph before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Optimization {
    /// Not at all.
    None,
    /// Semantics-preserving rewrites in ONNX's own operators: folding, fusing, removing.
    Basic,
    /// Everything, with fused operators and memory layouts of the device.
    #[default]
    All,
}

impl From<Optimization> for GraphOptimizationLevel {
    fn from(level: Optimization) -> Self {
        match level {
            Optimization::None => Self::Disable,
            Optimization::Basic => Self::Level1,
            Optimization::All => Self::All,
        }
    }
}

/// What a session is built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// Where it computes. Default: the processor.
    pub device: Device,
    /// Threads inside one operator; 0 means one for each core. Default: 0. Without effect on a session that shares threads.
    pub threads: usize,
    /// Use the process's threads (see [`share_threads`](super::share_threads)) instead of threads of its own. Right for
    /// sessions that run beside each other. Default: false.
    pub shared_threads: bool,
    /// Idle threads wait busily for the next operator. Faster for a session that runs back to back; wasteful beside
    /// other sessions. Default: true.
    pub spinning: bool,
    /// Default: all.
    pub optimization: Optimization,
    /// Sizes for free dimensions, by name. Default: none.
    pub dims: BTreeMap<String, usize>,
    /// Lay out all intermediate values once, in one block. Saves allocations, and takes up to twice the memory in graphs
    /// with thousands of values, such as training steps. Default: true.
    pub memory_pattern: bool,
    /// Take numbers below 1.2e-38 as zero. Processors are slow with them, and gradients have some. Default: false.
    pub flush_denormals: bool,
    /// Let a GPU multiply with 10-bit mantissas (TF32): faster, and farther from the processor than golden outputs allow.
    /// Default: false.
    pub tf32: bool,
    /// Where to write how long each operator took: this path with a date appended, as a Chrome trace, when the session
    /// is dropped. Slows the session. Default: nowhere.
    pub profile: Option<PathBuf>,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            device: Device::default(),
            threads: 0,
            shared_threads: false,
            spinning: true,
            optimization: Optimization::default(),
            dims: BTreeMap::new(),
            memory_pattern: true,
            flush_denormals: false,
            tf32: false,
            profile: None,
        }
    }
}
