//! A run followed: a tree that redraws itself in a terminal, plain lines in a pipe, JSON lines for programs.

mod fit;
mod lines;
mod rows;
mod screen;
mod tree;
mod waits;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use sdk::{Client, Notice, live::LiveRun};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use types::Timestamp;

use crate::{
    exit::{Exit, Fault},
    out, text,
};
use screen::Screen;
use tree::Scene;
use waits::{Reasons, Waits};

/// How often a terminal's tree is brought up to date when nothing happens.
const TICK: Duration = Duration::from_millis(200);
/// At most one redraw in this time, however many events come.
const FRAME: Duration = Duration::from_millis(40);

/// The history, read by a task of its own: a pause before a reconnection is not cut short by a tick.
struct Listener {
    notices: mpsc::Receiver<Result<Notice, sdk::Error>>,
    _reader: AbortOnDropHandle<()>,
}

fn listen(client: &Client, run: &str) -> Listener {
    let (sender, notices) = mpsc::channel(256);
    let mut watch = client.watch(run, 0);
    let reader = tokio::spawn(async move {
        while let Some(notice) = watch.next().await.transpose() {
            let failed = notice.is_err();
            if sender.send(notice).await.is_err() || failed {
                break;
            }
        }
    });
    Listener {
        notices,
        _reader: AbortOnDropHandle::new(reader),
    }
}

enum Heard {
    Notice(Option<Notice>),
    Waits(Reasons),
    Tick,
}

/// Where the picture goes.
enum View {
    Tree(Screen),
    Lines,
    Json,
}

/// Follows a run from its first event to its last.
///
/// # Errors
/// When the server refuses or stays away, when standard output is gone, and for Ctrl-C: the run goes on.
pub(crate) async fn follow(client: &Client, run: &str, format: out::Format) -> Result<LiveRun, Fault> {
    let mut view = match format {
        out::Format::Json => View::Json,
        out::Format::Text if out::is_terminal() => View::Tree(Screen::default()),
        out::Format::Text | out::Format::Table => View::Lines,
    };
    let mut heard = listen(client, run);
    let mut waits = Waits::of(client, run);
    let mut reasons = Reasons::new();
    let mut live = LiveRun::default();
    let mut clock = Clock::default();
    let mut tick = tokio::time::interval(TICK);
    let mut dirty = false;
    let mut drawn = Instant::now();
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    loop {
        let next = tokio::select! {
            biased;
            _ = &mut interrupt => {
                view.draw(&live, clock.now(), &reasons)?;
                return Err(interrupted(run));
            }
            notice = heard.notices.recv() => Heard::Notice(notice.transpose().map_err(|error| lost(run, error))?),
            told = waits.next() => Heard::Waits(told),
            _ = tick.tick() => Heard::Tick,
        };
        match next {
            Heard::Notice(Some(Notice::Event(event))) => {
                clock.heard(event.at);
                live.apply(&event);
                waits.want(&live);
                view.event(&event, &live)?;
                dirty = true;
                if event.is_last() {
                    view.draw(&live, clock.now(), &reasons)?;
                    return Ok(live);
                }
            }
            Heard::Notice(Some(Notice::Away(error))) => {
                view.say(&format!("{error}; trying again, the run goes on"))?
            }
            Heard::Notice(Some(Notice::Back)) => view.say("the server is back")?,
            // The history ends with the run's last event, which returns above.
            Heard::Notice(None) => {
                return Err(Fault::failed(format!("the history of {run} ended too early")));
            }
            Heard::Waits(mut told) => {
                waits::only_for_agents(&mut told, &live);
                view.waits(&told, &reasons)?;
                (reasons, dirty) = (told, true);
            }
            Heard::Tick => dirty = true,
        }
        if dirty && drawn.elapsed() >= FRAME {
            view.draw(&live, clock.now(), &reasons)?;
            (dirty, drawn) = (false, Instant::now());
        }
    }
}

