//! Whether there is room for a second version.

use std::fs;

use super::SwapSettings;

const MIB: u64 = 1 << 20;

/// More is needed than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "loading it beside what serves takes about {} MiB, and {} MiB are free ({} MiB stay free for requests, swap.memory_reserve); \
     make room, or ask to drain first: then what serves is taken out of memory before, and requests wait",
    needed / MIB, available / MIB, reserve / MIB
)]
pub struct NoRoom {
    /// Bytes.
    pub needed: u64,
    /// Bytes.
    pub available: u64,
    /// Bytes.
    pub reserve: u64,
}

/// Admits a version of which `weights` bytes are not in memory yet.
pub(super) fn admit(weights: u64, settings: &SwapSettings) -> Result<(), NoRoom> {
    let Some(available) = available(settings) else { return Ok(()) };
    let needed = (weights as f64 * settings.memory_factor) as u64;
    let reserve = settings.memory_reserve * MIB;
    if weights > 0 && needed + reserve > available { Err(NoRoom { needed, available, reserve }) } else { Ok(()) }
}

/// Bytes that the process may still take; `None` where the system does not tell.
fn available(settings: &SwapSettings) -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    if settings.memory_limit > 0 {
        let taken = kib(&read("/proc/self/status")?, "RssAnon:")?;
        return Some((settings.memory_limit * MIB).saturating_sub(taken));
    }
    free()
}

/// Bytes that the system, or the control group that this process is in, still has to give; `None` where it does not tell.
pub fn free() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let free = kib(&read("/proc/meminfo")?, "MemAvailable:")?;
    let group = || {
        let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
        let (most, taken) = (number("/sys/fs/cgroup/memory.max")?, number("/sys/fs/cgroup/memory.current")?);
        let cached = read("/sys/fs/cgroup/memory.stat").and_then(|text| word(&text, "inactive_file")).unwrap_or(0);
        Some(most.saturating_sub(taken.saturating_sub(cached)))
    };
    Some(group().map_or(free, |group| group.min(free)))
}

/// A line `name 123 kB`, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    word(text, name).map(|kib| kib << 10)
}

fn word(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_figures() {
        let settings = SwapSettings { memory_limit: 1 << 20, ..SwapSettings::default() };
        assert_eq!(admit(100 * MIB, &settings), Ok(()));
        let refused = admit(1 << 40, &settings).expect_err("a terabyte");
        assert!(refused.needed > 1 << 40 && refused.available <= 1 << 40, "{refused:?}");
        assert!(refused.to_string().contains("1572864 MiB"), "{refused}");
        let full = SwapSettings { memory_limit: 1, ..SwapSettings::default() };
        assert!(admit(1, &full).is_err());
        assert_eq!(admit(0, &full), Ok(()), "everything is in memory already");
    }

    #[test]
    fn the_systems_words_are_read() {
        let text = "MemTotal:  200 kB\nMemAvailable:   24 kB\n";
        assert_eq!((kib(text, "MemAvailable:"), kib(text, "Swap:")), (Some(24 << 10), None));
        assert!(cfg!(not(target_os = "linux")) || available(&SwapSettings::default()).is_some_and(|bytes| bytes > MIB));
    }
}
