//! A version of the generator in the engine: what it can draw, and the sessions that draw it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    ModelFacts,
    finish::Finisher,
    part::{Part, Releaser},
    prepare::Preparer,
    preview::Palette,
    settings::EngineSettings,
};
use crate::{
    pack::{Component, Pack},
    pipeline::{
        PipelineError,
        denoise::Denoiser,
        parts::{Opener, Planner},
    },
    runtime::SessionSettings,
};

/// A version and its sessions. Whoever holds one can draw with it; versions with the same files share their sessions, and the
/// last holder's leaving gives their memory back.
#[derive(Debug)]
pub struct Generator {
    facts: ModelFacts,
    folder: PathBuf,
    pub(super) planner: Planner,
    pub(super) preparer: Arc<Part<Preparer>>,
    pub(super) denoiser: Arc<Part<Denoiser>>,
    pub(super) finisher: Arc<Part<Finisher>>,
}

/// The parts of a version.
const TEXT: [&str; 3] = ["tokenizer", "text_encoder", "vae_encoder"];
const DENOISER: [&str; 1] = ["unet"];
const DECODER: [&str; 2] = ["vae_decoder", "safety_checker"];

/// A picture a call: it must not depend on what else is decoded.
const ONE_PICTURE: usize = 1;

impl Generator {
    /// Opens a pack's sessions, except those that one of `others` has open already.
    pub(super) fn open(
        pack: &Pack,
        sessions: &SessionSettings,
        settings: &EngineSettings,
        others: &[Arc<Self>],
        releaser: &Releaser,
    ) -> Result<Self, PipelineError> {
        let open = Opener { pack, settings: sessions };
        let planner = open.planner()?;
        let key = key(pack, &TEXT);
        let preparer = match others.iter().find(|other| other.preparer.key == key && other.preparer.is_loaded()) {
            Some(other) => other.preparer.clone(),
            None => {
                let features = moka::sync::Cache::new(settings.prompt_cache);
                let (tokenizer, text_encoder, image_encoder) =
                    (open.tokenizer()?, open.text_encoder()?, open.image_encoder()?);
                let preparer = Preparer { tokenizer, text_encoder, image_encoder, features };
                Part::new(key, preparer, releaser)
            }
        };
        let key = self::key(pack, &DENOISER);
        let denoiser = match others.iter().find(|other| other.denoiser.key == key && other.denoiser.is_loaded()) {
            Some(other) => other.denoiser.clone(),
            None => Part::new(key, open.denoiser(settings.lanes)?, releaser),
        };
        let key = self::key(pack, &DECODER);
        let finisher = match others.iter().find(|other| other.finisher.key == key && other.finisher.is_loaded()) {
            Some(other) => other.finisher.clone(),
            None => {
                let (mut decoder, safety) = (open.decoder(ONE_PICTURE)?, open.safety()?);
                let palette = Palette::fit(&mut decoder, planner.limits.channels())?;
                Part::new(key, Finisher { decoder, safety, palette }, releaser)
            }
        };
        Ok(Self {
            facts: facts(pack, &planner)?,
            folder: pack.folder().to_owned(),
            planner,
            preparer,
            denoiser,
            finisher,
        })
    }

    /// What it can draw.
    pub fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    /// `name@hash` of its pack.
    pub fn version(&self) -> &str {
        &self.facts.version
    }

    /// Where its pack is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Which denoiser it has: rows of versions with the same one can share a call.
    pub(super) fn denoiser_id(&self) -> usize {
        Arc::as_ptr(&self.denoiser).addr()
    }

    /// Whether a version has a component of this content open.
    pub(super) fn has(&self, pack: &Pack, component: Component) -> bool {
        let (parts, open): (&[&str], _) = match component {
            Component::TextEncoder | Component::VaeEncoder => (&TEXT, &self.preparer.key),
            Component::Unet => (&DENOISER, &self.denoiser.key),
            Component::VaeDecoder | Component::SafetyChecker => (&DECODER, &self.finisher.key),
            Component::ClipText | Component::ClipVision => return false,
        };
        key(pack, parts) == *open
    }

    /// Whether its sessions are in memory.
    pub(super) fn is_loaded(&self) -> bool {
        self.preparer.is_loaded() && self.denoiser.is_loaded() && self.finisher.is_loaded()
    }

    /// Lets go of the sessions that a pack cannot use, whoever holds them; what is drawn with them fails.
    pub(super) fn unload_for(&self, pack: &Pack) {
        if self.preparer.key != key(pack, &TEXT) {
            self.preparer.unload();
        }
        if self.denoiser.key != key(pack, &DENOISER) {
            self.denoiser.unload();
        }
        if self.finisher.key != key(pack, &DECODER) {
            self.finisher.unload();
        }
    }
}

/// Names parts by the content of their files. Numbers that are beside the graphs count too.
fn key(pack: &Pack, parts: &[&str]) -> String {
    let manifest = pack.manifest();
    let digest = |name: &&str| manifest.components.get(*name).map_or("none", |entry| entry.sha256.as_str());
    let digests: Vec<&str> = parts.iter().map(digest).collect();
    format!("{} {} {}", digests.join(" "), pack.scaling_factor(), pack.shift_factor())
}

fn facts(pack: &Pack, planner: &Planner) -> Result<ModelFacts, PipelineError> {
    Ok(ModelFacts {
        name: pack.manifest().name.clone(),
        version: pack.version(),
        size: planner.limits.size,
        size_multiple: planner.limits.multiple(),
        scheduler: planner.default_scheduler()?,
        guidance: planner.guidance,
        image_to_image: planner.limits.image_to_image,
    })
}
