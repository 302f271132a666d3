//! The first round's votes, which are on the base's pictures and therefore the same for every recipe: raters are asked once for each share of
//! hostile ones and each seed, and the legs begin with copies of that server's directory.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{SimulateError, Simulation, course::Course, leg::Planned};

const ASKED: &str = "asked";
/// Where they are asked, until all have voted.
const ASKING: &str = ".asking";

/// Sees to it that a leg which has not begun has the first round's votes; `false` where this run's time is over before.
pub(super) async fn votes(
    simulation: &Simulation,
    planned: &Planned,
    until: Option<Instant>,
) -> Result<bool, SimulateError> {
    let leg = planned.folder(&simulation.out);
    // A server of somebody else's is asked where the leg is.
    if simulation.running.is_some() || leg.exists() {
        return Ok(true);
    }
    let asked = simulation.out.join(ASKED).join(planned.raters());
    if !asked.exists() {
        let asking = PathBuf::from(format!("{}{ASKING}", asked.display()));
        let course = Course::open(simulation, planned, asking.clone()).await?;
        let all = course.ask_round(&planned.raters(), 1, until).await;
        course.close().await;
        if all?.is_none() {
            return Ok(false);
        }
        fs::rename(&asking, &asked).map_err(SimulateError::io("rename to", &asked))?;
    }
    let aside = PathBuf::from(format!("{}.new", leg.display()));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(SimulateError::io("remove", &aside))?;
    }
    copy(&asked, &aside)?;
    fs::rename(&aside, &leg).map_err(SimulateError::io("rename to", &leg))?;
    Ok(true)
}

/// A folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<(), SimulateError> {
    fs::create_dir_all(to).map_err(SimulateError::io("create", to))?;
    for entry in fs::read_dir(from).map_err(SimulateError::io("read", from))? {
        let entry = entry.map_err(SimulateError::io("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target)?;
        } else if source.is_file() {
            fs::copy(&source, &target).map_err(SimulateError::io("copy", &source))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_copied_with_all_that_is_in_it() {
        let root = tempfile::tempdir().expect("a folder");
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        fs::create_dir_all(from.join("data/images")).expect("folders");
        fs::write(from.join("data/images/one"), b"1").expect("a file");
        fs::write(from.join("votes-1.jsonl"), b"{}\n").expect("a file");
        copy(&from, &to).expect("a copy");
        assert_eq!(fs::read(to.join("data/images/one")).expect("a file"), b"1");
        assert_eq!(fs::read(to.join("votes-1.jsonl")).expect("a file"), b"{}\n");
    }
}
