//! Graph differentiation, training, and the miniature world.

pub mod autodiff;
pub mod checkpoint;
pub mod collect;
pub mod daemon;
pub mod finetune;
pub mod gate;
pub mod init;
pub mod judges;
pub mod loss;
pub mod measure;
pub mod miniature;
pub mod optim;
pub mod pretrain;
pub mod progress;
pub mod random;
pub mod report;
pub mod reward;
pub mod simulate;
pub mod step;
