//! ONNX Runtime: the only folder that imports `ort`.
//!
//! A [`Session`] runs a graph on tensors of any shape it accepts; a [`BoundSession`] runs one of fixed shapes over
//! buffers that are bound once, which is what a training loop on a processor wants; a [`ResidentSession`] runs one over
//! tensors that stay on the device, for a training loop on a GPU. [`specialise()`] fixes a graph's free dimensions
//! and tells every intermediate shape.

mod append;
mod binding;
mod device;
mod element;
mod environment;
mod error;
mod library;
mod resident;
mod session;
mod settings;
mod specialise;
mod stop;
#[cfg(test)]
mod tests;
mod trim;
mod value;
mod view;

pub use binding::{BoundSession, Buffers};
pub use device::Device;
pub use element::Element;
pub use environment::{library_version, share_threads};
pub use error::RuntimeError;
pub use library::locate as library_path;
pub use resident::{DeviceTensor, ResidentSession};
pub(crate) use session::shape_text;
pub use session::{Outputs, Session};
pub use settings::{Optimization, SessionSettings};
pub use specialise::specialise;
pub use stop::Stop;
pub use view::View;
