//! One server a data directory.

use std::{
    fs::{File, TryLockError},
    io::{Read, Write},
    path::Path,
};

use anyhow::{Context, bail};

/// Holds `LOCK` until the file is dropped; the system lets go of it when the process dies, however it dies.
pub(super) fn take(data: &Path) -> anyhow::Result<File> {
    let path = data.join("LOCK");
    let unusable = || format!("cannot lock {}; choose another directory with --data", path.display());
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).with_context(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            bail!("{} is in use by {}; stop it or choose another directory with --data", data.display(), holder(&file))
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(unusable),
    }
    let note = format!("process {}, since {:.0}\n", std::process::id(), jiff::Timestamp::now());
    file.set_len(0).and_then(|()| file.write_all(note.as_bytes())).with_context(unusable)?;
    Ok(file)
}

/// What the holder wrote about itself.
fn holder(mut file: &File) -> String {
    /// A note is a short line; a longer one is not ours.
    const LONGEST: u64 = 256;
    let mut note = String::new();
    let read = Read::by_ref(&mut file).take(LONGEST).read_to_string(&mut note);
    match (read, note.trim()) {
        (Ok(_), note) if !note.is_empty() => note.to_owned(),
        _ => "another process".to_owned(),
    }
}
