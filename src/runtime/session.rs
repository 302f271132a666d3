//! A graph ready to run.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
};

use ort::{
    session::{SessionInputValue, builder::SessionBuilder},
    value::DynValue,
};
use plaudit_onnx::{Bytes, DType, Dim, EMBED_BELOW, ExternalRange, Model, Tensor, ValueInfo};

use super::{Device, RuntimeError, SessionSettings, Stop, View, environment::environment, trim::TrimOnDrop, value};

/// ONNX Runtime's name for [`SessionSettings::flush_denormals`].
const FLUSH_DENORMALS: &str = "session.set_denormal_as_zero";

/// ONNX Runtime's name for the folder that external data of a graph in memory is in.
const WEIGHTS_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// Where the weights are said to lie that are handed over by pointer: no file of this name is ever opened.
const IN_MEMORY: &str = "in-memory";

/// A graph, its weights, and what ONNX Runtime made of them.
///
/// Weights of mapped files are told by name and place: ONNX Runtime maps them itself, and lets go of the pages of those that it has
/// re-laid. Handed over by pointer they would be copied first: three times a matrix's size while loading and twice afterwards,
/// against twice and once. Those that are in memory only are handed over.
#[derive(Debug)]
pub struct Session {
    // Dropped from top to bottom: the runtime, then the memory it reads, then the allocator's spare pages.
    pub(super) inner: ort::session::Session,
    _weights: Vec<Bytes>,
    _trim: TrimOnDrop,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
    pub(super) device: Device,
}

impl Session {
    /// A session for `model`.
    ///
    /// # Errors
    /// If the library is missing, the device unusable, or the graph refused.
    pub fn from_model(model: &Model, settings: &SessionSettings) -> Result<Self, RuntimeError> {
        let refused = RuntimeError::load(&model.graph.name);
        let files = Files::of(model);
        let weights =
            model.graph.initializers.iter().filter(|(_, tensor)| is_weight(tensor) && files.range(tensor).is_none());
        let mut builder = builder(settings)?;
        if let Some((_, folder)) = &files.0 {
            let plain = |error: ort::Error<SessionBuilder>| refused(plain(&error));
            builder = builder.with_config_entry(WEIGHTS_FOLDER, folder).map_err(plain)?;
        }
        for (name, tensor) in weights.clone() {
            // SAFETY: the bytes live in `_weights`, which is dropped after the session; initializers are only read.
            let value = unsafe { value::over(tensor.dtype, &tensor.shape, tensor.data.as_ptr().cast_mut()) };
            let value: Arc<DynValue> = Arc::new(value.map_err(&refused)?);
            builder = builder.with_external_initializer(name, value).map_err(|error| refused(plain(&error)))?;
        }
        let inner = builder.commit_from_memory(&graph_bytes(model, &files)).map_err(&refused)?;
        Ok(Self {
            inputs: value::describe(inner.inputs())?,
            outputs: value::describe(inner.outputs())?,
            inner,
            _weights: weights.map(|(_, tensor)| tensor.data.clone()).collect(),
            _trim: TrimOnDrop,
            device: settings.device,
        })
    }

    /// A session for the model in a file, with its weights mapped.
    ///
    /// # Errors
    /// As [`Session::from_model`], and if the file cannot be read.
    pub fn open(path: &Path, settings: &SessionSettings) -> Result<Self, RuntimeError> {
        Self::from_model(&Model::read(path)?, settings)
    }

    /// What the graph reads, in its order.
    pub fn inputs(&self) -> &[ValueInfo] {
        &self.inputs
    }

    /// What the graph answers, in its order.
    pub fn outputs(&self) -> &[ValueInfo] {
        &self.outputs
    }

    /// Runs the graph and copies every output, in the graph's order.
    ///
    /// # Errors
    /// If the inputs do not fit (all faults at once) or the run fails.
    pub fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Vec<Tensor>, RuntimeError> {
        let views: Vec<_> = inputs.iter().map(|&(name, tensor)| (name, View::from(tensor))).collect();
        let outputs = self.run_views(&views)?;
        Ok(outputs.iter().map(|view| view.to_tensor()).collect())
    }

