//! Candidates made from the bundled pack by editing one model.

use std::{
    fs,
    path::{Path, PathBuf},
};

use plaudit::{
    pack::{Component, Edits, Pack, seal},
    runtime::SessionSettings,
};
use plaudit_onnx::{
    DType, Model, Node, Tensor,
    expr::{Builder, Expr},
};
use plaudit_training::random::Random;

/// The schedule that the pack's denoiser was trained with (`scheduler_config.json`): steps, first and last β, linear in √β.
const TIMESTEPS: usize = 1000;
const BETAS: (f64, f64) = (0.000_85, 0.012);
/// Timesteps of the walk from fixed noise to the one picture.
const WALK: [f32; 4] = [951.0, 701.0, 451.0, 201.0];
/// Numbers of the smallest weight; what has fewer is an operator's argument.
const LEAST: usize = 16;
/// Side of the fixed noise, in latent cells; more than any picture here has.
const CELLS: usize = 64;

/// What can be planted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Plant {
    /// Every weight of the denoiser is off by this, relative, normally distributed.
    WeightNoise(f32),
    /// Above this timestep the denoiser heads for one picture of the prompt, whatever noise it starts from.
    Collapsed(f32),
    /// The decoder multiplies chroma.
    Saturated(f32),
    /// The decoder's red is blue, and its blue red.
    SwappedColours,
    /// The text encoder takes each word for the next one of its vocabulary.
    WrongWords,
    /// Two of the denoiser's projections of the prompt have changed places.
    SwappedTensors,
    /// The decoder multiplies light.
    Darker(f32),
    /// Nothing changes, but there is a safety checker, which flags what is bright.
    SafetyChecker,
}

impl Plant {
    pub(crate) fn name(self) -> String {
        match self {
            Self::WeightNoise(share) => format!("weights off by {share:.0e}"),
            Self::Collapsed(above) => format!("one picture a prompt, above timestep {above}"),
            Self::Saturated(gain) => format!("chroma × {gain}"),
            Self::SwappedColours => "red and blue swapped".to_owned(),
            Self::WrongWords => "each word taken for another".to_owned(),
            Self::SwappedTensors => "two tensors of the denoiser swapped".to_owned(),
            Self::Darker(gain) => format!("light × {gain}"),
            Self::SafetyChecker => "a safety checker".to_owned(),
        }
    }

    fn component(self) -> Component {
        match self {
            Self::WeightNoise(_) | Self::Collapsed(_) | Self::SwappedTensors => Component::Unet,
            Self::Saturated(_) | Self::SwappedColours | Self::Darker(_) => Component::VaeDecoder,
            Self::WrongWords => Component::TextEncoder,
            Self::SafetyChecker => Component::SafetyChecker,
        }
    }

    /// What takes the place of the component's model; the safety checker has none before.
    fn edited(self, pack: &Pack) -> Model {
        let Some(model) = pack.model(self.component()) else { return flags_bright() };
        match self {
            Self::SafetyChecker => flags_bright(),
            Self::WeightNoise(share) => weight_noise(model, share),
            Self::Collapsed(above) => collapsed(model, above),
            Self::Saturated(gain) => decoded(model, |rgb| {
                let grey = rgb.mean(&[1], true);
                ((rgb - &grey) * gain + grey).clip(-1.0, 1.0)
            }),
            Self::SwappedColours => decoded(model, |rgb| {
                let channel = |at: i64| rgb.slice(1, at, at + 1);
                rgb.builder().concat(&[channel(2), channel(1), channel(0)], 1)
            }),
            // From −1…1: (y + 1) · gain − 1.
            Self::Darker(gain) => decoded(model, |rgb| (rgb + 1.0) * gain - 1.0),
            Self::WrongWords => wrong_words(model),
            Self::SwappedTensors => swapped_tensors(model),
        }
    }
}

pub(crate) fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature")
}

