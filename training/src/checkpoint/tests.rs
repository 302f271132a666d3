use std::{fs, path::Path};

use super::*;
use crate::random::Random;

fn state(step: u64) -> State {
    State {
        step,
        position: 10 * step,
        random: Random::new(step),
        metrics_bytes: 3,
        seconds: 1.5,
        settings: serde_json::json!({"rate": 0.1}),
        graph: "abc".to_owned(),
        tensors: String::new(),
    }
}

fn write(directory: &Path, step: u64) {
    let values = [step as f32, -0.0, 1e-40];
    save(directory, state(step), vec![("weight/a".to_owned(), vec![3, 1], &values)]).unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_checkpoint_reads_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 7);
    let loaded = latest(folder.path()).unwrap().unwrap();
    assert_eq!(State { tensors: String::new(), ..loaded.state }, state(7));
    let bits: Vec<u32> = loaded.tensors["weight/a"].iter().map(|value| value.to_bits()).collect();
    assert_eq!(bits, [7_f32, -0.0, 1e-40].map(f32::to_bits));
}

#[test]
fn only_the_two_newest_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    (1..=4).for_each(|step| write(folder.path(), step));
    assert_eq!(names(folder.path()), ["step-000000003", "step-000000004"]);
}

#[test]
fn an_empty_or_missing_directory_has_none() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(latest(folder.path()).unwrap(), None);
    assert_eq!(latest(&folder.path().join("missing")).unwrap(), None);
}

#[test]
fn a_half_written_checkpoint_is_not_seen_and_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1);
    fs::create_dir(folder.path().join("writing")).unwrap();
    fs::write(folder.path().join("writing/checkpoint.safetensors"), b"half").unwrap();
    assert_eq!(latest(folder.path()).unwrap().unwrap().state.step, 1);
    write(folder.path(), 2);
    assert_eq!(names(folder.path()), ["step-000000001", "step-000000002"]);
}

#[test]
fn a_damaged_checkpoint_is_skipped_for_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1);
    write(folder.path(), 2);
    let file = folder.path().join("step-000000002/checkpoint.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let loaded = latest(folder.path()).unwrap().unwrap();
    assert_eq!((loaded.state.step, loaded.skipped.len()), (1, 1));
    fs::remove_file(folder.path().join("step-000000001/state.json")).unwrap();
    let error = latest(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("step-000000002") && error.contains("SHA-256") && error.contains("step-000000001"),
        "{error}"
    );
}

#[test]
fn a_failed_write_leaves_the_old_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1);
    // A file in the way of the directory that is written first.
    fs::write(folder.path().join("writing"), b"").unwrap();
    assert!(save(folder.path(), state(2), vec![]).is_err());
    assert_eq!(latest(folder.path()).unwrap().unwrap().state.step, 1);
}

/// Where a kill leaves a checkpoint that takes the place of another of its step.
const KILLED: [(&str, &[(&str, &str)]); 3] = [
    ("before anything moved", &[]),
    ("when the old one had moved", &[("step-000000001", "step-000000001.replaced")]),
    ("when both had moved", &[("step-000000001", "step-000000001.replaced"), ("writing", "step-000000001")]),
];

#[test]
fn a_kill_while_a_step_is_written_again_loses_nothing() {
    for (when, renames) in KILLED {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(folder.path(), 1);
        write(other.path(), 1);
        fs::rename(other.path().join("step-000000001"), folder.path().join("writing")).unwrap();
        for (from, to) in renames {
            fs::rename(folder.path().join(from), folder.path().join(to)).unwrap();
        }
        let found = latest(folder.path()).unwrap();
        assert_eq!(found.map(|loaded| (loaded.state.step, loaded.skipped)), Some((1, vec![])), "killed {when}");
        write(folder.path(), 1);
        assert_eq!(names(folder.path()), ["step-000000001"], "killed {when}");
        assert_eq!(latest(folder.path()).unwrap().unwrap().state.step, 1, "killed {when}");
    }
}

#[test]
fn a_damaged_checkpoint_is_replaced_by_a_whole_one_of_its_step() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1);
    fs::remove_file(folder.path().join("step-000000001/state.json")).unwrap();
    write(folder.path(), 1);
    assert_eq!(names(folder.path()), ["step-000000001"]);
    assert!(latest(folder.path()).unwrap().unwrap().skipped.is_empty());
}

#[test]
fn checkpoints_behind_a_good_step_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    [3, 9].into_iter().for_each(|step| write(folder.path(), step));
    assert_eq!(remove_after(folder.path(), 9).unwrap(), Some(9));
    assert_eq!(remove_after(folder.path(), 8).unwrap(), Some(3));
    assert_eq!(latest(folder.path()).unwrap().unwrap().state.step, 3);
    assert_eq!(remove_after(folder.path(), 2).unwrap(), None);
    assert_eq!(remove_after(&folder.path().join("none"), 2).unwrap(), None);
}
