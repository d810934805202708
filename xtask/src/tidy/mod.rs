//! The project's own rules, held by tests: who may depend on whom, how long a file may be, what must not appear.

mod docs;
mod files;
mod lock;
mod rooms;
