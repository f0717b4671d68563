//! The one clock of a host, shared by all processes, and sleeping by it. Knows nothing else.

use std::mem::MaybeUninit;

/// Nanoseconds of CLOCK_MONOTONIC.
#[inline]
pub fn now_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// CPU time of this process, user and system, in nanoseconds.
pub fn process_cpu_ns() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

#[inline]
fn read(clock: libc::clockid_t) -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `time` is valid for writes, and both clocks exist on Linux, so the call fills it.
    let time = unsafe {
        libc::clock_gettime(clock, time.as_mut_ptr());
        time.assume_init()
    };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Asks the kernel for timers without slack on the calling thread, so that waits end when they should.
pub fn tighten_timers() {
    // SAFETY: sets a property of the calling thread; takes no pointers.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0) };
}

/// Asks for the calling thread to be preferred over the brokers that share its cores, so that it wakes when it should.
/// Only a privileged user may; others keep their priority, and lateness tells.
pub fn prefer_this_thread() {
    const NICE: libc::c_int = -10;
    // SAFETY: takes no pointers; 0 names the calling thread on Linux.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

/// Sleeps until the instant, or not at all if it has passed.
pub fn sleep_until(instant_ns: u64) {
    let time = libc::timespec {
        tv_sec: (instant_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (instant_ns % 1_000_000_000) as libc::c_long,
    };
    // SAFETY: `time` outlives the call; the remainder is not asked for. An early return by a signal is repeated.
    while unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &time, std::ptr::null_mut())
    } == libc::EINTR
    {}
}
