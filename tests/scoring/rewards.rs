use std::{fs, path::Path};

use plaudit::{
    pack::{Pack, PackError},
    runtime::SessionSettings,
    scoring::{ClipModel, RewardHead, RewardPack},
};
use plaudit_onnx::Tensor;

use crate::harness::{head, lay, miniature, reward, tiny, usual};

/// Features of the miniature's CLIP.
const WIDTH: usize = 128;

fn seal(folder: &Path, pack: &Pack) -> Result<(), PackError> {
    RewardPack::seal(folder, "test-reward", pack).map(drop)
}

fn open(folder: &Path, pack: &Pack) -> Result<RewardPack, PackError> {
    RewardPack::open(folder, pack, &SessionSettings::default())
}

#[test]
fn a_sealed_head_answers_probabilities_and_its_version_is_its_content() {
    let (folder, pack) = (tempfile::tempdir().expect("a folder"), miniature());
    let reward = reward(folder.path(), &pack, WIDTH);
    assert!(reward.version().starts_with("test-reward@") && reward.version().len() == "test-reward@".len() + 12);
    let settings = SessionSettings::default();
    let mut clip = ClipModel::open(&pack, &settings).expect("a CLIP");
    let mut head = RewardHead::open(&reward, &settings).expect("a head");
    let texts = clip.text_embeddings(&["two blue stars", "a red fish"]).expect("points");
    let picture = image::RgbImage::from_pixel(64, 64, image::Rgb([9, 120, 30]));
    let image = &clip.image_embeddings(&[&picture]).expect("a point")[0];
    let rewards = head.run(texts.iter().map(|text| (image.as_slice(), text.as_slice()))).expect("rewards");
    assert!(rewards.iter().all(|row| (row.reward - 1.0 / (1.0 + (-row.raw).exp())).abs() < 1e-6));
    assert_ne!(rewards[0], rewards[1]);
}

#[test]
fn a_reward_of_another_clip_is_refused_with_both_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, other) = (miniature(), tiny(folder.path()));
    let made = folder.path().join("reward");
    reward(&made, &ours, WIDTH);
    let message = open(&made, &other).expect_err("another CLIP").to_string();
    for pack in [&ours, &other] {
        for component in ["clip_text", "clip_vision"] {
            assert!(message.contains(&pack.manifest().components[component].sha256), "{component}: {message}");
        }
    }
}

#[test]
fn a_file_with_one_changed_bit_is_refused() {
    let (folder, pack) = (tempfile::tempdir().expect("a folder"), miniature());
    reward(folder.path(), &pack, WIDTH);
    for name in ["model.onnx", "model.safetensors", "golden.safetensors", "report.json"] {
        let path = folder.path().join(name);
        let sound = fs::read(&path).expect("bytes");
        let mut damaged = sound.clone();
        *damaged.last_mut().expect("a byte") ^= 1;
        fs::write(&path, damaged).expect("written");
        let message = open(folder.path(), &pack).expect_err("damaged").to_string();
        assert!(message.contains(&format!("{name}: has SHA-256")), "{message}");
        fs::remove_file(&path).expect("removed");
        let message = open(folder.path(), &pack).expect_err("missing").to_string();
        assert!(message.contains(name), "{message}");
        fs::write(&path, sound).expect("written");
    }
    open(folder.path(), &pack).expect("as it was");
}

#[test]
fn manifests_that_are_no_rewards_are_refused() {
    let (folder, pack) = (tempfile::tempdir().expect("a folder"), miniature());
    reward(folder.path(), &pack, WIDTH);
    let path = folder.path().join("manifest.json");
    let sound = fs::read_to_string(&path).expect("text");
    for (from, to, word) in [
        ("\"format\": 1", "\"format\": 2", "format 2"),
        ("\"kind\": \"reward\"", "\"kind\": \"generator\"", "generator"),
        ("\"report.json\"", "\"../report.json\"", "no file of a reward pack"),
        ("\"name\"", "\"nickname\": 1, \"name\"", "nickname"),
        ("{", "", "manifest.json"),
    ] {
        fs::write(&path, sound.replacen(from, to, 1)).expect("written");
        let message = open(folder.path(), &pack).expect_err("no reward").to_string();
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn graphs_that_are_no_heads_are_not_sealed() {
    let (folder, pack) = (tempfile::tempdir().expect("a folder"), miniature());
    let zero = |b: &plaudit_onnx::expr::Builder| b.tensor(Tensor::f32(&[1], &[0.0]));
    let mut nameless = head(WIDTH, usual);
    nameless.graph.outputs.retain(|output| output.name != "raw");
    let cases = [
        ("a width that is not CLIP's", head(WIDTH / 2, usual), "input `image_embeds`"),
        ("no raw output", nameless, "no output `raw`"),
        ("not a number", head(WIDTH, |b, raw| (raw.clone() * zero(b) / zero(b), raw)), "no probabilities"),
        ("more than certain", head(WIDTH, |_, raw| (raw.sigmoid() + 1.0, raw)), "no probabilities"),
        ("a column", head(WIDTH, |_, raw| (raw.sigmoid().reshape(&[-1, 1]), raw)), "`reward`"),
    ];
    for (index, (what, model, word)) in cases.into_iter().enumerate() {
        let folder = folder.path().join(index.to_string());
        lay(&folder, &model);
        let message = seal(&folder, &pack).expect_err(what).to_string();
        assert!(message.contains(word), "{what}: {message}");
        assert!(!folder.join("manifest.json").exists(), "{what}: it is no pack");
    }
}
