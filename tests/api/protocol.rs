use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use plaudit::{app::Starting, settings::Settings};
use reqwest::Method;
use serde_json::json;

use crate::harness::{TestApp, error, pack, quick, read_all, with};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_comes_in_the_envelope() {
    let app = TestApp::with(&["--server-max-body", "2000"]).await;
    let generate = || app.ask(Method::POST, "/v1/images/generations");
    let json = |body: &'static str| generate().header("content-type", "application/json").body(body);
    let cases = [
        (app.ask(Method::GET, "/nowhere"), 404, "not_found"),
        (app.ask(Method::GET, "/docs/nowhere"), 404, "not_found"),
        (app.ask(Method::GET, "/v1/jobs/rubbish"), 404, "not_found"),
        (app.ask(Method::GET, "/v1/images/img_00000000000040008000000000000000"), 404, "not_found"),
        (app.ask(Method::GET, "/v1/models/none"), 404, "model_not_found"),
        (app.ask(Method::GET, "/v1/images/generations"), 405, "method_not_allowed"),
        (app.ask(Method::PUT, "/v1/jobs"), 405, "method_not_allowed"),
        (app.ask(Method::POST, "/livez"), 405, "method_not_allowed"),
        (generate().body("{}"), 415, "unsupported_media_type"),
        (generate().header("content-type", "text/plain").body("{}"), 415, "unsupported_media_type"),
        (app.ask(Method::POST, "/v1/images/edits").json(&quick()), 415, "unsupported_media_type"),
        (json("{"), 400, "invalid_value"),
        (json("[]"), 400, "invalid_value"),
        (json("\u{ff}"), 400, "invalid_value"),
        (app.ask(Method::GET, "/v1/jobs?limit=0"), 400, "invalid_value"),
        (app.ask(Method::GET, "/v1/jobs?limit=many"), 400, "invalid_value"),
        (app.ask(Method::GET, "/v1/jobs?colour=blue"), 400, "invalid_value"),
        (generate().json(&with(json!({"prompt": "a".repeat(3000)}))), 413, "too_large"),
        (generate().header("X-Request-Timeout", "soon").json(&quick()), 400, "invalid_value"),
        (generate().header("Idempotency-Key", "").json(&quick()), 400, "invalid_value"),
    ];
    for (request, status, code) in cases {
        let shown = format!("{request:?}");
        let (found, error) = error(request.send().await.expect("an answer")).await;
        assert_eq!((found, error["code"].as_str()), (status, Some(code)), "{shown}");
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_not_there_is_answered_with_those_that_are() {
    let app = TestApp::start().await;
    let allow = |answer: reqwest::Response| answer.headers()["allow"].to_str().expect("text").to_owned();
    let answer =
        app.ask(Method::PATCH, "/v1/jobs/job_00000000000040008000000000000000").send().await.expect("an answer");
    assert_eq!(allow(answer), "GET, DELETE");
    let answer = app.ask(Method::DELETE, "/v1/jobs").send().await.expect("an answer");
    assert_eq!(allow(answer), "GET, POST");
    let answer = app.ask(Method::DELETE, "/models/stabilityai/stable-diffusion").send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), allow(answer)), (405, "POST".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_cut_off() {
    let app = TestApp::with(&["--server-body-timeout", "1"]).await;
    let begun = Instant::now();
    let head = "POST /v1/images/generations HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let answer = read_all(app.raw(head).await).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("request_timeout"), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let dripping =
        head.replace("Content-Length: 100", "Transfer-Encoding: chunked").replace("\r\n\r\n{", "\r\n\r\n1\r\n{\r\n");
    let answer = read_all(app.raw(&dripping).await).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

/// The system would take some megabytes for a connection on this machine.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_has_little_made_for_it() {
    const ASKED: usize = 40;
    let app = TestApp::start().await;
    let _unread = app.raw(&"GET /openapi.json HTTP/1.1\r\nHost: test\r\n\r\n".repeat(ASKED)).await;
    let counted = "plaudit_requests_total{route=\"/openapi.json\",status=\"200\"}";
    app.until(counted, 1.0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let made = app.metric(counted).await;
    assert!(made < ASKED as f64 / 2.0, "{made} answers of {ASKED}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_cut_off() {
    let app = TestApp::with(&["--server-header-timeout", "1"]).await;
    let answer = read_all(app.raw("GET /livez HTTP/1.1\r\nHost: te").await).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_too_often_is_told_when_to_come_back() {
    let app = TestApp::with(&["--limits-rate", "6", "--limits-burst", "2"]).await;
    app.generate(quick()).await;
    app.generate(quick()).await;
    let answer = app.post("/v1/images/generations", quick()).await;
    let wait: u64 = answer.headers()["retry-after"].to_str().expect("text").parse().expect("whole seconds");
    assert!((1..=10).contains(&wait), "{wait}");
    let (status, error) = error(answer).await;
    assert_eq!((status, error["code"].as_str()), (429, Some("rate_limited")));
    assert_eq!(app.metric("plaudit_rejected_total{reason=\"rate_limited\"}").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_changes_nothing() {
    let app = TestApp::with(&["--cors-origins", "https://friend.example"]).await;
    let ask = |origin: String| app.ask(Method::POST, "/v1/jobs").header("origin", origin).json(&quick()).send();
    let (status, error) = error(ask("https://evil.example".into()).await.expect("an answer")).await;
    assert_eq!((status, error["code"].as_str()), (403, Some("forbidden")));
    assert_eq!(ask(format!("http://{}", app.address)).await.expect("an answer").status(), 202);
    let friend = ask("https://friend.example".into()).await.expect("an answer");
    assert_eq!(friend.headers()["access-control-allow-origin"], "https://friend.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_name_was_pointed_here_changes_nothing() {
    let app = TestApp::with(&["--server-hosts", "draw.example"]).await;
    let port = app.address.port();
    for (host, expected) in [
        (format!("evil.example:{port}"), 403),
        (format!("draw.example:{port}"), 202),
        (format!("localhost:{port}"), 202),
    ] {
        let request =
            app.ask(Method::POST, "/v1/jobs").header("host", &host).header("origin", format!("http://{host}"));
        let answer = request.json(&quick()).send().await.expect("an answer");
        assert_eq!(answer.status(), expected, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loads_its_pack_is_alive_and_not_ready() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a path");
    let settings = Settings::from_flags(["--listen", "127.0.0.1:0", "--device", "cpu", "--data", data]);
    let starting = Starting::listen(settings.expect("settings")).await.expect("it listens");
    let address = starting.address().expect("an address");
    let client = reqwest::Client::new();
    let ask = |method, path| client.request(method, format!("http://{address}{path}")).json(&quick()).send();
    for path in ["/livez", "/v2/health/live"] {
        assert_eq!(ask(Method::GET, path).await.expect("an answer").status(), 200, "{path}");
    }
    for (method, path) in [
        (Method::GET, "/readyz"),
        (Method::GET, "/v2/health/ready"),
        (Method::POST, "/v1/images/generations"),
        (Method::POST, "/v1/jobs"),
        (Method::POST, "/models/miniature"),
    ] {
        let answer = ask(method, path).await.expect("an answer");
        assert!(answer.headers().contains_key("retry-after") && answer.headers().contains_key("x-request-id"));
        let (status, error) = error(answer).await;
        assert_eq!((status, error["code"].as_str()), (503, Some("not_ready")), "{path}");
    }
    let application = starting.load(&pack()).await.expect("a server");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(application.run_until(async { drop(stopped.await) }));
    assert_eq!(ask(Method::GET, "/readyz").await.expect("an answer").status(), 200);
    assert_eq!(ask(Method::POST, "/v1/images/generations").await.expect("an answer").status(), 200);
    drop(stop);
    serving.await.expect("a task").expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_find_what_they_look_for() {
    let app = TestApp::start().await;
    for path in [
        "/livez",
        "/readyz",
        "/v2/health/live",
        "/v2/health/ready",
        "/info",
        "/v1/models",
        "/v1/models/miniature",
        "/docs",
        "/docs/",
    ] {
        let answer = app.ask(Method::GET, path).header("x-request-id", "mine").send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["x-request-id"], "mine");
    }
    let text = app.get("/metrics").await.text().await.expect("text");
    assert!(text.contains("plaudit_requests_total{route=\"/livez\",status=\"200\"} 1"), "{text}");
    assert!(text.contains("plaudit_model_info{kind=\"generator\",version=\"miniature@"), "{text}");
}

/// The real program, because a test's own log would be another.
#[test]
fn secrets_and_prompts_appear_nowhere_in_logs() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plaudit"));
        command.args(arguments).arg("--data").arg(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("ORT_DYLIB_PATH", concat!(env!("CARGO_MANIFEST_DIR"), "/.ort/libonnxruntime.so"));
        command
    };
    let made = command(&["keys", "create", "app"]).output().expect("a key");
    let key = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    assert!(key.starts_with("plaudit_"), "{key}");
    let listed = command(&["keys", "list"]).output().expect("a list");
    assert!(!String::from_utf8_lossy(&listed.stdout).contains(&key));
    let pack = concat!(env!("CARGO_MANIFEST_DIR"), "/onnx/packs/miniature");
    let flags = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--device",
        "cpu",
        "--pack",
        pack,
        "--log-format",
        "json",
        "--log-level",
        "debug",
    ];
    let mut server = command(&flags).spawn().expect("a server");
    let mut log = BufReader::new(server.stderr.take().expect("a log"));
    let mut said = String::new();
    let address = loop {
        let begun = said.len();
        assert!(log.read_line(&mut said).expect("a line") > 0, "{said}");
        if let Some(address) = said[begun..].trim().strip_prefix("page       http://") {
            break address.trim_end_matches('/').to_owned();
        }
    };
    let body = json!({"prompt": "a zebra in Timbuktu", "num_inference_steps": 1, "size": "7x7"});
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = reqwest::Client::new();
        for body in [&body, &json!({"prompt": "a zebra in Timbuktu", "num_inference_steps": 1})] {
            let request = client.post(format!("http://{address}/v1/images/generations")).bearer_auth(&key).json(body);
            let request = request.header("X-Request-Id", "traced-7");
            request.send().await.expect("an answer");
        }
    });
    Command::new("kill").arg(server.id().to_string()).status().expect("a signal");
    log.read_to_string(&mut said).expect("the rest");
    assert!(server.wait().expect("an end").success(), "{said}");
    assert!(said.contains("\"answered\""), "{said}");
    let of_job = |line: &&str| line.contains("a job ended") && line.contains("traced-7") && line.contains("job_");
    assert!(said.lines().any(|line| of_job(&line)), "no line of the job names its request:\n{said}");
    for secret in [&key["plaudit_".len()..], "Timbuktu"] {
        assert!(!said.contains(secret), "{secret} is in the log:\n{said}");
    }
}

/// Asks for more than buffers hold and reads nothing; the system tells when the other end has given up.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_cut_off() {
    use std::io::Write;
    let app = TestApp::with(&["--server-write-timeout", "1"]).await;
    let address = app.address;
    let cut = tokio::task::spawn_blocking(move || {
        let mut connection = std::net::TcpStream::connect(address).expect("a connection");
        connection.set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        // It fails once the server, which cannot write, does not read either.
        let ask = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";
        (0..2000).take_while(|_| connection.write_all(ask.as_bytes()).is_ok()).count();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            let failed = connection.take_error().expect("a state").is_some();
            if failed || connection.write(b"x").is_err_and(|error| is_cut(&error)) {
                return true;
            }
            // Linux begins to count anew with whatever comes within its shortest retransmission timeout, 200 ms.
            std::thread::sleep(Duration::from_millis(500));
        }
        false
    });
    assert!(cut.await.expect("no panic"), "still there after 30 s");
}

#[cfg(target_os = "linux")]
fn is_cut(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}
