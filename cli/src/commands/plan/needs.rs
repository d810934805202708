//! What is seen of a run outside, what must be there for it, and how long it can take.

use std::collections::BTreeMap;

use engine::outlook::{EffectKind, EffectOutlook, Needed, Outlook, WaitKind};

use super::{
    page::some_steps,
    steps::{labels as labels_of, reach},
    words::{count, heading, labelled, list, scope},
};
use crate::text;

pub(super) fn effects(page: &mut String, outlook: &Outlook) {
    if outlook.effects.is_empty() {
        page.push_str(&heading("Outside effects: none"));
        return;
    }
    page.push_str(&heading("Outside effects, in the order in which they can happen"));
    let width = outlook
        .effects
        .iter()
        .map(|effect| effect.step.len())
        .max()
        .unwrap_or(0)
        .min(32);
    for (n, effect) in outlook.effects.iter().enumerate() {
        let label = format!("{:>3}  {}", n + 1, effect.step);
        labelled(page, 0, &label, width + 5, &effect_words(effect));
    }
}

fn effect_words(effect: &EffectOutlook) -> String {
    let vendor = effect.vendor.as_deref().unwrap_or_default();
    let doc = effect.doc.as_deref().unwrap_or_default();
    let what = match effect.effect {
        EffectKind::None => "nothing outside".to_owned(),
        EffectKind::Reads => format!("reads from {vendor}: {doc}"),
        EffectKind::Writes => format!("WRITES to {vendor}: {doc}"),
        EffectKind::Unknown => format!("{}: an action that is not known here", effect.by),
        EffectKind::Program => {
            let reach = effect.reach.as_ref();
            let reach = reach.map(reach_words).unwrap_or_default();
            format!("runs a program on {}: {reach}", effect.by)
        }
    };
    let times = match (effect.times, effect.times_known) {
        (Some(1), _) => String::new(),
        (Some(n), true) => format!("; {}", count(n, "time")),
        (Some(n), false) => format!("; at most {}", count(n, "time")),
        (None, _) => "; once a batch".to_owned(),
    };
    let only_if = effect.only_if.as_ref();
    let only_if = only_if
        .map(|when| format!("; only if {when}"))
        .unwrap_or_default();
    format!("{what}{times}{only_if}")
}

fn reach_words(of: &engine::outlook::Reach) -> String {
    reach(of.network, of.host_view.iter().copied())
}

pub(super) fn held(page: &mut String, outlook: &Outlook) {
    let kinds: [(&str, &[Needed]); 3] = [
        ("connection", &outlook.connections),
        ("secret", &outlook.secrets),
        ("grant", &outlook.grants),
    ];
    let labels = kinds
        .iter()
        .flat_map(|(kind, needed)| needed.iter().map(move |one| (kind, one)));
    let mut labels: Vec<(String, &Needed)> = labels
        .map(|(kind, one)| (format!("{kind} {}", one.name), one))
        .collect();
    let on = outlook
        .steps
        .iter()
        .filter(|step| !step.skipped && !step.place.runs_on.is_empty());
    let on = on.map(|step| {
        (
            format!("label {}", labels_of(&step.place.runs_on)),
            Needed {
                name: String::new(),
                steps: vec![step.name.clone()],
            },
        )
    });
    let on: Vec<(String, Needed)> = on.collect();
    labels.extend(on.iter().map(|(label, needed)| (label.clone(), needed)));
    if labels.is_empty() {
        page.push_str(&heading("Agents must hold: nothing"));
    } else {
        page.push_str(&heading("Agents must hold"));
        let width = labels
            .iter()
            .map(|(label, _)| label.len())
            .max()
            .unwrap_or(0)
            .min(40);
        for (label, needed) in &labels {
            labelled(
                page,
                2,
                label,
                width,
                &format!("for {}", some_steps(&needed.steps)),
            );
        }
    }
    for (vendor, scopes) in &outlook.scopes {
        page.push_str(&heading(&format!("Scopes at {vendor}")));
        let said = |scopes: &std::collections::BTreeSet<String>| {
            let scopes: Vec<String> = scopes.iter().map(|one| scope(one)).collect();
            list(scopes.iter().map(String::as_str), 40)
        };
        labelled(page, 2, "required", 8, &said(&scopes.required));
        if !scopes.optional.is_empty() {
            let optional = format!("{}  (a step degrades without them)", said(&scopes.optional));
            labelled(page, 2, "better", 8, &optional);
        }
    }
}

pub(super) fn time(page: &mut String, outlook: &Outlook) {
    page.push_str(&heading("Time"));
    let path = match outlook.worst_case_path.as_slice() {
        [] => String::new(),
        [first @ .., last] if first.len() > 12 => {
            format!(", along {} steps, the last of them {last}", first.len() + 1)
        }
        path => format!(", along {}", path.join(" → ")),
    };
    labelled(
        page,
        2,
        "at most",
        7,
        &format!("{}{path}", text::duration(outlook.worst_case_ms)),
    );
    let lost = format!(
        "{} when agents are lost at the worst moments; longer only when a vendor limits us or a person asks for it",
        text::duration(outlook.worst_case_lost_ms)
    );
    labelled(page, 2, "at most", 7, &lost);
}

pub(super) fn waits(page: &mut String, outlook: &Outlook) {
    let mut kinds: BTreeMap<WaitKind, (Vec<String>, u64)> = BTreeMap::new();
    for wait in &outlook.could_wait {
        let (steps, most) = kinds.entry(wait.what).or_default();
        steps.push(wait.step.clone());
        *most = wait.most_ms.max(*most);
    }
    if kinds.is_empty() {
        return;
    }
    page.push_str(&heading("Could wait"));
    for (kind, (steps, most)) in kinds {
        let (label, why) = match kind {
            WaitKind::Agent => ("agent", "for an agent that fits and is free"),
            WaitKind::Retry => ("retry", "before trying again"),
            WaitKind::RateLimit => ("limits", "as long as a vendor that limits us asks for"),
            WaitKind::Turn => ("turn", "items for their turn"),
            WaitKind::Batch => ("batch", "for more items"),
            WaitKind::Lease => ("lease", "for a lost agent, before its attempt is in doubt"),
            WaitKind::Verdict => ("verdict", "for a person's verdict on an attempt in doubt"),
        };
        let most = text::duration(most);
        labelled(
            page,
            2,
            label,
            7,
            &format!("{why}, at most {most}: {}", some_steps(&steps)),
        );
    }
}

pub(super) fn unknown(page: &mut String, outlook: &Outlook) {
    if outlook.unknown.is_empty() {
        return;
    }
    page.push_str(&heading("Known only at run time"));
    let width = outlook
        .unknown
        .iter()
        .map(|one| one.what.len())
        .max()
        .unwrap_or(0)
        .min(56);
    for one in &outlook.unknown {
        let what = match one.what.as_str() {
            "needs" => "how the needs end",
            "run" => "the run's own record",
            "trigger.alert" => "trigger.alert (give --payload)",
            other => other,
        };
        labelled(
            page,
            2,
            what,
            width,
            &format!("read by {}", some_steps(&one.read_by)),
        );
    }
}
