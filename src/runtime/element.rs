//! Element types: Rust's, the graph library's and ONNX Runtime's.

use half::f16;
use ort::value::TensorElementType;
use plaudit_onnx::DType;

/// A Rust type that tensors are made of.
pub trait Element: bytemuck::Pod {
    /// The same type in a graph.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),+ $(,)?) => {
        $(impl Element for $rust { const DTYPE: DType = DType::$dtype; })+
    };
}

elements!(f32 => F32, f16 => F16, f64 => F64, i64 => I64, i32 => I32, u8 => U8);

/// ONNX Runtime's word for each of the graph library's types.
const TYPES: [(DType, TensorElementType); 13] = [
    (DType::F32, TensorElementType::Float32),
    (DType::F16, TensorElementType::Float16),
    (DType::Bf16, TensorElementType::Bfloat16),
    (DType::F64, TensorElementType::Float64),
    (DType::I64, TensorElementType::Int64),
    (DType::I32, TensorElementType::Int32),
    (DType::I16, TensorElementType::Int16),
    (DType::I8, TensorElementType::Int8),
    (DType::U64, TensorElementType::Uint64),
    (DType::U32, TensorElementType::Uint32),
    (DType::U16, TensorElementType::Uint16),
    (DType::U8, TensorElementType::Uint8),
    (DType::Bool, TensorElementType::Bool),
];

pub(super) fn to_ort(dtype: DType) -> TensorElementType {
    let row = TYPES.iter().find(|(ours, _)| *ours == dtype);
    row.map_or(TensorElementType::Undefined, |(_, theirs)| *theirs)
}

pub(super) fn from_ort(element: TensorElementType) -> Option<DType> {
    TYPES.iter().find(|(_, theirs)| *theirs == element).map(|(ours, _)| *ours)
}
