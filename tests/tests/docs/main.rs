//! The documents, executed. Every page's command lines run as a reader would type them, what they are said to print is
//! compared, definitions are compiled, data is parsed, links are followed, and what cannot be run here is listed.
//!
//! A page runs from top to bottom in one bash in an empty directory, in namespaces of its own: its network holds
//! nothing but loopback, so that the ports are those that the page names and nothing leaves the machine, its `/var/lib`
//! is empty, and what it starts ends with it. `firehall` is the binary under test.
//!
//! What the test needs to know stands in the fence, after the language, where no reader is troubled by it:
//!
//! | word | means |
//! |---|---|
//! | `file=NAME` | a reader saves this block under that name |
//! | `until="CONDITION"` | the block goes on in the background; the page waits until the condition holds |
//! | `exit=N` | the exit code of the block's last command, where it is not 0 |
//! | `wrong=CODE,…` | this definition is wrong, with exactly these codes |
//! | `skip="REASON"` | this block cannot be executed here; `not-run.txt` lists it |
//!
//! A comment `<!-- run: LINE -->`, or `<!-- run WORDS` with lines below, is run and not shown; `$PROJECT` is the checkout. In command lines `RUN`, `INC` and `AGENT` stand
//! for the newest run, the newest incident and the first agent.

#![allow(clippy::unwrap_used, reason = "tests")]

mod commands;
mod data;
mod diagrams;
mod fence;
mod links;
mod markdown;
mod pages;
mod session;
mod transcript;
