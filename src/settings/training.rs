//! Settings of the trainer beside the server.

use std::path::PathBuf;

/// Whether this server learns from its votes on its own machine. What is learned, and when, is set by PLAUDIT_TRAIN_… (docs/daemon.md).
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Training")]
pub struct TrainingSettings {
    /// Run `plaudit-train run` beside this server, on what the server leaves of the machine; it ends with the server
    #[arg(id = "with_training", long = "with-training", env = "PLAUDIT_WITH_TRAINING")]
    pub with_training: bool,
    /// The program; by default plaudit-train beside this one
    #[arg(id = "training.program", long = "training-program", env = "PLAUDIT_TRAINING_PROGRAM", value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// How far it stands back behind what serves, as Unix niceness: 0 is quick and felt by requests, 19 takes what is left
    #[arg(
        id = "training.niceness",
        long = "training-niceness",
        env = "PLAUDIT_TRAINING_NICENESS",
        default_value_t = Self::NICENESS,
        value_parser = clap::value_parser!(u8).range(0..=19),
        value_name = "NICENESS"
    )]
    pub niceness: u8,
    /// Seconds that it has to end before it is killed; what it had done by then is gone on with
    #[arg(
        id = "training.grace",
        long = "training-grace",
        env = "PLAUDIT_TRAINING_GRACE",
        default_value_t = Self::GRACE,
        value_name = "SECONDS"
    )]
    pub grace: u64,
}

impl TrainingSettings {
    /// The least of all: training takes hours, and nobody waits for it.
    const NICENESS: u8 = 19;
    /// It has to write one row.
    const GRACE: u64 = 5;
}
