//! The pack's graphs, with weights drawn from nothing or as trained so far.

use std::{collections::BTreeMap, path::PathBuf};

use plaudit::runtime::{BoundSession, Session, SessionSettings};
use plaudit_onnx::{Model, Tensor};

use super::{PretrainError, Workshop};
use crate::init;

/// One graph of the pack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    folder: &'static str,
    stem: &'static str,
    rules: &'static str,
    /// The stage that makes its weights.
    stage: &'static str,
}

pub(super) const CLIP_TEXT: Component =
    Component { folder: "clip", stem: "text_model", rules: "text_init.json", stage: "clip" };
pub(super) const CLIP_VISION: Component =
    Component { folder: "clip", stem: "vision_model", rules: "vision_init.json", stage: "clip" };
pub(super) const TEXT_ENCODER: Component =
    Component { folder: "text_encoder", stem: "model", rules: "init.json", stage: "clip" };
pub(super) const VAE_ENCODER: Component =
    Component { folder: "vae_encoder", stem: "model", rules: "init.json", stage: "vae" };
pub(super) const VAE_DECODER: Component =
    Component { folder: "vae_decoder", stem: "model", rules: "init.json", stage: "vae" };
pub(super) const UNET: Component = Component { folder: "unet", stem: "model", rules: "init.json", stage: "unet" };

/// All of them.
pub(super) const COMPONENTS: [Component; 6] = [CLIP_TEXT, CLIP_VISION, TEXT_ENCODER, VAE_ENCODER, VAE_DECODER, UNET];

impl Component {
    pub(super) fn weights(&self, workshop: &Workshop) -> PathBuf {
        self.path(workshop, "safetensors")
    }

    fn path(&self, workshop: &Workshop, extension: &str) -> PathBuf {
        workshop.pack.join(self.folder).join(self.stem).with_extension(extension)
    }

    /// The graph as the pack has it, or with weights drawn by its rules where the pack has none yet.
    pub(super) fn start(&self, workshop: &Workshop) -> Result<Model, PretrainError> {
        if self.weights(workshop).exists() { self.trained(workshop) } else { self.drawn(workshop) }
    }

    fn drawn(&self, workshop: &Workshop) -> Result<Model, PretrainError> {
        let rules = workshop.pack.join(self.folder).join(self.rules);
        let place = workshop.data.join("start").join(self.folder);
        let path = init::materialise(&self.path(workshop, "onnx"), &rules, workshop.seed, &place)?;
        Ok(Model::read(&path)?)
    }

    /// The graph with the pack's weights.
    pub(super) fn trained(&self, workshop: &Workshop) -> Result<Model, PretrainError> {
        let path = self.weights(workshop);
        if !path.exists() {
            return Err(PretrainError::Before { path, stage: self.stage });
        }
        Ok(Model::read(&self.path(workshop, "onnx"))?)
    }

    /// Writes the weights of `model` (this graph's, or one with the same names among others) into the pack.
    pub(super) fn export(&self, workshop: &Workshop, model: &Model) -> Result<(), PretrainError> {
        let rules = init::read_rules(&workshop.pack.join(self.folder).join(self.rules))?;
        let weight = |rule: &init::Rule| {
            let found = model.graph.initializers.get(&rule.name).cloned();
            found.map(|tensor| (rule.name.clone(), tensor)).ok_or_else(|| PretrainError::Content {
                path: self.path(workshop, "onnx"),
                fault: format!("no weight `{}`; the graph and {} disagree", rule.name, self.rules),
            })
        };
        let weights: BTreeMap<String, Tensor> = rules.iter().map(weight).collect::<Result<_, _>>()?;
        // Written aside and renamed: whoever has the old file mapped keeps it.
        let (path, aside) = (self.weights(workshop), self.path(workshop, "safetensors.new"));
        init::write_weights(&aside, &weights)?;
        std::fs::rename(&aside, &path).map_err(PretrainError::io(path))
    }

    /// A session over the trained graph at fixed sizes.
    pub(super) fn bound(
        &self,
        workshop: &Workshop,
        threads: usize,
        dims: &[(&str, usize)],
    ) -> Result<BoundSession, PretrainError> {
        let dims = dims.iter().map(|&(name, size)| (name.to_owned(), size)).collect();
        let settings = SessionSettings { threads, spinning: false, dims, ..SessionSettings::default() };
        Ok(BoundSession::new(Session::from_model(&self.trained(workshop)?, &settings)?)?)
    }
}
