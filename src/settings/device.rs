//! The device as it is named on a command line.

use std::{fmt, str::FromStr};

use crate::runtime::{Device, RuntimeError};

/// Which device to use: found out, or told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A GPU if one can be used, else the processor.
    #[default]
    Auto,
    /// This one, or an error.
    This(Device),
}

impl DeviceChoice {
    /// The device.
    ///
    /// # Errors
    /// If ONNX Runtime's library is missing or unusable.
    pub fn resolve(self) -> Result<Device, RuntimeError> {
        match self {
            Self::Auto => Device::auto(),
            Self::This(device) => Ok(device),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::This) }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::This(device) => device.fmt(f),
        }
    }
}
