//! 16×16 cells, then 8×8, through dilated blocks; each cell of either kind gives evidence, sums of evidence and the clearest cells decide.

use plaudit_onnx::{
    DType, Model, Tensor,
    expr::{BuildError, Builder, Expr},
};

use super::{PLANES, SEEN};
use crate::{judges::shown::HEADS, random::Random};

/// Opset of the graph.
const VERSION: i64 = 18;
/// Channels of edges, at half of the picture's size.
const EDGES: usize = 24;
/// Small cells along each side.
const CELLS: usize = SEEN as usize / 4;
/// Channels of small cells, and of those twice as large.
const WIDTHS: [usize; 2] = [48, 96];
/// Dilation of each block: those of large cells together see the whole picture.
const DILATIONS: [&[i64]; 2] = [&[1, 2], &[1, 2, 1]];
/// Kinds of evidence that a cell can give.
const EVIDENCE: usize = 48;
/// Sums of evidence are divided by about as many cells as an object covers.
const CELLS_OF_AN_OBJECT: [f32; 2] = [16.0, 4.0];
/// Where evidence begins, before its sigmoid: most cells have none to give.
const NO_EVIDENCE: f32 = -3.0;
/// ε of [`Weights::blocks`]: cells of an empty picture are near zero.
const LEAST_SQUARE: f32 = 1e-3;
const DECIDERS: usize = 64;
/// Channels of a row's summary, from which the place is read.
const ROW_CHANNELS: usize = 12;

/// Draws weights in turn, uniform with the deviation that keeps variances (Glorot and Bengio 2010, equation 16).
struct Weights {
    builder: Builder,
    random: Random,
}

impl Weights {
    fn matrix(&mut self, name: &str, shape: &[usize], fans: (usize, usize)) -> Expr {
        let bound = (6.0 / (fans.0 + fans.1) as f32).sqrt();
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.random.uniform(-bound, bound)).collect();
        self.builder.weight(&format!("{name}.weight"), Tensor::f32(shape, &values))
    }

    fn offset(&self, name: &str, shape: &[usize], value: f32) -> Expr {
        let values = vec![value; shape.iter().product()];
        self.builder.weight(&format!("{name}.bias"), Tensor::f32(shape, &values))
    }

    fn filter(&mut self, x: &Expr, name: &str, (from, to): (usize, usize), kernel: usize, step: (i64, i64)) -> Expr {
        let area = kernel * kernel;
        let filter =
            self.matrix(name, &[to, from, kernel, kernel], (from * area, to * area / (step.0 * step.0) as usize));
        x.conv(&filter, kernel as i64, step.0, step.1) + self.offset(name, &[to, 1, 1], 0.0)
    }

    /// x + silu(filter(x / √(mean x² + ε))) for each dilation; means are over a cell's channels, as in RMSNorm (Zhang and Sennrich 2019).
    fn blocks(&mut self, cells: &Expr, size: usize) -> Expr {
        let width = WIDTHS[size];
        DILATIONS[size].iter().enumerate().fold(cells.clone(), |cells, (index, dilation)| {
            let even = &cells / (cells.square().mean(&[1], true) + LEAST_SQUARE).sqrt();
            cells + silu(&self.filter(&even, &format!("block.{size}.{index}"), (width, width), 3, (1, *dilation)))
        })
    }

    /// How much evidence of each kind the cells give together, in objects.
    fn votes(&mut self, cells: &Expr, size: usize) -> Expr {
        let name = format!("evidence.{size}");
        let filter = self.matrix(&name, &[EVIDENCE, WIDTHS[size], 1, 1], (WIDTHS[size], EVIDENCE));
        let evidence = cells.conv(&filter, 1, 1, 1) + self.offset(&name, &[EVIDENCE, 1, 1], NO_EVIDENCE);
        evidence.sigmoid().sum(&[2, 3], false) / CELLS_OF_AN_OBJECT[size]
    }

    fn dense(&mut self, x: &Expr, name: &str, (from, to): (usize, usize)) -> Expr {
        x.matmul(&self.matrix(name, &[from, to], (from, to))) + self.offset(name, &[to], 0.0)
    }

    /// As `dense` with weights a tenth as large: all classes begin about equally probable.
    fn vague(&mut self, x: &Expr, name: &str, (from, to): (usize, usize)) -> Expr {
        /// A hundredth of the variance.
        const FANS: usize = 100;
        x.matmul(&self.matrix(name, &[from, to], (FANS * from, FANS * to))) + self.offset(name, &[to], 0.0)
    }
}

/// x · σ(x) (Elfwing et al. 2018).
fn silu(x: &Expr) -> Expr {
    x * x.sigmoid()
}

/// `pixels` f32 [batch, 3, 64, 64] → a head's logits each, f32 [batch, classes].
pub(super) fn net(seed: u64) -> Result<Model, BuildError> {
    let builder = Builder::new("report judge", VERSION);
    let mut w = Weights { builder: builder.clone(), random: Random::stream(seed, "report weights") };
    let side = SEEN as usize;
    let pixels = builder.input("pixels", DType::F32, &["batch".into(), PLANES.into(), side.into(), side.into()]);
    let edges = silu(&w.filter(&pixels, "edges", (PLANES, EDGES), 5, (2, 1)));
    let small = silu(&w.filter(&edges, "small", (EDGES, WIDTHS[0]), 3, (2, 1)));
    let small = w.blocks(&small, 0);
    let large = silu(&w.filter(&small, "large", (WIDTHS[0], WIDTHS[1]), 3, (2, 1)));
    let large = w.blocks(&large, 1);
    let (of_small, of_large) = (w.votes(&small, 0), w.votes(&large, 1));
    let clearest = large.max(&[2, 3], false);
    let rows = w.filter(&small, "rows", (WIDTHS[0], ROW_CHANNELS), 1, (1, 1)).mean(&[3], false);
    let rows = silu(&rows.reshape(&[0, (ROW_CHANNELS * CELLS) as i64]));
    let known = builder.concat(&[of_small, of_large, clearest, rows], -1);
    let decided = silu(&w.dense(&known, "decision", (2 * EVIDENCE + WIDTHS[1] + ROW_CHANNELS * CELLS, DECIDERS)));
    for (head, classes) in HEADS {
        builder.output(head, &w.vague(&decided, head, (DECIDERS, classes)));
    }
    builder.finish()
}