/// The run does not need us, nor does it need the server that went away.
fn lost(run: &str, error: sdk::Error) -> Fault {
    let away = error.is_unreachable();
    let fault = Fault::from(error);
    if away {
        fault.hint(format!(
            "{run} goes on; `firehall watch {run}` follows it once a server answers"
        ))
    } else {
        fault
    }
}

fn interrupted(run: &str) -> Fault {
    Fault::new(Exit::Interrupted, format!("interrupted; {run} goes on")).hint(format!(
        "`firehall watch {run}` follows it, `firehall cancel {run}` ends it"
    ))
}

/// The server's clock as far as it is known: the last event's instant, and the time since it was heard.
#[derive(Default)]
struct Clock(Option<(Timestamp, Instant)>);

impl Clock {
    fn heard(&mut self, at: Timestamp) {
        self.0 = Some((at, Instant::now()));
    }

    fn now(&self) -> Timestamp {
        match self.0 {
            Some((at, heard)) => at.plus(u64::try_from(heard.elapsed().as_millis()).unwrap_or(u64::MAX)),
            None => Timestamp::default(),
        }
    }
}

impl View {
    fn event(&self, event: &sdk::Event, live: &LiveRun) -> Result<(), Fault> {
        match self {
            Self::Tree(_) => Ok(()),
            Self::Lines => lines::of(event, live).iter().try_for_each(|line| out::line(line)),
            Self::Json => out::line(&json_line(event).to_string()),
        }
    }

    fn say(&mut self, what: &str) -> Result<(), Fault> {
        match self {
            Self::Tree(screen) => out::bytes(screen.above(&text::line(what)).as_bytes()),
            Self::Lines | Self::Json => {
                out::note(&format!("firehall: {}", text::line(what)));
                Ok(())
            }
        }
    }

    /// Plain lines tell once why a step waits; a tree shows it as long as it is so.
    fn waits(&self, told: &Reasons, before: &Reasons) -> Result<(), Fault> {
        let Self::Lines = self else { return Ok(()) };
        told.iter()
            .filter(|(step, why)| before.get(*step) != Some(why))
            .try_for_each(|(step, why)| {
                out::line(&format!(
                    "           {}",
                    text::line(&format!("{step} waits: {why}"))
                ))
            })
    }

    fn draw(&mut self, live: &LiveRun, now: Timestamp, waits: &Reasons) -> Result<(), Fault> {
        let Self::Tree(screen) = self else { return Ok(()) };
        let (width, height) = size();
        let scene = Scene {
            run: live,
            now,
            waits,
        };
        // The last picture stays and may scroll.
        let most = match live.ended {
            Some(_) => height.max(LAST),
            None => height.saturating_sub(1),
        };
        let rows = fit::tree(&scene, most);
        out::bytes(screen.draw(&rows, width, out::is_coloured()).as_bytes())
    }
}

/// Rows that the last picture may have, however low the terminal is.
const LAST: usize = 200;

/// Columns and rows of the terminal.
pub(crate) fn size() -> (usize, usize) {
    let rows = terminal_size::terminal_size().map_or(0, |(_, rows)| usize::from(rows.0));
    let rows = if rows == 0 { ROWS } else { rows.max(5) };
    (out::columns().unwrap_or(COLUMNS), rows)
}

/// Of a terminal that does not know its size.
const COLUMNS: usize = 80;
const ROWS: usize = 24;

/// Lines that replace those before them in a terminal.
#[derive(Debug, Default)]
pub(crate) struct Picture(Screen);

impl Picture {
    /// Shows these lines in place of the last ones.
    pub(crate) fn show(&mut self, lines: &[String]) -> Result<(), Fault> {
        let (columns, _) = size();
        let rows: Vec<rows::Row> = lines.iter().map(|line| rows::Row::plain(line)).collect();
        out::bytes(self.0.draw(&rows, columns, false).as_bytes())
    }
}

fn json_line(event: &sdk::Event) -> serde_json::Value {
    serde_json::json!({
        "run": event.run,
        "seq": event.seq,
        "at": sdk::rfc3339(event.at),
        "kind": event.kind,
        "body": event.raw,
    })
}
