//! Which parameters decay.

use serde::{Deserialize, Serialize};

/// The rule that says which parameters weight decay shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecayRule {
    /// Matrices and kernels (rank 2 and more) decay; biases, norm scales and single vectors (rank 0 and 1) do not, because pulling
    /// a scale towards zero changes the function instead of its complexity. A bias that is stored with leading ones
    /// (`[1, c, 1, 1]`) has rank 1 in this sense.
    #[default]
    MatricesOnly,
    /// Every parameter decays, as `torch.optim.AdamW` does when it is given all of them.
    Everything,
}

impl DecayRule {
    /// Whether a parameter of this shape decays.
    pub fn applies(self, shape: &[usize]) -> bool {
        match self {
            Self::MatricesOnly => shape.iter().filter(|&&extent| extent > 1).count() > 1,
            Self::Everything => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_and_scalars_do_not_decay() {
        let cases: [(&[usize], bool); 6] = [
            (&[], false),
            (&[64], false),
            (&[1, 64, 1, 1], false),
            (&[1], false),
            (&[64, 3], true),
            (&[8, 4, 3, 3], true),
        ];
        for (shape, decays) in cases {
            assert_eq!(DecayRule::MatricesOnly.applies(shape), decays, "{shape:?}");
            assert!(DecayRule::Everything.applies(shape));
        }
    }
}
