//! The backward part while it grows: nodes over value handles, equal expressions emitted once.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use indexmap::IndexMap;
use plaudit_onnx::{Attribute, DType, Graph, Node, Tensor, ValueInfo};

/// Index of a value on its tape.
pub(crate) type Id = usize;

/// A tensor of the graph, forward or backward; operators on it append nodes.
#[derive(Clone, Copy)]
pub(crate) struct Value<'t> {
    pub(crate) tape: &'t Tape,
    pub(crate) id: Id,
}

/// An operator call whose names are not yet fixed.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) op: String,
    pub(crate) domain: String,
    pub(crate) inputs: Vec<Option<Id>>,
    pub(crate) outputs: Vec<Id>,
    pub(crate) attributes: BTreeMap<String, Attribute>,
}

#[derive(Debug, Clone)]
struct Entry {
    name: String,
    dtype: DType,
    shape: Rc<[usize]>,
}

#[derive(Default)]
struct Recording {
    entries: Vec<Entry>,
    ids: HashMap<String, Id>,
    constants: HashMap<Id, Tensor>,
    added_constants: Vec<Id>,
    producers: HashMap<Id, Rc<Step>>,
    steps: Vec<Rc<Step>>,
    known: HashMap<String, Vec<Id>>,
    known_constants: HashMap<(DType, Vec<usize>, Vec<u8>), Id>,
    emitted: usize,
}

/// Everything known of the forward graph's values, and the backward nodes so far.
pub(crate) struct Tape(RefCell<Recording>);

/// What a finished tape adds to its graph.
pub(crate) struct Appendix {
    pub(crate) nodes: Vec<Node>,
    pub(crate) initializers: IndexMap<String, Tensor>,
    pub(crate) values: Vec<ValueInfo>,
    pub(crate) roots: Vec<String>,
}

/// Constants past this size never parametrise a rule (axes, pads, scalars), so they are not kept on the tape.
const KEPT_CONSTANT_BYTES: usize = 1 << 16;

impl Tape {
    /// A tape that knows every statically shaped value of `graph`.
    pub(crate) fn new(graph: &Graph) -> Self {
        let mut recording = Recording::default();
        for (name, tensor) in &graph.initializers {
            let id = recording.enter(name, tensor.dtype, &tensor.shape);
            if tensor.data.len() <= KEPT_CONSTANT_BYTES {
                recording.constants.insert(id, tensor.clone());
            }
        }
        for info in graph.inputs.iter().chain(graph.values.values()).chain(&graph.outputs) {
            if let Some(shape) = info.static_shape() {
                recording.enter(&info.name, info.dtype, &shape);
            }
        }
        for node in &graph.nodes {
            recording.learn(node);
        }
        Self(RefCell::new(recording))
    }

