use image::RgbImage;
use plaudit::{
    runtime::SessionSettings,
    scoring::{ClipModel, Preprocessor, ScoringError, cosine},
};
use serde::Deserialize;

use crate::{
    common::{all_hold, arrays, golden, json, max_difference},
    harness::{miniature, tiny},
};

/// One step of a byte, in the units of `pixel_values` (the smallest deviation is 0.26).
const ONE_BYTE: f32 = 1.0 / 255.0;
const LOGITS: f32 = 1e-3;
/// Kernels divide rows among threads and lanes by how many there are: the last bits may differ.
const NEIGHBOURS: f32 = 2e-6;
/// As many as `scripts/clip.py` pairs with its texts.
const PAIRED: usize = 8;

#[derive(Deserialize)]
struct Case {
    key: String,
    width: u32,
    height: u32,
}

fn pictures() -> Vec<(Case, RgbImage, Vec<f32>)> {
    let arrays = arrays("clip.safetensors");
    let picture = |case: Case| {
        let bytes = arrays[&format!("{}/picture", case.key)].u8().to_vec();
        let image = RgbImage::from_raw(case.width, case.height, bytes).expect("a picture");
        let pixels = arrays[&format!("{}/pixels", case.key)].f32();
        (case, image, pixels)
    };
    json::<Vec<Case>>("clip.json").into_iter().map(picture).collect()
}

#[test]
fn pictures_of_any_size_are_prepared_as_transformers_does() {
    let preprocessor = Preprocessor::open(&golden("tiny_clip/preprocessor_config.json")).expect("its numbers");
    let check = |(case, image, expected): (Case, RgbImage, Vec<f32>)| {
        let apart = max_difference(preprocessor.prepare(&image).values(), &expected);
        (apart > ONE_BYTE || apart.is_nan()).then(|| format!("{}: {apart}", case.key))
    };
    all_hold(pictures().into_iter().filter_map(check).collect());
}

#[test]
fn points_and_logits_are_those_of_transformers() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut clip = ClipModel::open(&tiny(folder.path()), &SessionSettings::default()).expect("a CLIP");
    let pictures = pictures();
    let images: Vec<&RgbImage> = pictures.iter().take(PAIRED).map(|(_, image, _)| image).collect();
    let long = "three red fish at night, ".repeat(12);
    let texts = ["a photo of the cat", "two blue stars on the beach", "", &long];
    let images = clip.image_embeddings(&images).expect("points");
    let texts = clip.text_embeddings(&texts).expect("points");
    let golden = arrays("clip.safetensors");
    let scale = golden["logit_scale"].f32()[0];
    let logits: Vec<f32> = images
        .iter()
        .flat_map(|image| texts.iter().map(|text| scale * cosine(image, text)).collect::<Vec<_>>())
        .collect();
    for (what, ours, golden, allowed) in [
        ("image_embeds", images.concat(), golden["image_embeds"].f32(), LOGITS / 10.0),
        ("text_embeds", texts.concat(), golden["text_embeds"].f32(), LOGITS / 10.0),
        ("logits", logits, golden["logits_per_image"].f32(), LOGITS),
    ] {
        let apart = max_difference(&ours, &golden);
        assert!(apart <= allowed, "{what}: {apart}");
    }
}

#[test]
fn a_point_does_not_depend_on_its_neighbours() {
    let mut clip = ClipModel::open(&miniature(), &SessionSettings::default()).expect("a CLIP");
    let pictures = pictures();
    let images: Vec<&RgbImage> = pictures.iter().map(|(_, image, _)| image).collect();
    let together = clip.image_embeddings(&images).expect("points");
    let mut worst = 0.0_f32;
    for (image, together) in images.iter().zip(&together) {
        let alone = clip.image_embeddings(&[image]).expect("a point");
        worst = worst.max(max_difference(&alone[0], together));
    }
    assert!(worst <= NEIGHBOURS, "{worst}");
}

#[test]
fn a_pack_without_a_clip_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let export = golden("tiny_sd");
    let settings = SessionSettings::default();
    plaudit::pack::import(&export, &folder.path().join("tiny"), &settings, |_| ()).expect("a pack");
    let pack = plaudit::pack::Pack::open(&folder.path().join("tiny")).expect("the pack");
    let error = ClipModel::open(&pack, &settings).expect_err("no CLIP");
    assert!(matches!(error, ScoringError::Missing(_)), "{error}");
}
