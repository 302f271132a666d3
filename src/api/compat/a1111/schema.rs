//! What AUTOMATIC1111's requests and answers look like, for the documentation.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, serde::Deserialize, ToSchema)]
            #[allow(dead_code)] // read by the derive only
            pub(crate) struct $name {
                $($(#[$meta])* $field: $kind,)*
                /// What to draw
                #[schema(max_length = 32_000, example = "two blue stars on the beach")]
                prompt: Option<String>,
                /// What to steer away from
                #[schema(max_length = 32_000)]
                negative_prompt: Option<String>,
                /// The first picture's seed; -1: any
                #[schema(minimum = -1, maximum = 9_223_372_036_854_775_807_i64)]
                seed: Option<i64>,
                /// Steps of the sampler
                #[schema(minimum = 1, maximum = 150)]
                steps: Option<u32>,
                /// How strongly the prompt steers
                #[schema(minimum = 0, maximum = 100)]
                cfg_scale: Option<f32>,
                /// Pixels; what cannot be drawn falls back to the model's own
                #[schema(minimum = 1, maximum = 65_536)]
                width: Option<u32>,
                /// Pixels; what cannot be drawn falls back to the model's own
                #[schema(minimum = 1, maximum = 65_536)]
                height: Option<u32>,
                /// Pictures of a batch
                #[schema(minimum = 1, maximum = 65_536)]
                batch_size: Option<u32>,
                /// Batches; no more pictures are drawn than this server draws at once
                #[schema(minimum = 1, maximum = 65_536)]
                n_iter: Option<u32>,
                /// By AUTOMATIC1111's name
                #[schema(value_type = Option<SamplerName>)]
                sampler_name: Option<String>,
                /// An older name of `sampler_name`
                #[schema(value_type = Option<SamplerName>)]
                sampler_index: Option<String>,
                /// `Karras` has an effect with DPM++ 2M
                scheduler: Option<String>,
                /// Leave the pictures out of the answer
                send_images: Option<bool>,
            }
        )*
    };
}

requests! {
    /// A request for pictures. Other fields of AUTOMATIC1111's are taken and have no effect.
    TextToImage {}
    /// A request for pictures that start from one. Other fields of AUTOMATIC1111's are taken and have no effect.
    ImageToImage {
        /// The picture to start from
        #[schema(min_items = 1, max_items = 1, example = json!(["iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC"]))]
        #[schema(value_type = Vec<Base64Picture>)]
        init_images: Vec<String>,
        /// How far the result may leave the picture
        #[schema(minimum = 0.01, maximum = 1)]
        denoising_strength: Option<f32>,
    }
}

/// A PNG, JPEG or WebP file in base64, with or without `data:image/…;base64,` before it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(format = "base64-picture")]
#[allow(dead_code)] // read by the derive only
pub(crate) struct Base64Picture(String);

/// Samplers by AUTOMATIC1111's names.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code)] // read by the derive only
pub(crate) enum SamplerName {
    Automatic,
    #[serde(rename = "DDIM")]
    Ddim,
    #[serde(rename = "PLMS")]
    Plms,
    Euler,
    #[serde(rename = "Euler a")]
    EulerA,
    #[serde(rename = "DPM++ 2M")]
    DpmPp2m,
    #[serde(rename = "DPM++ 2M Karras")]
    DpmPp2mKarras,
}

/// Pictures.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pictures {
    /// PNG files in base64, in the order of their seeds
    pub(super) images: Vec<String>,
    /// The request as it came
    #[schema(value_type = Object)]
    pub(super) parameters: Value,
    /// JSON in a text: how each picture was made; `image_ids`, `feedback_tokens` and `warnings` beside AUTOMATIC1111's own
    pub(super) info: String,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelEntry {
    /// `name [hash]`
    pub(super) title: String,
    /// Its name
    pub(super) model_name: String,
    /// Of its manifest
    pub(super) hash: Option<String>,
    /// Always null: a pack is many files, named by their hashes in its manifest
    pub(super) sha256: Option<String>,
    /// `name@hash`
    pub(super) filename: String,
    /// Always null
    pub(super) config: Option<String>,
}

/// A sampler.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SamplerEntry {
    /// AUTOMATIC1111's name
    pub(super) name: &'static str,
    /// This server's name
    pub(super) aliases: Vec<&'static str>,
    /// None
    #[schema(value_type = Object)]
    pub(super) options: Value,
}

/// Options: those that mean something here.
#[derive(Debug, Serialize, serde::Deserialize, ToSchema)]
pub(crate) struct Options {
    /// The model that serves
    pub(super) sd_model_checkpoint: Option<String>,
    /// Its hash
    pub(super) sd_checkpoint_hash: Option<String>,
    /// Always `png`
    pub(super) samples_format: Option<String>,
}

/// How far the caller's own drawing is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DrawingProgress {
    /// From 0 to 1; 0 when nothing is drawn
    pub(super) progress: f64,
    /// Seconds that are likely left
    pub(super) eta_relative: f64,
    /// More
    pub(super) state: ProgressState,
    /// Always null
    pub(super) current_image: Option<String>,
    /// Always null
    pub(super) textinfo: Option<String>,
}

/// What is drawn.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ProgressState {
    pub(super) skipped: bool,
    pub(super) interrupted: bool,
    pub(super) stopping_generation: bool,
    /// The job's name, or empty
    pub(super) job: String,
    /// The caller's jobs that wait or are drawn
    pub(super) job_count: usize,
    /// Unix seconds of its beginning, in a text
    pub(super) job_timestamp: String,
    pub(super) job_no: usize,
    /// Picture-steps done
    pub(super) sampling_step: usize,
    /// Picture-steps in all
    pub(super) sampling_steps: usize,
}
