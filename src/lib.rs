//! Plaudit: Stable Diffusion that learns from the people who look at its pictures.

pub mod pipeline;
pub mod runtime;