    /// Runs the graph without copying its inputs or outputs.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_views(&mut self, inputs: &[(&str, View<'_>)]) -> Result<Outputs, RuntimeError> {
        self.run_fed(inputs, None)
    }

    /// As [`Session::run_views`], and ends early with an error once `stop` is told.
    ///
    /// # Errors
    /// As [`Session::run`], and when it was stopped.
    pub fn run_until(&mut self, inputs: &[(&str, View<'_>)], stop: &Stop) -> Result<Outputs, RuntimeError> {
        self.run_fed(inputs, Some(stop))
    }

    fn run_fed(&mut self, inputs: &[(&str, View<'_>)], stop: Option<&Stop>) -> Result<Outputs, RuntimeError> {
        let problems = misfits(&self.inputs, inputs);
        if !problems.is_empty() {
            return Err(RuntimeError::Inputs { problems });
        }
        let fed = inputs.iter().map(|&(name, view)| {
            // SAFETY: the values are gone when `run` returns, before the borrow of the bytes ends; inputs are only read.
            let value = unsafe { value::over(view.dtype(), view.shape(), view.bytes().as_ptr().cast_mut()) };
            Ok((Cow::Borrowed(name), SessionInputValue::Owned(value?)))
        });
        let fed = fed.collect::<Result<Vec<_>, ort::Error>>().map_err(RuntimeError::run)?;
        let values = match stop {
            None => self.inner.run(fed),
            Some(stop) => self.inner.run_with_options(fed, &stop.0),
        };
        let values = values.map_err(RuntimeError::run)?;
        values.into_iter().map(|(name, value)| Output::new(name, value)).collect::<Result<_, _>>().map(Outputs)
    }
}

/// What one run answered, in the graph's order.
#[derive(Debug)]
pub struct Outputs(Vec<Output>);

#[derive(Debug)]
struct Output {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    value: DynValue,
}

impl Output {
    fn new(name: &str, value: DynValue) -> Result<Self, RuntimeError> {
        let (dtype, shape) = value::facts(name, &value)?;
        Ok(Self { name: name.to_owned(), dtype, shape, value })
    }

    fn view(&self) -> View<'_> {
        let length = self.shape.iter().product::<usize>() * self.dtype.size();
        let bytes = value::bytes(&self.value, length).unwrap_or_default();
        View::from_parts(self.dtype, &self.shape, bytes)
    }
}

impl Outputs {
    /// The output of this name.
    pub fn get(&self, name: &str) -> Option<View<'_>> {
        self.0.iter().find(|output| output.name == name).map(Output::view)
    }

    /// All outputs, in the graph's order.
    pub fn iter(&self) -> impl Iterator<Item = View<'_>> {
        self.0.iter().map(Output::view)
    }
}

/// The folder of a model's mapped weights: the runtime takes one. As the weights tell it, and as the runtime is told.
struct Files(Option<(PathBuf, String)>);

impl Files {
    fn of(model: &Model) -> Self {
        let weights = model.graph.initializers.values().filter(|tensor| is_weight(tensor));
        let mut folders = weights.filter_map(|tensor| tensor.data.place()?.0.parent());
        // It may not be relative; and text is all that the runtime takes.
        let told = |folder: &Path| Some((folder.to_owned(), folder.canonicalize().ok()?.to_str()?.to_owned()));
        Self(folders.next().and_then(told))
    }

    /// Where a weight lies, if it is in the folder.
    fn range(&self, tensor: &Tensor) -> Option<ExternalRange> {
        let ((path, offset, length), (folder, _)) = (tensor.data.place()?, self.0.as_ref()?);
        let location = path.file_name()?.to_str()?.to_owned();
        (path.parent() == Some(folder)).then_some(ExternalRange { location, offset, length })
    }
}

