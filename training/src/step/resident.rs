//! Training where weights, gradients and moments never leave the device: two graphs, the step and the update, over the same device tensors.
//!
//! For GPUs. On a CPU [`Trainer`](super::Trainer) is faster: there the update is one pass in place.

use indexmap::IndexMap;
use plaudit::runtime::{DeviceTensor, ResidentSession, Session, SessionSettings, View};
use plaudit_onnx::{DType, Tensor, ValueInfo};

use super::{Adapter, LOSS, Parameter, StepError, StepReport, TrainGraph, TrainerSettings, Which, snapshot::KINDS};
use crate::{
    optim::{AdamW, GRAD_NORM, SCALARS, Updated, update_graph},
    random::Random,
};

/// A trainer over device tensors.
#[derive(Debug)]
pub struct ResidentTrainer {
    step: ResidentSession,
    update: ResidentSession,
    pub(super) settings: TrainerSettings,
    pub(super) parameters: Vec<Parameter>,
    pub(super) adapters: Vec<Adapter>,
    pub(super) fingerprint: String,
    /// By parameter, then as [`KINDS`].
    pub(super) state: Vec<Vec<Double>>,
    /// What a batch is uploaded to.
    inputs: IndexMap<String, DeviceTensor>,
    scalars: Vec<DeviceTensor>,
    /// The step's scalar outputs and the update's gradient norm.
    logged: IndexMap<String, DeviceTensor>,
    // Bound once; kept because the bindings point into them.
    _gradients: Vec<DeviceTensor>,
    pub(super) steps: u64,
    pub(super) position: u64,
    pub(super) random: Random,
    pub(super) seconds: f64,
}

/// Two tensors that change roles with each step.
#[derive(Debug)]
pub(super) struct Double {
    pub(super) now: DeviceTensor,
    next: DeviceTensor,
}

impl Double {
    fn new(session: &Session, start: &Tensor) -> Result<Self, StepError> {
        let tensor = || DeviceTensor::new(session, start.dtype, &start.shape);
        let mut double = Self { now: tensor()?, next: tensor()? };
        double.now.upload(View::from(start))?;
        Ok(double)
    }
}

impl ResidentTrainer {
    /// A trainer at step 0, with the weights the graph came with.
    ///
    /// # Errors
    /// If the settings ask for micro-batches, which a device's memory makes unnecessary, or the runtime refuses a graph.
    pub fn new(graph: TrainGraph, session: &SessionSettings, settings: TrainerSettings) -> Result<Self, StepError> {
        if settings.micro_batches != 1 {
            return Err(StepError::MicroBatches { asked: settings.micro_batches });
        }
        let TrainGraph { model, parameters, start, adapters, fingerprint } = graph;
        let step = ResidentSession::new(Session::from_model(&model, session)?)?;
        let updated = parameters.iter().map(|parameter| Updated {
            name: parameter.name.clone(),
            shape: parameter.shape.clone(),
            decays: settings.decay.applies(&parameter.shape),
        });
        let model = update_graph(&updated.collect::<Vec<_>>(), &settings.optimiser, settings.micro_batches)?;
        let update = ResidentSession::new(Session::from_model(&model, session)?)?;
        let averaged = settings.optimiser.average.is_some();
        let state = parameters.iter().map(|parameter| state(step.session(), &start[&parameter.name], averaged));
        let mut trainer = Self {
            state: state.collect::<Result<_, _>>()?,
            inputs: fed(step.session(), &parameters)?,
            scalars: SCALARS
                .map(|_| DeviceTensor::new(step.session(), DType::F32, &[]))
                .into_iter()
                .collect::<Result<_, _>>()?,
            logged: IndexMap::new(),
            _gradients: Vec::new(),
            steps: 0,
            position: 0,
            random: Random::new(settings.seed),
            seconds: 0.0,
            step,
            update,
            settings,
            parameters,
            adapters,
            fingerprint,
        };
        trainer.bind_what_stays()?;
        Ok(trainer)
    }

    /// Gradients, batch, scalars and logged values have one tensor each, bound for good.
    fn bind_what_stays(&mut self) -> Result<(), StepError> {
        for parameter in &self.parameters {
            let mut gradient = DeviceTensor::new(self.step.session(), DType::F32, &parameter.shape)?;
            self.step.bind_output(&parameter.gradient, &mut gradient)?;
            self.update.bind_input(&format!("grad/{}", parameter.name), &gradient)?;
            self._gradients.push(gradient);
        }
        for (name, tensor) in &self.inputs {
            self.step.bind_input(name, tensor)?;
        }
        for (name, tensor) in SCALARS.iter().zip(&self.scalars) {
            self.update.bind_input(name, tensor)?;
        }
        let is_gradient = |name: &String| self.parameters.iter().any(|parameter| &parameter.gradient == name);
        let outputs: Vec<ValueInfo> = self.step.session().outputs().to_vec();
        for output in outputs.iter().filter(|output| !is_gradient(&output.name)) {
            let shape = output.static_shape().unwrap_or_default();
            let mut tensor = DeviceTensor::new(self.step.session(), output.dtype, &shape)?;
            self.step.bind_output(&output.name, &mut tensor)?;
            self.logged.insert(output.name.clone(), tensor);
        }
        let mut norm = DeviceTensor::new(self.step.session(), DType::F32, &[])?;
        self.update.bind_output(GRAD_NORM, &mut norm)?;
        self.logged.insert(GRAD_NORM.to_owned(), norm);
        Ok(())
    }