    /// The handle of a forward value; `None` when its shape is not known.
    pub(crate) fn find(&self, name: &str) -> Option<Value<'_>> {
        self.0.borrow().ids.get(name).map(|&id| Value { tape: self, id })
    }

    /// A constant of the backward part.
    pub(crate) fn constant(&self, tensor: Tensor) -> Value<'_> {
        let mut recording = self.0.borrow_mut();
        let key = (tensor.dtype, tensor.shape.clone(), tensor.data.to_vec());
        if let Some(&id) = recording.known_constants.get(&key) {
            return Value { tape: self, id };
        }
        let name = recording.fresh("constant");
        let id = recording.enter(&name, tensor.dtype, &tensor.shape);
        recording.constants.insert(id, tensor);
        recording.known_constants.insert(key, id);
        recording.added_constants.push(id);
        Value { tape: self, id }
    }

    /// A vector of integers: axes, extents, pads.
    pub(crate) fn ints(&self, values: &[i64]) -> Value<'_> {
        self.constant(Tensor::i64(&[values.len()], values))
    }

    /// One number in a value's own float type.
    pub(crate) fn scalar(&self, dtype: DType, value: f64) -> Value<'_> {
        self.constant(filled(dtype, &[], value))
    }

    /// Appends a node with the given output types, unless an equal one is there already.
    pub(crate) fn emit(&self, call: Emission<'_>, outputs: &[(DType, &[usize])]) -> Vec<Value<'_>> {
        let mut recording = self.0.borrow_mut();
        let key = call.key();
        let ids = match recording.known.get(&key) {
            Some(ids) => ids.clone(),
            None => recording.append(call, outputs, key),
        };
        ids.into_iter().map(|id| Value { tape: self, id }).collect()
    }

    /// Gives a backward value its final name; a forward value or one that is named already keeps its name.
    pub(crate) fn rename(&self, value: Value<'_>, name: &str) -> bool {
        let mut recording = self.0.borrow_mut();
        let ours = recording.entries[value.id].name.starts_with(EMITTED);
        if ours {
            recording.entries[value.id].name = name.to_owned();
        }
        ours
    }

    /// Only what `roots` need, in order, under final names.
    pub(crate) fn finish(self, roots: &[Id]) -> Appendix {
        let recording = self.0.into_inner();
        let mut needed: Vec<bool> = vec![false; recording.entries.len()];
        roots.iter().for_each(|&id| needed[id] = true);
        let mut kept: Vec<&Rc<Step>> = Vec::new();
        for step in recording.steps.iter().rev() {
            if step.outputs.iter().any(|&id| needed[id]) {
                step.inputs.iter().flatten().for_each(|&id| needed[id] = true);
                kept.push(step);
            }
        }
        kept.reverse();
        let constants = recording.added_constants.iter().filter(|&&id| needed[id]);
        Appendix {
            nodes: kept.iter().enumerate().map(|(index, step)| recording.node(step, index, &needed)).collect(),
            initializers: constants
                .map(|id| (recording.entries[*id].name.clone(), recording.constants[id].clone()))
                .collect(),
            values: kept.iter().flat_map(|step| &step.outputs).map(|&id| recording.info(id)).collect(),
            roots: roots.iter().map(|&id| recording.entries[id].name.clone()).collect(),
        }
    }
}

/// How the names of backward values begin until the driver renames them.
const EMITTED: &str = "backward/";

/// A node about to be appended.
pub(crate) struct Emission<'a> {
    pub(crate) op: &'a str,
    pub(crate) domain: &'a str,
    pub(crate) inputs: Vec<Option<Id>>,
    pub(crate) attributes: Vec<(&'a str, Attribute)>,
}

impl Emission<'_> {
    fn key(&self) -> String {
        let attributes: BTreeMap<_, _> = self.attributes.iter().map(|(name, value)| (*name, value)).collect();
        format!("{}.{} {:?} {attributes:?}", self.domain, self.op, self.inputs)
    }
}

impl Recording {
    fn enter(&mut self, name: &str, dtype: DType, shape: &[usize]) -> Id {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let id = self.entries.len();
        self.entries.push(Entry { name: name.to_owned(), dtype, shape: shape.into() });
        self.ids.insert(name.to_owned(), id);
        id
    }

    /// A name that no value has.
    fn fresh(&mut self, stem: &str) -> String {
        loop {
            let name = format!("{EMITTED}{stem}_{}", self.emitted);
            self.emitted += 1;
            if !self.ids.contains_key(&name) {
                return name;
            }
        }
    }

    /// Records what a forward node computes, so that the backward part neither repeats nor undoes it.
    fn learn(&mut self, node: &Node) {
        let id = |name: &String| self.ids.get(name).copied();
        if node.op == "Constant"
            && let (Some(Attribute::Tensor(tensor)), Some(id)) = (node.attributes.get("value"), id(&node.outputs[0]))
        {
            self.constants.insert(id, tensor.clone());
        }
        let inputs: Vec<Option<Id>> = node.inputs.iter().map(id).collect();
        let resolved =
            |names: &[String], ids: &[Option<Id>]| names.iter().zip(ids).all(|(n, i)| n.is_empty() || i.is_some());
        let Some(outputs) = node.outputs.iter().map(id).collect::<Option<Vec<Id>>>() else { return };
        if !resolved(&node.inputs, &inputs) {
            return;
        }
        let step = Step {
            op: node.op.clone(),
            domain: node.domain.clone(),
            inputs: inputs.clone(),
            outputs: outputs.clone(),
            attributes: node.attributes.clone(),
        };
        let attributes = node.attributes.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let key = Emission { op: &node.op, domain: &node.domain, inputs, attributes }.key();
        let step = Rc::new(step);
        outputs.iter().for_each(|&id| drop(self.producers.insert(id, step.clone())));
        if !node.attributes.values().any(|value| matches!(value, Attribute::Tensor(_) | Attribute::Graph(_))) {
            self.known.entry(key).or_insert(outputs);
        }
    }

