//! `plaudit doctor`: what a server needs, what of it is there, and what to do about the rest.

use std::{
    fs::{File, TryLockError},
    io::Read,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Args;
use plaudit::{
    pack::{self, Pack},
    runtime::{self, Device, SessionSettings},
    settings::DeviceChoice,
    store,
};

use super::generate::locate;

/// Below this a server soon has no room for pictures and for the database's journal.
const LEAST_FREE: u64 = 256 << 20;

/// What `plaudit doctor` is told: what `plaudit serve` would be told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The server's file of settings; by default plaudit.toml where it is there
    #[arg(long, env = "PLAUDIT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of everything that is kept: database, pictures, secrets
    #[arg(long, env = "PLAUDIT_DATA", default_value = "./data", value_name = "DIR")]
    data: PathBuf,
    /// The pack to serve; by default the bundled one
    #[arg(long, env = "PLAUDIT_PACK", value_name = "DIR")]
    pack: Option<PathBuf>,
    /// auto (a GPU if one can be used), cpu, cuda or cuda:N
    #[arg(long, env = "PLAUDIT_DEVICE", default_value_t, value_name = "DEVICE")]
    device: DeviceChoice,
    /// Address and port to listen on
    #[arg(long, env = "PLAUDIT_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
}

/// What was found: a sentence, or what is wrong and what to do.
type Finding = anyhow::Result<String>;

/// Looks at everything, tells about each, and fails if something is missing.
///
/// # Errors
/// With the number of things that are missing; each was told on standard output.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let device = device(arguments.device);
    let chosen = device.as_ref().map(|(device, _)| *device).unwrap_or_default();
    let holder = lock_holder(&arguments.data);
    let findings = [
        ("library", library()),
        ("device", device.map(|(_, found)| found)),
        ("pack", pack(arguments.pack.as_deref(), chosen)),
        ("data", data(&arguments.data)),
        ("disk", disk(&arguments.data)),
        ("lock", lock(&arguments.data, holder.as_deref())),
        ("port", port(arguments.listen, holder.is_some())),
    ];
    for (name, finding) in &findings {
        match finding {
            Ok(found) => println!("ok       {name:<8} {found}"),
            Err(error) => {
                println!("MISSING  {name:<8} {}", super::explain(error).replace('\n', "\n                  "))
            }
        }
    }
    match findings.iter().filter(|(_, finding)| finding.is_err()).count() {
        0 => Ok(()),
        1 => bail!("one thing is missing before a server can run"),
        missing => bail!("{missing} things are missing before a server can run"),
    }
}

fn library() -> Finding {
    let path = runtime::library_path()?;
    // Loads it: one that is too old or broken says so here.
    runtime::library_version()?;
    Ok(format!("ONNX Runtime is {}", path.display()))
}

fn device(asked: DeviceChoice) -> anyhow::Result<(Device, String)> {
    if let DeviceChoice::This(device) = asked {
        device.check()?;
        return Ok((device, device.to_string()));
    }
    let device = asked.resolve()?;
    let none = if device == Device::Cpu { " (no GPU can be used; --device cuda tells why)" } else { "" };
    Ok((device, format!("{device}{none}")))
}

fn pack(named: Option<&Path>, device: Device) -> Finding {
    let folder = named.map_or_else(locate::bundled_pack, |folder| Ok(folder.to_owned()))?;
    let pack = Pack::open(&folder)?;
    let settings = SessionSettings { device, ..SessionSettings::default() };
    pack::verify(&pack, &settings, |_| {})?;
    Ok(format!("{} in {}: every file and every golden output is right", pack.version(), folder.display()))
}

/// The directory, or the nearest thing above it that is there.
fn nearest(data: &Path) -> &Path {
    let above = data.ancestors().find(|path| path.exists());
    above.unwrap_or(if data.is_absolute() { Path::new("/") } else { Path::new(".") })
}

fn data(data: &Path) -> Finding {
    let nearest = nearest(data);
    if !nearest.is_dir() {
        bail!("{} is no directory; choose another one with --data", nearest.display());
    }
    tempfile::tempfile_in(nearest).with_context(|| {
        format!("cannot write into {}; change its owner or choose another directory with --data", nearest.display())
    })?;
    let made = if data.is_dir() { "is writable" } else { "is not there yet and will be made" };
    Ok(format!("{} {made}", data.display()))
}

fn disk(data: &Path) -> Finding {
    let free = store::free_bytes(nearest(data)).with_context(|| format!("no disk under {}", data.display()))?;
    let mebibytes = free >> 20;
    if free < LEAST_FREE {
        bail!(
            "only {mebibytes} MiB are free under {}; make room for {} MiB at least",
            data.display(),
            LEAST_FREE >> 20
        );
    }
    Ok(format!("{mebibytes} MiB are free under {}", data.display()))
}

/// What the server that holds the directory says of itself.
fn lock_holder(data: &Path) -> Option<String> {
    /// A note is a short line.
    const LONGEST: u64 = 256;
    let file = File::open(data.join("LOCK")).ok()?;
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| {
        let mut note = String::new();
        let read = file.take(LONGEST).read_to_string(&mut note);
        if read.is_ok() && !note.trim().is_empty() { note.trim().to_owned() } else { "another process".to_owned() }
    })
}

fn lock(data: &Path, holder: Option<&str>) -> Finding {
    Ok(match holder {
        None => format!("no server uses {}", data.display()),
        Some(holder) => format!("a server is running on {}: {holder}", data.display()),
    })
}

/// A port that is taken is as it should be while the server itself runs.
fn port(listen: SocketAddr, runs: bool) -> Finding {
    match TcpListener::bind(listen) {
        Ok(_) => Ok(format!("{listen} is free")),
        Err(error) if runs && error.kind() == std::io::ErrorKind::AddrInUse => {
            Ok(format!("{listen} is in use, as it should be while a server runs"))
        }
        Err(error) => {
            let advice = format!("cannot listen on {listen}; stop what uses it or choose another with --listen");
            Err(error).context(advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_yet_is_fine_where_it_can_be_made() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let found = data(&folder.path().join("a/b")).expect("it can be made");
        assert!(found.ends_with("will be made"), "{found}");
        assert!(!folder.path().join("a").exists(), "looking must not make it");
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let error = data(file.path()).expect_err("a file is no directory").to_string();
        assert!(error.contains("--data"), "{error}");
    }

    #[test]
    fn a_taken_port_is_missing_unless_a_server_runs() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("it has an address");
        let error = port(address, false).expect_err("it is taken").to_string();
        assert!(error.contains("--listen"), "{error}");
        assert!(port(address, true).is_ok());
    }

    #[test]
    fn the_server_that_holds_a_directory_is_named() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(lock_holder(folder.path()), None);
        let path = folder.path().join("LOCK");
        std::fs::write(&path, "process 7, since then\n").expect("it can be written");
        assert_eq!(lock_holder(folder.path()), None, "nobody holds it");
        let held = File::open(&path).expect("it is there");
        held.try_lock().expect("nobody else holds it");
        assert_eq!(lock_holder(folder.path()).as_deref(), Some("process 7, since then"));
    }
}
