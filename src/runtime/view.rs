//! A borrowed tensor.

use plaudit_onnx::{Bytes, DType, Tensor};

use super::Element;

/// Element type, shape and bytes that belong to someone else: what a session reads and what it answers, uncopied.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    dtype: DType,
    shape: &'a [usize],
    bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// A view of `values`, row-major.
    ///
    /// # Panics
    /// If their number is not what the shape says.
    pub fn new<T: Element>(shape: &'a [usize], values: &'a [T]) -> Self {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{shape:?}");
        Self { dtype: T::DTYPE, shape, bytes: bytemuck::cast_slice(values) }
    }

    pub(super) fn from_parts(dtype: DType, shape: &'a [usize], bytes: &'a [u8]) -> Self {
        Self { dtype, shape, bytes }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// Row-major little-endian elements.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The elements; `None` for another type, or for bytes in a file that do not lie at a multiple of its size.
    pub fn values<T: Element>(&self) -> Option<&'a [T]> {
        (self.dtype == T::DTYPE).then(|| bytemuck::try_cast_slice(self.bytes).ok())?
    }

    /// A copy that owns its bytes.
    pub fn to_tensor(&self) -> Tensor {
        Tensor { dtype: self.dtype, shape: self.shape.to_vec(), data: Bytes::Owned(self.bytes.into()) }
    }
}

impl<'a> From<&'a Tensor> for View<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self { dtype: tensor.dtype, shape: &tensor.shape, bytes: &tensor.data }
    }
}
