//! Tensors: external, raw, or in one of the typed fields.

use super::Reader;
use crate::{
    Bytes, DType, Tensor, dtype,
    proto::{StringStringEntryProto, TensorProto, tensor_proto::DataLocation},
};

impl Reader {
    pub(super) fn tensor(&mut self, message: TensorProto, place: &str) -> Option<Tensor> {
        self.try_tensor(message).map_err(|fault| self.problems.add(place, fault)).ok()
    }

    fn try_tensor(&mut self, message: TensorProto) -> Result<Tensor, String> {
        let number = i64::from(message.data_type.unwrap_or(0));
        let dtype = DType::from_onnx(number)
            .ok_or_else(|| format!("element type {} is unsupported", dtype::onnx_name(number)))?;
        if message.segment.is_some() {
            return Err("segmented tensors are unsupported".to_owned());
        }
        let (shape, elements) = extents(&message.dims)?;
        let length = elements.checked_mul(dtype.size()).ok_or("its shape overflows the address space")?;
        let data = match message.data_location() {
            DataLocation::External => self.external(&message.external_data, length)?,
            DataLocation::Default if message.external_data.is_empty() => Bytes::Owned(embedded(message, dtype)?.into()),
            DataLocation::Default => return Err("has external data and says it has none".to_owned()),
        };
        if data.len() != length {
            return Err(format!("{dtype} {shape:?} takes {length} bytes; {} are there", data.len()));
        }
        Ok(Tensor { dtype, shape, data })
    }

    fn external(&mut self, entries: &[StringStringEntryProto], length: usize) -> Result<Bytes, String> {
        let mut location = None;
        let (mut offset, mut stated) = (0, length);
        for entry in entries {
            match (entry.key(), entry.value()) {
                ("location", value) => location = Some(value),
                ("offset", value) => offset = count("offset", value)?,
                ("length", value) => stated = count("length", value)?,
                (key, _) => return Err(format!("unknown external-data key `{key}`")),
            }
        }
        let location = location.ok_or("external data without a location")?;
        if stated != length {
            return Err(format!("shape and element type take {length} bytes; external data says {stated}"));
        }
        let directory = self.directory.as_mut().ok_or("external data in a model that was read from memory")?;
        directory.bytes(location, offset, length)
    }
}

fn count(key: &str, value: &str) -> Result<usize, String> {
    value.parse().map_err(|_| format!("external-data {key} `{value}` is not a number of bytes"))
}

fn extents(dims: &[i64]) -> Result<(Vec<usize>, usize), String> {
    let extent = |&dim| usize::try_from(dim).map_err(|_| format!("negative extent {dim}"));
    let shape = dims.iter().map(extent).collect::<Result<Vec<_>, _>>()?;
    let elements = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    Ok((shape, elements.ok_or("its shape overflows the address space")?))
}

/// The little-endian bytes of whichever field holds the values; narrow types travel in `int32_data` as their bits.
fn embedded(message: TensorProto, dtype: DType) -> Result<Vec<u8>, String> {
    if let Some(raw) = message.raw_data {
        return Ok(raw);
    }
    fn le<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|&value| bytes(value)).collect()
    }
    let narrow = &message.int32_data;
    Ok(match dtype {
        DType::F32 => le(&message.float_data, f32::to_le_bytes),
        DType::F64 => le(&message.double_data, f64::to_le_bytes),
        DType::I64 => le(&message.int64_data, i64::to_le_bytes),
        DType::U64 => le(&message.uint64_data, u64::to_le_bytes),
        DType::U32 => le(&message.uint64_data, |value| (value as u32).to_le_bytes()),
        DType::I32 => le(narrow, i32::to_le_bytes),
        DType::F16 | DType::Bf16 | DType::I16 | DType::U16 => le(narrow, |value| (value as u16).to_le_bytes()),
        DType::I8 | DType::U8 => le(narrow, |value| [value as u8]),
        DType::Bool => le(narrow, |value| [u8::from(value != 0)]),
    })
}
