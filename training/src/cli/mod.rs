//! Arguments of the larger commands.

use std::time::Duration;

pub(crate) mod collect;
pub(crate) mod data;
pub(crate) mod finetune;
pub(crate) mod gate;
pub(crate) mod judge;
pub(crate) mod reward;
pub(crate) mod run;
pub(crate) mod simulate;

const SECONDS_A_MINUTE: f64 = 60.0;

/// A duration above zero, in minutes.
pub(crate) fn minutes(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().map_err(|_| "not a number".to_owned())?;
    let time = Duration::try_from_secs_f64(number * SECONDS_A_MINUTE).ok();
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| "give a number of minutes above 0, for example 30 or 0.5".to_owned())
}
