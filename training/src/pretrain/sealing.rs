//! The pack's golden outputs and manifest, true after every leg.

use plaudit::{pack, runtime::SessionSettings};

use super::{PretrainError, Workshop, component::COMPONENTS};

/// The pack's name in its manifest.
const NAME: &str = "miniature";

/// Seals the pack anew, unless a part has no weights yet: it is no pack then, and has no manifest.
pub(super) fn reseal(workshop: &Workshop) -> Result<(), PretrainError> {
    let whole = COMPONENTS.iter().all(|component| component.weights(workshop).exists());
    if whole { seal(workshop) } else { Ok(()) }
}

/// Runs every component for its golden output and writes the manifest.
pub(super) fn seal(workshop: &Workshop) -> Result<(), PretrainError> {
    let settings = SessionSettings { threads: workshop.threads, ..SessionSettings::default() };
    pack::seal(&workshop.pack, NAME, &Default::default(), &settings, |step| tracing::debug!("{step}"))?;
    Ok(())
}
