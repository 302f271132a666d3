//! One forward node as a gradient rule sees it: its values, attributes and constant inputs.

use plaudit_onnx::{Node, Tensor};

use super::tape::Value;

/// Why a node cannot be differentiated.
pub(crate) type Unsupported = String;

/// A cotangent, or `None` where the derivative is zero by definition.
pub(crate) type Cotangent<'t> = Result<Option<Value<'t>>, Unsupported>;

/// A forward node with handles of its values and the cotangents of its outputs.
pub(crate) struct Call<'t> {
    pub(crate) node: &'t Node,
    pub(crate) inputs: Vec<Option<Value<'t>>>,
    pub(crate) outputs: Vec<Option<Value<'t>>>,
    pub(crate) cotangents: Vec<Option<Value<'t>>>,
}

/// The zero of the gradient table: the operator is constant almost everywhere, or the input is no number.
pub(crate) struct Stop;

/// What a table row's expression may be.
pub(crate) trait IntoCotangent<'t> {
    fn into_cotangent(self) -> Cotangent<'t>;
}

impl<'t> IntoCotangent<'t> for Value<'t> {
    fn into_cotangent(self) -> Cotangent<'t> {
        Ok(Some(self))
    }
}

impl<'t> IntoCotangent<'t> for Result<Value<'t>, Unsupported> {
    fn into_cotangent(self) -> Cotangent<'t> {
        self.map(Some)
    }
}

impl<'t> IntoCotangent<'t> for Stop {
    fn into_cotangent(self) -> Cotangent<'t> {
        Ok(None)
    }
}

impl<'t> Call<'t> {
    /// Input `index`; a table row names only inputs that its operator requires.
    pub(crate) fn input(&self, index: usize) -> Value<'t> {
        self.optional(index).expect("the driver checked the operator's required inputs")
    }

    /// Input `index`, when it is given.
    pub(crate) fn optional(&self, index: usize) -> Option<Value<'t>> {
        self.inputs.get(index).copied().flatten()
    }

    /// The first output.
    pub(crate) fn y(&self) -> Value<'t> {
        self.outputs[0].expect("the driver calls rules of nodes whose outputs are known")
    }

    /// ∂L/∂y of the first output.
    pub(crate) fn g(&self) -> Value<'t> {
        self.cotangent(0)
    }

    /// ∂L/∂y of output `index`: zeros where the loss does not depend on it.
    pub(crate) fn cotangent(&self, index: usize) -> Value<'t> {
        self.cotangents[index].unwrap_or_else(|| {
            let y = self.outputs[index].expect("an unused output has no cotangent");
            y.zeros(&y.shape())
        })
    }

    /// The tensor of a constant input.
    pub(crate) fn constant(&self, index: usize, what: &str) -> Result<Tensor, Unsupported> {
        self.input(index).known().ok_or_else(|| format!("{what} (input {index}) is not a constant"))
    }

    /// The integers of a constant input, `None` where the input is absent.
    pub(crate) fn integers(&self, index: usize, what: &str) -> Result<Option<Vec<i64>>, Unsupported> {
        if self.optional(index).is_none() {
            return Ok(None);
        }
        let tensor = self.constant(index, what)?;
        let narrow = || tensor.data.chunks_exact(4).map(|b| i64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        match tensor.dtype {
            plaudit_onnx::DType::I32 => Ok(Some(narrow().collect())),
            _ => tensor.to_i64().map(Some).ok_or_else(|| format!("{what} (input {index}) is not an integer tensor")),
        }
    }

    /// Axes from attribute `axes` (older opsets) or input `index`, counted from the front; `None` where neither is given.
    pub(crate) fn axes(&self, index: usize) -> Result<Option<Vec<usize>>, Unsupported> {
        let given = match self.node.ints("axes") {
            Some(axes) => Some(axes.to_vec()),
            None => self.integers(index, "axes")?,
        };
        let rank = self.input(0).shape().len();
        Ok(given.map(|axes| axes.into_iter().map(|axis| from_front(axis, rank)).collect()))
    }

    /// Attribute `axis`, counted from the front of the first input's shape.
    pub(crate) fn axis(&self, default: i64) -> usize {
        from_front(self.node.int("axis", default), self.input(0).shape().len())
    }

    /// Refuses a text attribute of any other value.
    pub(crate) fn require_text(&self, name: &str, default: &str, accepted: &[&str]) -> Result<(), Unsupported> {
        let value = self.node.text(name).unwrap_or(default);
        if accepted.contains(&value) { Ok(()) } else { Err(format!("{name} = {value:?}; only {accepted:?} is known")) }
    }
}

/// An axis counted from the end becomes one counted from the front.
pub(crate) fn from_front(axis: i64, rank: usize) -> usize {
    if axis < 0 { (axis + rank as i64) as usize } else { axis as usize }
}
