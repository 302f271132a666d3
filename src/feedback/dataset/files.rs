//! Paths that a dataset names: below its own directory, files of their own, or nothing.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The longest path that a row may name, in bytes.
const PATH_BYTES: usize = 1024;

/// Opens the file that a dataset calls `name`, below `base`.
///
/// # Errors
/// A name that leads elsewhere (absolute, `..`, drives, backslashes), a link on the way, symbolic or hard, what is no
/// file, or more bytes than `limit`. The message says which.
pub(super) fn open(base: &Path, name: &str, limit: u64) -> Result<File, String> {
    let path = base.join(checked(name)?);
    let seen = walk(base, name)?;
    let file = open_no_follow(&path).map_err(|error| format!("cannot open {name:?}: {error}"))?;
    let facts = file.metadata().map_err(|error| format!("cannot open {name:?}: {error}"))?;
    if !same(&seen, &facts) {
        return Err(format!("{name:?} was replaced while it was opened"));
    }
    if facts.len() > limit {
        return Err(format!("{name:?} has {} bytes, more than {limit}", facts.len()));
    }
    Ok(file)
}

/// Reads the file that a dataset calls `name`, below `base`.
pub(super) fn read(base: &Path, name: &str, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut source = open(base, name, limit)?.take(limit + 1);
    source.read_to_end(&mut bytes).map_err(|error| format!("cannot read {name:?}: {error}"))?;
    // It may have grown since its length was looked at.
    if bytes.len() as u64 > limit { Err(format!("{name:?} has more than {limit} bytes")) } else { Ok(bytes) }
}

/// A relative path of plain names.
fn checked(name: &str) -> Result<PathBuf, String> {
    let no = |why: &str| Err(format!("the path {name:?} {why}"));
    if name.is_empty() {
        return no("is empty");
    }
    if name.len() > PATH_BYTES {
        return Err(format!("a path has {} bytes, more than {PATH_BYTES}", name.len()));
    }
    if name.chars().any(char::is_control) {
        return no("has control characters");
    }
    if name.starts_with('/') {
        return no("is absolute; paths are relative to the file of rows");
    }
    // Neither is needed, and on Windows both lead elsewhere.
    if name.contains(['\\', ':']) {
        return no("has a backslash or a colon");
    }
    match name.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        Some("..") => no("leads out of the dataset"),
        Some(_) => no("has an empty part"),
        None => Ok(name.split('/').collect()),
    }
}

/// Looks at every step below `base` without following links; the facts of the file itself.
fn walk(base: &Path, name: &str) -> Result<Metadata, String> {
    let mut path = base.to_owned();
    let mut parts = name.split('/').peekable();
    while let Some(part) = parts.next() {
        path.push(part);
        let facts = fs::symlink_metadata(&path).map_err(|error| format!("cannot open {name:?}: {error}"))?;
        if facts.is_symlink() {
            return Err(format!("{name:?} goes through a symbolic link; datasets hold files of their own: copy it"));
        }
        if parts.peek().is_some() {
            continue;
        }
        if !facts.is_file() {
            return Err(format!("{name:?} is not a file"));
        }
        if names(&facts) > 1 {
            return Err(format!("{name:?} is a hard link to a file that has another name too: copy it"));
        }
        return Ok(facts);
    }
    Err(format!("the path {name:?} is empty"))
}

#[cfg(unix)]
fn open_no_follow(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(path)
}

#[cfg(not(unix))]
fn open_no_follow(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn same(seen: &Metadata, opened: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (seen.dev(), seen.ino()) == (opened.dev(), opened.ino()) && opened.is_file()
}

#[cfg(not(unix))]
fn same(_: &Metadata, opened: &Metadata) -> bool {
    opened.is_file()
}

#[cfg(unix)]
fn names(facts: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(facts)
}

#[cfg(not(unix))]
fn names(_: &Metadata) -> u64 {
    1
}
