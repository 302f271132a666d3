//! Who reads and who makes each value.

use std::collections::{HashMap, HashSet};

use crate::{Attribute, Graph, Node, Tensor, ValueInfo};

impl Node {
    /// Every value this node reads, those that its subgraphs capture or use inside included.
    pub fn reads(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.inputs.iter().filter(|name| !name.is_empty()).map(String::as_str).collect();
        for attribute in self.attributes.values() {
            if let Attribute::Graph(body) = attribute {
                names.extend(body.nodes.iter().flat_map(Node::reads));
                names.extend(body.outputs.iter().map(|output| output.name.as_str()));
            }
        }
        names
    }
}

impl Graph {
    /// The node that makes each value, by the value's name.
    pub fn makers(&self) -> HashMap<&str, usize> {
        self.nodes
            .iter()
            .enumerate()
            .flat_map(|(at, node)| node.outputs.iter().map(move |name| (name.as_str(), at)))
            .filter(|(name, _)| !name.is_empty())
            .collect()
    }

    /// The nodes that read each value, in execution order.
    pub fn readers(&self) -> HashMap<&str, Vec<usize>> {
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            for name in node.reads() {
                let places = readers.entry(name).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
            }
        }
        readers
    }

    /// What is known of the value `name`, wherever it is declared; initializers count.
    pub fn value(&self, name: &str) -> Option<ValueInfo> {
        let declared = || self.inputs.iter().chain(&self.outputs).find(|info| info.name == name);
        let stored = |tensor: &Tensor| ValueInfo::fixed(name, tensor.dtype, &tensor.shape);
        let known = self.initializers.get(name).map(stored);
        known.or_else(|| self.values.get(name).or_else(declared).cloned())
    }

    /// The value of `name` where it is an initializer or made by a `Constant` node with a tensor.
    pub fn constant(&self, name: &str) -> Option<&Tensor> {
        let held = || {
            let node =
                self.nodes.iter().find(|node| node.op == "Constant" && node.outputs.iter().any(|o| o == name))?;
            match node.attributes.get("value") {
                Some(Attribute::Tensor(tensor)) => Some(tensor),
                _ => None,
            }
        };
        self.initializers.get(name).or_else(held)
    }

    /// Calls the value `from` `to` wherever it stands, in subgraphs too. `to` must be a new name.
    pub fn rename(&mut self, from: &str, to: &str) {
        let swap = |name: &mut String| {
            if name == from {
                to.clone_into(name);
            }
        };
        for node in &mut self.nodes {
            node.inputs.iter_mut().chain(&mut node.outputs).for_each(swap);
            for attribute in node.attributes.values_mut() {
                if let Attribute::Graph(body) = attribute {
                    body.rename(from, to);
                }
            }
        }
        self.inputs.iter_mut().chain(&mut self.outputs).for_each(|info| swap(&mut info.name));
        if let Some(info) = self.values.remove(from) {
            self.values.insert(to.to_owned(), ValueInfo { name: to.to_owned(), ..info });
        }
        if let Some(at) = self.initializers.get_index_of(from)
            && let Some((_, tensor)) = self.initializers.shift_remove_index(at)
        {
            self.initializers.shift_insert(at, to.to_owned(), tensor);
        }
    }

    /// Makes whoever reads `from` read `to`, which exists before them. An output of that name keeps it.
    pub fn redirect(&mut self, from: &str, to: &str) {
        let swap = |name: &mut String| {
            if name == from {
                to.clone_into(name);
            }
        };
        for node in &mut self.nodes {
            node.inputs.iter_mut().for_each(swap);
            for attribute in node.attributes.values_mut() {
                if let Attribute::Graph(body) = attribute {
                    body.redirect(from, to);
                    body.outputs.iter_mut().for_each(|output| swap(&mut output.name));
                }
            }
        }
        if self.outputs.iter().any(|output| output.name == from) {
            let maker = self.nodes.iter_mut().find(|node| node.outputs.iter().any(|name| name == from));
            if let Some(maker) = maker {
                *maker = Node { name: maker.name.clone(), ..Node::new("Identity", &[to], &[from]) };
            }
        }
    }

    /// Whether a value of this name exists.
    pub fn is_known(&self, name: &str) -> bool {
        self.initializers.contains_key(name)
            || self.inputs.iter().any(|input| input.name == name)
            || self.nodes.iter().any(|node| node.outputs.iter().any(|output| output == name))
    }

    /// Removes nodes and initializers that no output needs, and facts about values that are gone. Inputs stay.
    pub fn prune(&mut self) {
        let mut needed: HashSet<String> = self.outputs.iter().map(|output| output.name.clone()).collect();
        let mut kept = Vec::with_capacity(self.nodes.len());
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.outputs.iter().any(|output| needed.contains(output)) {
                needed.extend(node.reads().into_iter().map(str::to_owned));
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
        self.initializers.retain(|name, _| needed.contains(name));
        self.values.retain(|name, _| needed.contains(name));
    }
}
