//! `status --watch`: the fleet, its policies and its problems, live.
//!
//! In: nodes' answers, keys. Out: a full-screen view on a terminal; elsewhere text, or one document a line. Not here: what a
//! single status looks like (`commands::status`).

mod screen;
mod snapshot;
#[cfg(test)]
mod tests;
mod view;

use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use crate::args::Format;
use crate::client::Client;
use crate::exit::Exit;
use crate::output;
use screen::{Next, Screen};
use snapshot::Snapshot;

/// How often the nodes are asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// Where nobody watches, a text is written this often.
const PLAIN_INTERVAL: Duration = Duration::from_secs(2);
/// How long a key may wait for new figures to be drawn first.
const KEY_INTERVAL: Duration = Duration::from_millis(100);

/// Watches until the reader has seen enough.
pub(crate) fn run(client: &Client, policy: Option<&str>, format: Format) -> Result<Exit> {
    match format {
        Format::Table if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() => live(client, policy),
        Format::Table => repeat(PLAIN_INTERVAL, || output::print(&Snapshot::take(client, policy)?.text())),
        Format::Json => repeat(INTERVAL, || output::line(&Snapshot::take(client, policy)?)),
        Format::Yaml => repeat(INTERVAL, || {
            output::print("---\n")?;
            output::document(format, &Snapshot::take(client, policy)?).map(|_| ())
        }),
    }
}

/// Shows again and again; a reader that goes away ends it, and so does a node that does not answer.
fn repeat(interval: Duration, show: impl Fn() -> Result<()>) -> Result<Exit> {
    loop {
        show()?;
        std::thread::sleep(interval);
    }
}

fn live(client: &Client, policy: Option<&str>) -> Result<Exit> {
    // What is wrong from the start is said on the terminal as it is: a wrong token, no node.
    let first = Snapshot::take(client, policy)?;
    let (taken, snapshots) = channel();
    let (stop, stopped) = channel();
    let (asked, wanted) = (client.clone(), policy.map(str::to_owned));
    let asking = std::thread::spawn(move || ask(&asked, wanted.as_deref(), &taken, &stopped));
    let mut terminal = ratatui::try_init().context("the terminal cannot be used; try -o json")?;
    let outcome = draw(&mut terminal, Screen::new(first), &snapshots);
    ratatui::restore();
    drop(stop);
    // A call under way is not waited for: the process ends.
    drop(asking);
    outcome.map(|()| Exit::Success)
}

/// Asks the nodes until nobody wants to know any more.
fn ask(client: &Client, policy: Option<&str>, taken: &Sender<Result<Snapshot>>, stopped: &Receiver<()>) {
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        if taken.send(Snapshot::take(client, policy)).is_err() {
            return;
        }
    }
}

fn draw(terminal: &mut DefaultTerminal, mut screen: Screen, snapshots: &Receiver<Result<Snapshot>>) -> Result<()> {
    loop {
        for snapshot in snapshots.try_iter() {
            screen.show(snapshot);
        }
        terminal.draw(|frame| view::draw(frame, &mut screen)).context("the terminal cannot be drawn on")?;
        if !event::poll(KEY_INTERVAL).context("keys cannot be read")? {
            continue;
        }
        // A changed size needs nothing: the next drawing asks for it.
        if let Event::Key(key) = event::read().context("keys cannot be read")?
            && key.kind != KeyEventKind::Release
            && screen.press(key.code, key.modifiers) == Next::Quit
        {
            return Ok(());
        }
    }
}
