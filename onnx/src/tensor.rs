//! A host tensor: element type, shape, and bytes that are owned or mapped from a file.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use memmap2::Mmap;

/// Element types that Stable Diffusion graphs use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum DType {
    F32,
    F16,
    Bf16,
    F64,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// Immutable bytes, cheap to clone: owned, or a range of a mapped file.
#[derive(Clone)]
pub enum Bytes {
    /// On the heap.
    Owned(Arc<[u8]>),
    /// In a mapped file; the map lives as long as any tensor that points into it.
    Mapped {
        /// The file's map.
        map: Arc<MappedFile>,
        /// First byte.
        offset: usize,
        /// Number of bytes.
        length: usize,
    },
}

/// A file's map, and where the file was when it was mapped.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
    path: PathBuf,
}

impl MappedFile {
    pub(crate) fn new(map: Mmap, path: &Path) -> Self {
        Self { map, path: path.to_owned() }
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl Bytes {
    /// The file, the first byte there and the number of bytes, of mapped ones.
    pub fn place(&self) -> Option<(&Path, usize, usize)> {
        match self {
            Self::Owned(_) => None,
            Self::Mapped { map, offset, length } => Some((&map.path, *offset, *length)),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped { map, offset, length } => &map[*offset..*offset + *length],
        }
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

/// A dense, row-major, little-endian tensor.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// `shape.product() * dtype.size()` bytes.
    pub data: Bytes,
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.dtype == other.dtype && self.shape == other.shape && self.data[..] == other.data[..]
    }
}

impl Tensor {
    /// A tensor over owned bytes.
    ///
    /// # Panics
    /// If the number of bytes is not what dtype and shape say.
    pub fn new(dtype: DType, shape: &[usize], data: Vec<u8>) -> Self {
        assert_eq!(data.len(), shape.iter().product::<usize>() * dtype.size(), "{dtype:?} {shape:?}");
        Self { dtype, shape: shape.to_vec(), data: Bytes::Owned(data.into()) }
    }

    /// An f32 tensor.
    pub fn f32(shape: &[usize], values: &[f32]) -> Self {
        Self::new(DType::F32, shape, bytemuck::cast_slice(values).to_vec())
    }

    /// An i64 tensor.
    pub fn i64(shape: &[usize], values: &[i64]) -> Self {
        Self::new(DType::I64, shape, bytemuck::cast_slice(values).to_vec())
    }

    /// A scalar of a floating-point or integer type, rounded to that type; `None` for `bool`.
    pub fn scalar(dtype: DType, value: f32) -> Option<Self> {
        let bytes = match dtype {
            DType::F32 => value.to_le_bytes().to_vec(),
            DType::F64 => f64::from(value).to_le_bytes().to_vec(),
            DType::F16 => half::f16::from_f32(value).to_le_bytes().to_vec(),
            DType::Bf16 => half::bf16::from_f32(value).to_le_bytes().to_vec(),
            DType::I64 => (value as i64).to_le_bytes().to_vec(),
            DType::I32 => (value as i32).to_le_bytes().to_vec(),
            DType::I16 => (value as i16).to_le_bytes().to_vec(),
            DType::I8 => (value as i8).to_le_bytes().to_vec(),
            DType::U64 => (value as u64).to_le_bytes().to_vec(),
            DType::U32 => (value as u32).to_le_bytes().to_vec(),
            DType::U16 => (value as u16).to_le_bytes().to_vec(),
            DType::U8 => (value as u8).to_le_bytes().to_vec(),
            DType::Bool => return None,
        };
        Some(Self::new(dtype, &[], bytes))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as f32, copied; `None` for another dtype.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        (self.dtype == DType::F32).then(|| bytemuck::allocation::pod_collect_to_vec(&self.data))
    }

    /// The elements as i64, copied; `None` for another dtype.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        (self.dtype == DType::I64).then(|| bytemuck::allocation::pod_collect_to_vec(&self.data))
    }
}
