//! `src/proto/onnx.rs` is what `proto/onnx.proto` generates.
//!
//! `PLAUDIT_UPDATE_PROTO=1 cargo test -p plaudit-onnx --test generated` writes it anew.

use std::path::Path;

const UPDATE: &str = "PLAUDIT_UPDATE_PROTO";

fn generate(root: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let descriptors = protox::compile([root.join("proto/onnx.proto")], [root.join("proto")])?;
    let folder = tempfile::tempdir()?;
    // Comments are full of indented lines that rustdoc would take for code.
    prost_build::Config::new().out_dir(folder.path()).disable_comments(["."]).compile_fds(descriptors)?;
    Ok(std::fs::read_to_string(folder.path().join("onnx.rs"))?)
}

#[test]
fn generated_code_is_what_onnx_proto_generates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/proto/onnx.rs");
    let fresh = generate(root).unwrap();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&committed, &fresh).unwrap();
    }
    let stored = std::fs::read_to_string(&committed).unwrap();
    assert!(stored == fresh, "{} is stale: set {UPDATE}=1 and run this test again", committed.display());
}
