//! ONNX Runtime's values over memory that Rust owns.

use std::{ffi::c_void, ptr::NonNull, slice};

use ort::{
    AsPointer,
    memory::{Allocator, MemoryInfo},
    ortsys,
    session::Session,
    value::{DynValue, Outlet, Value, ValueType},
};
use plaudit_onnx::{DType, Dim, ValueInfo};

use super::{RuntimeError, element};

/// A value whose elements stay where they are.
///
/// # Safety
/// `data` must be valid for `shape.product() * dtype.size()` bytes until the value and every session it was given to
/// are gone, and be writable if the value is bound as an output.
pub(super) unsafe fn over(dtype: DType, shape: &[usize], data: *mut u8) -> Result<DynValue, ort::Error> {
    let info = MemoryInfo::default();
    let extents: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
    let length = shape.iter().product::<usize>() * dtype.size();
    let element = element::to_ort(dtype).into();
    let mut value = std::ptr::null_mut();
    ortsys![unsafe CreateTensorWithDataAsOrtValue(
        info.ptr(),
        data.cast::<c_void>(),
        length,
        extents.as_ptr(),
        extents.len(),
        element,
        &mut value
    )?];
    let value = NonNull::new(value).ok_or_else(|| ort::Error::new("ONNX Runtime made a null value"))?;
    // SAFETY: the pointer was just made and nobody else releases it.
    Ok(unsafe { Value::from_ptr(value, Some(&Allocator::default())) })
}

/// Element type and shape of a value that a run has made.
pub(super) fn facts(name: &str, value: &DynValue) -> Result<(DType, Vec<usize>), RuntimeError> {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else { return Err(unsupported(name, value.dtype())) };
    let dtype = element::from_ort(*ty).ok_or_else(|| unsupported(name, value.dtype()))?;
    Ok((dtype, shape.iter().map(|&extent| usize::try_from(extent).unwrap_or(0)).collect()))
}

/// The bytes of a tensor in host memory.
pub(super) fn bytes(value: &DynValue, length: usize) -> Result<&[u8], ort::Error> {
    let mut data = std::ptr::null_mut();
    ortsys![unsafe GetTensorMutableData(value.ptr().cast_mut(), &mut data)?];
    if length == 0 || data.is_null() {
        return Ok(&[]);
    }
    // SAFETY: the value is a tensor of at least this many bytes and lives as long as the slice.
    Ok(unsafe { slice::from_raw_parts(data.cast(), length) })
}

/// Inputs or outputs of a session, as the graph library says such things.
pub(super) fn describe(outlets: &[Outlet]) -> Result<Vec<ValueInfo>, RuntimeError> {
    outlets.iter().map(describe_one).collect()
}

fn describe_one(outlet: &Outlet) -> Result<ValueInfo, RuntimeError> {
    let ValueType::Tensor { ty, shape, dimension_symbols } = outlet.dtype() else {
        return Err(unsupported(outlet.name(), outlet.dtype()));
    };
    let dtype = element::from_ort(*ty).ok_or_else(|| unsupported(outlet.name(), outlet.dtype()))?;
    let dims = shape.iter().zip(dimension_symbols.iter()).map(|(&extent, symbol)| match usize::try_from(extent) {
        Ok(extent) => Dim::Fixed(extent),
        Err(_) if symbol.is_empty() => Dim::Unknown,
        Err(_) => Dim::Named(symbol.clone()),
    });
    Ok(ValueInfo { name: outlet.name().to_owned(), dtype, shape: Some(dims.collect()) })
}

fn unsupported(name: &str, kind: &ValueType) -> RuntimeError {
    RuntimeError::Unsupported { name: name.to_owned(), kind: kind.to_string() }
}

/// Runs a session over what is bound, without making values for its outputs as `ort`'s own call does.
pub(super) fn run_bound(session: &mut Session, binding: &ort::session::IoBinding) -> Result<(), ort::Error> {
    ortsys![unsafe RunWithBinding(session.ptr().cast_mut(), std::ptr::null(), binding.ptr())?];
    Ok(())
}