    /// One update on a batch given by input name; an input that is left out keeps what it was fed last. `seconds` of the report include the upload.
    ///
    /// # Errors
    /// If an input is unknown or does not fit, the runtime fails, or loss or gradient is not finite; the weights are then as before the step.
    pub fn step(&mut self, batch: &[(&str, View<'_>)]) -> Result<StepReport, StepError> {
        let began = std::time::Instant::now();
        for (name, view) in batch {
            let tensor =
                self.inputs.get_mut(*name).ok_or_else(|| StepError::UnknownInput { name: (*name).to_owned() })?;
            tensor.upload(*view)?;
        }
        let learning_rate = self.settings.schedule.rate(self.steps);
        self.upload_scalars(learning_rate)?;
        self.bind_state()?;
        self.step.run()?;
        self.update.run()?;
        let mut extra = self.scalars_out()?;
        let [loss, grad_norm] = [LOSS, GRAD_NORM].map(|name| extra.shift_remove(name).unwrap_or(f32::NAN));
        if !(loss.is_finite() && grad_norm.is_finite()) {
            return Err(StepError::Diverged { step: self.steps + 1, loss, grad_norm });
        }
        self.state.iter_mut().flatten().for_each(|double| std::mem::swap(&mut double.now, &mut double.next));
        self.steps += 1;
        let seconds = began.elapsed().as_secs_f64();
        self.seconds += seconds;
        Ok(StepReport { step: self.steps, loss, grad_norm, learning_rate, seconds, extra })
    }

    /// The run's generator and its position in the data, in any unit; both are part of a checkpoint.
    pub fn source(&mut self) -> (&mut Random, &mut u64) {
        (&mut self.random, &mut self.position)
    }

    /// Clipping happens in the update graph, so the norm given here is none.
    fn upload_scalars(&mut self, rate: f32) -> Result<(), StepError> {
        let AdamW { decay, step_size, second_scale, average_rate, .. } =
            AdamW::at(&self.settings.optimiser, self.steps, rate, self.settings.micro_batches, 0.0);
        let values = [decay, step_size, second_scale, average_rate];
        for (tensor, value) in self.scalars.iter_mut().zip(values) {
            tensor.upload(View::new(&[], &[value]))?;
        }
        Ok(())
    }

    fn bind_state(&mut self) -> Result<(), StepError> {
        for (parameter, doubles) in self.parameters.iter().zip(&mut self.state) {
            self.step.bind_input(&parameter.name, &doubles[0].now)?;
            for (kind, double) in KINDS.iter().zip(doubles) {
                self.update.bind_input(&format!("{kind}/{}", parameter.name), &double.now)?;
                self.update.bind_output(&format!("new/{kind}/{}", parameter.name), &mut double.next)?;
            }
        }
        Ok(())
    }

    fn scalars_out(&self) -> Result<IndexMap<String, f32>, StepError> {
        let scalars =
            self.logged.iter().filter(|(_, tensor)| tensor.shape().is_empty() && tensor.dtype() == DType::F32);
        let value = |(name, tensor): (&String, &DeviceTensor)| {
            let values = tensor.download()?.to_f32().unwrap_or_default();
            Ok((name.clone(), values.first().copied().unwrap_or(f32::NAN)))
        };
        scalars.map(value).collect()
    }

    /// The trained weights by name, copied to the host. After a LoRA run these are the factors; [`ResidentTrainer::apply`] merges them.
    ///
    /// # Errors
    /// If a copy fails.
    pub fn weights(&self, which: Which) -> Result<IndexMap<String, Tensor>, StepError> {
        let named = self.parameters.iter().zip(&self.state);
        let download = |(parameter, doubles): (&Parameter, &Vec<Double>)| {
            let average = doubles.get(KINDS.len() - 1).filter(|_| which == Which::Average);
            Ok((parameter.name.clone(), average.unwrap_or(&doubles[0]).now.download()?))
        };
        named.map(download).collect()
    }
}

/// A parameter's tensors as [`KINDS`] lists them.
fn state(session: &Session, start: &Tensor, averaged: bool) -> Result<Vec<Double>, StepError> {
    let zeros = Tensor::f32(&start.shape, &vec![0.0; start.len()]);
    let starts = [start, &zeros, &zeros, start];
    let kept = if averaged { KINDS.len() } else { KINDS.len() - 1 };
    starts[..kept].iter().map(|start| Double::new(session, start)).collect()
}

/// Device tensors for the inputs that are no parameters.
fn fed(session: &Session, parameters: &[Parameter]) -> Result<IndexMap<String, DeviceTensor>, StepError> {
    let is_parameter = |name: &str| parameters.iter().any(|parameter| parameter.name == name);
    let inputs = session.inputs().iter().filter(|input| !is_parameter(&input.name));
    let tensor = |input: &ValueInfo| {
        let shape = input.static_shape().unwrap_or_default();
        Ok((input.name.clone(), DeviceTensor::new(session, input.dtype, &shape)?))
    };
    inputs.map(tensor).collect()
}
