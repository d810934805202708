//! Work that holds its thread for a moment: a flush, a compilation.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::{JoinError, block_in_place},
};

/// It panicked; the panic's message is where panics are said.
#[derive(Debug, thiserror::Error)]
#[error("it panicked")]
pub struct Panicked;

/// Runs it on a thread beside those of the runtime. A runtime of one thread (a simulation) runs it as a task: it has
/// asked for no others, and its tasks keep one order.
///
/// # Errors
/// It panicked, or the runtime ends.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => tokio::spawn(async move { work() }).await,
        _ => tokio::task::spawn_blocking(work).await,
    }
}

/// Runs it on this thread, whose other tasks go to another: what waits for nothing else does not wait for a thread to wake,
/// either. For what is short.
///
/// # Errors
/// It panicked.
pub fn here<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    // What it was at is gone with it.
    let work = AssertUnwindSafe(work);
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => catch_unwind(work),
        _ => block_in_place(|| catch_unwind(work)),
    }
    .map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::thread;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn beside_the_tasks_of_a_runtime_with_threads() {
        let here = tokio::spawn(async { thread::current().id() }).await.unwrap();
        assert_ne!(super::run(|| thread::current().id()).await.unwrap(), here);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn here_is_this_thread_and_others_go_on() {
        let outcome = tokio::spawn(async {
            let other = tokio::spawn(async { thread::current().id() });
            let here = super::here(|| {
                // It would wait for ever, were it behind this one.
                while !other.is_finished() {
                    thread::yield_now();
                }
                thread::current().id()
            });
            (here.unwrap(), other.await.unwrap())
        });
        let (here, other) = outcome.await.unwrap();
        assert_ne!(here, other);
        assert!(super::here(|| panic!("on purpose")).is_err());
    }

    #[tokio::test]
    async fn in_order_where_there_is_one_thread_and_a_panic_is_an_error() {
        let here = thread::current().id();
        assert_eq!(super::run(|| thread::current().id()).await.unwrap(), here);
        assert!(super::run(|| panic!("on purpose")).await.unwrap_err().is_panic());
    }
}
