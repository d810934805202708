#!/bin/sh
# Stands in for cargo in the documents' lines. Whether the command exists is looked up in HERE; only the demo is run.
has() { grep -q -e "$1" "HERE/$2"; }
case "$*" in
  'build --release --package cli')
    has '^name = "cli"' cli/Cargo.toml && mkdir -p target/release && ln -sf "$FIREHALL_BIN" target/release/firehall ;;
  demo*)
    has '^demo = "run --package cli --bin firehall -- demo"' .cargo/config.toml && exec firehall "$@" ;;
  'nextest run -p '*)
    has '^name' "$4/Cargo.toml" ;;
  'run -p '*)
    has '^name' "$3/Cargo.toml" && has 'fn main' "$3/src/main.rs" ;;
  xtask*)
    has '^xtask = ' .cargo/config.toml && has "cargo xtask $2" xtask/src/main.rs ;;
  *)
    echo "not known to the test of the documents: cargo $*" >&2
    exit 1 ;;
esac
