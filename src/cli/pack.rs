//! `plaudit pack import | verify | show | share | prune`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};

use plaudit::{
    pack::{self, Component, GraphFacts, Manifest, Pack, SharedComponent, Sharing},
    runtime::{Device, SessionSettings},
};
use plaudit_onnx::edit::Edit;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Turn an export (optimum-cli export onnx, or onnx/export.py) into a pack.
    Import {
        /// The export: text_encoder/, unet/, vae_decoder/, vae_encoder/, tokenizer/, scheduler/, model_index.json.
        dir: PathBuf,
        /// The new pack's folder, which must not exist. Default: DIR with `-pack` added.
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Check every file's hash, run every component and compare with the golden outputs.
    Verify {
        /// The pack.
        dir: PathBuf,
        /// cpu, cuda or cuda:N.
        #[arg(long, default_value_t = Device::Cpu)]
        device: Device,
    },
    /// Keep the components of packs that lie side by side once, by hash, in `components/` beside them.
    Share {
        /// The packs.
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
    /// Remove shared components that no pack names any more.
    Prune {
        /// The folder that the packs and `components/` are in.
        dir: PathBuf,
    },
    /// Describe a pack: components, sizes, hashes, tokenizer, scheduler.
    Show {
        /// The pack.
        dir: PathBuf,
    },
}

/// Runs the subcommand.
///
/// # Errors
/// As the pack operations; the message is for people.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Import { dir, output } => import(&dir, &output.unwrap_or_else(|| beside(&dir))),
        Command::Verify { dir, device } => verify(&dir, device),
        Command::Show { dir } => show(&dir),
        Command::Share { dirs } => dirs.iter().try_for_each(|dir| share(dir)),
        Command::Prune { dir } => prune(&dir),
    }
}

fn beside(dir: &Path) -> PathBuf {
    let name = dir.file_name().map_or_else(|| "imported".into(), |name| name.to_string_lossy());
    dir.with_file_name(format!("{name}-pack"))
}

fn import(dir: &Path, output: &Path) -> Result<()> {
    let imported = pack::import(dir, output, &SessionSettings::default(), |step| eprintln!("{step} …"))?;
    for (component, edits) in &imported.edits {
        edits.iter().for_each(|edit| tell(*component, edit));
    }
    if imported.edits.is_empty() {
        println!("no graph needed an edit");
    }
    println!("{} is {}", output.display(), imported.manifest.version());
    Ok(())
}

/// The edit's label and where it was applied; a weight each would be a page.
fn tell(component: Component, edit: &Edit) {
    const SHOWN: usize = 3;
    println!("{component}: {}", edit.label);
    edit.steps.iter().take(SHOWN).for_each(|step| println!("  {step}"));
    if let more @ 1.. = edit.steps.len().saturating_sub(SHOWN) {
        println!("  and {more} more");
    }
}

fn verify(dir: &Path, device: Device) -> Result<()> {
    let pack = Pack::open(dir)?;
    let settings = SessionSettings { device, ..SessionSettings::default() };
    let distances = pack::verify(&pack, &settings, |step| eprintln!("{step} …"))?;
    for found in distances {
        println!(
            "{:<14} {:.1e} from its golden outputs ({:.0e} allowed)",
            found.component, found.distance, found.tolerance
        );
    }
    println!("{} is what its manifest says: {}", dir.display(), pack.version());
    Ok(())
}

fn share(dir: &Path) -> Result<()> {
    let shared = pack::share(dir, |component| eprintln!("{component} …"))?;
    let mut freed = 0;
    for SharedComponent { name, sha256, bytes, sharing, freed: own } in shared {
        let how = match sharing {
            Sharing::Known if own => "was there already",
            Sharing::Known => "was shared already",
            Sharing::Added => "added",
        };
        println!("{name:<18} {:>11}  {}  {how}", size(bytes), &sha256[..12]);
        freed += if own && sharing == Sharing::Known { bytes } else { 0 };
    }
    println!("{} uses the components beside it now; {} freed", dir.display(), size(freed));
    Ok(())
}

fn prune(dir: &Path) -> Result<()> {
    let removed = pack::prune(dir)?;
    removed.iter().for_each(|sha256| println!("removed {sha256}"));
    println!("{} shared components were named by no pack in {}", removed.len(), dir.display());
    Ok(())
}

fn show(dir: &Path) -> Result<()> {
    let pack = Pack::open(dir)?;
    let manifest = pack.manifest();
    println!("{}", pack.version());
    println!("draws {0} × {0} pixels; a latent cell is {1} × {1}", pack.size(), pack.pixels_per_cell());
    println!("\n{:<18} {:>12} {:>11}  {:<12}", "component", "parameters", "size", "sha256");
    for (name, entry) in &manifest.components {
        let bytes = entry.files.values().map(|file| file.bytes).sum();
        let parameters = entry.graph.as_ref().map_or_else(String::new, |graph| grouped(graph.parameters));
        println!("{name:<18} {parameters:>12} {:>11}  {}", size(bytes), &entry.sha256[..12]);
        if let Some(graph) = &entry.graph {
            describe(graph);
        }
    }
    let total = manifest.all_files().map(|(_, file)| file.bytes).sum();
    println!("{:<18} {:>12} {:>11}", "total", "", size(total));
    println!("\ntokenizer  {}", tokenizer(manifest));
    println!("scheduler  {}", pack.scheduler());
    Ok(())
}

fn describe(graph: &GraphFacts) {
    println!("  opset {}, golden tolerance {:.0e}", graph.opset, graph.tolerance);
    for edit in &graph.edits {
        println!("  {edit}");
    }
}

fn tokenizer(manifest: &Manifest) -> String {
    let files = manifest.components.get("tokenizer").into_iter().flat_map(|entry| entry.files.keys());
    files.map(|path| path.trim_start_matches("tokenizer/")).collect::<Vec<_>>().join(", ")
}

/// 859520964 as `859,520,964`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join(",")
}

/// Bytes in the largest unit that leaves at least one whole.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (859_520_964, "859,520,964")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
        for (bytes, text) in [(12, "12 B"), (1 << 20, "1.0 MiB"), (3_438_083_856, "3.2 GiB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