    fn append(&mut self, call: Emission<'_>, outputs: &[(DType, &[usize])], key: String) -> Vec<Id> {
        let mut ids = Vec::new();
        for (dtype, shape) in outputs {
            let name = self.fresh(call.op);
            ids.push(self.enter(&name, *dtype, shape));
        }
        let attributes = call.attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let step = Rc::new(Step {
            op: call.op.to_owned(),
            domain: call.domain.to_owned(),
            inputs: call.inputs,
            outputs: ids.clone(),
            attributes,
        });
        ids.iter().for_each(|&id| drop(self.producers.insert(id, step.clone())));
        self.steps.push(step);
        self.known.insert(key, ids.clone());
        ids
    }

    fn node(&self, step: &Step, index: usize, needed: &[bool]) -> Node {
        let name = |id: &Id| self.entries[*id].name.clone();
        let used = |id: &Id| if needed[*id] { name(id) } else { String::new() };
        Node {
            name: format!("{EMITTED}{index}"),
            op: step.op.clone(),
            domain: step.domain.clone(),
            inputs: step.inputs.iter().map(|id| id.as_ref().map(name).unwrap_or_default()).collect(),
            outputs: step.outputs.iter().map(used).collect(),
            attributes: step.attributes.clone(),
        }
    }

    fn info(&self, id: Id) -> ValueInfo {
        let entry = &self.entries[id];
        ValueInfo::fixed(entry.name.clone(), entry.dtype, &entry.shape)
    }
}

impl<'t> Value<'t> {
    /// Extents, outermost first.
    pub(crate) fn shape(self) -> Rc<[usize]> {
        self.tape.0.borrow().entries[self.id].shape.clone()
    }

    /// Element type.
    pub(crate) fn dtype(self) -> DType {
        self.tape.0.borrow().entries[self.id].dtype
    }

    /// The value's name in the graph.
    pub(crate) fn name(self) -> String {
        self.tape.0.borrow().entries[self.id].name.clone()
    }

    /// The tensor, when the value is a small constant.
    pub(crate) fn known(self) -> Option<Tensor> {
        self.tape.0.borrow().constants.get(&self.id).cloned()
    }

    /// The call that computes the value, when there is one.
    pub(crate) fn producer(self) -> Option<Rc<Step>> {
        self.tape.0.borrow().producers.get(&self.id).cloned()
    }
}

/// A constant tensor of one repeated number.
pub(crate) fn filled(dtype: DType, shape: &[usize], value: f64) -> Tensor {
    Tensor::new(dtype, shape, bytes(dtype, value).repeat(shape.iter().product()))
}

/// A constant tensor of zeros, with ones at the given elements.
pub(crate) fn marked(dtype: DType, shape: &[usize], ones: &[usize]) -> Tensor {
    let mut data = bytes(dtype, 0.0).repeat(shape.iter().product());
    let one = bytes(dtype, 1.0);
    for &index in ones {
        data[index * one.len()..][..one.len()].copy_from_slice(&one);
    }
    Tensor::new(dtype, shape, data)
}

/// # Panics
/// For an element type that is not a number; no rule asks for one.
fn bytes(dtype: DType, value: f64) -> Vec<u8> {
    match dtype {
        DType::F64 => value.to_le_bytes().to_vec(),
        DType::F32 => (value as f32).to_le_bytes().to_vec(),
        DType::F16 => half::f16::from_f64(value).to_le_bytes().to_vec(),
        DType::Bf16 => half::bf16::from_f64(value).to_le_bytes().to_vec(),
        DType::I64 => (value as i64).to_le_bytes().to_vec(),
        DType::I32 => (value as i32).to_le_bytes().to_vec(),
        other => panic!("no number is made in {other:?}"),
    }
}
