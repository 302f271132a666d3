//! Tensors that stay on the device between runs, shared by the graphs that read and write them.

use ort::{
    memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType},
    session::IoBinding,
    value::{DynTensor, DynTensorValueType, DynValue},
};
use plaudit_onnx::{Bytes, DType, Tensor, ValueInfo};

use super::{Device, RuntimeError, Session, View, element, session::misfit, value};

/// A tensor in a device's memory.
///
/// What it holds is undefined until it was uploaded or a run wrote it.
#[derive(Debug)]
pub struct DeviceTensor {
    value: DynTensor,
    dtype: DType,
    shape: Vec<usize>,
}

impl DeviceTensor {
    /// Memory on the device that `session` computes on.
    ///
    /// # Errors
    /// If the device has not enough memory.
    pub fn new(session: &Session, dtype: DType, shape: &[usize]) -> Result<Self, RuntimeError> {
        let extents: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
        let allocator = allocator(session).map_err(RuntimeError::run)?;
        let value = DynTensor::new(&allocator, element::to_ort(dtype), extents).map_err(RuntimeError::run)?;
        Ok(Self { value, dtype, shape: shape.to_vec() })
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Copies host elements to the device.
    ///
    /// # Errors
    /// If type or shape differ, or the copy fails.
    pub fn upload(&mut self, host: View<'_>) -> Result<(), RuntimeError> {
        if (host.dtype(), host.shape()) != (self.dtype, self.shape.as_slice()) {
            let (ours, theirs) = ((self.dtype, &self.shape), (host.dtype(), host.shape()));
            return Err(RuntimeError::Inputs { problems: vec![format!("{theirs:?} does not fit {ours:?}")] });
        }
        // SAFETY: the value is gone when the copy is done; it is only read.
        let source = unsafe { value::over(host.dtype(), host.shape(), host.bytes().as_ptr().cast_mut()) };
        let copied = source.and_then(tensor).and_then(|source| source.copy_into(&mut self.value));
        copied.map_err(RuntimeError::run)
    }

    /// Copies the elements to the host.
    ///
    /// # Errors
    /// If the copy fails.
    pub fn download(&self) -> Result<Tensor, RuntimeError> {
        let mut bytes = vec![0; self.shape.iter().product::<usize>() * self.dtype.size()];
        // SAFETY: the value is gone when the copy is done, and nobody else sees the bytes before.
        let target = unsafe { value::over(self.dtype, &self.shape, bytes.as_mut_ptr()) };
        let copied = target.and_then(tensor).and_then(|mut target| self.value.copy_into(&mut target));
        copied.map_err(RuntimeError::run)?;
        Ok(Tensor { dtype: self.dtype, shape: self.shape.clone(), data: Bytes::Owned(bytes.into()) })
    }
}

fn tensor(value: DynValue) -> Result<DynTensor, ort::Error> {
    value.downcast::<DynTensorValueType>()
}

fn allocator(session: &Session) -> Result<Allocator, ort::Error> {
    let Device::Cuda(index) = session.device else { return Ok(Allocator::default()) };
    let index = i32::try_from(index).unwrap_or(i32::MAX);
    let memory = MemoryInfo::new(AllocationDevice::CUDA, index, AllocatorType::Device, MemoryType::Default)?;
    Allocator::new(&session.inner, memory)
}

/// A session over device tensors.
///
/// ONNX Runtime promises nothing about inputs and outputs that share memory, so what is updated has two tensors that
/// change roles: after each run, swap them and bind both again.
#[derive(Debug)]
pub struct ResidentSession {
    // Dropped before the session it belongs to.
    binding: IoBinding,
    session: Session,
}

impl ResidentSession {
    /// Nothing is bound yet.
    ///
    /// # Errors
    /// If ONNX Runtime refuses a binding.
    pub fn new(session: Session) -> Result<Self, RuntimeError> {
        Ok(Self { binding: session.inner.create_binding().map_err(RuntimeError::run)?, session })
    }

    /// Reads the input `name` from `tensor` from now on.
    ///
    /// # Errors
    /// If the graph has no such input or it is of another type or shape.
    pub fn bind_input(&mut self, name: &str, tensor: &DeviceTensor) -> Result<(), RuntimeError> {
        fits(self.session.inputs(), name, tensor)?;
        self.binding.bind_input(name, &tensor.value).map_err(RuntimeError::run)
    }

    /// Writes the output `name` to `tensor` from now on.
    ///
    /// # Errors
    /// If the graph has no such output or it is of another type or shape.
    pub fn bind_output(&mut self, name: &str, tensor: &mut DeviceTensor) -> Result<(), RuntimeError> {
        fits(self.session.outputs(), name, tensor)?;
        self.binding.bind_output(name, &mut tensor.value).map_err(RuntimeError::run)
    }

    /// Runs the graph; outputs that are not bound are not kept.
    ///
    /// # Errors
    /// If an input is not bound or the run fails.
    pub fn run(&mut self) -> Result<(), RuntimeError> {
        value::run_bound(&mut self.session.inner, &self.binding).map_err(RuntimeError::run)
    }

    /// What the graph reads and answers.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

fn fits(infos: &[ValueInfo], name: &str, tensor: &DeviceTensor) -> Result<(), RuntimeError> {
    let problem = match infos.iter().find(|info| info.name == name) {
        None => Some(format!("the graph has no value `{name}` here")),
        Some(info) => misfit(info, tensor.dtype, &tensor.shape),
    };
    problem.map_or(Ok(()), |problem| Err(RuntimeError::Inputs { problems: vec![problem] }))
}
