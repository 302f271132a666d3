//! Memory in use.

use std::process::Command;

use plaudit::runtime::Device;

/// MiB in use: on a GPU all of the device's (nvidia-smi), so it should have no other user; else this process's resident set. NaN where nobody tells.
pub(crate) fn used(device: Device) -> f64 {
    match device {
        Device::Cpu => resident(),
        Device::Cuda(index) => on_gpu(index),
    }
    .unwrap_or(f64::NAN)
}

fn on_gpu(index: u32) -> Option<f64> {
    let query = ["--query-gpu=memory.used", "--format=csv,noheader,nounits"];
    let output = Command::new("nvidia-smi").arg("-i").arg(index.to_string()).args(query).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn resident() -> Option<f64> {
    const KIB: f64 = 1024.0;
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / KIB)
}
