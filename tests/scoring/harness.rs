//! Packs with a CLIP, and reward packs over them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use plaudit::{
    pack::{Pack, import},
    runtime::SessionSettings,
    scoring::RewardPack,
};
use plaudit_onnx::{
    DType, Model, Tensor,
    expr::{Builder, Expr},
};

use crate::common::golden;

/// The bundled pack.
pub fn miniature() -> Pack {
    Pack::open(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature")).expect("the bundled pack")
}

/// `tiny_sd` with the tiny CLIP of `scripts/clip.py`.
pub fn tiny(folder: &Path) -> Pack {
    let export = folder.join("export");
    copy(&golden("tiny_sd"), &export);
    copy(&golden("tiny_clip"), &export.join("clip"));
    import(&export, &folder.join("tiny"), &SessionSettings::default(), |_| ()).expect("a pack");
    Pack::open(&folder.join("tiny")).expect("the pack")
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copied");
        }
    }
}

/// Numbers that look random and are the same each time.
fn weights(shape: &[usize], phase: f64, gain: f64) -> Tensor {
    let count: usize = shape.iter().product();
    let value = |i: usize| ((12.9898 * (i as f64 + phase)).sin() * 43758.547).fract() * gain;
    Tensor::f32(shape, &(0..count).map(|i| value(i) as f32).collect::<Vec<_>>())
}

/// A small head: raw = w · tanh(W (image ⊙ text)) + an opinion of the picture, reward = σ(raw).
pub fn head(width: usize, answer: impl FnOnce(&Builder, Expr) -> (Expr, Expr)) -> Model {
    const HIDDEN: usize = 16;
    let b = Builder::new("reward", 18);
    let input = |name: &str| b.input(name, DType::F32, &["batch".into(), width.into()]);
    let (image, text) = (input("image_embeds"), input("text_embeds"));
    let hidden = (image.clone() * text).matmul(&b.weight("hidden", weights(&[width, HIDDEN], 0.5, 8.0))).tanh();
    let raw = hidden.matmul(&b.weight("out", weights(&[HIDDEN, 1], 7.5, 2.0)))
        + image.matmul(&b.weight("taste", weights(&[width, 1], 3.5, 2.0)));
    let raw = raw.reshape(&[-1]);
    let (reward, raw) = answer(&b, raw);
    b.output("reward", &reward);
    b.output("raw", &raw);
    b.finish().expect("a graph")
}

/// The usual answers of [`head`].
pub fn usual(_: &Builder, raw: Expr) -> (Expr, Expr) {
    (raw.sigmoid(), raw)
}

/// A head's files, before they are sealed.
pub fn lay(folder: &Path, model: &Model) {
    fs::create_dir_all(folder).expect("a folder");
    model.write_pair(folder, "model.onnx", "model.safetensors").expect("written");
    fs::write(folder.join("report.json"), "{}").expect("written");
}

/// A sealed reward pack for `pack`, of points of `width` numbers.
pub fn reward(folder: &Path, pack: &Pack, width: usize) -> RewardPack {
    lay(folder, &head(width, usual));
    RewardPack::seal(folder, "test-reward", pack).expect("sealed");
    RewardPack::open(folder, pack, &SessionSettings::default()).expect("a reward pack")
}
