//! What a pack's configuration files say of its sizes: read once, within bounds.
//!
//! The pipeline shifts by these numbers and allocates by them, so a foreign file must not choose them freely.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde_json::Value;

use super::{check::Configurations, fault::Faults};
use crate::pipeline::MOST_SIDE;

/// Levels of a UNet or VAE; Stable Diffusion has four. Each but the last halves the picture.
const LEVELS: RangeInclusive<u64> = 1..=8;
/// Channels of a latent; Stable Diffusion has four, the largest autoencoders 128.
const CHANNELS: RangeInclusive<u64> = 1..=512;

/// What these are where a configuration does not say: diffusers' defaults for Stable Diffusion.
const DEFAULT_LEVELS: usize = 4;
const DEFAULT_CHANNELS: u64 = 4;
const DEFAULT_CELLS: u64 = 64;
const DEFAULT_SCALING_FACTOR: f64 = 0.18215;
/// The guidance scale of requests that name none: follows the prompt without burning colours.
const DEFAULT_GUIDANCE: f64 = 5.0;

/// A pack's sizes and factors.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    /// Pixels along one side of a latent cell: two for each of the VAE's levels but one.
    pub(super) pixels_per_cell: usize,
    /// Width and height of a latent must be multiples of it: the denoiser halves them at each level but the last.
    pub(super) cell_multiple: usize,
    /// Channels of a latent.
    pub(super) channels: usize,
    /// Width and height, in pixels, that the denoiser was trained at.
    pub(super) size: usize,
    /// What latents are multiplied by after encoding.
    pub(super) scaling_factor: f64,
    /// What is subtracted from latents before that; most VAEs have none.
    pub(super) shift_factor: f64,
    /// The guidance scale that suits the weights. diffusers has no place for it and ignores keys that begin so.
    pub(super) guidance: f64,
}

impl Facts {
    /// Reads them; a default stands for a value with a fault.
    pub(super) fn read(configurations: &Configurations, faults: &mut Faults) -> Self {
        let mut vae = Reader::new("vae_decoder/config.json", configurations, faults);
        let pixels_per_cell = 1 << (vae.levels() - 1);
        let scaling_factor = vae.number("scaling_factor", DEFAULT_SCALING_FACTOR);
        if scaling_factor == 0.0 {
            vae.fault("scaling_factor", "a number other than 0");
        }
        let shift_factor = vae.number("shift_factor", 0.0);
        let mut unet = Reader::new("unet/config.json", configurations, faults);
        let cell_multiple = 1 << (unet.levels() - 1);
        let channels = unet.whole("in_channels", DEFAULT_CHANNELS, CHANNELS);
        let cells = unet.side(1..=(MOST_SIDE / pixels_per_cell) as u64);
        let size = cells * pixels_per_cell;
        let mut index = Reader::new(super::layout::INDEX, configurations, faults);
        let guidance = index.number("_guidance_scale", DEFAULT_GUIDANCE);
        Self { pixels_per_cell, cell_multiple, channels, size, scaling_factor, shift_factor, guidance }
    }
}

/// One configuration file; keys that are absent or null take their defaults.
struct Reader<'a> {
    name: &'static str,
    file: Option<&'a Value>,
    faults: &'a mut Faults,
}

impl<'a> Reader<'a> {
    fn new(name: &'static str, configurations: &'a BTreeMap<&'static str, Value>, faults: &'a mut Faults) -> Self {
        Self { name, file: configurations.get(name), faults }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.file?.get(key).filter(|value| !value.is_null())
    }

    fn fault(&mut self, key: &str, accepted: &str) {
        self.faults.add(self.name, format!("`{key}` should be {accepted}"));
    }

    fn number(&mut self, key: &str, default: f64) -> f64 {
        let Some(value) = self.get(key) else { return default };
        value.as_f64().unwrap_or_else(|| {
            self.fault(key, "a number");
            default
        })
    }

    fn whole(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> usize {
        let Some(value) = self.get(key) else { return default as usize };
        let whole = value.as_u64().filter(|whole| range.contains(whole));
        whole.unwrap_or_else(|| {
            self.fault(key, &format!("a whole number from {} to {}", range.start(), range.end()));
            default
        }) as usize
    }

    /// How many entries `block_out_channels` has.
    fn levels(&mut self) -> usize {
        const KEY: &str = "block_out_channels";
        let Some(value) = self.get(KEY) else { return DEFAULT_LEVELS };
        let levels = value.as_array().map(Vec::len).filter(|&levels| LEVELS.contains(&(levels as u64)));
        levels.unwrap_or_else(|| {
            self.fault(KEY, &format!("a list of {} to {} numbers", LEVELS.start(), LEVELS.end()));
            DEFAULT_LEVELS
        })
    }

    /// `sample_size` in cells: one number, or height and width, which must be equal here.
    fn side(&mut self, range: RangeInclusive<u64>) -> usize {
        const KEY: &str = "sample_size";
        match self.get(KEY).and_then(Value::as_array).map(Vec::as_slice) {
            None => self.whole(KEY, DEFAULT_CELLS.min(*range.end()), range),
            Some([height, width]) if height == width && height.as_u64().is_some_and(|side| range.contains(&side)) => {
                height.as_u64().unwrap_or_default() as usize
            }
            Some(_) => {
                self.fault(
                    KEY,
                    &format!("a whole number from {} to {}, or the same one twice", range.start(), range.end()),
                );
                DEFAULT_CELLS.min(*range.end()) as usize
            }
        }
    }
}
