//! Where the bundled pack is.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::bail;

/// In a clone of the repository.
const IN_REPOSITORY: &str = "onnx/packs/miniature";
/// Beside an installed binary, or beside the `bin` folder it is in.
const BESIDE_BINARY: &str = "share/plaudit/packs/miniature";

/// The bundled pack: in the repository that the working directory is in, or beside the binary.
pub(crate) fn bundled_pack() -> anyhow::Result<PathBuf> {
    let tried = candidates(env::current_dir().ok().as_deref(), env::current_exe().ok().as_deref());
    match tried.iter().find(|path| path.is_dir()) {
        Some(path) => Ok(path.clone()),
        None => {
            let tried: Vec<_> = tried.iter().map(|path| format!("  - {}", path.display())).collect();
            bail!("the bundled pack was not found; name one with --pack DIR. Looked for:\n{}", tried.join("\n"))
        }
    }
}

fn candidates(working: Option<&Path>, binary: Option<&Path>) -> Vec<PathBuf> {
    let upwards = working.into_iter().flat_map(|folder| folder.ancestors().map(|folder| folder.join(IN_REPOSITORY)));
    let beside = binary.into_iter().flat_map(|binary| binary.ancestors().skip(1).take(2));
    upwards.chain(beside.map(|folder| folder.join(BESIDE_BINARY))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_comes_first_then_the_installation() {
        let found = candidates(Some(Path::new("/a/b")), Some(Path::new("/usr/local/bin/plaudit")));
        let expected = [
            "/a/b/onnx/packs/miniature",
            "/a/onnx/packs/miniature",
            "/onnx/packs/miniature",
            "/usr/local/bin/share/plaudit/packs/miniature",
            "/usr/local/share/plaudit/packs/miniature",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
    }
}
