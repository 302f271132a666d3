//! A server that dies in the middle of a swap: what it serves when it is there again.

use std::{
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    time::Instant,
};

use super::*;

/// Where it dies, by the names in `src/swap/crash.rs`; whether the promotion drains first; whether the new version is champion then.
const MOMENTS: [(&str, bool, bool); 7] = [
    ("Verified", false, false),
    ("Opened", false, false),
    ("Promoted", false, true),
    ("Flipped", false, true),
    ("Told", false, true),
    ("Promoted", true, true),
    ("Drained", true, true),
];

/// A process that ends when a swap reaches a moment; `None` serves on.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    async fn start(data: &Path, address: SocketAddr, dies: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plaudit"));
        command.args(["serve", "--device", "cpu", "--jobs-ballast", "0", "--allow-anonymous", "--swap-poll", "50"]);
        command.args(["--swap-niceness", "0", "--listen", &address.to_string()]);
        command.arg("--data").arg(data).arg("--pack").arg(harness::pack());
        if let Some(moment) = dies {
            command.env("PLAUDIT_TEST_CRASH", moment);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a process");
        let server = Self { child, address };
        let since = Instant::now();
        while !reqwest::get(format!("http://{address}/readyz")).await.is_ok_and(|answer| answer.status() == 200) {
            assert!(since.elapsed() < harness::PATIENCE, "the server never became ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server
    }

    async fn drawn_by(&self) -> String {
        let http = reqwest::Client::new();
        let request = http.post(format!("http://{}/v1/images/generations", self.address)).json(&harness::quick());
        let made: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        made["model_version"].as_str().unwrap_or_else(|| panic!("no picture: {made}")).to_owned()
    }

    /// Waits for the end that a moment brings.
    async fn dies(&mut self, moment: &str) {
        let since = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a state") {
                break status;
            }
            assert!(since.elapsed() < harness::PATIENCE, "{moment} never came");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{moment}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_anywhere_in_a_swap_serves_the_one_champion_afterwards() {
    let mut scene = Scene::start().await;
    let tuned = scene.tuned(0.1).await;
    scene.app.stop().await.expect("no panic").expect("a clean stop");
    let data = scene.app.data.path().to_owned();
    let (mut champion, mut other) = (scene.first.clone(), tuned);
    let mut moments = MOMENTS.iter().peekable();
    let mut server = Server::start(&data, scene.app.address, moments.peek().map(|(moment, ..)| *moment)).await;
    let mut entries = 1;
    while let Some(&(moment, drain, promoted)) = moments.next() {
        assert_eq!(server.drawn_by().await, champion.as_str(), "before {moment}");
        let path = format!("http://{}/v1/admin/versions/generator/{other}/promote", server.address);
        let body = json!({"expected": champion.as_str(), "reason": "a test", "drain": drain});
        let sent = reqwest::Client::new().post(path).bearer_auth(&scene.admin).json(&body).send().await;
        // `Told` may be reached after the answer was sent.
        assert!(sent.is_err() || moment == "Told", "{moment}: {sent:?}");
        server.dies(moment).await;
        if promoted {
            std::mem::swap(&mut champion, &mut other);
            entries += 1;
        }
        assert_eq!(scene.champion(Kind::Generator).await.as_ref(), Some(&champion), "{moment}");
        let log = scene.registry.promotions(Some(Kind::Generator), 0, 100).await.expect("the log");
        let written = log.iter().filter(|entry| entry.version.as_ref() == Some(&champion)).count();
        assert!(written > 0 && log.len() == entries, "{moment}: {log:?}");
        server = Server::start(&data, scene.app.address, moments.peek().map(|(moment, ..)| *moment)).await;
    }
    assert_eq!(server.drawn_by().await, champion.as_str(), "at last");
}
