//! What a plan says of a step, for people.

use ::pages::run::Fact;
use types::{IfLost, text::duration};
use workflow::{Body, Expr, FanOut, PlanService, PlanStep, Template};

/// A line for each thing that is set or not as usual.
pub(super) fn facts(plan: &PlanStep) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut fact = |name, value: String| {
        if !value.is_empty() {
            facts.push(Fact { name, value });
        }
    };
    body(&plan.body, &mut fact);
    fact(
        "When",
        plan.when.as_ref().map(|when| when.0.clone()).unwrap_or_default(),
    );
    match &plan.fan_out {
        Some(FanOut::Each { items, max_parallel }) => {
            fact("For each of", template(items));
            fact("At once", max_parallel.map(|n| n.to_string()).unwrap_or_default());
        }
        Some(FanOut::Follow { steps, gather_ms }) => {
            let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
            fact(
                "Follows",
                format!("{}, gathering for {}", steps.join(", "), duration(*gather_ms)),
            );
        }
        None => {}
    }
    let labels = plan
        .runs_on
        .iter()
        .map(|(key, value)| format!("{key}={}", template(value)));
    fact("Runs on", labels.collect::<Vec<_>>().join("\n"));
    fact(
        "Waits for an agent",
        format!("at most {}", duration(plan.pickup_ms)),
    );
    fact(
        "Timeout",
        format!(
            "{} a try, {} between TERM and KILL",
            duration(plan.timeout_ms),
            duration(plan.grace_ms)
        ),
    );
    if plan.retry.limit > 0 {
        let retry = &plan.retry;
        let delay = duration(retry.delay_ms);
        fact(
            "Retries",
            format!(
                "{} more, the first after {delay}, then × {}",
                retry.limit, retry.backoff
            ),
        );
    }
    let lost = match plan.if_lost {
        IfLost::Rerun => "run again",
        IfLost::Fail => "fail",
        IfLost::Ask => "ask a person",
    };
    fact("If its agent is lost", lost.to_owned());
    let outputs = plan.outputs.iter().map(|(name, output)| {
        format!(
            "{name}: {}{}",
            output.ty,
            if output.optional { " (may be missing)" } else { "" }
        )
    });
    fact("Outputs", outputs.collect::<Vec<_>>().join("\n"));
    facts
}

fn body(body: &Body, fact: &mut impl FnMut(&'static str, String)) {
    let lines = |lines: Vec<String>| lines.join("\n");
    match body {
        Body::Action {
            action,
            major,
            connection,
            with,
            ..
        } => {
            fact("Action", format!("{action}, version {major}"));
            fact("Connection", connection.clone().unwrap_or_default());
            fact(
                "With",
                lines(
                    with.iter()
                        .map(|(name, value)| format!("{name}: {}", template(value)))
                        .collect(),
                ),
            );
        }
        Body::Container {
            action,
            image,
            pull,
            argv,
            env,
            secrets,
            resources,
            network,
            host_view,
            workdir,
            user,
            runtime,
            services,
            ..
        } => {
            let of = |own: &workflow::LocalUse| format!("{}, SHA-256 {}", own.uses, own.digest);
            fact("Action", action.as_ref().map(of).unwrap_or_default());
            fact("Image", template(image));
            fact("Fetched", pull.as_str().to_owned());
            fact("Command", lines(argv.iter().map(template).collect()));
            fact(
                "Environment",
                lines(
                    env.iter()
                        .map(|(name, value)| format!("{name}={}", template(value)))
                        .collect(),
                ),
            );
            // The names only: what they hold is the agent's.
            fact(
                "Secrets",
                lines(
                    secrets
                        .iter()
                        .map(|(name, secret)| format!("{name} from {secret}"))
                        .collect(),
                ),
            );
            fact("Network", network.as_str().to_owned());
            fact(
                "Runtime",
                runtime
                    .map(|runtime| runtime.as_str().to_owned())
                    .unwrap_or_default(),
            );
            let views: Vec<&str> = host_view.iter().map(|view| view.as_str()).collect();
            fact("Sees of the host", views.join(", "));
            fact("Working directory", workdir.clone().unwrap_or_default());
            fact("User", user.map(|user| user.to_string()).unwrap_or_default());
            let memory = resources.memory_bytes / (1024 * 1024);
            let cpu = resources
                .cpu_millis
                .map(|cpu| format!(", {cpu}/1000 of a core"))
                .unwrap_or_default();
            fact(
                "Limits",
                format!("{memory} MiB, {} processes{cpu}", resources.pids),
            );
            fact("Services", lines(services.iter().map(beside).collect()));
        }
    }
}

/// A service: what it is and when it is ready.
fn beside((name, service): (&String, &PlanService)) -> String {
    let argv: Vec<String> = service.argv.iter().map(template).collect();
    let runs = if argv.is_empty() {
        String::new()
    } else {
        format!(" runs {}", argv.join(" "))
    };
    let ready = service
        .ready
        .as_ref()
        .map_or_else(String::new, |ready| format!("; {ready}"));
    let memory = service.resources.memory_bytes / (1024 * 1024);
    format!(
        "{name}: {}{runs}; at most {memory} MiB{ready}",
        template(&service.image)
    )
}

/// As the definition has it, near enough.
fn template(template: &Template) -> String {
    match template {
        Template::Literal(value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        Template::Expr(Expr(text)) => format!("${{{{ {text} }}}}"),
        Template::Concat(parts) => parts.iter().map(self::template).collect(),
        Template::List(parts) => {
            let parts: Vec<String> = parts.iter().map(self::template).collect();
            format!("[{}]", parts.join(", "))
        }
        Template::Map(parts) => {
            let parts = parts
                .iter()
                .map(|(name, part)| format!("{name}: {}", self::template(part)));
            format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
        }
    }
}
