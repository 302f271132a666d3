//! SHA-256 of files and lists.

use std::{fs::File, io::Read, path::Path};

use sha2::{Digest, Sha256};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// The SHA-256 of a file, in lower-case hexadecimal, and its length in bytes.
pub(crate) fn file(path: &Path) -> std::io::Result<(String, u64)> {
    let mut source = File::open(path)?;
    let (mut hasher, mut chunk, mut length) = (Sha256::new(), vec![0; CHUNK_BYTES], 0);
    loop {
        let read = source.read(&mut chunk)?;
        if read == 0 {
            return Ok((hex(&hasher.finalize()), length));
        }
        hasher.update(&chunk[..read]);
        length += read as u64;
    }
}

/// The SHA-256 of bytes, in lower-case hexadecimal.
pub(crate) fn bytes(data: &[u8]) -> String {
    hex(&Sha256::digest(data))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_bytes_hash_alike() {
        let data = vec![7; CHUNK_BYTES + 1];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        std::fs::write(&path, &data).unwrap();
        assert_eq!(file(&path).unwrap(), (bytes(&data), data.len() as u64));
        assert_eq!(bytes(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
