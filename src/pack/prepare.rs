//! What an exported graph needs before this pipeline can run it, as labelled edits.

use plaudit_onnx::Model;

use super::Component;

pub(super) fn for_pipeline(_component: Component, _model: &mut Model) -> Result<Vec<String>, String> {
    Ok(Vec::new())
}
