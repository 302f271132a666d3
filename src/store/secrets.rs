//! What only this server may know.

use std::{
    fs::{self, DirBuilder},
    io::Write,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, anyhow};

use super::{blobs::hex, database::Database, facts};

/// Bytes of a key.
pub(super) const SECRET_BYTES: usize = 32;
/// Readable to the user that runs the server, to nobody else.
const PRIVATE: u32 = 0o700;

/// A directory that only its owner can enter; one that is there already is kept as it is.
pub(super) fn private_folder(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE).create(path)
}

/// The key of `secrets/NAME.key`, made where there is none. `loss` is what another key does.
pub(super) fn key(data: &Path, name: &str, loss: &str) -> anyhow::Result<[u8; SECRET_BYTES]> {
    let folder = data.join("secrets");
    private_folder(&folder)
        .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(PRIVATE)))
        .with_context(|| format!("cannot make {} private", folder.display()))?;
    let path = folder.join(format!("{name}.key"));
    match fs::read(&path) {
        Ok(bytes) => bytes
            .try_into()
            .map_err(|_| anyhow!("{} is not {SECRET_BYTES} bytes; delete it: a new one {loss}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = random()?;
            write(&folder, &path, &key).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// A key that is the same for all servers of a database: in the database where they share it, else in `secrets/`.
pub(super) async fn agreed(
    data: &Path,
    database: &Database,
    name: &str,
    loss: &str,
) -> anyhow::Result<[u8; SECRET_BYTES]> {
    if !database.is_shared() {
        return key(data, name, loss);
    }
    let agreed = facts::agreed(database, &format!("{name}.key"), &random()?).await?;
    agreed.try_into().map_err(|_| anyhow!("the key {name} of the database is not {SECRET_BYTES} bytes"))
}

/// A name that nothing else has.
pub(super) fn random_name() -> anyhow::Result<String> {
    Ok(hex(&random()?))
}

/// Bytes from the system's generator.
pub(super) fn random() -> anyhow::Result<[u8; SECRET_BYTES]> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
    Ok(bytes)
}

/// Temporary files are private, and so is what they become.
fn write(folder: &Path, path: &Path, key: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(key)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
