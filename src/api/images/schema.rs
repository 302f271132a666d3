//! What requests look like, for the documentation. `api::generation` reads them; a test holds the two together.

use utoipa::ToSchema;

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, serde::Deserialize, ToSchema)]
            #[serde(deny_unknown_fields)]
            #[allow(dead_code)] // read by the derive only
            pub(crate) struct $name {
                $($(#[$meta])* $field: $kind,)*
                /// What to draw
                #[schema(max_length = 32_000, example = "two blue stars on the beach")]
                prompt: String,
                /// What to steer away from
                #[schema(max_length = 32_000)]
                negative_prompt: Option<String>,
                /// Number of pictures; picture i uses seed + i
                #[schema(minimum = 1, maximum = 10)]
                n: Option<u32>,
                /// Candidates, of which the best `n` are answered, best first. Previews are not sent then
                #[schema(minimum = 1, maximum = 32)]
                best_of: Option<u32>,
                /// No more candidates are drawn once `n` have this reward; without `best_of`, up to as many as are allowed
                #[schema(minimum = 0, maximum = 1)]
                reward_threshold: Option<f32>,
                /// Width and height in pixels; `auto` is the model's own
                #[schema(pattern = "^auto$")]
                size: Option<String>,
                /// The picture itself, or its address; by default `b64_json`
                #[schema(value_type = Option<DeliveryName>)]
                response_format: Option<String>,
                /// Coding of the pictures; by default `png`
                #[schema(value_type = Option<FormatName>)]
                output_format: Option<String>,
                /// Send events instead of one answer
                stream: Option<bool>,
                /// Previews of each picture on its way, in a stream
                #[schema(minimum = 0, maximum = 3)]
                partial_images: Option<u32>,
                /// Whom the pictures are for, as OpenAI names it; `rater` wins
                #[schema(max_length = 200)]
                #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{0,200}$")]
                user: Option<String>,
                /// The model's name; its version is taken too
                #[schema(value_type = Option<ModelName>)]
                model: Option<String>,
                /// Steps of the scheduler
                #[schema(minimum = 1, maximum = 150)]
                num_inference_steps: Option<u32>,
                /// How strongly the prompt steers; 1 and below turns guidance off and halves the work; by default the pack's own
                #[schema(minimum = 0, maximum = 100)]
                guidance_scale: Option<f32>,
                /// `[start, end]`: from which to which fraction of the steps guidance is on; the first is not above the second. Narrower intervals than the schema can tell are taken too
                #[schema(value_type = Option<Vec<f64>>, min_items = 2, max_items = 2)]
                guidance_interval: Option<[f32; 2]>,
                /// The first picture's seed, modulo 2³²; by default a random one
                #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
                seed: Option<i64>,
                /// How steps are made; by default the model's own way. diffusers' class names are taken too
                #[schema(value_type = Option<SchedulerName>)]
                scheduler: Option<String>,
                /// Draw on when the client leaves, to be found again by its `Idempotency-Key` or in the list of jobs
                keep: Option<bool>,
                /// Whom the pictures are for
                #[schema(max_length = 200)]
                #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{0,200}$")]
                rater: Option<String>,
                /// `bulk` takes what is left; by default jobs are `bulk` and what is waited for is `interactive`
                #[schema(value_type = Option<ClassName>)]
                priority: Option<String>,
                /// Draw it in calls of its own: on a GPU neighbours may change the last bits
                deterministic: Option<bool>,
                /// OpenAI's; without effect, told in `warnings`
                quality: Option<String>,
                /// OpenAI's; without effect, told in `warnings`
                style: Option<String>,
                /// OpenAI's; without effect, told in `warnings`
                background: Option<String>,
                /// OpenAI's; without effect, told in `warnings`
                moderation: Option<String>,
                /// OpenAI's; without effect, told in `warnings`
                #[schema(minimum = 0, maximum = 100)]
                output_compression: Option<u32>,
                /// OpenAI's; without effect, told in `warnings`
                input_fidelity: Option<String>,
            }
        )*
    };
}

requests! {
    /// A request for pictures. Bounds are those of the server that wrote this document.
    GenerationRequest {}
    /// A request for pictures that start from one: a generation's fields, and two more. `guidance_interval` is JSON, `[0.1, 0.9]`.
    EditRequest {
        /// A PNG, JPEG or WebP file; `image[]`, OpenAI's name of it in a list, is taken too
        #[schema(value_type = String, format = Binary)]
        image: Vec<u8>,
        /// How far the result may leave the picture: the share of the steps that are done, above 0 and up to 1
        #[schema(minimum = 0.01, maximum = 1)]
        strength: Option<f32>,
    }
}

// `tt`: utoipa does not see a `literal` that passed through a macro.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $($variant:ident $text:tt)*;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, serde::Serialize, ToSchema)]
            #[allow(dead_code)] // read by the derive only
            pub(crate) enum $name {
                $(#[serde(rename = $text)] $variant,)*
            }
        )*
    };
}

names! {
    /// How pictures come back.
    DeliveryName: Base64 "b64_json" Url "url";
    /// Codings of pictures.
    FormatName: Png "png" Webp "webp" Jpeg "jpeg";
    /// How urgent a request is.
    ClassName: Interactive "interactive" Bulk "bulk";
    /// Models that are served.
    ModelName: Own "miniature";
    /// Schedulers, by short name and by diffusers' class.
    SchedulerName: Ddim "ddim" Pndm "pndm" Euler "euler" EulerA "euler_a" DpmPp2m "dpmpp_2m"
        DpmPp2mKarras "dpmpp_2m_karras" DdimClass "DDIMScheduler" PndmClass "PNDMScheduler"
        EulerClass "EulerDiscreteScheduler" EulerAncestralClass "EulerAncestralDiscreteScheduler"
        DpmClass "DPMSolverMultistepScheduler";
}
