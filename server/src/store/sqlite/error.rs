//! From the database's errors to the store's.

use std::fmt;

use super::StoreError;

// https://www.sqlite.org/rescode.html
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_TOOBIG: i32 = 18;
const SQLITE_CONSTRAINT: i32 = 19;
const SQLITE_MISMATCH: i32 = 20;
const SQLITE_NOTADB: i32 = 26;

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// What a caller hears of an error of the database.
pub(super) fn store_error(error: &sqlx::Error) -> StoreError {
    match (primary_code(error), error) {
        (Some(SQLITE_CORRUPT | SQLITE_NOTADB), _)
        | (_, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
            StoreError::Corrupt(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// Whether the error lies in what one caller wants to write, so that the others can still be served.
pub(super) fn is_of_one_write(error: &sqlx::Error) -> bool {
    matches!(
        primary_code(error),
        Some(SQLITE_TOOBIG | SQLITE_CONSTRAINT | SQLITE_MISMATCH)
    ) || matches!(
        error,
        sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)
    )
}

/// A stored value that this version does not understand.
pub(super) fn corrupt(what: &str, value: impl fmt::Debug) -> sqlx::Error {
    sqlx::Error::Decode(format!("{what}: {value:?}").into())
}
