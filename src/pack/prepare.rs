//! What an exported graph needs before this pipeline can run it, as labelled edits.

use plaudit_onnx::{
    Model,
    edit::{Edit, EditError, timestep_per_row, weight_names, wide_ids, zero_additions},
};

use super::Component;

/// Edits `model` for the pipeline and gives back the edits that had something to do.
///
/// - Weights that PyTorch's older exporter left nameless get their modules' names.
/// - A denoiser's `timestep` becomes f32 \[batch\], for rows at different steps.
/// - Token ids become i64.
/// - Additions that are multiplied by zero go.
///
/// # Errors
/// If a graph has another form than the exporters that are known give it.
pub(super) fn for_pipeline(component: Component, model: &mut Model) -> Result<Vec<Edit>, EditError> {
    let mut done = Vec::new();
    let mut apply = |edit: Edit, model: &mut Model| {
        edit.apply(model)?;
        done.extend(Some(edit).filter(|edit| !edit.is_empty()));
        Ok::<_, EditError>(())
    };
    apply(weight_names(&model.graph), model)?;
    if component == Component::Unet && model.graph.inputs.iter().any(|input| input.name == "timestep") {
        apply(timestep_per_row(&model.graph, "timestep", "sample")?, model)?;
    }
    apply(wide_ids(&model.graph, "input_ids"), model)?;
    apply(zero_additions(&model.graph), model)?;
    Ok(done)
}
