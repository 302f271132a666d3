//! Plaudit: Stable Diffusion that learns from the people who look at its pictures.

pub mod pack;
pub mod pipeline;
mod python_json;
pub mod runtime;
