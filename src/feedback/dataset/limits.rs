//! What a dataset from elsewhere may ask of this machine.

use clap::{Args, Command, FromArgMatches};

/// The most that files of a dataset may hold. They guard memory, not disks.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Limits of datasets")]
pub struct DatasetLimits {
    /// Bytes of one picture's file
    #[arg(
        id = "dataset.max_image_bytes",
        long = "dataset-max-image-bytes",
        env = "PLAUDIT_DATASET_MAX_IMAGE_BYTES",
        default_value_t = 32 << 20,
        value_name = "BYTES"
    )]
    pub max_image_bytes: u64,
    /// Width and height of a picture
    #[arg(
        id = "dataset.max_image_side",
        long = "dataset-max-image-side",
        env = "PLAUDIT_DATASET_MAX_IMAGE_SIDE",
        default_value_t = 8192,
        value_name = "PIXELS"
    )]
    pub max_image_side: u32,
    /// Bytes of one line of JSON Lines or CSV
    #[arg(
        id = "dataset.max_line_bytes",
        long = "dataset-max-line-bytes",
        env = "PLAUDIT_DATASET_MAX_LINE_BYTES",
        default_value_t = 1 << 20,
        value_name = "BYTES"
    )]
    pub max_line_bytes: u64,
    /// Bytes of one row group of Parquet, uncompressed: what must fit into memory at once
    #[arg(
        id = "dataset.max_row_group_bytes",
        long = "dataset-max-row-group-bytes",
        env = "PLAUDIT_DATASET_MAX_ROW_GROUP_BYTES",
        default_value_t = 1 << 30,
        value_name = "BYTES"
    )]
    pub max_row_group_bytes: u64,
}

impl Default for DatasetLimits {
    /// The defaults of the flags; the environment is not looked at.
    fn default() -> Self {
        let command = Self::augment_args(Command::new("limits").no_binary_name(true));
        let ids: Vec<_> = command.get_arguments().map(|arg| arg.get_id().clone()).collect();
        let command =
            ids.into_iter().fold(command, |command, id| command.mut_arg(id, |arg| arg.env(None::<&'static str>)));
        Self::from_arg_matches(&command.get_matches_from(None::<&str>)).unwrap_or_else(|error| error.exit())
    }
}
