//! Scenes as the painter draws them, with their captions: what the bundled pack was pre-trained on, as a set that tuning can hold on to.
//!
//! ```text
//! OUT/metadata.jsonl      {"file_name": …, "text": …} a line: Hugging Face's image folder
//! OUT/images/00000.png    64×64 pixels
//! ```

use std::{fs, io, path::Path};

use serde_json::json;

use super::{
    draw::draw,
    grammar::{Category, Object, Scene},
};
use crate::random::Random;

const IMAGES: &str = "images";
const METADATA: &str = "metadata.jsonl";

/// Draws `pictures` scenes of all categories alike, about all twelve objects, into `out`, which appears whole or not at all.
///
/// # Errors
/// `out` is there already, or cannot be written.
pub fn album(out: &Path, pictures: usize, seed: u64) -> io::Result<()> {
    if fs::symlink_metadata(out).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "is there already"));
    }
    let beside = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(beside)?;
    let staging = tempfile::Builder::new().prefix(".drawing-").tempdir_in(beside)?;
    fs::create_dir_all(staging.path().join(IMAGES))?;
    let mut random = Random::stream(seed, "album");
    let mut lines = String::new();
    for number in 0..pictures {
        let scene = Scene::sample(Category::ALL[number % Category::ALL.len()], &Object::ALL, &mut random);
        let name = format!("{IMAGES}/{number:05}.png");
        draw(&scene, random.bits()).picture.save(staging.path().join(&name)).map_err(io::Error::other)?;
        lines.push_str(&format!("{}\n", json!({"file_name": name, "text": scene.paraphrase(&mut random)})));
    }
    fs::write(staging.path().join(METADATA), lines)?;
    fs::rename(staging.path(), out)
}

#[cfg(test)]
mod tests {
    use plaudit::feedback::dataset::{Captioned, DatasetLimits};

    use super::*;
    use crate::miniature::rate::{judge, observe};

    #[test]
    fn captions_say_what_is_drawn_and_nothing_is_overwritten() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let out = folder.path().join("album");
        album(&out, 20, 3)?;
        let pairs = Captioned::open(&out, &DatasetLimits::default())?.collect::<Result<Vec<_>, _>>()?;
        assert_eq!(pairs.len(), 20);
        for pair in pairs {
            let scene: Scene = pair.caption.parse().map_err(|_| anyhow::anyhow!("{}", pair.caption))?;
            assert!(judge(&observe(&pair.picture(&DatasetLimits::default())?), &scene).is_good(), "{scene}");
        }
        assert_eq!(album(&out, 1, 3).map_err(|error| error.kind()), Err(io::ErrorKind::AlreadyExists));
        assert_eq!(fs::read_dir(folder.path())?.count(), 1, "nothing is left beside it");
        Ok(())
    }
}
