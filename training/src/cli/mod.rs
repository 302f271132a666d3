//! Arguments of the larger commands.

pub(crate) mod collect;
pub(crate) mod reward;
