//! A server of a leg's own: the `plaudit` program on a free port, which ends with the simulation.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use plaudit::{domain::Role, store::Store};

use super::{Client, SimulateError};

const PROGRAM: &str = "plaudit";
/// A pack is loaded and warmed before it serves; on a busy machine that takes long.
const PATIENCE: Duration = Duration::from_secs(180);
/// What the server finishes before it ends.
const GRACE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What stands before the address in the server's greeting.
const GREETING: &str = "page       ";
/// What every server of a simulation is started with. Raters are reviewed each second, so that who is put in quarantine is before a round learns;
/// nobody waits for the limits of clients, as all raters come through one.
const FLAGS: [&str; 14] = [
    "--device",
    "cpu",
    "--jobs-ballast",
    "0",
    "--limits-rate",
    "0",
    "--feedback-rate",
    "0",
    "--feedback-review-interval",
    "1",
    "--swap-poll",
    "200",
    "--swap-keep-warm",
    "0",
];

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub url: String,
    /// An administrator's key.
    pub key: String,
}

impl Server {
    /// Starts one over a directory; what it says goes into `server.log` beside that.
    ///
    /// # Errors
    /// A program that is not there, a server that does not start.
    pub async fn start(program: &Path, data: &Path, pack: &Path, flags: &[String]) -> Result<Self, SimulateError> {
        let parent = data.parent().unwrap_or(data);
        std::fs::create_dir_all(parent).map_err(SimulateError::io("create", parent))?;
        let log = parent.join("server.log");
        let file = OpenOptions::new().create(true).append(true).open(&log).map_err(SimulateError::io("open", &log))?;
        let mut child = spawn(program, data, pack, flags)?;
        let stderr = child.stderr.take();
        let told = tokio::task::spawn_blocking(move || stderr.and_then(|stderr| address(stderr, file))).await?;
        let Some(url) = told else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(SimulateError::NoServer { seconds: PATIENCE.as_secs(), log });
        };
        let store = Store::attach(data).await?;
        let (_, key) = store.create_key("simulation", Role::Admin).await?;
        store.close().await;
        Ok(Self { child, url, key })
    }

    /// An application that uses it.
    pub fn client(&self) -> Client {
        Client::new(&self.url, &self.key)
    }

    /// Number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: the child was not waited for, so that the number is still its.
        unsafe {
            libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM);
        }
        let until = Instant::now() + GRACE;
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, data: &Path, pack: &Path, flags: &[String]) -> Result<Child, SimulateError> {
    let mut command = Command::new(program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).arg("--pack").arg(pack);
    command.args(FLAGS).args(flags).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    #[cfg(target_os = "linux")]
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent's. A simulation that is killed leaves no server.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    command.spawn().map_err(SimulateError::io("start", program))
}

/// The address of the greeting; everything the server says is written down by a thread of its own from then on.
fn address(stderr: ChildStderr, mut log: File) -> Option<String> {
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = writeln!(log, "{line}");
            if let Some((_, address)) = line.split_once(GREETING) {
                let _ = told.send(address.trim().trim_end_matches('/').to_owned());
            }
        }
    });
    heard.recv_timeout(PATIENCE).ok()
}

/// The program: as named, else beside this one or in the folder above (where tests run).
///
/// # Errors
/// Where it is not.
pub fn locate(named: Option<&Path>) -> Result<PathBuf, SimulateError> {
    if let Some(program) = named {
        let found = program.is_file().then(|| program.to_owned());
        return found.ok_or_else(|| SimulateError::NoProgram { program: program.to_owned() });
    }
    let own = std::env::current_exe().unwrap_or_default();
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join(PROGRAM));
    let found = beside.clone().find(|path| path.is_file());
    found.ok_or_else(|| SimulateError::NoProgram { program: beside.last().unwrap_or_else(|| PROGRAM.into()) })
}
