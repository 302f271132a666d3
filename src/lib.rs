//! Plaudit: Stable Diffusion that learns from the people who look at its pictures.

pub mod api;
pub mod app;
pub mod contrast;
pub mod domain;
pub mod engine;
pub mod feedback;
pub mod jobs;
pub mod metrics;
pub mod pack;
pub mod pipeline;
mod python_json;
pub mod registry;
pub mod round;
pub mod runtime;
pub mod scoring;
pub mod selection;
pub mod settings;
pub mod store;
pub mod swap;
pub mod traces;
mod trainer;
pub mod trial;
pub mod web;