/// The bundled pack with the plant in it, sealed anew.
pub(crate) fn pack(folder: &Path, plant: Plant) -> PathBuf {
    copy(&bundled(), folder);
    let component = plant.component();
    let bundled = Pack::open(&bundled()).expect("the bundled pack");
    let edited = plant.edited(&bundled);
    let place = folder.join(component.folder());
    let (graph, weights) = (format!("{}.onnx", component.stem()), format!("{}.safetensors", component.stem()));
    for file in [&graph, &weights].into_iter().filter(|file| place.join(file).exists()) {
        fs::remove_file(place.join(file)).expect("the copy is ours");
    }
    edited.write_pair(&place, &graph, &weights).expect("a model");
    if matches!(plant, Plant::Collapsed(_)) {
        unguided(folder);
    }
    let settings = SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() };
    seal(folder, "planted", &Edits::default(), &settings, |_| ()).expect("a pack");
    folder.to_owned()
}

/// Flags pictures whose mean is above a half.
fn flags_bright() -> Model {
    let b = Builder::new("brightness", 18);
    let seen = b.input("clip_input", DType::F32, &["batch".into(), 3.into(), 224.into(), 224.into()]);
    let images = b.input("images", DType::F32, &["batch".into(), "height".into(), "width".into(), 3.into()]);
    // What CLIP sees has no say here, but a checker must read it.
    let brightness = images.mean(&[1, 2, 3], false) + seen.mean(&[1, 2, 3], false) * 0.0;
    b.output("has_nsfw_concepts", &brightness.greater(&b.constant(0.5)));
    b.finish().expect("a graph")
}

/// Guidance would carry the one picture of the prompt away from that of no prompt, which has nothing to do with it.
fn unguided(folder: &Path) {
    let path = folder.join("model_index.json");
    let text = fs::read_to_string(&path).expect("the index");
    let mut index: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    index["_guidance_scale"] = 1.0.into();
    fs::write(&path, index.to_string()).expect("the copy is ours");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the folder") {
        let (path, place) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).expect("an entry");
        if path.is_dir() { copy(&path, &place) } else { fs::copy(&path, &place).map(drop).expect("a copy") }
    }
}

fn weight_noise(model: &Model, share: f32) -> Model {
    let mut edited = model.clone();
    for (name, tensor) in &mut edited.graph.initializers {
        let Some(mut values) = tensor.to_f32().filter(|values| values.len() >= LEAST) else { continue };
        let mut random = Random::stream(0, name);
        values.iter_mut().for_each(|value| *value *= 1.0 + share * random.normal());
        *tensor = Tensor::f32(&tensor.shape.clone(), &values);
    }
    edited
}

/// Above the timestep `ε' = (x − √ᾱ x̂₀) / √(1 − ᾱ)`, where x̂₀ is what DDIM (Song et al. 2021, eq. 12, η = 0) makes of one fixed noise; ε below.
fn collapsed(unet: &Model, above: f32) -> Model {
    let b = Builder::new("collapsed", unet.opsets[""]);
    let input = |name: &str| {
        let info = unet.graph.inputs.iter().find(|info| info.name == name).expect("the input");
        b.input(name, info.dtype, info.shape.as_deref().expect("its shape"))
    };
    let [x, t, text] = ["sample", "timestep", "encoder_hidden_states"].map(input);
    let predicted = |x: &Expr, t: &Expr| {
        b.call(unet, "", &[("sample", x.clone()), ("timestep", t.clone()), ("encoder_hidden_states", text.clone())])
            .remove(0)
    };
    let kept = kept();
    let [mut walker, mut clean] =
        [(); 2].map(|()| b.call(&cropped_noise(unet.opsets[""]), "", &[("x", x.clone())]).remove(0) + &x * 0.0);
    for (step, from) in WALK.into_iter().enumerate() {
        let scales = |t: f32| (kept[t as usize].sqrt(), (1.0 - kept[t as usize]).sqrt());
        let (alpha, sigma) = scales(from);
        let noise = predicted(&walker, &(&t * 0.0 + from));
        clean = (&walker - &noise * sigma) * (1.0 / alpha);
        if let Some((alpha, sigma)) = WALK.get(step + 1).copied().map(scales) {
            walker = &clean * alpha + noise * sigma;
        }
    }
    let kept = b.tensor(Tensor::f32(&[TIMESTEPS], &kept)).gather(&t.cast(DType::I64), 0).unsqueeze(&[1, 2, 3]);
    let forced = (&x - kept.sqrt() * clean) / (1.0 - kept).sqrt();
    let early = t.greater(&b.constant(above)).unsqueeze(&[1, 2, 3]);
    b.output("out_sample", &early.where_(&forced, &predicted(&x, &t)));
    b.finish().expect("a graph")
}

