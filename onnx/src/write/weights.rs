//! The safetensors file: an 8-byte length, a JSON header, then the tensors without a gap.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
};

use safetensors::tensor::{Metadata, TensorInfo};

use super::{EMBED_BELOW, ExternalRange, WEIGHTS_FILE, WriteError};
use crate::{Graph, Tensor};

/// The header starts after its own length, and is padded so that the data begins aligned for every element type.
const LENGTH_BYTES: usize = 8;

/// What diffusers and transformers want to see in a weights file before they load it.
const FORMAT: (&str, &str) = ("format", "pt");

/// The one operator whose float input (its scales) decides a shape.
const SHAPED_BY_FLOATS: &str = "Resize";

impl Graph {
    /// What goes into the weights file: floats that have an axis, so that no parameter is missing there, and anything large.
    pub(super) fn external_initializers(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        let resizes = self.nodes.iter().filter(|node| node.op == SHAPED_BY_FLOATS);
        let scales: HashSet<&str> = resizes.flat_map(|node| &node.inputs).map(String::as_str).collect();
        self.initializers.iter().filter(move |(name, tensor)| {
            let weight = tensor.dtype.is_float()
                && !tensor.shape.is_empty()
                && !tensor.is_empty()
                && !scales.contains(name.as_str());
            weight || tensor.data.len() >= EMBED_BELOW
        })
    }
}

/// Where each tensor will lie in the file.
pub(super) struct Layout<'a> {
    header: Vec<u8>,
    tensors: Vec<&'a Tensor>,
    ranges: HashMap<&'a str, ExternalRange>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(tensors: impl Iterator<Item = (&'a String, &'a Tensor)>, file: &str) -> Result<Self, WriteError> {
        let mut tensors: Vec<_> = tensors.collect();
        // Wide elements first keeps every tensor aligned without gaps, which safetensors forbids.
        tensors.sort_by(|a, b| b.1.dtype.size().cmp(&a.1.dtype.size()).then_with(|| a.0.cmp(b.0)));
        let mut end = 0;
        let mut infos = Vec::with_capacity(tensors.len());
        for (name, tensor) in &tensors {
            let (bytes, expected) = (tensor.data.len(), tensor.len() * tensor.dtype.size());
            if bytes != expected {
                return Err(WriteError::Tensor { name: (*name).clone(), bytes, expected });
            }
            let offsets = (end, end + bytes);
            end += bytes;
            let info =
                TensorInfo { dtype: tensor.dtype.safetensors(), shape: tensor.shape.clone(), data_offsets: offsets };
            infos.push(((*name).clone(), info));
        }
        let ranges = infos.iter().map(|(_, info)| info.data_offsets).collect::<Vec<_>>();
        let header = header(infos)?;
        let start = header.len();
        let range = |(first, end): (usize, usize)| ExternalRange {
            location: file.to_owned(),
            offset: start + first,
            length: end - first,
        };
        let ranges = tensors.iter().zip(ranges).map(|((name, _), offsets)| (name.as_str(), range(offsets))).collect();
        Ok(Self { header, tensors: tensors.into_iter().map(|(_, tensor)| tensor).collect(), ranges })
    }

    pub(super) fn range(&self, name: &str) -> Option<ExternalRange> {
        self.ranges.get(name).cloned()
    }

    pub(super) fn write(&self, file: &mut impl Write) -> io::Result<()> {
        file.write_all(&self.header)?;
        self.tensors.iter().try_for_each(|tensor| file.write_all(&tensor.data))
    }
}

/// The length and the padded JSON.
fn header(infos: Vec<(String, TensorInfo)>) -> Result<Vec<u8>, WriteError> {
    let fault = |source: io::Error| WriteError::Io { path: WEIGHTS_FILE.into(), source };
    let format = HashMap::from([(FORMAT.0.to_owned(), FORMAT.1.to_owned())]);
    let metadata = Metadata::new(Some(format), infos).map_err(|error| fault(io::Error::other(error)))?;
    let mut json = serde_json::to_vec(&metadata).map_err(|error| fault(error.into()))?;
    json.resize(json.len().next_multiple_of(LENGTH_BYTES), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok(header)
}