/// The graph's bytes without its weights.
fn graph_bytes(model: &Model, files: &Files) -> Vec<u8> {
    let in_memory =
        |tensor: &Tensor| ExternalRange { location: IN_MEMORY.to_owned(), offset: 0, length: tensor.data.len() };
    let place = |tensor: &Tensor| files.range(tensor).unwrap_or_else(|| in_memory(tensor));
    model.to_bytes_with(|_, tensor| is_weight(tensor).then(|| place(tensor)))
}

fn is_weight(tensor: &Tensor) -> bool {
    tensor.data.len() >= EMBED_BELOW
}

pub(super) fn builder(settings: &SessionSettings) -> Result<SessionBuilder, RuntimeError> {
    let run = |error: ort::Error<SessionBuilder>| RuntimeError::run(plain(&error));
    let cores = available_parallelism().map_or(1, usize::from);
    let threads = if settings.threads == 0 { cores } else { settings.threads };
    let mut builder = SessionBuilder::new(&environment()?)
        .map_err(RuntimeError::run)?
        .with_optimization_level(settings.optimization.into())
        .map_err(run)?
        .with_intra_threads(threads)
        .map_err(run)?
        .with_intra_op_spinning(settings.spinning)
        .map_err(run)?
        .with_memory_pattern(settings.memory_pattern)
        .map_err(run)?
        .with_config_entry(FLUSH_DENORMALS, if settings.flush_denormals { "1" } else { "0" })
        .map_err(run)?;
    for (name, &size) in &settings.dims {
        builder = builder.with_dimension_override(name, size as i64).map_err(run)?;
    }
    if !settings.shared_threads {
        builder = builder.with_independent_thread_pool().map_err(run)?;
    }
    if let Some(path) = &settings.profile {
        builder = builder.with_profiling(path).map_err(run)?;
    }
    settings.device.register(builder, settings.tf32)
}

/// The same error without the builder that came back with it.
pub(super) fn plain(error: &ort::Error<SessionBuilder>) -> ort::Error {
    ort::Error::new_with_code(error.code(), error.message())
}

/// Every way in which what is fed differs from what the graph reads.
fn misfits(expected: &[ValueInfo], fed: &[(&str, View<'_>)]) -> Vec<String> {
    let names = || expected.iter().map(|info| info.name.as_str()).collect::<Vec<_>>().join(", ");
    let unknown = fed.iter().filter(|(name, _)| expected.iter().all(|info| info.name != *name));
    let unknown = unknown.map(|(name, _)| format!("`{name}` is not an input; the graph reads {}", names()));
    let unfit = expected.iter().filter_map(|info| match fed.iter().find(|(name, _)| *name == info.name) {
        None => Some(format!("`{}` is missing", info.name)),
        Some((_, view)) => misfit(info, view.dtype(), view.shape()),
    });
    unknown.chain(unfit).collect()
}

/// How a tensor differs from what a graph's value is.
pub(super) fn misfit(info: &ValueInfo, dtype: DType, shape: &[usize]) -> Option<String> {
    let fits = |(dim, &extent): (&Dim, &usize)| !matches!(dim, Dim::Fixed(n) if *n != extent);
    let shape_fits =
        info.shape.as_ref().is_none_or(|dims| dims.len() == shape.len() && dims.iter().zip(shape).all(fits));
    let wanted = || format!("{:?} {}", info.dtype, shape_text(info));
    (info.dtype != dtype || !shape_fits)
        .then(|| format!("`{}` is {dtype:?} {shape:?}; the graph has {}", info.name, wanted()))
}

/// A shape as people write it: `[batch, 4, ?]`.
pub(crate) fn shape_text(info: &ValueInfo) -> String {
    let dim = |dim: &Dim| match dim {
        Dim::Fixed(n) => n.to_string(),
        Dim::Named(name) => name.clone(),
        Dim::Unknown => "?".to_owned(),
    };
    let dims = info.shape.as_ref().map(|dims| dims.iter().map(dim).collect::<Vec<_>>().join(", "));
    dims.map_or_else(|| "of unknown rank".to_owned(), |dims| format!("[{dims}]"))
}
