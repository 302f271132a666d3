//! Token ids as i64, whatever width an exporter traced them with.

use super::{Edit, Step};
use crate::{Attribute, DType, Graph, Node, ValueInfo};

/// Makes an i32 input i64, cast back for whoever reads it. Exports by optimum before 2.0 have i32 token ids.
///
/// Nothing is done where there is no such input, or it has another type.
pub fn wide_ids(graph: &Graph, ids: &str) -> Edit {
    let mut edit = Edit::new(format!("{ids} as i64"));
    let Some(input) = graph.inputs.iter().find(|input| input.name == ids && input.dtype == DType::I32) else {
        return edit;
    };
    let narrow = format!("{ids}/i32");
    let cast = Node::new("Cast", &[ids], &[&narrow]).with("to", Attribute::Int(DType::I32.onnx()));
    edit.steps = vec![
        Step::Redirect { from: ids.to_owned(), to: narrow.clone() },
        Step::Insert { node: Node { name: narrow, ..cast } },
        Step::Retype { input: ValueInfo { dtype: DType::I64, ..input.clone() } },
    ];
    edit
}
