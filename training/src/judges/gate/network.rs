//! A plain residual network: 64×64 → 32×32 → 16×16 → 8×8, about 0.2 M weights.

use plaudit_onnx::{
    DType::F32,
    Model,
    expr::{BuildError, Builder, Expr},
};

use super::{CHANNELS, SIDE};
use crate::{
    init::{Init, Rule},
    judges::shown::HEADS,
};

const OPSET: i64 = 18;
/// Channels at 32×32, 16×16 and 8×8.
const WIDTHS: [usize; 3] = [20, 40, 80];
/// Features between pooling and heads.
const HIDDEN: usize = 96;
/// Height and width of `[n, c, h, w]`.
const PLACE: [i64; 2] = [2, 3];
/// Initial scale of what a residual block adds: without normalisation, blocks start near the identity.
const RESIDUAL: f32 = 0.3;
/// Initial scale of the heads: all classes begin about equally probable.
const UNDECIDED: f32 = 0.1;

struct Net<'a> {
    builder: &'a Builder,
    seed: u64,
}

impl Net<'_> {
    /// A weight drawn for ReLU (He et al. 2015): deviation √(2 / inputs), times `scale`.
    fn weight(&self, name: &str, shape: &[usize], scale: f32) -> Expr {
        let inputs: usize = shape[1..].iter().product();
        let std = scale * (2.0 / inputs as f32).sqrt();
        let rule = Rule { name: format!("{name}.weight"), shape: shape.to_vec(), init: Init::Normal { std } };
        self.builder.weight(&rule.name, rule.draw(self.seed))
    }

    fn bias(&self, name: &str, shape: &[usize]) -> Expr {
        let rule = Rule { name: format!("{name}.bias"), shape: shape.to_vec(), init: Init::Zeros };
        self.builder.weight(&rule.name, rule.draw(self.seed))
    }

    fn conv(&self, x: &Expr, name: &str, (from, to): (usize, usize), kernel: usize, stride: i64, scale: f32) -> Expr {
        let weight = self.weight(name, &[to, from, kernel, kernel], scale);
        x.conv(&weight, kernel as i64, stride, 1) + self.bias(name, &[to, 1, 1])
    }

    fn residual(&self, x: &Expr, name: &str, width: usize) -> Expr {
        let inner = self.conv(x, &format!("{name}.a"), (width, width), 3, 1, 1.0).relu();
        (x + self.conv(&inner, &format!("{name}.b"), (width, width), 3, 1, RESIDUAL)).relu()
    }

    fn linear(&self, x: &Expr, name: &str, (from, to): (usize, usize), scale: f32) -> Expr {
        x.matmul(&self.weight(name, &[to, from], scale).transpose(&[1, 0])) + self.bias(name, &[to])
    }
}

/// `pixels` f32 [batch, 3, 64, 64] → a head's logits each, f32 [batch, classes], with weights drawn from `seed`.
pub(super) fn network(seed: u64) -> Result<Model, BuildError> {
    let b = Builder::new("gate judge", OPSET);
    let net = Net { builder: &b, seed };
    let side = SIDE as usize;
    let pixels = b.input("pixels", F32, &["batch".into(), CHANNELS.into(), side.into(), side.into()]);
    let [fine, middle, coarse] = WIDTHS;
    let x = net.conv(&pixels, "stem", (CHANNELS, fine), 5, 2, 1.0).relu();
    let x = net.conv(&x, "fine", (fine, fine), 3, 1, 1.0).relu();
    let x = net.conv(&x, "to_middle", (fine, middle), 3, 2, 1.0).relu();
    let at_middle = net.residual(&x, "middle", middle);
    let x = net.conv(&at_middle, "to_coarse", (middle, coarse), 3, 2, 1.0).relu();
    let x = net.residual(&x, "coarse", coarse);
    let pooled = [at_middle.mean(&PLACE, false), x.mean(&PLACE, false), x.max(&PLACE, false)];
    let features = b.concat(&pooled, -1);
    let hidden = net.linear(&features, "features", (middle + 2 * coarse, HIDDEN), 1.0).relu();
    for (name, classes) in HEADS {
        b.output(name, &net.linear(&hidden, name, (HIDDEN, classes), UNDECIDED));
    }
    b.finish()
}
