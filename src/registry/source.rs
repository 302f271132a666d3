//! What is to be published: a folder with a manifest, read and not yet trusted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{EventRange, Lineage, RegistryError, SIGNATURE};
use crate::{
    domain::{Kind, VersionId},
    pack::{
        self, Entry, FORMAT, Fault, FileFacts, MANIFEST, PREPROCESSOR, Pack, PackError, VERSION_DIGITS, hash,
        link_faults,
    },
    scoring::RewardManifest,
};

/// No manifest is larger, in bytes: one of Stable Diffusion has eight thousand.
const LARGEST_MANIFEST: u64 = 4 << 20;
/// A signature has 88 digits.
const LARGEST_SIGNATURE: u64 = 1 << 10;

/// A version that is not in the registry yet.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) folder: PathBuf,
    pub(super) kind: Kind,
    pub(super) version: VersionId,
    /// The manifest's bytes, and their SHA-256.
    pub(super) manifest: Vec<u8>,
    pub(super) digest: String,
    /// The text of the signature, where there is one.
    pub(super) signature: Option<String>,
    /// What other versions may have too.
    pub(super) components: Vec<Entry>,
    /// What is this version's own.
    pub(super) files: Vec<Item>,
    pack: Option<Pack>,
}

/// A file that the manifest names.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Its path inside the version.
    pub(super) name: String,
    pub(super) facts: FileFacts,
}

impl Item {
    fn of((name, facts): (&String, &FileFacts)) -> Self {
        Self { name: name.clone(), facts: facts.clone() }
    }

    /// The files of a component.
    pub(super) fn all(entry: &Entry) -> Vec<Self> {
        entry.files.iter().map(Self::of).collect()
    }
}

impl Source {
    /// Reads a folder. What its files contain is checked when they are copied.
    ///
    /// # Errors
    /// With every fault at once: links, names that lead out of it, files that are missing, a manifest of another form.
    pub(super) fn read(kind: Kind, folder: &Path) -> Result<Self, RegistryError> {
        if !folder.is_dir() {
            return Err(PackError::NotAFolder(folder.to_owned()).into());
        }
        let path = folder.join(MANIFEST);
        let Some(manifest) = read_small(&path, LARGEST_MANIFEST)? else {
            return Err(PackError::NotImported { folder: folder.to_owned() }.into());
        };
        let digest = hash::bytes(&manifest);
        let (version, components, files, pack) = match kind {
            Kind::Generator => generator(folder, &manifest)?,
            Kind::Reward => reward(folder, &manifest)?,
        };
        let version = named(folder, &version, &digest)?;
        let names = components.iter().flat_map(|entry| entry.files.keys()).chain(files.iter().map(|item| &item.name));
        none_or(folder, names.filter(|name| !is_inside(name)).map(|name| outside(name)).collect())?;
        let signature = read_small(&folder.join(SIGNATURE), LARGEST_SIGNATURE)?;
        let signature = signature.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Self { folder: folder.to_owned(), kind, version, manifest, digest, signature, components, files, pack })
    }

    /// Where one of its files is: a pack may share components with packs beside it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.pack.as_ref().map_or_else(|| self.folder.join(name), |pack| pack.path(name))
    }

    /// `said`, and what the pack itself says where nothing is said.
    pub(super) fn lineage(&self, said: Lineage) -> Lineage {
        let Some(own) = self.pack.as_ref().and_then(|pack| pack.manifest().lineage.clone()) else { return said };
        Lineage {
            parent: said.parent.or_else(|| own.parent.parse().ok()),
            events: said.events.or(own.events.map(|(first, last)| EventRange { first, last })),
            events_digest: said.events_digest.or(own.events_sha256),
            training: if said.training.is_null() { own.training } else { said.training },
            ..said
        }
    }

    /// Length of all files.
    pub(super) fn bytes(&self) -> u64 {
        let shared = self.components.iter().flat_map(|entry| entry.files.values());
        shared.chain(self.files.iter().map(|item| &item.facts)).map(|facts| facts.bytes).sum()
    }
}

type Parts = (String, Vec<Entry>, Vec<Item>, Option<Pack>);

