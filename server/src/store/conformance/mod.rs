//! What every store does, run against each: the in-memory model and SQLite.

mod history;
mod keys;
mod logs;
mod model;
mod registry;
pub(crate) mod sample;

use std::sync::Arc;

use tempfile::TempDir;

use super::{
    SharedStore,
    memory::MemoryStore,
    sqlite::{SqliteOptions, SqliteStore},
};

/// A store and what must live as long.
struct Fixture {
    store: SharedStore,
    _dir: Option<TempDir>,
}

async fn memory() -> Fixture {
    Fixture {
        store: Arc::new(MemoryStore::new()),
        _dir: None,
    }
}

async fn sqlite() -> Fixture {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path(), SqliteOptions::default())
        .await
        .unwrap();
    Fixture {
        store: Arc::new(store),
        _dir: Some(dir),
    }
}

/// Makes each law a test of its own against each store.
macro_rules! against_each_store {
    ($($law:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                let fixture = super::super::memory().await;
                super::$law(fixture.store.clone()).await;
                fixture.store.close().await;
            })*
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                let fixture = super::super::sqlite().await;
                super::$law(fixture.store.clone()).await;
                fixture.store.close().await;
            })*
        }
    };
}
use against_each_store;