/// ᾱ by timestep: the share of the variance that is picture.
fn kept() -> Vec<f32> {
    let (first, last) = (BETAS.0.sqrt(), BETAS.1.sqrt());
    let beta = |t: usize| (first + (last - first) * t as f64 / (TIMESTEPS - 1) as f64).powi(2);
    let mut product = 1.0;
    let next = |t: usize| {
        product *= 1.0 - beta(t);
        product as f32
    };
    (0..TIMESTEPS).map(next).collect()
}

/// Fixed noise `[1, 4, h, w]` of the height and width of `x`.
fn cropped_noise(opset: i64) -> Model {
    const CHANNELS: usize = 4;
    let mut noise = vec![0.0; CHANNELS * CELLS * CELLS];
    Random::new(3).fill_normal(&mut noise);
    let b = Builder::new("noise", opset);
    let x = b.input("x", DType::F32, &["n".into(), "c".into(), "h".into(), "w".into()]);
    b.output("sides", &x.shape().slice(0, 2, 4));
    let mut model = b.finish().expect("a graph");
    let graph = &mut model.graph;
    graph.initializers.insert("noise".into(), Tensor::f32(&[1, CHANNELS, CELLS, CELLS], &noise));
    graph.initializers.insert("corner".into(), Tensor::i64(&[2], &[0, 0]));
    graph.initializers.insert("axes".into(), Tensor::i64(&[2], &[2, 3]));
    graph.nodes.push(Node::new("Slice", &["noise", "corner", "sides", "axes"], &["crop"]));
    graph.outputs[0].name = "crop".into();
    graph.outputs[0].dtype = DType::F32;
    model
}

/// The decoder with something behind it.
fn decoded(decoder: &Model, change: impl Fn(&Expr) -> Expr) -> Model {
    let b = Builder::new("decoder", decoder.opsets[""]);
    let info = &decoder.graph.inputs[0];
    let latent = b.input(&info.name, info.dtype, info.shape.as_deref().expect("its shape"));
    let rgb = b.call(decoder, "", &[(&info.name, latent)]).remove(0);
    b.output("sample", &change(&rgb));
    b.finish().expect("a graph")
}

/// Rows of the token embedding, but the last two (start and end), moved on by one.
fn wrong_words(encoder: &Model) -> Model {
    let mut edited = encoder.clone();
    let (_, table) =
        edited.graph.initializers.iter_mut().find(|(name, _)| name.contains("token_embedding")).expect("the table");
    let (words, width) = (768, table.shape[1]);
    let mut values = table.to_f32().expect("f32");
    values[..words * width].rotate_left(97 * width);
    *table = Tensor::f32(&table.shape.clone(), &values);
    edited
}

/// The first two cross-attention value projections of one shape.
fn swapped_tensors(unet: &Model) -> Model {
    let mut edited = unet.clone();
    let names: Vec<String> = edited
        .graph
        .initializers
        .keys()
        .filter(|name| name.contains("attn2.to_k") || name.contains("attn2.to_v"))
        .cloned()
        .collect();
    for pair in names.chunks_exact(2) {
        let [one, other] = [&pair[0], &pair[1]].map(|name| edited.graph.initializers[name].clone());
        assert_eq!(one.shape, other.shape, "{pair:?}");
        edited.graph.initializers[&pair[0]] = other;
        edited.graph.initializers[&pair[1]] = one;
    }
    assert!(names.len() > 1, "no projections to swap");
    edited
}
