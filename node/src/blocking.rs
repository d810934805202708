//! Work that holds its thread for a moment: a flush, a compilation.

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::JoinError,
};

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::thread;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn beside_the_tasks_of_a_runtime_with_threads() {
        let here = tokio::spawn(async { thread::current().id() }).await.unwrap();
        assert_ne!(super::run(|| thread::current().id()).await.unwrap(), here);
    }

    #[tokio::test]
    async fn in_order_where_there_is_one_thread_and_a_panic_is_an_error() {
        let here = thread::current().id();
        assert_eq!(super::run(|| thread::current().id()).await.unwrap(), here);
        assert!(super::run(|| panic!("on purpose")).await.unwrap_err().is_panic());
    }
}
