//! Fixed buffers, bound once.

use indexmap::IndexMap;
use ort::{session::IoBinding, value::DynValue};
use plaudit_onnx::{DType, ValueInfo};

use super::{Device, Element, RuntimeError, Session, session::shape_text, value};

/// A session of fixed shapes with one host buffer for each input and output.
///
/// Nothing is allocated between runs. Parameters live in input buffers, where an optimiser updates them in place;
/// gradients appear in output buffers. On a GPU, inputs that were borrowed mutably since the last run are sent again.
#[derive(Debug)]
pub struct BoundSession {
    // Dropped from top to bottom: the runtime before the memory it reads and writes.
    binding: IoBinding,
    session: Session,
    inputs: Buffers,
    outputs: Buffers,
}

impl BoundSession {
    /// Allocates zeroed buffers for all inputs and outputs and binds them.
    ///
    /// # Errors
    /// If a shape is not fixed (all such values are named) or binding fails.
    pub fn new(session: Session) -> Result<Self, RuntimeError> {
        let open = session.inputs().iter().chain(session.outputs()).filter(|info| info.static_shape().is_none());
        let values: Vec<_> = open.map(|info| format!("{} {}", info.name, shape_text(info))).collect();
        if !values.is_empty() {
            return Err(RuntimeError::NotStatic { values });
        }
        let binding = session.inner.create_binding().map_err(RuntimeError::run)?;
        let inputs = Buffers::new(session.inputs());
        let outputs = Buffers::new(session.outputs());
        let mut bound = Self { binding, session, inputs, outputs };
        bound.bind().map_err(RuntimeError::run)?;
        Ok(bound)
    }

    fn bind(&mut self) -> Result<(), ort::Error> {
        for (name, buffer) in &mut self.outputs.0 {
            self.binding.bind_output(name, buffer.value()?)?;
        }
        self.send_inputs()
    }

    /// Binds the inputs that changed; binding is what copies them to a device that does not share host memory.
    fn send_inputs(&mut self) -> Result<(), ort::Error> {
        for (name, buffer) in self.inputs.0.iter_mut().filter(|(_, buffer)| buffer.touched) {
            self.binding.bind_input(name, &buffer.value()?)?;
            buffer.touched = false;
        }
        Ok(())
    }

    /// Runs the graph over the buffers as they are.
    ///
    /// # Errors
    /// If ONNX Runtime fails.
    pub fn run(&mut self) -> Result<(), RuntimeError> {
        if self.session.device != Device::Cpu {
            self.send_inputs().map_err(RuntimeError::run)?;
        }
        value::run_bound(&mut self.session.inner, &self.binding).map_err(RuntimeError::run)
    }

    /// The elements of an input or output.
    ///
    /// # Panics
    /// If the graph has no such value or it is of another type: both are the caller's own graph.
    pub fn buffer<T: Element>(&self, name: &str) -> &[T] {
        let buffers = if self.inputs.0.contains_key(name) { &self.inputs } else { &self.outputs };
        buffers.get(name)
    }

    /// The elements of an input or output, to be written.
    ///
    /// # Panics
    /// As [`BoundSession::buffer`].
    pub fn buffer_mut<T: Element>(&mut self, name: &str) -> &mut [T] {
        let buffers = if self.inputs.0.contains_key(name) { &mut self.inputs } else { &mut self.outputs };
        buffers.get_mut(name)
    }

    /// Inputs to write beside outputs to read: what an optimiser needs.
    pub fn split(&mut self) -> (&mut Buffers, &Buffers) {
        (&mut self.inputs, &self.outputs)
    }

    /// What the graph reads and answers.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

/// Named host tensors of fixed shapes.
#[derive(Debug)]
pub struct Buffers(IndexMap<String, Buffer>);

/// A cache line of the machines this runs on.
const LINE_BYTES: usize = 64;

/// So that vector instructions never straddle a cache line.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u8; LINE_BYTES]);

#[derive(Debug)]
struct Buffer {
    dtype: DType,
    shape: Vec<usize>,
    length: usize,
    lines: Vec<Line>,
    touched: bool,
}

impl Buffers {
    fn new(infos: &[ValueInfo]) -> Self {
        let buffer = |info: &ValueInfo| Some((info.name.clone(), Buffer::new(info.dtype, info.static_shape()?)));
        Self(infos.iter().filter_map(buffer).collect())
    }

    /// The elements of a value.
    ///
    /// # Panics
    /// If there is no such value or it is of another type.
    pub fn get<T: Element>(&self, name: &str) -> &[T] {
        match self.0.get(name) {
            Some(buffer) => buffer.values(name),
            None => self.unknown(name),
        }
    }

    /// The elements of a value, to be written.
    ///
    /// # Panics
    /// As [`Buffers::get`].
    pub fn get_mut<T: Element>(&mut self, name: &str) -> &mut [T] {
        if !self.0.contains_key(name) {
            self.unknown(name);
        }
        self.0[name].values_mut(name)
    }

    /// All values of one element type, to be written, in the graph's order.
    pub fn iter_mut<T: Element>(&mut self) -> impl Iterator<Item = (&str, &mut [T])> {
        let of_type = self.0.iter_mut().filter(|(_, buffer)| buffer.dtype == T::DTYPE);
        of_type.map(|(name, buffer)| (name.as_str(), buffer.values_mut(name)))
    }

    /// Names, types and shapes, in the graph's order.
    pub fn facts(&self) -> impl Iterator<Item = (&str, DType, &[usize])> {
        self.0.iter().map(|(name, buffer)| (name.as_str(), buffer.dtype, buffer.shape.as_slice()))
    }

    fn unknown(&self, name: &str) -> ! {
        let names = self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        panic!("the graph has no value `{name}` here; it has {names}")
    }
}

impl Buffer {
    fn new(dtype: DType, shape: Vec<usize>) -> Self {
        let length = shape.iter().product::<usize>() * dtype.size();
        let lines = vec![bytemuck::Zeroable::zeroed(); length.div_ceil(size_of::<Line>())];
        Self { dtype, shape, length, lines, touched: true }
    }

    fn value(&mut self) -> Result<DynValue, ort::Error> {
        let data = self.lines.as_mut_ptr().cast();
        // SAFETY: the lines are never reallocated and outlive the binding that the value is made for.
        unsafe { value::over(self.dtype, &self.shape, data) }
    }

    fn values<T: Element>(&self, name: &str) -> &[T] {
        assert_eq!(self.dtype, T::DTYPE, "element type of `{name}`");
        let bytes: &[u8] = bytemuck::cast_slice(&self.lines);
        bytemuck::cast_slice(&bytes[..self.length])
    }

    fn values_mut<T: Element>(&mut self, name: &str) -> &mut [T] {
        assert_eq!(self.dtype, T::DTYPE, "element type of `{name}`");
        self.touched = true;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.lines);
        bytemuck::cast_slice_mut(&mut bytes[..self.length])
    }
}
