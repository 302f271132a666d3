//! Element types by their numbers in ONNX and their names in safetensors.

use crate::{DType, proto::tensor_proto::DataType};

/// One row an element type: ours, ONNX's number, safetensors' name, the word in the text form.
const TABLE: [(DType, DataType, safetensors::Dtype, &str); 13] = {
    use safetensors::Dtype as S;
    [
        (DType::F32, DataType::Float, S::F32, "f32"),
        (DType::F16, DataType::Float16, S::F16, "f16"),
        (DType::Bf16, DataType::Bfloat16, S::BF16, "bf16"),
        (DType::F64, DataType::Double, S::F64, "f64"),
        (DType::I64, DataType::Int64, S::I64, "i64"),
        (DType::I32, DataType::Int32, S::I32, "i32"),
        (DType::I16, DataType::Int16, S::I16, "i16"),
        (DType::I8, DataType::Int8, S::I8, "i8"),
        (DType::U64, DataType::Uint64, S::U64, "u64"),
        (DType::U32, DataType::Uint32, S::U32, "u32"),
        (DType::U16, DataType::Uint16, S::U16, "u16"),
        (DType::U8, DataType::Uint8, S::U8, "u8"),
        (DType::Bool, DataType::Bool, S::BOOL, "bool"),
    ]
};

impl DType {
    fn row(self) -> &'static (DType, DataType, safetensors::Dtype, &'static str) {
        // Every variant has its row: `every_element_type_has_one_row` below.
        TABLE.iter().find(|row| row.0 == self).unwrap_or(&TABLE[0])
    }

    /// The number that ONNX gives this type: `TensorProto.DataType`, also the value of `Cast`'s attribute `to`.
    pub fn onnx(self) -> i64 {
        i64::from(self.row().1 as i32)
    }

    /// The type with this number in ONNX; `None` for types outside [`DType`].
    pub fn from_onnx(number: i64) -> Option<Self> {
        TABLE.iter().find(|row| row.0.onnx() == number).map(|row| row.0)
    }

    /// Whether this is a floating-point type.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16 | Self::F32 | Self::F64)
    }

    /// The same type in safetensors.
    pub fn safetensors(self) -> safetensors::Dtype {
        self.row().2
    }

    /// The type with this name in safetensors; `None` for types outside [`DType`].
    pub fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        TABLE.iter().find(|row| row.2 == dtype).map(|row| row.0)
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.row().3)
    }
}

/// What ONNX calls the type of this number, for messages.
pub(crate) fn onnx_name(number: i64) -> String {
    let known = i32::try_from(number).ok().and_then(|number| DataType::try_from(number).ok());
    known.map_or_else(|| format!("unknown type {number}"), |kind| kind.as_str_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_type_has_one_row() {
        for (dtype, number, stored, word) in TABLE {
            assert_eq!(dtype.row().0, dtype);
            assert_eq!(DType::from_onnx(number as i64), Some(dtype));
            assert_eq!(DType::from_safetensors(stored), Some(dtype));
            assert_eq!(dtype.size() * 8, stored.bitsize());
            assert_eq!(dtype.to_string(), word);
        }
    }

    #[test]
    fn a_type_outside_the_table_keeps_its_name_in_messages() {
        assert_eq!(DType::from_onnx(8), None);
        assert_eq!(onnx_name(8), "STRING");
        assert_eq!(onnx_name(99), "unknown type 99");
    }
}
