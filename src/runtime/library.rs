//! Where ONNX Runtime's shared library is.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    path::{Path, PathBuf},
};

use super::RuntimeError;

/// The environment variable that names the library; nothing else is looked at when it is set.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// The folder that `scripts/setup.sh` fills.
const FETCHED: &str = ".ort";

/// Its name for the library on every system (`.cargo/config.toml` must name it too), and so that of archives made from it.
const FETCHED_NAME: &str = "libonnxruntime.so";

/// The library's path: `ORT_DYLIB_PATH`, else beside the executable, in `lib/` beside it or beside its folder, or what
/// `make setup` put into `.ort/` of the working directory or of one above it.
///
/// # Errors
/// If there is no such file.
pub fn locate() -> Result<PathBuf, RuntimeError> {
    let named = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let executable = std::env::current_exe().ok();
    let working = std::env::current_dir().ok();
    let candidates = match named {
        Some(path) => vec![path],
        None => usual_places(executable.as_deref().and_then(Path::parent), working.as_deref()),
    };
    first_file(candidates)
}

fn usual_places(executable_folder: Option<&Path>, working: Option<&Path>) -> Vec<PathBuf> {
    let beside = executable_folder.into_iter().flat_map(|folder| {
        std::iter::once(folder.to_owned()).chain(folder.ancestors().take(2).map(|folder| folder.join("lib")))
    });
    let fetched = working.into_iter().flat_map(Path::ancestors).map(|folder| folder.join(FETCHED));
    let names = [format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}"), FETCHED_NAME.to_owned()];
    let mut places: Vec<_> =
        beside.chain(fetched).flat_map(|folder| names.each_ref().map(|name| folder.join(name))).collect();
    // The two names are one on most systems.
    places.dedup();
    places
}

fn first_file(candidates: Vec<PathBuf>) -> Result<PathBuf, RuntimeError> {
    let found = candidates.iter().find(|path| path.is_file()).cloned();
    // The loader would search the system's library path for a bare file name.
    found.map(|path| path.canonicalize().unwrap_or(path)).ok_or(RuntimeError::LibraryNotFound { tried: candidates })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_beside_the_executable_then_upwards_from_the_working_directory() {
        let places = usual_places(Some(Path::new("/opt/plaudit/bin")), Some(Path::new("/home/me")));
        let folders =
            ["/opt/plaudit/bin", "/opt/plaudit/bin/lib", "/opt/plaudit/lib", "/home/me/.ort", "/home/.ort", "/.ort"];
        let mut names = vec![format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}"), "libonnxruntime.so".to_owned()];
        names.dedup();
        let expected: Vec<_> =
            folders.iter().flat_map(|folder| names.iter().map(|name| Path::new(folder).join(name))).collect();
        assert_eq!(places, expected);
    }

    #[test]
    fn a_missing_library_names_every_place_and_the_remedy() {
        let error = first_file(vec!["/nowhere/a.so".into(), "/nowhere/b.so".into()]).unwrap_err().to_string();
        for part in ["/nowhere/a.so", "/nowhere/b.so", "make setup", VARIABLE] {
            assert!(error.contains(part), "{part} is missing from: {error}");
        }
    }
}
