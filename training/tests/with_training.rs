//! `plaudit serve --with-training`: a child of low priority, started anew when it ends, gone when the server is.
#![allow(missing_docs)]
#![cfg(target_os = "linux")]

use std::{
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use plaudit_training::simulate::locate;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const NICEST: i64 = 19;

/// Ends with the test, however that ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(data: &Path) -> Server {
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature");
    let mut command = Command::new(locate(None).expect("plaudit is built"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--device", "cpu", "--jobs-ballast", "0", "--with-training"]);
    command.arg("--training-program").arg(env!("CARGO_BIN_EXE_plaudit-train")).arg("--data").arg(data);
    command.arg("--pack").arg(pack).env("PLAUDIT_TRAIN_LISTEN", "127.0.0.1:0").env("PLAUDIT_TRAIN_POLL", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent's.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    Server(command.spawn().expect("a server"))
}

/// Fields of a process behind its name, from the state on; `None` where it is gone or a zombie.
fn facts(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<String> = text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect();
    (fields.first().map(String::as_str) != Some("Z")).then_some(fields)
}

/// The trainer of a server.
fn trainer(server: u32) -> Option<u32> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.find(|&process| {
        let named =
            fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.starts_with("plaudit-train"));
        named && facts(process).is_some_and(|facts| facts[1] == server.to_string())
    })
}

fn until<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "there never was {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn signal(process: u32, signal: i32) {
    // SAFETY: a process that this test started, or a child of one.
    unsafe {
        libc::kill(process as libc::pid_t, signal);
    }
}

#[test]
fn the_trainer_stands_back_is_started_anew_and_ends_with_its_server() {
    let data = tempfile::tempdir().expect("a folder");
    let mut server = serve(data.path());
    let first = until("a trainer", || trainer(server.0.id()));
    let niceness = until("a niceness", || facts(first)?[16].parse::<i64>().ok().filter(|&nice| nice == NICEST));
    assert_eq!(niceness, NICEST);

    signal(first, libc::SIGKILL);
    let second = until("another trainer", || trainer(server.0.id()).filter(|&process| process != first));

    // In good order.
    signal(server.0.id(), libc::SIGTERM);
    until("an end of the server", || server.0.try_wait().expect("a child"));
    until("an end of the trainer", || facts(second).is_none().then_some(()));

    // Without a word.
    let mut killed = serve(data.path());
    let third = until("a trainer", || trainer(killed.0.id()));
    killed.0.kill().expect("killed");
    let _ = killed.0.wait();
    until("an end of the trainer of a killed server", || facts(third).is_none().then_some(()));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let data = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(locate(None).expect("plaudit is built"));
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--device",
        "cpu",
        "--with-training",
        "--training-program",
        "/nowhere/train",
    ]);
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature");
    let ended = command.arg("--data").arg(data.path()).arg("--pack").arg(pack).output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        !ended.status.success() && said.contains("/nowhere/train") && said.contains("--training-program"),
        "{said}"
    );
}

#[test]
fn a_single_look_says_by_its_exit_code_what_came_of_it() {
    let data = tempfile::tempdir().expect("a folder");
    let once = |data: &Path, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plaudit-train"));
        command.args(["run", "--once", "--data"]).arg(data).args(arguments);
        let ended = command.output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
        (ended.status.code(), said.into_owned())
    };
    let (code, said) = once(data.path(), &[]);
    assert!(code == Some(3) && said.contains("nothing to do: 0 new votes of 500"), "{code:?} {said}");
    let (code, said) = once(data.path(), &["--new-votes", "0"]);
    assert!(code == Some(3) && said.contains("no generator is champion yet"), "{code:?} {said}");
    let file = data.path().join("a file");
    fs::write(&file, "").expect("written");
    let (code, said) = once(&file, &[]);
    assert!(code == Some(2) && said.contains("choose another directory"), "{code:?} {said}");
}
