//! One timestep a row: rows of one batch are at different steps of different schedulers.

use std::collections::HashMap;

use super::{Edit, EditError, Step};
use crate::{DType, Dim, Graph, Node, ValueInfo};

const LABEL: &str = "timestep as f32 [batch]";

/// Operators through which a timestep keeps its number and element type.
const SHAPING: [&str; 4] = ["Unsqueeze", "Reshape", "Squeeze", "Identity"];

/// Makes the input `timestep` f32 `[batch]`, where batch is the first extent of the input `sample`.
///
/// Exporters that trace diffusers with one timestep for all rows leave a scalar (i64 or f32) and an `Expand` to the
/// batch; the new input takes the place of what `Expand` makes. Fractional timesteps, as Euler has them, then reach
/// the sinusoids unrounded. Nothing is done to a model that is of that form already.
///
/// # Errors
/// [`EditError::Unfit`] where there are no such inputs, or the timestep reaches the sinusoids in another way.
pub fn timestep_per_row(graph: &Graph, timestep: &str, sample: &str) -> Result<Edit, EditError> {
    let unfit = |reason: String| EditError::Unfit { label: LABEL.to_owned(), reason };
    let input = |name: &str| graph.inputs.iter().find(|input| input.name == name);
    let old = input(timestep).ok_or_else(|| unfit(format!("there is no input `{timestep}`")))?;
    let batch = input(sample).and_then(|input| input.shape.as_ref()?.first()).cloned();
    let batch = batch.ok_or_else(|| unfit(format!("there is no input `{sample}` with a batch")))?;
    let new = ValueInfo { name: timestep.to_owned(), dtype: DType::F32, shape: Some(vec![batch]) };
    let mut edit = Edit::new(LABEL);
    if *old == new {
        return Ok(edit);
    }
    let per_row = matches!(old.shape.as_deref(), Some([Dim::Named(_) | Dim::Unknown]));
    let mut walk = Walk { graph, readers: graph.readers(), per_row, steps: Vec::new() };
    walk.before_expansion(timestep, timestep, old.dtype == DType::F32).map_err(unfit)?;
    edit.steps = walk.steps;
    edit.steps.push(Step::Retype { input: new });
    Ok(edit)
}

struct Walk<'a> {
    graph: &'a Graph,
    readers: HashMap<&'a str, Vec<usize>>,
    /// Whether the input has a row each already, so that no expansion need follow.
    per_row: bool,
    steps: Vec<Step>,
}

impl<'a> Walk<'a> {
    /// Follows the timestep to every `Expand`, whose readers shall read the input itself. `float` says whether what
    /// is followed is f32 yet.
    fn before_expansion(&mut self, timestep: &str, value: &'a str, float: bool) -> Result<(), String> {
        for node in self.readers_of(value) {
            let output = &node.outputs[0];
            match node.op.as_str() {
                "Expand" if node.inputs[0] == value => {
                    self.after_expansion(output, float)?;
                    self.steps.push(Step::Redirect { from: output.clone(), to: timestep.to_owned() });
                }
                "Cast" => {
                    to_f32(node)?;
                    self.before_expansion(timestep, output, true)?;
                }
                op if SHAPING.contains(&op) => self.before_expansion(timestep, output, float)?,
                _ if float && self.per_row => {}
                op => return Err(format!("`{value}` meets {op} `{}` before it is expanded to the batch", node.name)),
            }
            self.forget(value, float);
        }
        Ok(())
    }

    /// What is expanded changes from integers to f32: it must reach the cast to f32 unchanged in number.
    fn after_expansion(&mut self, value: &'a str, float: bool) -> Result<(), String> {
        if float {
            return Ok(());
        }
        for node in self.readers_of(value) {
            match node.op.as_str() {
                "Cast" => to_f32(node)?,
                op if SHAPING.contains(&op) => self.after_expansion(&node.outputs[0], float)?,
                op => return Err(format!("the expanded timestep meets {op} `{}` as an integer", node.name)),
            }
            self.forget(value, float);
        }
        Ok(())
    }

    /// Known types of integers on the way are wrong from now on.
    fn forget(&mut self, value: &str, float: bool) {
        if !float && self.graph.values.contains_key(value) {
            self.steps.push(Step::Forget { value: value.to_owned() });
        }
    }

    fn readers_of(&self, value: &str) -> Vec<&'a Node> {
        let at = self.readers.get(value).map_or(&[][..], Vec::as_slice);
        at.iter().map(|&at| &self.graph.nodes[at]).collect()
    }
}

fn to_f32(cast: &Node) -> Result<(), String> {
    match cast.int("to", 0) {
        to if to == DType::F32.onnx() => Ok(()),
        _ => Err(format!("the timestep is cast to another type than f32 by `{}`", cast.name)),
    }
}
