//! Memory goes back to the system, not only to the allocator.

/// Blocks at least this large are mapped on their own and unmapped when freed, whatever lies around them; glibc would
/// otherwise raise this limit by itself, to 32 MiB, after the first large block is freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MMAP_THRESHOLD_BYTES: libc::c_int = 1 << 20;

pub(super) fn return_large_blocks_at_once() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets a number in glibc's allocator under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    }
}

/// Trims the heap when dropped. The last field of a session: a hundred swaps grew the process by 117 MiB without it.
#[derive(Debug)]
pub(super) struct TrimOnDrop;

impl Drop for TrimOnDrop {
    fn drop(&mut self) {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        // SAFETY: gives free pages back under the allocator's own lock.
        unsafe {
            libc::malloc_trim(0);
        }
    }
}
