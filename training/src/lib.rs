//! Graph differentiation, training, and the miniature world.

pub mod autodiff;
pub mod checkpoint;
pub mod miniature;
pub mod optim;
pub mod pretrain;
pub mod random;
pub mod report;
