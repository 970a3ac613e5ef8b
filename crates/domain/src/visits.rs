//! How many things of the state are looked at, for tests that hold a bound to it.
//!
//! Counted are numbers, bindings, remembered ids and entries of ordered sets, wherever they are read. A release counts
//! nothing. No rule reads the count, so nothing that is decided depends on it.

#[cfg(debug_assertions)]
thread_local! {
    static VISITS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts one.
#[inline]
pub(crate) fn visit() {
    #[cfg(debug_assertions)]
    VISITS.with(|visits| visits.set(visits.get() + 1));
}

/// How many things this thread has looked at since it began; always 0 in a release.
#[inline]
pub fn count() -> u64 {
    #[cfg(debug_assertions)]
    {
        VISITS.with(std::cell::Cell::get)
    }
    #[cfg(not(debug_assertions))]
    {
        0
    }
}