fn generator(folder: &Path, bytes: &[u8]) -> Result<Parts, RegistryError> {
    let pack = Pack::open(folder)?;
    let manifest = pack.manifest();
    let mut faults = written_by_us(bytes, &manifest.to_json());
    for (name, entry) in &manifest.components {
        // It becomes the name of a folder.
        if Entry::digest(&entry.files) != entry.sha256 {
            faults.push(fault(name, "its hash in the manifest is not that of its files"));
        }
    }
    // A pack from before it was part of the manifest would lose it.
    if pack.path(PREPROCESSOR).is_file() && manifest.all_files().all(|(name, _)| name != PREPROCESSOR) {
        faults.push(fault(PREPROCESSOR, "is there, but the manifest does not name it: import the pack anew"));
    }
    none_or(folder, faults)?;
    let components = manifest.components.values().cloned().collect();
    let files = manifest.files.iter().map(Item::of).collect();
    Ok((manifest.name.clone(), components, files, Some(pack)))
}

/// A reward's files are its own: the graph is small, and the weights are what makes it another one.
fn reward(folder: &Path, bytes: &[u8]) -> Result<Parts, RegistryError> {
    let mut faults = link_faults(folder);
    let manifest = match serde_json::from_slice::<RewardManifest>(bytes) {
        Ok(manifest) => manifest,
        Err(error) => {
            faults.push(fault(MANIFEST, format!("is no reward's: {error}")));
            return none_or(folder, faults).and(Err(PackError::NotAFolder(folder.to_owned()).into()));
        }
    };
    if manifest.format != FORMAT || manifest.kind != Kind::Reward.name() {
        let found = format!("is a {:?} of format {}", manifest.kind, manifest.format);
        faults.push(fault(MANIFEST, format!("{found}; a reward of format {FORMAT} is read here")));
    }
    faults.extend(written_by_us(bytes, &manifest.to_json()));
    none_or(folder, faults)?;
    let files = manifest.files.iter().map(Item::of).collect();
    Ok((manifest.name, Vec::new(), files, None))
}

/// A version is named by the hash of the manifest's bytes: there must not be two ways to write the same.
fn written_by_us(bytes: &[u8], canonical: &str) -> Vec<Fault> {
    let text = "is not written as plaudit writes it: order, spaces and line ends count";
    if bytes == canonical.as_bytes() { Vec::new() } else { vec![fault(MANIFEST, text)] }
}

fn named(folder: &Path, name: &str, digest: &str) -> Result<VersionId, RegistryError> {
    let version = format!("{name}@{}", &digest[..VERSION_DIGITS]);
    version.parse().map_err(|error: crate::domain::VersionIdError| {
        faulty(folder, vec![fault(MANIFEST, format!("{error}; give it another `name`"))])
    })
}

/// A file of ours that is not too large to be read at once; `None` where there is none.
fn read_small(path: &Path, largest: u64) -> Result<Option<Vec<u8>>, RegistryError> {
    let facts = match fs::symlink_metadata(path) {
        Ok(facts) => facts,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RegistryError::Io { path: path.to_owned(), source }),
    };
    if !facts.is_file() || facts.len() > largest {
        let source = std::io::Error::other(format!("it must be a file of at most {largest} bytes"));
        return Err(RegistryError::Io { path: path.to_owned(), source });
    }
    fs::read(path).map(Some).map_err(RegistryError::io(path))
}

/// Whether a name stays inside the folder that it is joined to, and is none of the registry's own.
fn is_inside(name: &str) -> bool {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(|c: char| c.is_control() || c == '\\');
    name.split('/').all(plain) && name != MANIFEST && name != SIGNATURE
}

fn outside(name: &str) -> Fault {
    fault(name, "is named by the manifest but is no path inside the version")
}

pub(super) fn fault(place: &str, text: impl Into<String>) -> Fault {
    Fault { place: place.to_owned(), fault: text.into() }
}

pub(super) fn faulty(folder: &Path, faults: Vec<Fault>) -> RegistryError {
    pack::PackError::Faulty { folder: folder.to_owned(), faults }.into()
}

pub(super) fn none_or(folder: &Path, faults: Vec<Fault>) -> Result<(), RegistryError> {
    if faults.is_empty() { Ok(()) } else { Err(faulty(folder, faults)) }
}
