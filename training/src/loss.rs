//! Losses as formulas. Each returns a scalar unless said otherwise; gradients come from the graph.
//!
//! Values are f32. `n` is the number of rows, `c`, `h`, `w` are channels, height and width.

use plaudit_onnx::expr::Expr;

/// diffusers' bounds on the posterior's log-variance, so that its exponential stays finite.
const LOG_VARIANCE: (f32, f32) = (-30.0, 20.0);
/// CLIP never lets the logits be scaled by more (Radford et al. 2021, §2.5).
const LARGEST_LOGIT_SCALE: f32 = 100.0;
/// ln(1 / 0.07), CLIP's initial logit scale, natural logarithm.
pub const INITIAL_LOGIT_SCALE: f32 = 2.659_26;
/// Axes of an image batch `[n, c, h, w]`.
const HEIGHT: i64 = 2;
const WIDTH: i64 = 3;

/// Mean squared error over all elements, `mean((p − t)²)`; equal shapes.
pub fn mse(prediction: &Expr, target: &Expr) -> Expr {
    (prediction - target).square().mean_all()
}

/// Mean absolute error over all elements, `mean(|p − t|)`; equal shapes.
pub fn l1(prediction: &Expr, target: &Expr) -> Expr {
    (prediction - target).abs().mean_all()
}

/// L1 between image gradients, `mean|∂ₕ(p − t)| + mean|∂_w(p − t)|` with forward differences; both `[n, c, h, w]`, h and w at least 2.
///
/// Keeps edges where L1 alone would rather blur them (Mathieu et al. 2016, equation 6, with α = 1).
pub fn gradient_l1(prediction: &Expr, target: &Expr) -> Expr {
    let error = prediction - target;
    let along = |axis| (error.slice(axis, 1, i64::MAX) - error.slice(axis, 0, -1)).abs().mean_all();
    along(HEIGHT) + along(WIDTH)
}

/// The encoder's output `[n, 2c, h, w]` as mean and log-variance of a diagonal Gaussian, each `[n, c, h, w]`; `channels` is c.
///
/// The log-variance is clipped as in diffusers' `DiagonalGaussianDistribution`.
pub fn posterior(moments: &Expr, channels: usize) -> (Expr, Expr) {
    const CHANNELS: i64 = 1;
    let mean = moments.slice(CHANNELS, 0, channels as i64);
    let log_variance = moments.slice(CHANNELS, channels as i64, i64::MAX);
    (mean, log_variance.clip(LOG_VARIANCE.0, LOG_VARIANCE.1))
}

/// A sample of a diagonal Gaussian, `μ + exp(ln σ² / 2) · ε` (Kingma and Welling 2014, §2.4); equal shapes, ε standard normal.
pub fn reparameterised(mean: &Expr, log_variance: &Expr, noise: &Expr) -> Expr {
    mean + (log_variance * 0.5).exp() * noise
}

/// KL(N(μ, σ²) ‖ N(0, 1)) summed over c, h, w and averaged over rows, `½ Σ (μ² + σ² − 1 − ln σ²)`; both `[n, c, h, w]`.
///
/// Kingma and Welling 2014, appendix B. Being a sum, it needs a small weight beside a mean reconstruction error.
pub fn gaussian_kl(mean: &Expr, log_variance: &Expr) -> Expr {
    let each = mean.square() + log_variance.exp() - 1.0 - log_variance;
    (each.sum(&[1, HEIGHT, WIDTH], false) * 0.5).mean_all()
}

/// What a contrastive step computes.
#[derive(Debug, Clone)]
pub struct Contrastive {
    /// The loss.
    pub loss: Expr,
    /// exp(logit scale), clipped; scalar.
    pub scale: Expr,
    /// Scaled cosine similarities, `[n images, n texts]`.
    pub logits: Expr,
}

/// CLIP's symmetric cross-entropy over a batch of n pairs: row i of `images` `[n, d]` belongs to row i of `texts` `[n, d]`.
///
/// With normalised rows and `L = exp(s) · I Tᵀ`: `½ (mean_i(logΣ_j e^{L_ij} − L_ii) + mean_j(logΣ_i e^{L_ij} − L_jj))`
/// (Radford et al. 2021, figure 3). `logit_scale` s is a scalar weight, best started at [`INITIAL_LOGIT_SCALE`].
pub fn contrastive(images: &Expr, texts: &Expr, logit_scale: &Expr) -> Contrastive {
    let (images, texts) = (images.normalized(-1), texts.normalized(-1));
    let scale = logit_scale.exp().clip(0.0, LARGEST_LOGIT_SCALE);
    let logits = &scale * images.matmul(&texts.transpose(&[1, 0]));
    let matching = &scale * (images * texts).sum(&[-1], false);
    let each = log_sum_exp(&logits, 1) + log_sum_exp(&logits, 0) - &matching * 2.0;
    Contrastive { loss: each.mean_all() * 0.5, scale, logits }
}

/// log Σ exp along an axis, as `x − log_softmax(x)`, which is the same number at every place of that axis.
fn log_sum_exp(logits: &Expr, axis: i64) -> Expr {
    (logits - logits.log_softmax(axis)).mean(&[axis], false)
}

/// Mean squared error with a weight for each row, `mean_i(w_i · mean((p_i − t_i)²))`; `[n, c, h, w]` and weights `[n]`.
///
/// With [`min_snr_weight`] this is ε-prediction weighted by min-SNR-γ (Hang et al. 2023, arXiv 2303.09556, §3.4); with the reward it is Lee et al. 2023, equation 3.
pub fn weighted_mse(prediction: &Expr, target: &Expr, weights: &Expr) -> Expr {
    (row_errors(prediction, target) * weights).mean_all()
}

/// Mean squared error of each row `[n]`, for objectives that treat rows differently; both `[n, c, h, w]`.
pub fn row_errors(prediction: &Expr, target: &Expr) -> Expr {
    (prediction - target).square().mean(&[1, HEIGHT, WIDTH], false)
}

/// Prompt classification (Lee et al. 2023, arXiv 2302.12192, §4.2): cross-entropy of choosing a picture's own prompt among N by reward, in nats.
///
/// `rewards` `[n, N]` has the own prompt in column 0; `absent` `[n, N]` is 0, or far below 0 where a row has fewer prompts; `good` `[n]` is 1 for
/// rows that count and 0 for others. `P(j) = exp(r_j / T) / Σ_k exp(r_k / T)`, `L = Σ_i good_i · −ln P_i(0) / max(Σ_i good_i, 1)`.
pub fn prompt_classification(rewards: &Expr, absent: &Expr, good: &Expr, temperature: f32) -> Expr {
    const PROMPTS: i64 = 1;
    let log_p = (rewards / temperature + absent).log_softmax(PROMPTS);
    let own = log_p.slice(PROMPTS, 0, 1).squeeze(&[PROMPTS]);
    let rows = good.sum_all();
    -(own * good).sum_all() / rows.maximum(&rows.builder().constant(1.0))
}

/// min-SNR-γ's weight of a row under ε-prediction, `min(SNR, γ) / SNR` with `SNR = ᾱ / (1 − ᾱ)`; `alpha_bar` in (0, 1].
pub fn min_snr_weight(alpha_bar: f32, gamma: f32) -> f32 {
    let snr = f64::from(alpha_bar) / (1.0 - f64::from(alpha_bar));
    (f64::from(gamma) / snr).min(1.0) as f32
}

#[cfg(test)]
mod tests;
