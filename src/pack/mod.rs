//! Packs: a Stable Diffusion in diffusers' directory layout, with a manifest of what it consists of and golden outputs
//! of what it computes.

mod check;
mod component;
mod facts;
mod fault;
mod files;
mod golden;
pub(crate) mod hash;
mod import;
mod layout;
mod links;
mod manifest;
mod open;
mod prepare;
mod seal;
mod share;
mod variant;
mod verify;

pub use check::SCHEDULER;
pub use component::{Axis, Component, Port, Signature};
pub use fault::{Fault, PackError};
pub(crate) use files::STORE as COMPONENTS;
pub use golden::{GOLDEN, TOLERANCE_F16, TOLERANCE_F32, answers, distance, inputs};
pub(crate) use golden::{read as read_golden, write as write_golden};
pub use import::{Edits, Imported, import};
pub use layout::INDEX;
pub(crate) use layout::PREPROCESSOR;
pub(crate) use links::faults as link_faults;
pub(crate) use manifest::VERSION_DIGITS;
pub use manifest::{Entry, FORMAT, FileFacts, GraphFacts, MANIFEST, Manifest, PackLineage};
pub use open::Pack;
pub(crate) use seal::write_manifest;
pub use seal::{Knowledge, seal, seal_with};
pub use share::{SharedComponent, Sharing, prune, share};
pub use variant::{Variant, serving_variant};
pub use verify::{Distance, verify, verify_files, verify_golden};
