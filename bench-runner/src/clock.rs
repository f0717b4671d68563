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

/// Asks for the calling thread to run as soon as it wakes, before the brokers and compilers that share its cores; for
/// threads that mostly sleep. Children are not preferred. Only a privileged user may ask; others keep their priority,
/// and lateness tells.
pub fn prefer_this_thread() {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: `lowest` outlives the call; 0 names the calling thread on Linux.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &lowest) };
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
