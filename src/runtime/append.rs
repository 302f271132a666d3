//! A field added to an encoded model.
//!
//! Protobuf defines that a message followed by another of its type decodes as the two merged, lists joined. So a model
//! gains outputs whose type is left open, which the graph library's own types cannot say.

/// Protobuf wire type of a length-delimited field.
const BYTES: u64 = 2;
/// `ModelProto.graph`.
const MODEL_GRAPH: u64 = 7;
/// `GraphProto.output`.
const GRAPH_OUTPUT: u64 = 12;
/// `ValueInfoProto.name`.
const VALUE_NAME: u64 = 1;

/// Declares one more output and leaves its type to shape inference.
pub(super) fn untyped_output(model: &mut Vec<u8>, name: &str) {
    let mut value = Vec::new();
    field(&mut value, VALUE_NAME, name.as_bytes());
    let mut graph = Vec::new();
    field(&mut graph, GRAPH_OUTPUT, &value);
    field(model, MODEL_GRAPH, &graph);
}

fn field(out: &mut Vec<u8>, number: u64, value: &[u8]) {
    varint(out, number << 3 | BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Seven bits a byte, least significant first; the eighth says that more follow.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
