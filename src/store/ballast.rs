//! `ballast`: bytes set aside, given back when the disk is full, so that ends of jobs and votes can still be written.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Store, free_bytes, space::is_disk_full};

/// Free bytes at which it is set aside again, as a multiple of its size: room enough that it is not given back at once.
const ROOM: u64 = 4;

/// The file, and how large it is to be.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    /// 0: none is wanted.
    size: AtomicU64,
}

impl Ballast {
    pub(super) fn under(data: &Path) -> Self {
        Self { path: data.join("ballast"), size: AtomicU64::new(0) }
    }

    fn is_there(&self) -> bool {
        let size = self.size.load(Ordering::Relaxed);
        fs::metadata(&self.path).is_ok_and(|found| found.len() == size)
    }

    /// Its blocks are taken, not only its length.
    fn make(&self) -> io::Result<()> {
        let file = File::options().write(true).create(true).truncate(true).open(&self.path)?;
        let taken = allocate(&file, self.size.load(Ordering::Relaxed)).and_then(|()| file.sync_all());
        if taken.is_err() {
            self.release()?;
        }
        taken
    }

    /// Whether there was any.
    fn release(&self) -> io::Result<bool> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, size: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let size = size.try_into().map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    // SAFETY: the descriptor is open as long as `file` lives.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(mut file: &File, size: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), size), &mut file).map(drop)
}

impl Store {
    /// Sets bytes aside from now on; 0: none. Where there is no room for them the log says so, and it is tried again.
    ///
    /// # Errors
    /// If an earlier ballast cannot be removed.
    pub fn set_ballast(&self, size: u64) -> anyhow::Result<()> {
        let ballast = self.ballast();
        // PostgreSQL has a disk of its own: nothing that must be written is written on this one.
        let size = if self.is_alone() { size } else { 0 };
        ballast.size.store(size, Ordering::Relaxed);
        if size == 0 {
            ballast.release()?;
        } else if !ballast.is_there()
            && let Err(error) = ballast.make()
        {
            let path = ballast.path.display();
            tracing::warn!("cannot set {size} bytes aside in {path}: {error}; make room, or lower --jobs-ballast");
        }
        Ok(())
    }

    /// Whether bytes are set aside.
    pub fn has_ballast(&self) -> bool {
        self.ballast().is_there()
    }

    /// Gives the ballast back if this error is a full disk's. Whether that made room.
    pub(super) fn relieve(&self, error: &anyhow::Error) -> bool {
        if !is_disk_full(error) {
            return false;
        }
        let released = self.ballast().release().unwrap_or_else(|error| {
            tracing::error!("cannot remove {}: {error}", self.ballast().path.display());
            false
        });
        if released {
            let data = self.data().display();
            tracing::error!(
                "the disk of {data} is full: the ballast is given back, so that ends can be written; make room"
            );
        }
        released
    }

    /// Sets the ballast aside again once there is room.
    pub(super) fn restore_ballast(&self) -> io::Result<()> {
        let ballast = self.ballast();
        let size = ballast.size.load(Ordering::Relaxed);
        if size == 0 || ballast.is_there() || free_bytes(self.data())? < size.saturating_mul(ROOM) {
            return Ok(());
        }
        ballast.make()?;
        tracing::info!("there is room again: the ballast is set aside");
        Ok(())
    }
}
