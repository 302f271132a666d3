//! Signatures: Ed25519 (RFC 8032) over the bytes of a manifest, in base64 beside it.
//!
//! The manifest has the hash of every file, so whoever signs it signs the version.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};

use super::PublicKey;
use crate::pack::MANIFEST;

/// The signature's file name, beside the manifest.
pub const SIGNATURE: &str = "manifest.sig";
/// A key's file says what it holds, as OpenSSL's do (RFC 7468).
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// Only its owner may read a key.
const PRIVATE: u32 = 0o600;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key's file is there already.
    #[error("{} exists already; keys are never overwritten. Choose another file", .0.display())]
    Exists(PathBuf),
    /// It holds no key.
    #[error("{} holds no Ed25519 private key in PKCS #8; `plaudit registry new-key FILE` makes one", .0.display())]
    NoKey(PathBuf),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl SignError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// Makes a private key in a new file that only its owner can read; its public key.
///
/// # Errors
/// A file that is there already, or cannot be written.
pub fn new_key(path: &Path) -> Result<PublicKey, SignError> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| SignError::Random)?;
    let text = format!("{BEGIN}\n{}\n{END}\n", BASE64_STANDARD.encode(document.as_ref()));
    let made = File::options().write(true).create_new(true).mode(PRIVATE).open(path);
    let mut file = made.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => SignError::Exists(path.to_owned()),
        _ => SignError::Io { path: path.to_owned(), source },
    })?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(SignError::io(path))?;
    Ok(public(&read_key(path)?))
}

/// Signs the version in a folder: writes [`SIGNATURE`] beside its manifest. The key that was signed with.
///
/// # Errors
/// A file without a key, a folder without a manifest, files that cannot be written.
pub fn sign(folder: &Path, key: &Path) -> Result<PublicKey, SignError> {
    let key = read_key(key)?;
    let (manifest, out) = (folder.join(MANIFEST), folder.join(SIGNATURE));
    let bytes = fs::read(&manifest).map_err(SignError::io(&manifest))?;
    let text = BASE64_STANDARD.encode(key.sign(&bytes)) + "\n";
    let mut aside = tempfile::NamedTempFile::new_in(folder).map_err(SignError::io(folder))?;
    aside.write_all(text.as_bytes()).and_then(|()| aside.as_file().sync_all()).map_err(SignError::io(&out))?;
    aside.persist(&out).map_err(|error| SignError::Io { path: out.clone(), source: error.error })?;
    Ok(public(&key))
}

/// Which of these keys signed a manifest; `None` where none did, or the text is no signature.
pub(super) fn signer(manifest: &[u8], signature: &str, keys: &[PublicKey]) -> Option<PublicKey> {
    let signature = BASE64_STANDARD.decode(signature.trim()).ok()?;
    let good = |key: &&PublicKey| UnparsedPublicKey::new(&ED25519, key.bytes()).verify(manifest, &signature).is_ok();
    keys.iter().find(good).copied()
}

fn public(key: &Ed25519KeyPair) -> PublicKey {
    PublicKey::from_bytes(key.public_key().as_ref()).unwrap_or_else(|| unreachable!("Ed25519's keys have one length"))
}

fn read_key(path: &Path) -> Result<Ed25519KeyPair, SignError> {
    let text = fs::read_to_string(path).map_err(SignError::io(path))?;
    let inner = text.trim().strip_prefix(BEGIN).and_then(|text| text.strip_suffix(END));
    let encoded: Option<String> = inner.map(|inner| inner.split_whitespace().collect());
    let bytes = encoded.and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
    // OpenSSL writes keys without their public half.
    let key = bytes.and_then(|bytes| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&bytes).ok());
    key.ok_or_else(|| SignError::NoKey(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_signed_is_known_by_the_signers_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let (first, second) = (new_key(&one).unwrap(), new_key(&two).unwrap());
        assert_eq!(fs::metadata(&one).unwrap().permissions().mode() & 0o777, PRIVATE);
        assert!(matches!(new_key(&one), Err(SignError::Exists(_))));
        fs::write(folder.path().join(MANIFEST), "{}").unwrap();
        assert_eq!(sign(folder.path(), &one).unwrap(), first);
        let text = fs::read_to_string(folder.path().join(SIGNATURE)).unwrap();
        assert_eq!(signer(b"{}", &text, &[second, first]), Some(first));
        for (manifest, text, keys) in [
            (&b"{}"[..], text.as_str(), vec![second]),
            (b"{ }", &text, vec![first]),
            (b"{}", "", vec![first]),
            (b"{}", "no base64!", vec![first]),
            (b"{}", &text, vec![]),
        ] {
            assert_eq!(signer(manifest, text, &keys), None);
        }
    }

    /// Secret key, public key and signature of the empty message: RFC 8032, section 7.1, test 1.
    const RFC: [&str; 3] = [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ];
    /// What OpenSSL writes before a secret key: PKCS #8 without the public half.
    const PKCS8: &str = "302e020100300506032b657004220420";

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn keys_as_openssl_writes_them_sign_as_the_standard_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let [secret, public_key, signature] = RFC;
        let document = BASE64_STANDARD.encode(hex(&format!("{PKCS8}{secret}")));
        fs::write(&path, format!("{BEGIN}\n{document}\n{END}\n")).unwrap();
        fs::write(folder.path().join(MANIFEST), "").unwrap();
        assert_eq!(sign(folder.path(), &path).unwrap().to_string(), public_key);
        let text = fs::read_to_string(folder.path().join(SIGNATURE)).unwrap();
        assert_eq!(BASE64_STANDARD.decode(text.trim()).unwrap(), hex(signature));
        fs::write(&path, "no key").unwrap();
        assert!(matches!(read_key(&path), Err(SignError::NoKey(_))));
    }
}
