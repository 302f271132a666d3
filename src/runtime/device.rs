//! Where a session computes.

use std::{fmt, str::FromStr};

use ort::{
    ep::{ArenaExtendStrategy, CUDA, ExecutionProviderDispatch, cuda::ConvAlgorithmSearch},
    session::builder::SessionBuilder,
};

use super::{RuntimeError, environment::environment};

/// A device that ONNX Runtime computes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU by its index.
    Cuda(u32),
}

impl Device {
    /// The first GPU where its execution provider registers, else the processor.
    ///
    /// # Errors
    /// If ONNX Runtime's library is missing or unusable.
    pub fn auto() -> Result<Self, RuntimeError> {
        environment()?;
        let gpu = Self::Cuda(0);
        Ok(if gpu.check().is_ok() { gpu } else { Self::Cpu })
    }

    /// Whether its execution provider registers.
    ///
    /// # Errors
    /// If ONNX Runtime's library or the device cannot be used.
    pub fn check(self) -> Result<(), RuntimeError> {
        let builder = SessionBuilder::new(&environment()?).map_err(RuntimeError::run)?;
        self.register(builder, false).map(drop)
    }

    /// Adds the device's execution provider; one that does not register is an error, not a silent fall back.
    pub(super) fn register(self, builder: SessionBuilder, tf32: bool) -> Result<SessionBuilder, RuntimeError> {
        let Self::Cuda(index) = self else { return Ok(builder) };
        let registered = builder.with_execution_providers([cuda(index, tf32)]);
        registered.map_err(|error| RuntimeError::Device { device: self, reason: error.to_string() })
    }
}

/// A heuristic search, and TF32 off where nobody asks for it, because golden outputs must be the same from run to run and near the CPU's.
fn cuda(index: u32, tf32: bool) -> ExecutionProviderDispatch {
    CUDA::default()
        .with_device_id(i32::try_from(index).unwrap_or(i32::MAX))
        .with_tf32(tf32)
        .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        .build()
        .error_on_failure()
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let index = match text {
            "cpu" => return Ok(Self::Cpu),
            "cuda" => return Ok(Self::Cuda(0)),
            _ => text.strip_prefix("cuda:").and_then(|index| index.parse().ok()),
        };
        index.map(Self::Cuda).ok_or_else(|| format!("`{text}` is not a device: use `cpu`, `cuda` or `cuda:N`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_written_and_read_by_the_same_names() {
        for (text, device) in [("cpu", Device::Cpu), ("cuda:0", Device::Cuda(0)), ("cuda:3", Device::Cuda(3))] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for foreign in ["", "gpu", "cuda:", "cuda:-1", "CPU"] {
            assert!(foreign.parse::<Device>().is_err(), "{foreign}");
        }
    }
}
