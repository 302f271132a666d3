//! The folder that pictures go to.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use image::RgbImage;
use plaudit::pipeline::{
    Picture, Request,
    encode::{self, PARAMETERS, Provenance},
};

/// Longest part of a prompt in a file's name, in bytes.
const NAME_LENGTH: usize = 48;

/// A writable folder, and what goes onto the contact sheet.
pub(super) struct Output {
    folder: PathBuf,
    sheet: Option<PathBuf>,
    names: BTreeSet<String>,
    drawn: Vec<RgbImage>,
}

impl Output {
    /// Makes the folders and writes to each once, so that nothing is drawn that cannot be kept.
    pub(super) fn open(folder: &Path, sheet: Option<&Path>) -> anyhow::Result<Self> {
        let of_sheet = sheet.map(parent);
        for folder in std::iter::once(folder).chain(of_sheet) {
            let refused = || format!("cannot write into {}; choose another folder with -o", folder.display());
            fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder)).with_context(refused)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            sheet: sheet.map(Path::to_owned),
            names: BTreeSet::new(),
            drawn: Vec::new(),
        })
    }

    /// Writes pictures as `prompt-seed.png`; the files' paths. A file of an earlier run is replaced.
    pub(super) fn write(&mut self, pictures: &[Picture], provenance: &Provenance<'_>) -> anyhow::Result<Vec<PathBuf>> {
        let mut paths = Vec::with_capacity(pictures.len());
        for picture in pictures {
            let name = self.name(&provenance.request.prompt, picture.seed);
            let path = self.folder.join(name);
            replace(&path, &encode::png(picture, provenance)?)?;
            paths.push(path);
            if self.sheet.is_some() {
                self.drawn.push(picture.pixels.clone());
            }
        }
        Ok(paths)
    }

    /// Writes the contact sheet: a row of `each` for each prompt that has several pictures, else a block as square as can be.
    pub(super) fn finish(self, requests: &[Request], each: usize) -> anyhow::Result<Option<PathBuf>> {
        let Some(path) = self.sheet else { return Ok(None) };
        let square = (self.drawn.len() as f64).sqrt().ceil() as usize;
        let sheet = encode::sheet(&self.drawn.iter().collect::<Vec<_>>(), if each > 1 { each } else { square });
        let prompts: Vec<&str> = requests.iter().map(|request| request.prompt.as_str()).collect();
        replace(&path, &encode::png_with_text(&sheet, &[(PARAMETERS, prompts.join("\n"))])?)?;
        Ok(Some(path))
    }

    /// A name that this run has not given yet.
    fn name(&mut self, prompt: &str, seed: u32) -> String {
        let stem = format!("{}-{seed}", slug(prompt));
        let numbered = (2..).map(|i| format!("{stem}-{i}.png"));
        let mut names =
            std::iter::once(format!("{stem}.png")).chain(numbered).filter(|name| !self.names.contains(name));
        let name = names.next().unwrap_or_default();
        self.names.insert(name.clone());
        name
    }
}

/// Letters and digits of any script, lower-case; anything else is one hyphen.
fn slug(prompt: &str) -> String {
    let lower = prompt.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let joined = words.join("-");
    let end = (0..=joined.len().min(NAME_LENGTH)).rev().find(|&end| joined.is_char_boundary(end)).unwrap_or(0);
    let cut = joined[..end].trim_end_matches('-');
    if cut.is_empty() { "picture".to_owned() } else { cut.to_owned() }
}

/// A file appears whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || {
        let mut file = tempfile::Builder::new().permissions(permissions()).tempfile_in(parent(path))?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).with_context(|| format!("cannot write {}", path.display()))
}

/// As any new file has, within the user's mask; temporary files are private by default.
fn permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o666)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_words_of_the_prompt() {
        let long = "a ".repeat(40);
        let cases = [
            ("Two blue stars, on the beach!", "two-blue-stars-on-the-beach"),
            ("../../etc/passwd", "etc-passwd"),
            ("二つの青い星", "二つの青い星"),
            ("🐱", "picture"),
            ("", "picture"),
            (long.as_str(), "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a"),
        ];
        for (prompt, expected) in cases {
            assert_eq!(slug(prompt), expected);
        }
    }

    #[test]
    fn equal_prompts_do_not_overwrite_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Output::open(folder.path(), None).unwrap();
        let names: Vec<String> = (0..3).map(|_| output.name("a fish", 7)).collect();
        assert_eq!(names, ["a-fish-7.png", "a-fish-7-2.png", "a-fish-7-3.png"]);
    }
}
