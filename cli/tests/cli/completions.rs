//! The completion scripts, as shells use them.

use std::process::Command;

use crate::home::Home;

/// What bash offers behind these words.
fn bash(script: &str, words: &[&str]) -> Vec<String> {
    let last = words.len() - 1;
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let asked = format!(
        "source \"$1\"; COMP_WORDS=({}); COMP_CWORD={last}; complete -p firehall >/dev/null || exit 9; \
         _firehall firehall '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words[last],
        words[last - 1]
    );
    let output = Command::new("bash")
        .args(["--norc", "--noprofile", "-c", &asked, "bash", script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let offered = String::from_utf8(output.stdout).unwrap();
    offered.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let home = Home::new();
    let script = home.run(&["completions", "bash"], &[]);
    assert_eq!((script.code, script.err.as_str()), (0, ""));
    let script = home.file("firehall.bash", &script.out);
    assert_eq!(bash(&script, &["firehall", "ru"]), ["run", "runs"]);
    assert_eq!(bash(&script, &["firehall", "runs", "--outc"]), ["--outcome"]);
    let outcomes = bash(&script, &["firehall", "runs", "--outcome", ""]);
    assert_eq!(outcomes, ["succeeded", "degraded", "failed", "cancelled"]);
    assert_eq!(bash(&script, &["firehall", "incident", "op"]), ["open"]);
    assert_eq!(bash(&script, &["firehall", "--color", "al"]), ["always"]);
}

#[test]
fn every_shell_has_its_script_and_another_one_is_a_usage_error() {
    let home = Home::new();
    for (shell, sign) in [
        ("zsh", "#compdef firehall"),
        ("fish", "complete -c firehall"),
        ("elvish", "edit:completion:arg-completer[firehall]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = home.run(&["completions", shell], &[]);
        assert!(script.code == 0 && script.out.contains(sign), "{shell}");
    }
    let ended = home.run(&["completions", "ksh"], &[]);
    assert!(ended.code == 2 && ended.err.contains("bash"), "{ended:?}");
}
