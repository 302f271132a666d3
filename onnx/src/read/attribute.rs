//! Attributes, by the type they declare.

use super::Reader;
use crate::{Attribute, proto, proto::attribute_proto::AttributeType};

impl Reader {
    pub(super) fn attribute(&mut self, message: proto::AttributeProto, place: &str) -> Option<Attribute> {
        if message.ref_attr_name.as_deref().is_some_and(|name| !name.is_empty()) {
            self.problems.add(place, "refers to a function's attribute; functions are unsupported");
            return None;
        }
        let value = match message.r#type() {
            AttributeType::Float => Ok(Attribute::Float(message.f())),
            AttributeType::Int => Ok(Attribute::Int(message.i())),
            AttributeType::String => text(message.s.unwrap_or_default()).map(Attribute::String),
            AttributeType::Floats => Ok(Attribute::Floats(message.floats)),
            AttributeType::Ints => Ok(Attribute::Ints(message.ints)),
            AttributeType::Strings => {
                message.strings.into_iter().map(text).collect::<Result<_, _>>().map(Attribute::Strings)
            }
            AttributeType::Tensor => match message.t {
                Some(tensor) => return self.tensor(tensor, place).map(Attribute::Tensor),
                None => Err("declares a tensor and has none".to_owned()),
            },
            AttributeType::Graph => match message.g {
                Some(graph) => return Some(Attribute::Graph(Box::new(self.graph(graph, &format!("{place}: "))))),
                None => Err("declares a graph and has none".to_owned()),
            },
            other => Err(format!("attribute type {} is unsupported", other.as_str_name())),
        };
        value.map_err(|fault| self.problems.add(place, fault)).ok()
    }
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}
