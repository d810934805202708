//! A filter's program: a binary search over the numbers of system calls.
//!
//! seccompiler compares one number after the other. The kernel interprets each filter once for every system call when it is
//! installed, to know which are always allowed (`seccomp_cache_prepare`), so that three hundred comparisons in a row cost
//! each container about a millisecond.

use std::collections::BTreeMap;

use libc::{
    BPF_ABS, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW,
    SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS,
};
use seccompiler::{BpfProgram, sock_filter};

/// Places of `struct seccomp_data` (seccomp(2)); both halves of an argument on little-endian processors.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
const FIRST_ARGUMENT_HIGH: u32 = 20;

/// What a system call gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Allow,
    /// This error, and nothing is done.
    Error(i32),
    /// `otherwise` when the first argument has one of these bits, which are of its lower half.
    UnlessBits {
        bits: u32,
        otherwise: i32,
    },
    /// `otherwise` when the lower half of the first argument is this.
    Unless {
        value: u32,
        otherwise: i32,
    },
    /// `otherwise` when the first argument is none of these.
    OneOf {
        values: &'static [u32],
        otherwise: i32,
    },
}

impl Answer {
    /// Ends in a return on every path.
    fn instructions(&self) -> Vec<sock_filter> {
        let allow = || statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        let low = || statement(BPF_LD | BPF_W | BPF_ABS, FIRST_ARGUMENT);
        match self {
            Self::Allow => vec![allow()],
            Self::Error(error) => vec![refuse(*error)],
            Self::UnlessBits { bits, otherwise } => {
                vec![low(), jump(BPF_JSET, *bits, 0, 1), refuse(*otherwise), allow()]
            }
            Self::Unless { value, otherwise } => {
                vec![low(), jump(BPF_JEQ, *value, 0, 1), refuse(*otherwise), allow()]
            }
            Self::OneOf { values, otherwise } => {
                let high = statement(BPF_LD | BPF_W | BPF_ABS, FIRST_ARGUMENT_HIGH);
                let mut code = vec![high, jump(BPF_JEQ, 0, 1, 0), refuse(*otherwise), low()];
                for value in *values {
                    code.extend([jump(BPF_JEQ, *value, 0, 1), allow()]);
                }
                code.push(refuse(*otherwise));
                code
            }
        }
    }
}

/// The program for one architecture (`AUDIT_ARCH_…`); a call through another one's entry ends the process. A number that is
/// not among the calls gets `otherwise`.
pub(super) fn program(architecture: u32, calls: &BTreeMap<u32, Answer>, otherwise: &Answer) -> BpfProgram {
    let mut code = vec![
        statement(BPF_LD | BPF_W | BPF_ABS, ARCHITECTURE),
        jump(BPF_JEQ, architecture, 1, 0),
        statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        statement(BPF_LD | BPF_W | BPF_ABS, NUMBER),
    ];
    code.extend(search(&spans(calls, otherwise)));
    code
}

/// Numbers that get the same answer, by the first of them; together they are all numbers.
fn spans<'a>(calls: &'a BTreeMap<u32, Answer>, otherwise: &'a Answer) -> Vec<(u32, &'a Answer)> {
    let mut spans = vec![(0, otherwise)];
    let mut add = |first: u32, answer: &'a Answer| match spans.last_mut() {
        Some((at, last)) if *at == first => *last = answer,
        Some((_, last)) if *last == answer => {}
        _ => spans.push((first, answer)),
    };
    for (number, answer) in calls {
        add(*number, answer);
        if let Some(next) = number.checked_add(1) {
            add(next, otherwise);
        }
    }
    spans
}

fn search(spans: &[(u32, &Answer)]) -> Vec<sock_filter> {
    let (below, from) = spans.split_at(spans.len() / 2);
    let [(first, answer), ..] = from else {
        return Vec::new();
    };
    if below.is_empty() {
        return answer.instructions();
    }
    let (below, from) = (search(below), search(from));
    // A jump with a condition leads no further than 255 instructions.
    let mut code = match u8::try_from(below.len()) {
        Ok(over) => vec![jump(BPF_JGE, *first, over, 0)],
        Err(_) => vec![
            jump(BPF_JGE, *first, 0, 1),
            statement(BPF_JMP | BPF_JA, u32::try_from(below.len()).unwrap_or(u32::MAX)),
        ],
    };
    code.extend(below);
    code.extend(from);
    code
}

fn refuse(error: i32) -> sock_filter {
    statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error.unsigned_abs())
}

fn statement(code: u32, k: u32) -> sock_filter {
    instruction(code, 0, 0, k)
}

fn jump(comparison: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    instruction(BPF_JMP | comparison | BPF_K, jt, jf, k)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    #[expect(clippy::cast_possible_truncation, reason = "operation codes are of 8 bits")]
    let code = code as u16;
    sock_filter { code, jt, jf, k }
}
