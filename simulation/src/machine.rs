//! The clock and the randomness of a simulated machine, in the place of libc's.
//!
//! Rust's standard library, nix and getrandom all ask libc, and a program's own symbol comes before that of a shared
//! library. So nothing in the product knows of it: `Instant`, boot time, wall time, ids, the keys of hash maps and the
//! draws of `tokio::select!` all follow the simulation on its thread. On every other thread the kernel answers.
#![expect(unsafe_code, reason = "functions of libc's own form")]

use std::{
    cell::Cell,
    ffi::{c_int, c_uint, c_void},
    time::Duration,
};

/// Boot was this long before the simulation's begin.
const UPTIME: Duration = Duration::from_secs(86_400);
/// The wall clock at the begin: 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

#[derive(Clone, Copy)]
struct Machine {
    elapsed: Duration,
    behind: Duration,
    entropy: u64,
}

thread_local! {
    // Const and without a destructor: it can be read at any time of a thread's life.
    static MACHINE: Cell<Option<Machine>> = const { Cell::new(None) };
}

/// From now on this thread lives in the simulation of a seed. To be called first on a fresh thread: a hash map made
/// earlier has drawn its keys already.
pub fn enter(seed: u64) {
    MACHINE.set(Some(Machine {
        elapsed: Duration::ZERO,
        behind: Duration::ZERO,
        entropy: seed,
    }));
}

/// Time since the begin, and how far the clocks of the host whose turn it is stand behind it.
pub fn set(elapsed: Duration, behind: Duration) {
    if let Some(machine) = MACHINE.get() {
        MACHINE.set(Some(Machine {
            elapsed,
            behind,
            ..machine
        }));
    }
}

/// Time since the begin as this host's clocks tell it; zero outside of a simulation.
#[must_use]
pub fn now() -> Duration {
    MACHINE.get().map_or(Duration::ZERO, |machine| {
        machine.elapsed.saturating_sub(machine.behind)
    })
}

/// Time since the begin, which no host knows.
#[must_use]
pub fn elapsed() -> Duration {
    MACHINE.get().map_or(Duration::ZERO, |machine| machine.elapsed)
}

/// The next random number of this thread's simulation (SplitMix64).
#[must_use]
pub fn random() -> u64 {
    let Some(mut machine) = MACHINE.get() else {
        return 0;
    };
    let drawn = draw(&mut machine.entropy);
    MACHINE.set(Some(machine));
    drawn
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// clock_gettime(2).
///
/// # Safety
/// As that of libc: `at` is valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, at: *mut libc::timespec) -> c_int {
    let Some(machine) = MACHINE.get() else {
        // SAFETY: the kernel checks both.
        let answer = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, at) };
        return if answer == 0 { 0 } else { -1 };
    };
    let base = if clock == libc::CLOCK_REALTIME {
        EPOCH
    } else {
        UPTIME
    };
    let now = base + machine.elapsed.saturating_sub(machine.behind);
    let shown = libc::timespec {
        tv_sec: now.as_secs().cast_signed(),
        tv_nsec: now.subsec_nanos().into(),
    };
    // SAFETY: the caller's promise.
    unsafe { at.write(shown) };
    0
}

/// getrandom(2).
///
/// # Safety
/// As that of libc: `buffer` is valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    if MACHINE.get().is_none() {
        // SAFETY: the kernel checks them.
        let answer = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return isize::try_from(answer).unwrap_or(-1);
    }
    for at in 0..length {
        let byte = random().to_le_bytes()[0];
        // SAFETY: the caller's promise.
        unsafe { buffer.cast::<u8>().add(at).write(byte) };
    }
    length.cast_signed()
}
