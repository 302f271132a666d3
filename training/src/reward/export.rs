//! The reward pack.

use std::{fs, path::Path};

use plaudit::{pack::Pack, scoring::RewardPack};

use super::{RewardError, Training, report::Report, variant::Trained};

/// Refuses to write over something.
pub(super) fn refuse_occupied(out: &Path) -> Result<(), RewardError> {
    if out.exists() { Err(RewardError::There { path: out.to_owned() }) } else { Ok(()) }
}

/// Writes the first seed's head, calibrated, and seals it beside its place; the whole pack is then moved there.
pub(super) fn pack(
    training: &Training,
    pack: &Pack,
    trained: &Trained,
    report: &Report,
) -> Result<String, RewardError> {
    let head = &trained.heads[0];
    let mut aside = training.out.as_os_str().to_owned();
    aside.push(".new");
    let aside = Path::new(&aside);
    if aside.exists() {
        fs::remove_dir_all(aside).map_err(RewardError::io("remove", aside))?;
    }
    let model = head.recipe.shape.served(&head.fitted.weights, &head.calibration)?;
    model.write(aside)?;
    let path = aside.join("report.json");
    fs::write(&path, report.json()).map_err(RewardError::io("write", &path))?;
    let version = RewardPack::seal(aside, &training.name, pack)?.version();
    fs::rename(aside, &training.out).map_err(RewardError::io("move to", &training.out))?;
    tracing::info!("reward: {version} in {}", training.out.display());
    Ok(version)
}
