//! Waiting for a client queue and for an instant at once: an event descriptor and `ppoll`, no thread, no spinning.

use crate::clock;
use rdkafka::bindings as rd;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What the client writes into the descriptor when its queue stops being empty.
static TOKEN: u64 = 1;

/// Wakes the owner of a [`Wake`] from another thread.
#[derive(Debug)]
pub struct Waker(OwnedFd);

impl Waker {
    /// Ends the wait that goes on, or the next one.
    pub fn wake(&self) {
        // SAFETY: writes eight static bytes to a descriptor of our own. A full counter wakes all the same.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const TOKEN).cast(), size_of::<u64>()) };
    }
}

/// Wakes the owner of a client queue.
#[derive(Debug)]
pub(super) struct Wake {
    descriptor: OwnedFd,
}

impl Wake {
    /// Attaches to a queue.
    ///
    /// # Safety
    /// `queue` is a live queue handle whose client is destroyed before the returned value is dropped.
    pub(super) unsafe fn attach(queue: *mut rd::rd_kafka_queue_t) -> io::Result<Self> {
        // SAFETY: takes no pointers; a negative answer is handled.
        let raw = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `raw` was just opened and has no other owner. TOKEN is static, as the client copies from it later.
        let descriptor = unsafe {
            rd::rd_kafka_queue_io_event_enable(queue, raw, (&raw const TOKEN).cast(), size_of::<u64>());
            OwnedFd::from_raw_fd(raw)
        };
        Ok(Wake { descriptor })
    }

    /// Wakes for another queue, too.
    ///
    /// # Safety
    /// As for `attach`.
    pub(super) unsafe fn also(&self, queue: *mut rd::rd_kafka_queue_t) {
        // SAFETY: the queue is live by the contract; TOKEN is static.
        unsafe {
            let raw = self.descriptor.as_raw_fd();
            rd::rd_kafka_queue_io_event_enable(queue, raw, (&raw const TOKEN).cast(), size_of::<u64>());
        }
    }

    /// Lets another thread wake the owner.
    pub(super) fn waker(&self) -> io::Result<Waker> {
        self.descriptor.try_clone().map(Waker)
    }

    /// Returns when the queue has got something since the last call, or at the instant; the caller then empties the queue.
    pub(super) fn wait_until(&self, instant_ns: u64) {
        let left_ns = instant_ns.saturating_sub(clock::now_ns());
        let time = libc::timespec {
            tv_sec: (left_ns / 1_000_000_000) as libc::time_t,
            tv_nsec: (left_ns % 1_000_000_000) as libc::c_long,
        };
        let mut poll = libc::pollfd { fd: self.descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let mut token = 0_u64;
        // SAFETY: all pointers are to locals that outlive the calls; the read is of exactly eight bytes, non-blocking.
        unsafe {
            if libc::ppoll(&raw mut poll, 1, &raw const time, std::ptr::null()) > 0 {
                libc::read(poll.fd, (&raw mut token).cast(), size_of::<u64>());
            }
        }
    }
}
