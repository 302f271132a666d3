//! Memory while sessions of two copies of the UNet come and go in turns, as they do when versions are swapped.

use anyhow::Result;
use clap::Args;

use super::{Place, denoiser, denoiser::Denoiser, memory};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Swaps.
    #[arg(long, default_value_t = 20)]
    swaps: usize,
    /// Rows of the calls.
    #[arg(long, default_value_t = 8)]
    rows: usize,
}

/// After each swap both sessions have run once: the new one beside the old one, then alone.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let pack = arguments.place.open()?;
    let (model, settings) = (denoiser::model(&pack)?, arguments.place.settings());
    let batch = denoiser::batch(&pack, arguments.rows)?;
    let used = || memory::used(arguments.place.device);
    let mut old = Denoiser::new(model, &settings)?;
    old.call(&batch)?;
    let first = used();
    println!("one session, after a call of {} rows: {first:.0} MiB", arguments.rows);
    println!("| swap | both MiB | after MiB |\n|---:|---:|---:|");
    let mut after = first;
    for swap in 1..=arguments.swaps {
        let mut new = Denoiser::new(model, &settings)?;
        new.call(&batch)?;
        old.call(&batch)?;
        let both = used();
        old = new;
        old.call(&batch)?;
        after = used();
        println!("| {swap} | {both:.0} | {after:.0} |");
    }
    println!("growth: {:.2} MiB a swap", (after - first) / arguments.swaps.max(1) as f64);
    Ok(())
}
