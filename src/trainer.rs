//! The trainer beside the server: `plaudit-train run` as a child of low priority, started anew when it ends, ended with the server.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use crate::settings::Settings;

const PROGRAM: &str = "plaudit-train";
/// How soon an ended child is noticed, and a stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Until the first new start, and between later ones at most: a child that cannot start must not fill the log.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A child that ran for so long did not fail at its start.
const STEADY: Duration = Duration::from_secs(600);

/// A trainer that runs. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Trainer {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Trainer {
    /// Starts one over the server's directory and database.
    ///
    /// # Errors
    /// A program that is not there.
    pub(crate) fn start(settings: &Settings) -> anyhow::Result<Self> {
        let program = program(settings.training.program.as_deref())?;
        let (stop, stopped) = mpsc::channel();
        let settings = settings.clone();
        // One thread starts every child: the system ends a child with the thread that started it.
        let run = move || supervise(&program, &settings, &stopped);
        let thread = thread::Builder::new().name("trainer".into()).spawn(run).context("cannot start a thread")?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Beside this program, unless it is named.
fn program(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let beside = || Some(env::current_exe().ok()?.parent()?.join(PROGRAM));
    let path = named.map(Path::to_owned).or_else(beside).context("cannot tell where this program is")?;
    ensure!(
        path.is_file(),
        "--with-training needs {PROGRAM}, and {} is not there; name it with --training-program FILE",
        path.display()
    );
    Ok(path)
}

fn supervise(program: &Path, settings: &Settings, stopped: &Receiver<()>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        match spawn(program, settings) {
            Ok(mut child) => {
                tracing::info!(process = child.id(), "the trainer runs");
                if !outlives(&mut child, stopped) {
                    return end(child, Duration::from_secs(settings.training.grace));
                }
            }
            Err(error) => tracing::warn!("{} cannot be started: {error}", program.display()),
        }
        if began.elapsed() >= STEADY {
            pause = FIRST_PAUSE;
        }
        tracing::warn!("the trainer ended; it is started anew in {} s", pause.as_secs());
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Waits for the child's end, or the server's: whether it was the child's.
fn outlives(child: &mut Child, stopped: &Receiver<()>) -> bool {
    while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => {
                tracing::warn!(%status, "the trainer ended");
                return true;
            }
            Err(error) => {
                tracing::warn!("the trainer cannot be waited for: {error}");
                return true;
            }
        }
    }
    false
}

fn spawn(program: &Path, settings: &Settings) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg("run").arg("--data").arg(&settings.server.data).stdin(Stdio::null());
    // Its other settings are the environment's; these may come from the server's flags or file. A command line can be read by others.
    if let Some(url) = &settings.store.database {
        command.env("PLAUDIT_STORE_DATABASE", url.expose());
    }
    if let Some(blobs) = &settings.store.blobs {
        command.env("PLAUDIT_STORE_BLOBS", blobs);
    }
    let keys: Vec<String> = settings.registry.trusted_keys.iter().map(ToString::to_string).collect();
    if !keys.is_empty() {
        command.env("PLAUDIT_REGISTRY_TRUSTED_KEYS", keys.join(","));
    }
    stand_back(&mut command, settings.training.niceness);
    command.spawn()
}

/// The child gives way to the server, and is told to end when the server's process ends, however it does.
#[cfg(target_os = "linux")]
fn stand_back(command: &mut Command, niceness: u8) {
    use std::os::unix::process::CommandExt;
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: three system calls, all async-signal-safe, about this process only.
        unsafe {
            // Who may not is as quick as the server.
            libc::setpriority(libc::PRIO_PROCESS, 0, niceness.into());
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The server may have ended in between.
            if libc::getppid().unsigned_abs() != parent {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe));
            }
        }
        Ok(())
    };
    // SAFETY: `prepare` allocates nothing and takes no lock.
    unsafe { command.pre_exec(prepare) };
}

#[cfg(not(target_os = "linux"))]
fn stand_back(_: &mut Command, _: u8) {}

/// Asks it to end, and kills it when it does not.
fn end(mut child: Child, grace: Duration) {
    #[cfg(unix)]
    // SAFETY: the process is a child that was not waited for, so that the number is still its.
    unsafe {
        libc::kill(child.id() as libc::pid_t, libc::SIGTERM);
    }
    let until = Instant::now() + grace;
    while Instant::now() < until {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(LOOK_EVERY);
    }
    let _ = child.kill();
    let _ = child.wait();
}
