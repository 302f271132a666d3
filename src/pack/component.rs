//! The parts of a pack and what each graph reads and answers.

use plaudit_onnx::DType;

/// A graph of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Component {
    /// Token ids to text features.
    TextEncoder,
    /// The denoiser.
    Unet,
    /// Pixels to latent moments.
    VaeEncoder,
    /// Latents to pixels.
    VaeDecoder,
    /// Pixels to a flag for each picture.
    SafetyChecker,
    /// Token ids to a point in CLIP's joint space.
    ClipText,
    /// Pixels to a point in CLIP's joint space.
    ClipVision,
}

/// What an axis stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Independent rows.
    Batch,
    /// Channels or features: a number that the graph or a configuration fixes.
    Channels,
    /// Height or width, in pixels.
    Pixels,
    /// Height or width, in latent cells.
    Cells,
    /// Text positions.
    Tokens,
}

/// An input or output that a component must have.
#[derive(Debug, Clone, Copy)]
pub struct Port {
    /// The value's name.
    pub name: &'static str,
    /// Element type.
    pub dtype: DType,
    /// Meaning of each axis, outermost first.
    pub axes: &'static [Axis],
}

/// The inputs and outputs that the pipeline uses; a graph may answer more.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    /// All inputs.
    pub inputs: &'static [Port],
    /// The outputs that must be there.
    pub outputs: &'static [Port],
}

const PICTURE: &[Axis] = &[Axis::Batch, Axis::Channels, Axis::Pixels, Axis::Pixels];
const LATENT: &[Axis] = &[Axis::Batch, Axis::Channels, Axis::Cells, Axis::Cells];
const TEXT: &[Axis] = &[Axis::Batch, Axis::Tokens];
const FEATURES: &[Axis] = &[Axis::Batch, Axis::Tokens, Axis::Channels];
const POINT: &[Axis] = &[Axis::Batch, Axis::Channels];
const ROW: &[Axis] = &[Axis::Batch];

const fn port(name: &'static str, dtype: DType, axes: &'static [Axis]) -> Port {
    Port { name, dtype, axes }
}

impl Component {
    /// All, in the order in which a prompt meets them.
    pub const ALL: [Self; 7] = [
        Self::TextEncoder,
        Self::Unet,
        Self::VaeDecoder,
        Self::VaeEncoder,
        Self::SafetyChecker,
        Self::ClipText,
        Self::ClipVision,
    ];

    /// The name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextEncoder => "text_encoder",
            Self::Unet => "unet",
            Self::VaeEncoder => "vae_encoder",
            Self::VaeDecoder => "vae_decoder",
            Self::SafetyChecker => "safety_checker",
            Self::ClipText => "clip_text",
            Self::ClipVision => "clip_vision",
        }
    }

    /// The folder inside the pack.
    pub fn folder(self) -> &'static str {
        match self {
            Self::ClipText | Self::ClipVision => "clip",
            other => other.name(),
        }
    }

    /// The graph's file name without its extension; the weights have the same.
    pub fn stem(self) -> &'static str {
        match self {
            Self::ClipText => "text_model",
            Self::ClipVision => "vision_model",
            _ => "model",
        }
    }

    /// The graph's path inside the pack, with forward slashes.
    pub fn graph(self) -> String {
        format!("{}/{}.onnx", self.folder(), self.stem())
    }

    /// The weights' path inside the pack, with forward slashes.
    pub fn weights(self) -> String {
        format!("{}/{}.safetensors", self.folder(), self.stem())
    }

    /// Whether no picture can be drawn without it.
    pub fn required(self) -> bool {
        matches!(self, Self::TextEncoder | Self::Unet | Self::VaeDecoder)
    }

    /// What it reads and answers.
    pub fn signature(self) -> Signature {
        match self {
            Self::TextEncoder => TEXT_ENCODER,
            Self::Unet => UNET,
            Self::VaeEncoder => VAE_ENCODER,
            Self::VaeDecoder => VAE_DECODER,
            Self::SafetyChecker => SAFETY_CHECKER,
            Self::ClipText => CLIP_TEXT,
            Self::ClipVision => CLIP_VISION,
        }
    }
}

const TEXT_ENCODER: Signature = Signature {
    inputs: &[port("input_ids", DType::I64, TEXT)],
    outputs: &[port("last_hidden_state", DType::F32, FEATURES)],
};

const UNET: Signature = Signature {
    inputs: &[
        port("sample", DType::F32, LATENT),
        port("timestep", DType::F32, ROW),
        port("encoder_hidden_states", DType::F32, FEATURES),
    ],
    outputs: &[port("out_sample", DType::F32, LATENT)],
};

const VAE_ENCODER: Signature = Signature {
    inputs: &[port("sample", DType::F32, PICTURE)],
    outputs: &[port("latent_parameters", DType::F32, LATENT)],
};

const VAE_DECODER: Signature =
    Signature { inputs: &[port("latent_sample", DType::F32, LATENT)], outputs: &[port("sample", DType::F32, PICTURE)] };

const SAFETY_CHECKER: Signature = Signature {
    inputs: &[
        port("clip_input", DType::F32, PICTURE),
        port("images", DType::F32, &[Axis::Batch, Axis::Pixels, Axis::Pixels, Axis::Channels]),
    ],
    outputs: &[port("has_nsfw_concepts", DType::Bool, ROW)],
};

const CLIP_TEXT: Signature =
    Signature { inputs: &[port("input_ids", DType::I64, TEXT)], outputs: &[port("text_embeds", DType::F32, POINT)] };

const CLIP_VISION: Signature = Signature {
    inputs: &[port("pixel_values", DType::F32, PICTURE)],
    outputs: &[port("image_embeds", DType::F32, POINT)],
};

impl std::fmt::Display for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
