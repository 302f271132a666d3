//! Graph edits as values: each has a label and a list of steps, can be printed, and is applied in one place.
//!
//! The functions here look at a model and say what to change; [`Edit::apply`] changes it, whole or not at all.

mod half;
mod ids;
mod names;
#[cfg(test)]
mod tests;
mod timestep;
mod types;
mod zero;

use std::fmt::{self, Display, Formatter};

use crate::{Model, Node, Problems, Tensor, ValueInfo};

pub use half::{FULL_PRECISION, half_precision};
pub use ids::wide_ids;
pub use names::{promote, rename, weight_names};
pub use timestep::timestep_per_row;
pub use zero::zero_additions;

/// A change of a model: what it is called, and what it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// What the change is for, in a few words; names serving variants and stands in messages.
    pub label: String,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One primitive change.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The initializer becomes an input of its type and shape; its numbers leave the model.
    Promote {
        /// The initializer.
        initializer: String,
    },
    /// The value is called otherwise everywhere.
    Rename {
        /// Its name.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Whoever read one value reads another; what nobody reads any more goes.
    Redirect {
        /// The value no longer read.
        from: String,
        /// The value read instead.
        to: String,
    },
    /// The input has another type or shape.
    Retype {
        /// The input as it is from now on.
        input: ValueInfo,
    },
    /// The initializer holds another tensor.
    Store {
        /// The initializer.
        initializer: String,
        /// Its new value.
        tensor: Tensor,
    },
    /// The node that makes the same outputs is replaced by this one.
    Replace {
        /// The node as it is from now on.
        node: Node,
    },
    /// A new node, right behind the maker of its first input (at the front for an input or initializer).
    Insert {
        /// The node.
        node: Node,
    },
    /// What was known of the type and shape of an intermediate value no longer holds.
    Forget {
        /// The value.
        value: String,
    },
}

/// Why an edit was not made.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The model is not of the form that the edit is for.
    #[error("{label}: {reason}")]
    Unfit {
        /// The edit.
        label: String,
        /// What is in the way.
        reason: String,
    },
    /// The steps would leave the model unsound.
    #[error("{label}: the model would be broken:{problems}")]
    Broken {
        /// The edit.
        label: String,
        /// What would be wrong.
        problems: Problems,
    },
}

impl Edit {
    fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), steps: Vec::new() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Changes `model`, then removes what no output needs any more.
    ///
    /// # Errors
    /// [`EditError::Broken`]; `model` is then as it was. Weights are shared, not copied, so the spare model is small.
    pub fn apply(&self, model: &mut Model) -> Result<(), EditError> {
        if self.is_empty() {
            return Ok(());
        }
        let mut edited = model.clone();
        let mut problems = Problems::default();
        for step in &self.steps {
            if let Err(fault) = step.apply(&mut edited) {
                problems.add(step.to_string(), fault);
            }
        }
        edited.graph.prune();
        if problems.is_empty() {
            problems = edited.problems();
        }
        problems.none_or(()).map_err(|problems| EditError::Broken { label: self.label.clone(), problems })?;
        *model = edited;
        Ok(())
    }
}

impl Step {
    fn apply(&self, model: &mut Model) -> Result<(), String> {
        let graph = &mut model.graph;
        match self {
            Self::Promote { initializer } => {
                let tensor = graph.initializers.shift_remove(initializer).ok_or("there is no such initializer")?;
                if !graph.inputs.iter().any(|input| input.name == *initializer) {
                    graph.inputs.push(ValueInfo::fixed(initializer, tensor.dtype, &tensor.shape));
                }
            }
            Self::Rename { from, to } => {
                if graph.is_known(to) {
                    return Err("the new name is taken".to_owned());
                }
                graph.rename(from, to);
            }
            Self::Redirect { from, to } => graph.redirect(from, to),
            Self::Retype { input } => {
                let old = graph.inputs.iter_mut().find(|old| old.name == input.name).ok_or("there is no such input")?;
                old.clone_from(input);
            }
            Self::Store { initializer, tensor } => {
                let old = graph.initializers.get_mut(initializer).ok_or("there is no such initializer")?;
                old.clone_from(tensor);
            }
            Self::Replace { node } => {
                let same = |old: &&mut Node| old.outputs == node.outputs;
                let old = graph.nodes.iter_mut().find(same).ok_or("no node makes these outputs")?;
                old.clone_from(node);
            }
            Self::Insert { node } => {
                let maker = |name: &String| graph.nodes.iter().rposition(|old| old.outputs.contains(name));
                let at = node.inputs.iter().filter_map(maker).max().map_or(0, |at| at + 1);
                graph.nodes.insert(at, node.clone());
            }
            Self::Forget { value } => {
                graph.values.remove(value);
            }
        }
        Ok(())
    }
}

impl Display for Edit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.label)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Promote { initializer } => write!(f, "promote {initializer}"),
            Self::Rename { from, to } => write!(f, "rename {from} to {to}"),
            Self::Redirect { from, to } => write!(f, "read {to} instead of {from}"),
            Self::Retype { input } => write!(f, "take input {input}"),
            Self::Store { initializer, tensor } => write!(f, "store {initializer}: {tensor}"),
            Self::Replace { node } => write!(f, "replace by {node}"),
            Self::Insert { node } => write!(f, "insert {node}"),
            Self::Forget { value } => write!(f, "forget the type of {value}"),
        }
    }
}
