//! Gradient rules that are longer than a line of the table.

pub(crate) mod conv;
pub(crate) mod elementwise;
pub(crate) mod gather;
pub(crate) mod linear;
pub(crate) mod norm;
pub(crate) mod reduce;
pub(crate) mod shape;
