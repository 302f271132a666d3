//! A PostgreSQL server and an S3 server (moto) on this machine, for as long as a test runs.
//!
//! PostgreSQL is found under /usr/lib/postgresql or on the PATH, moto in `.venv-clients` or `$PYTHON`; scripts/test.sh leaves
//! out by name the tests that need them where they are missing.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::{
    ffi::OsStr,
    fs,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// Longer than either server takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;
pub const BUCKET: &str = "pictures";

/// A process that ends with its test, however that ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command) -> Result<Server> {
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent's.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let program = command.get_program().to_owned();
    command.stdin(Stdio::null()).spawn().map(Server).with_context(|| format!("cannot start {}", program.display()))
}

/// Both servers.
pub struct Servers {
    folder: tempfile::TempDir,
    endpoint: String,
    _postgres: Server,
    _s3: Server,
}

impl Servers {
    pub fn start() -> Result<Self> {
        // Other users must be able to enter it.
        let folder = tempfile::Builder::new().prefix("plaudit-servers-").tempdir_in("/tmp")?;
        let postgres = postgres(folder.path())?;
        let (s3, endpoint) = s3(folder.path())?;
        Ok(Self { folder, endpoint, _postgres: postgres, _s3: s3 })
    }

    /// URL of a database of this name.
    pub fn database(&self, name: &str) -> String {
        format!("postgres://plaudit:hunter2@localhost/{name}?host={}", self.folder.path().display())
    }

    /// Makes a database.
    pub fn create(&self, name: &str) -> Result<String> {
        let made = as_nobody(&program("createdb")?)
            .arg("-h")
            .arg(self.folder.path())
            .args(["-U", "plaudit", name])
            .status()?;
        ensure!(made.success(), "createdb: {made}");
        Ok(self.database(name))
    }

    /// What a process must have in its environment to use the bucket, and to find the databases.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", "plaudit".into()),
            ("AWS_SECRET_ACCESS_KEY", "hunter2".into()),
        ]
    }
}

/// Debian keeps it out of the PATH.
fn program(name: &str) -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.sort();
    found.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths).map(|folder| folder.join(name)));
    found.retain(|path| path.is_file());
    found.pop().with_context(|| format!("{name} is missing: install postgresql"))
}

fn is_root() -> bool {
    // SAFETY: it only tells.
    unsafe { libc::geteuid() == 0 }
}

fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn until(what: &str, mut ready: impl FnMut() -> bool) -> Result<()> {
    let since = Instant::now();
    while !ready() {
        ensure!(since.elapsed() < PATIENCE, "{what} does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn postgres(folder: &Path) -> Result<Server> {
    if is_root() {
        chown(folder, Some(NOBODY), Some(NOBODY))?;
    }
    let data = folder.join("postgres");
    // Sorted as people read: what relies on the order of bytes shows.
    let arguments =
        ["-A", "trust", "-U", "plaudit", "-E", "UTF8", "--locale-provider=icu", "--icu-locale=en-US", "--no-sync"];
    let made = as_nobody(&program("initdb")?).args(arguments).arg("-D").arg(&data).output()?;
    ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let log = fs::File::create(folder.join("postgres.log"))?;
    let settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=100"];
    let mut command = as_nobody(&program("postgres")?);
    command.arg("-D").arg(&data).arg("-k").arg(folder).args(settings).stdout(log.try_clone()?).stderr(log);
    let server = start(&mut command)?;
    let is_ready = program("pg_isready")?;
    until("PostgreSQL", || {
        let asked = as_nobody(&is_ready).arg("-h").arg(folder).stdout(Stdio::null()).status();
        asked.is_ok_and(|answer| answer.success())
    })?;
    Ok(server)
}

fn s3(folder: &Path) -> Result<(Server, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("PYTHON").map_or_else(|| root.join(".venv-clients/bin/python"), PathBuf::from);
    // Nobody else takes it in the moment between.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let log = fs::File::create(folder.join("s3.log"))?;
    let mut command = Command::new(&python);
    let arguments =
        ["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()].map(OsStr::new).map(OsStr::to_owned);
    command.args(arguments).stdout(log.try_clone()?).stderr(log);
    let mut server = start(&mut command)?;
    until("moto", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() || server.0.try_wait().is_ok_and(|s| s.is_some())
    })?;
    if server.0.try_wait()?.is_some() {
        bail!("moto does not run: {}", fs::read_to_string(folder.join("s3.log"))?);
    }
    make_bucket(port)?;
    Ok((server, format!("http://127.0.0.1:{port}")))
}

fn make_bucket(port: u16) -> Result<()> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "PUT /{BUCKET} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}
