//! Fixed shapes: every free dimension gets a size, and every value a known shape.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use plaudit_onnx::{Attribute, Dim, Graph, Model, Tensor, ValueInfo};

use super::{
    Optimization, RuntimeError, SessionSettings, append,
    session::{builder, plain, shape_text},
    value,
};

/// Larger initializers become inputs while the graph is optimised, so that nothing is folded into them and none of
/// them is copied. Whatever shapes are computed from is far smaller.
const SET_ASIDE_FROM_BYTES: usize = 16 << 10;

/// The largest constant that fixing the shapes may create. Above it stand attention masks and all-zero addends of
/// rows × heads × pixels², which reach 537 MB a row for Stable Diffusion v1.5 at 512².
const FOLDED_LIMIT_BYTES: usize = 1 << 20;

/// `model` with its free dimensions fixed to `dims`, simplified by ONNX Runtime's basic optimisation, and with the type
/// and static shape of every intermediate value in `graph.values`.
///
/// Initializers above 16 KiB pass through untouched; smaller ones may be folded. Parameters that must keep their
/// identity have to be inputs already.
///
/// # Errors
/// If a shape stays open, if a folded constant is larger than 1 MiB (all are named), or if ONNX Runtime refuses the graph.
pub fn specialise(model: &Model, dims: &BTreeMap<String, usize>) -> Result<Model, RuntimeError> {
    let mut open = model.clone();
    fix_inputs(&mut open.graph, dims)?;
    forget_shapes(&mut open.graph);
    let set_aside = set_aside(&mut open.graph);
    let mut fixed = optimised(&open)?;
    restore(&mut fixed.graph, set_aside);
    refuse_large_constants(&open.graph, &fixed.graph, model)?;
    keep_used_domains(&mut fixed);
    fixed.metadata.clone_from(&model.metadata);
    infer(&mut fixed)?;
    Ok(fixed)
}

fn fix_inputs(graph: &mut Graph, dims: &BTreeMap<String, usize>) -> Result<(), RuntimeError> {
    for dim in graph.inputs.iter_mut().filter_map(|input| input.shape.as_mut()).flatten() {
        if let Dim::Named(name) = dim
            && let Some(&size) = dims.get(name)
        {
            *dim = Dim::Fixed(size);
        }
    }
    refuse_open(&graph.inputs)
}

fn refuse_open<'a>(infos: impl IntoIterator<Item = &'a ValueInfo>) -> Result<(), RuntimeError> {
    let open = infos.into_iter().filter(|info| info.static_shape().is_none());
    let values: Vec<_> = open.map(|info| format!("{} {}", info.name, shape_text(info))).collect();
    if values.is_empty() { Ok(()) } else { Err(RuntimeError::NotStatic { values }) }
}

/// What was written about shapes speaks of free dimensions; all of it is inferred again.
fn forget_shapes(graph: &mut Graph) {
    graph.values.clear();
    for output in &mut graph.outputs {
        output.shape = None;
    }
}

fn set_aside(graph: &mut Graph) -> IndexMap<String, Tensor> {
    let large = |tensor: &Tensor| tensor.data.len() >= SET_ASIDE_FROM_BYTES;
    let (aside, rest) = std::mem::take(&mut graph.initializers).into_iter().partition(|(_, tensor)| large(tensor));
    graph.initializers = rest;
    let aside: IndexMap<String, Tensor> = aside;
    let inputs = aside.iter().map(|(name, tensor)| ValueInfo::fixed(name.clone(), tensor.dtype, &tensor.shape));
    graph.inputs.extend(inputs);
    aside
}

fn restore(graph: &mut Graph, aside: IndexMap<String, Tensor>) {
    graph.inputs.retain(|input| !aside.contains_key(&input.name));
    let used = names_read(graph);
    graph.initializers.extend(aside.into_iter().filter(|(name, _)| used.contains(name)));
}

/// Names that nodes, at any depth, and outputs read.
fn names_read(graph: &Graph) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = graph.outputs.iter().map(|output| output.name.clone()).collect();
    for node in &graph.nodes {
        names.extend(node.inputs.iter().cloned());
        for attribute in node.attributes.values() {
            if let Attribute::Graph(inner) = attribute {
                names.extend(names_read(inner));
            }
        }
    }
    names
}

fn optimised(model: &Model) -> Result<Model, RuntimeError> {
    let refused = RuntimeError::load(&model.graph.name);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.onnx");
    let settings = SessionSettings {
        threads: 1,
        optimization: Optimization::Basic,
        spinning: false,
        ..SessionSettings::default()
    };
    let mut builder = builder(&settings)?.with_optimized_model_path(&path).map_err(|error| refused(plain(&error)))?;
    builder.commit_from_memory(&model.to_bytes()).map_err(&refused)?;
    Ok(Model::from_bytes(&std::fs::read(&path)?)?)
}

fn refuse_large_constants(before: &Graph, after: &Graph, source: &Model) -> Result<(), RuntimeError> {
    let known = |name: &str| before.initializers.contains_key(name) || source.graph.initializers.contains_key(name);
    let folded = after.initializers.iter();
    let large = folded.filter(|(name, tensor)| tensor.data.len() > FOLDED_LIMIT_BYTES && !known(name));
    let constants: Vec<_> = large
        .map(|(name, tensor)| format!("{name} {:?} {:?}, {} bytes", tensor.dtype, tensor.shape, tensor.data.len()))
        .collect();
    if constants.is_empty() {
        return Ok(());
    }
    Err(RuntimeError::FoldedConstants { limit: FOLDED_LIMIT_BYTES, constants })
}

/// ONNX Runtime declares every domain it knows.
fn keep_used_domains(model: &mut Model) {
    let used: BTreeSet<&str> = model.graph.nodes.iter().map(|node| node.domain.as_str()).collect();
    model.opsets.retain(|domain, _| domain.is_empty() || used.contains(domain.as_str()));
}

/// Asks ONNX Runtime for every intermediate type and shape. The optimised file holds none, so each value becomes an
/// output of unknown type for once, and the session tells what it inferred.
fn infer(model: &mut Model) -> Result<(), RuntimeError> {
    let refused = RuntimeError::load(&model.graph.name);
    let outputs: BTreeSet<String> = model.graph.outputs.iter().map(|output| output.name.clone()).collect();
    let light = without_large_weights(model);
    let mut bytes = light.to_bytes();
    for name in model.graph.nodes.iter().flat_map(|node| &node.outputs) {
        if !name.is_empty() && !outputs.contains(name) {
            append::untyped_output(&mut bytes, name);
        }
    }
    let settings =
        SessionSettings { threads: 1, optimization: Optimization::None, spinning: false, ..SessionSettings::default() };
    let session = builder(&settings)?.commit_from_memory(&bytes).map_err(&refused)?;
    let infos = value::describe(session.outputs())?;
    refuse_open(&infos)?;
    let (declared, between): (Vec<_>, Vec<_>) = infos.into_iter().partition(|info| outputs.contains(&info.name));
    model.graph.outputs = declared;
    model.graph.values = between.into_iter().map(|info| (info.name.clone(), info)).collect();
    Ok(())
}

fn without_large_weights(model: &Model) -> Model {
    let mut light = model.clone();
    set_aside(&mut light.graph);
    light
}
