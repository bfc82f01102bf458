//! Four functions of libc, replaced: time and randomness that follow from the seed, on the simulation's thread.
//!
//! In: a seed, the virtual time. Out: what libraries get that ask the machine instead of [`skein_node::env::Env`]:
//! keys of hash maps, generators of gossip and consensus, signatures, `Instant`. Holds: the one sequence of random
//! numbers and the one clock of the process. Not here: the clocks and the entropy of nodes (their `Env`).
//!
//! The linker prefers symbols of the program to those of libc. Threads that are not the simulation's get what libc
//! itself would have given them.

#![expect(unsafe_code, reason = "functions of libc are replaced under their own names; nothing else in here is unsafe")]

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_long, c_uint, c_void};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// `CLOCK_MONOTONIC` begins here: late enough that code may subtract hours from it.
const MONOTONIC_START: Duration = Duration::from_secs(1_000_000);
/// `CLOCK_REALTIME` begins on 2026-01-01, within the validity of all certificates that a simulation makes.
const REALTIME_START: Duration = Duration::from_secs(1_767_225_600);
/// The step of the sequence of random numbers (splitmix64): odd, so that all states are visited.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Virtual nanoseconds since the beginning.
static NOW: AtomicU64 = AtomicU64::new(0);
static RANDOM: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this is the simulation's thread.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `simulation` on a thread of its own, on which time stands still unless [`set_now`] moves it, and randomness
/// follows from `seed`. A thread of its own, because others may have drawn the keys of their hash maps already.
///
/// # Panics
/// When the simulation panics, or the functions of libc are not replaced.
#[inline(never)]
pub(crate) fn inside<T: Send + 'static>(seed: u64, simulation: impl FnOnce() -> T + Send + 'static) -> T {
    RANDOM.store(seed, Ordering::SeqCst);
    let simulate = move || {
        INSIDE.set(true);
        let (one, other) = (std::time::Instant::now(), std::time::Instant::now());
        assert_eq!(one, other, "the clock of libc is not replaced: the linker took libc's");
        simulation()
    };
    let thread = std::thread::Builder::new().name("simulation".to_owned()).spawn(simulate);
    match thread.expect("a thread can be started").join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// From now on it is `since_start` after the beginning.
pub(crate) fn set_now(since_start: Duration) {
    NOW.store(u64::try_from(since_start.as_nanos()).expect("centuries"), Ordering::SeqCst);
}

/// Time since the beginning.
pub(crate) fn since_start() -> Duration {
    Duration::from_nanos(NOW.load(Ordering::SeqCst))
}

/// Milliseconds since 1970 at the beginning of every simulation.
pub(crate) fn dawn_millis() -> u64 {
    REALTIME_START.as_secs() * 1000
}

fn is_inside() -> bool {
    // A thread that is ending is not inside any more.
    INSIDE.try_with(Cell::get).unwrap_or(false)
}

fn next_random() -> u64 {
    let mut mixed = RANDOM.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Fills `length` bytes at `to`.
///
/// # Safety
/// They belong to the caller, who wants them written.
unsafe fn fill(to: *mut c_void, length: usize) {
    let mut at = to.cast::<u8>();
    let mut left = length;
    while left > 0 {
        let bytes = next_random().to_le_bytes();
        let part = left.min(bytes.len());
        // SAFETY: `part` bytes are left at `at`, by the caller's promise.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, part);
            at = at.add(part);
        }
        left -= part;
    }
}

/// # Safety
/// `to` is null or a timespec that the caller wants written.
unsafe fn tell_time(clock: libc::clockid_t, to: *mut libc::timespec) -> c_int {
    let since_start = Duration::from_nanos(NOW.load(Ordering::SeqCst));
    let now = match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI => REALTIME_START + since_start,
        _ => MONOTONIC_START + since_start,
    };
    if !to.is_null() {
        // SAFETY: it is not null, so it is the caller's timespec.
        unsafe {
            (*to).tv_sec = now.as_secs() as libc::time_t;
            (*to).tv_nsec = now.subsec_nanos() as c_long;
        }
    }
    0
}

/// The function that libc has under `name`; looked up once.
fn real(name: &CStr, known: &AtomicUsize) -> usize {
    let found = known.load(Ordering::Relaxed);
    if found != 0 {
        return found;
    }
    // SAFETY: a name that ends with a zero byte, and a handle that dlsym defines.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) } as usize;
    // Not even a panic works without the functions below.
    if found == 0 {
        std::process::abort();
    }
    known.store(found, Ordering::Relaxed);
    found
}

/// Random bytes, as `getrandom(2)`.
///
/// # Safety
/// As of libc's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getrandom(to: *mut c_void, length: usize, flags: c_uint) -> isize {
    if is_inside() {
        // SAFETY: the caller's promise is the same.
        unsafe { fill(to, length) };
        return length as isize;
    }
    static REAL: AtomicUsize = AtomicUsize::new(0);
    // SAFETY: this is the signature of libc's getrandom.
    unsafe {
        let real: unsafe extern "C" fn(*mut c_void, usize, c_uint) -> isize =
            std::mem::transmute(real(c"getrandom", &REAL));
        real(to, length, flags)
    }
}

/// Random bytes, as `getentropy(3)`.
///
/// # Safety
/// As of libc's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getentropy(to: *mut c_void, length: usize) -> c_int {
    if is_inside() {
        // SAFETY: the caller's promise is the same.
        unsafe { fill(to, length) };
        return 0;
    }
    static REAL: AtomicUsize = AtomicUsize::new(0);
    // SAFETY: this is the signature of libc's getentropy.
    unsafe {
        let real: unsafe extern "C" fn(*mut c_void, usize) -> c_int = std::mem::transmute(real(c"getentropy", &REAL));
        real(to, length)
    }
}

/// The time, as `clock_gettime(2)`.
///
/// # Safety
/// As of libc's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, to: *mut libc::timespec) -> c_int {
    if is_inside() {
        // SAFETY: the caller's promise is the same.
        return unsafe { tell_time(clock, to) };
    }
    static REAL: AtomicUsize = AtomicUsize::new(0);
    // SAFETY: this is the signature of libc's clock_gettime.
    unsafe {
        let real: unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int =
            std::mem::transmute(real(c"clock_gettime", &REAL));
        real(clock, to)
    }
}

/// A call of the kernel by number, as `syscall(2)`: some libraries ask for random bytes and the time this way.
///
/// # Safety
/// As of libc's. It is declared with an ellipsis there; where this project runs, six whole arguments travel in the
/// same registers either way.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    if is_inside() {
        if number == libc::SYS_getrandom {
            // SAFETY: the kernel's arguments are the pointer and the length; the caller's promise is the same.
            unsafe { fill(a as *mut c_void, b) };
            return b as c_long;
        }
        if number == libc::SYS_clock_gettime {
            // SAFETY: the kernel's arguments are the clock and the pointer; the caller's promise is the same.
            return unsafe { tell_time(a as libc::clockid_t, b as *mut libc::timespec) }.into();
        }
    }
    static REAL: AtomicUsize = AtomicUsize::new(0);
    // SAFETY: see the function's own contract.
    unsafe {
        let real: unsafe extern "C" fn(c_long, usize, usize, usize, usize, usize, usize) -> c_long =
            std::mem::transmute(real(c"syscall", &REAL));
        real(number, a, b, c, d, e, f)
    }
}
