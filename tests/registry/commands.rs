//! The same as commands, beside a store that is open.

use std::process::{Command, Output};

use serde_json::Value;

use super::*;

fn plaudit(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plaudit"));
    command.arg("registry").args(arguments).arg("--data").arg(data).current_dir(data).env("USER", "ann");
    command.output().expect("a process")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn done(data: &Path, arguments: &[&str]) -> String {
    let output = plaudit(data, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn a_version_is_published_promoted_explained_and_gone_back_from_by_commands() {
    let place = Place::new().await;
    let data = place.data.path();
    let bundled = bundled();
    let pack = bundled.to_str().expect("a path");
    let first = done(data, &["publish", "generator", pack]);
    let evidence = place.source("gate.json");
    fs::write(&evidence, r#"{"verdict": "passed"}"#).expect("written");
    let tuned = place.generator("tuned", true);
    let arguments =
        ["publish", "generator", tuned.to_str().expect("a path"), "--parent", &first, "--events", "1..2048"];
    let second = done(data, &[&arguments[..], &["--evidence", evidence.to_str().expect("a path")]].concat());
    done(data, &["promote", "generator", &first, "--expected", "none", "--reason", "the first one"]);
    let output = plaudit(data, &["promote", "generator", &second, "--expected", "none", "--reason", "better"]);
    assert!(!output.status.success() && said(&output).contains(&format!("the champion generator is {first}")));
    let told = done(data, &["promote", "generator", &second, "--expected", &first, "--reason", "better"]);
    assert!(told.contains(&format!("{second} is the champion generator now; before it was {first}")), "{told}");
    let reward = done(data, &["publish", "reward", bundled.join("reward").to_str().expect("a path")]);
    done(data, &["promote", "reward", &reward, "--expected", "none", "--reason", "of the champion's CLIP"]);

    let list: Value = serde_json::from_str(&done(data, &["list", "--json"])).expect("JSON");
    assert_eq!(list["aliases"]["generator"]["champion"], json!(second));
    assert_eq!(list["versions"].as_array().map(Vec::len), Some(3));
    assert_eq!(list["versions"][1]["lineage"]["evidence"]["verdict"], "passed");
    assert_eq!(list["versions"][1]["lineage"]["published_by"], "ann");
    assert!(done(data, &["list", "generator"]).lines().next().is_some_and(|line| line.contains("champion")));
    let shown = done(data, &["show", "generator", &second]);
    assert!(shown.contains("1 to 2048") && shown.contains(&first) && shown.contains("passed"), "{shown}");

    place.registry.began_serving(Kind::Generator, &second.parse().expect("a version")).await.expect("served");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let served = done(data, &["served-at", &now.to_string()]);
    assert!(served.contains(&second) && served.contains("1 to 2048"), "{served}");
    let output = plaudit(data, &["served-at", "2001-01-01T00:00:00Z"]);
    assert!(output.status.success() && said(&output).contains("nothing was served"), "{}", said(&output));

    done(data, &["rollback", "generator", "--reason", "thumbs fell"]);
    let log = done(data, &["log", "generator"]);
    assert!(
        log.lines().last().is_some_and(|line| line.contains("rollback") && line.ends_with("ann: thumbs fell")),
        "{log}"
    );
    assert_eq!(done(data, &["gc", "--keep", "0", "--min-age", "0", "--dry-run"]), "", "it is served");
    let output = plaudit(data, &["rollback", "generator", "--reason", " "]);
    assert!(!output.status.success() && said(&output).contains("reason"), "{}", said(&output));
}

#[tokio::test]
async fn a_damaged_version_is_not_promoted() {
    let place = Place::new().await;
    let version = place.published("damaged").await;
    let weights = place.registry.folder(Kind::Reward, &version).join("model.safetensors");
    let mut bytes = fs::read(&weights).expect("weights");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(&weights, bytes).expect("damaged");
    let pack = bundled();
    let arguments = ["promote", "reward", version.as_str(), "--expected", "none", "--reason", "untried", "--pack"];
    let output = plaudit(place.data.path(), &[&arguments[..], &[pack.to_str().expect("a path")]].concat());
    assert!(!output.status.success() && said(&output).contains("model.safetensors: has SHA-256"), "{}", said(&output));
    assert_eq!(place.champion().await, None);
}

#[test]
fn keys_are_made_and_sign_by_commands() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    let version = folder.path().join("version");
    copy(&bundled().join("reward"), &version);
    let public = done(folder.path(), &["new-key", key.to_str().expect("a path")]);
    assert_eq!(public.len(), 64);
    let arguments = ["sign", version.to_str().expect("a path"), "--key", key.to_str().expect("a path")];
    done(folder.path(), &arguments);
    assert!(version.join("manifest.sig").is_file());
    let reward = version.to_str().expect("a path");
    let trusted = ["publish", "reward", reward, "--registry-trusted-keys", &public];
    assert!(done(folder.path(), &trusted).starts_with("miniature"), "it is published");
    let output = plaudit(folder.path(), &["publish", "reward", reward, "--registry-trusted-keys", &"0".repeat(64)]);
    assert!(!output.status.success() && said(&output).contains("no trusted key"), "{}", said(&output));
}
