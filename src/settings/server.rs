//! Settings of the HTTP server.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::DeviceChoice;

/// Where the server listens, what it serves and keeps, and how long it waits for its clients.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Server")]
pub struct ServerSettings {
    /// Address and port; another address than this machine's own needs a key, or --allow-anonymous
    #[arg(id = "listen", long, env = "PLAUDIT_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Directory of everything that is kept: database, pictures, secrets
    #[arg(id = "data", long, env = "PLAUDIT_DATA", default_value = "./data", value_name = "DIR")]
    pub data: PathBuf,
    /// The pack to serve; by default the bundled one
    #[arg(id = "pack", long, env = "PLAUDIT_PACK", value_name = "DIR")]
    pub pack: Option<PathBuf>,
    /// auto (a GPU if one can be used), cpu, cuda or cuda:N
    #[arg(id = "device", long, env = "PLAUDIT_DEVICE", default_value_t, value_name = "DEVICE")]
    pub device: DeviceChoice,
    /// Serve whoever asks without a key, although keys exist or the address can be reached from outside
    #[arg(id = "allow_anonymous", long = "allow-anonymous", env = "PLAUDIT_ALLOW_ANONYMOUS")]
    pub allow_anonymous: bool,
    /// Names under which browsers may reach this server, beside localhost and addresses, separated by commas; by default
    /// a server of this machine's own has none but behind a proxy on another port, and one that others reach has any
    #[arg(
        id = "server.hosts",
        long = "server-hosts",
        env = "PLAUDIT_SERVER_HOSTS",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub hosts: Vec<String>,
    /// Threads that read and write HTTP; 0: one for each core
    #[arg(
        id = "server.workers",
        long = "server-workers",
        env = "PLAUDIT_SERVER_WORKERS",
        default_value_t = 0,
        value_name = "THREADS"
    )]
    pub workers: usize,
    /// Connections at a time in each worker; above it new ones wait
    #[arg(
        id = "server.max_connections",
        long = "server-max-connections",
        env = "PLAUDIT_SERVER_MAX_CONNECTIONS",
        default_value_t = 4096,
        value_name = "CONNECTIONS"
    )]
    pub max_connections: usize,
    /// Seconds that the head of a connection's first request may take
    #[arg(
        id = "server.header_timeout",
        long = "server-header-timeout",
        env = "PLAUDIT_SERVER_HEADER_TIMEOUT",
        default_value_t = 5,
        value_name = "SECONDS"
    )]
    pub header_timeout: u64,
    /// Seconds that a request's body may take, however slowly it comes
    #[arg(
        id = "server.body_timeout",
        long = "server-body-timeout",
        env = "PLAUDIT_SERVER_BODY_TIMEOUT",
        default_value_t = 10,
        value_name = "SECONDS"
    )]
    pub body_timeout: u64,
    /// Seconds that a client may leave an answer unread before its connection is cut; a slow reader that goes on reading is not
    #[arg(
        id = "server.write_timeout",
        long = "server-write-timeout",
        env = "PLAUDIT_SERVER_WRITE_TIMEOUT",
        default_value_t = 30,
        value_name = "SECONDS"
    )]
    pub write_timeout: u64,
    /// Bytes of answers that the system takes for a connection before it has sent them: who asks for much and reads nothing has no
    /// more made for it
    #[arg(
        id = "server.unsent",
        long = "server-unsent",
        env = "PLAUDIT_SERVER_UNSENT",
        default_value_t = 128 << 10,
        value_name = "BYTES",
        value_parser = clap::value_parser!(u32).range(1024..)
    )]
    pub unsent: u32,
    /// Seconds that an idle connection stays open
    #[arg(
        id = "server.keep_alive",
        long = "server-keep-alive",
        env = "PLAUDIT_SERVER_KEEP_ALIVE",
        default_value_t = 75,
        value_name = "SECONDS"
    )]
    pub keep_alive: u64,
    /// Bytes of a JSON body at most
    #[arg(id = "server.max_body", long = "server-max-body", env = "PLAUDIT_SERVER_MAX_BODY", default_value_t = 1 << 20, value_name = "BYTES")]
    pub max_body: usize,
    /// Bytes of an uploaded picture's form at most
    #[arg(id = "server.max_upload", long = "server-max-upload", env = "PLAUDIT_SERVER_MAX_UPLOAD", default_value_t = 16 << 20, value_name = "BYTES")]
    pub max_upload: usize,
    /// Width and height of an uploaded picture at most
    #[arg(
        id = "server.max_upload_side",
        long = "server-max-upload-side",
        env = "PLAUDIT_SERVER_MAX_UPLOAD_SIDE",
        default_value_t = 4096,
        value_name = "PIXELS"
    )]
    pub max_upload_side: u32,
    /// Uploaded pictures decoded at a time: each takes some hundred megabytes at the largest size. Sixteen times as many
    /// wait; others are refused with 503
    #[arg(id = "server.decoders", long = "server-decoders", env = "PLAUDIT_SERVER_DECODERS", default_value_t = 2, value_name = "PICTURES", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub decoders: usize,
    /// Seconds between two signs of life in a stream in which nothing happens
    #[arg(id = "server.heartbeat", long = "server-heartbeat", env = "PLAUDIT_SERVER_HEARTBEAT", default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub heartbeat: u64,
    /// Seconds that requests in flight have to finish once the server is told to stop
    #[arg(
        id = "server.grace",
        long = "server-grace",
        env = "PLAUDIT_SERVER_GRACE",
        default_value_t = 30,
        value_name = "SECONDS"
    )]
    pub grace: u64,
}

impl ServerSettings {
    /// [`Self::body_timeout`].
    pub fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_timeout)
    }

    /// [`Self::heartbeat`].
    pub fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.heartbeat)
    }

    /// [`Self::grace`].
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace)
    }
}
