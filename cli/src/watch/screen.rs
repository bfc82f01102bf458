//! What the view remembers between two drawings: the last figures, what is wrong, where the reader looks.

use std::collections::VecDeque;

use anyhow::Result;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use super::snapshot::Snapshot;

/// Over so long a time the rows of a second are counted: a batch reports them all at its end.
const RATE_MILLIS: u64 = 5_000;
/// Lines that page keys move.
const PAGE: usize = 10;

/// A part of the screen that can be scrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Nodes,
    Policies,
    Problems,
}

impl Part {
    fn next(self) -> Self {
        match self {
            Self::Nodes => Self::Policies,
            Self::Policies => Self::Problems,
            Self::Problems => Self::Nodes,
        }
    }
}

/// What comes after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Quit,
}

/// The state of the view.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) snapshot: Snapshot,
    /// Why the last question was not answered.
    pub(super) trouble: Option<String>,
    /// Rows read in a second, over the last few seconds.
    pub(super) rows_per_second: u64,
    /// Times of the last answers, and the rows that had been read by then.
    seen: VecDeque<(u64, u64)>,
    pub(super) focus: Part,
    /// First shown line of nodes, policies and problems.
    offsets: [usize; 3],
}

impl Screen {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        let seen = VecDeque::from([(snapshot.at, snapshot.status.rows_in)]);
        Self { snapshot, trouble: None, rows_per_second: 0, seen, focus: Part::Nodes, offsets: [0; 3] }
    }

    /// Shows new figures, or what is wrong beside the old ones.
    pub(super) fn show(&mut self, snapshot: Result<Snapshot>) {
        match snapshot {
            Ok(new) => {
                while self.seen.len() > 1 && self.seen[1].0 + RATE_MILLIS <= new.at {
                    self.seen.pop_front();
                }
                let (since, before) = self.seen.front().copied().unwrap_or((new.at, new.status.rows_in));
                let (rows, millis) = (new.status.rows_in.saturating_sub(before), new.at.saturating_sub(since).max(1));
                self.rows_per_second = rows.saturating_mul(1000) / millis;
                self.seen.push_back((new.at, new.status.rows_in));
                self.snapshot = new;
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(format!("{error:#}").lines().next().unwrap_or_default().to_owned()),
        }
    }

    pub(super) fn press(&mut self, key: KeyCode, modifiers: KeyModifiers) -> Next {
        let focused = self.focus as usize;
        let offset = &mut self.offsets[focused];
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Next::Quit,
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => return Next::Quit,
            KeyCode::Tab => self.focus = self.focus.next(),
            KeyCode::Down | KeyCode::Char('j') => *offset += 1,
            KeyCode::Up | KeyCode::Char('k') => *offset = offset.saturating_sub(1),
            KeyCode::PageDown => *offset += PAGE,
            KeyCode::PageUp => *offset = offset.saturating_sub(PAGE),
            KeyCode::Home => *offset = 0,
            _ => {}
        }
        Next::Stay
    }

    /// The first line of a part that is shown, when it has `lines` and there is room for `room`: never past the end.
    pub(super) fn first(&mut self, part: Part, lines: usize, room: usize) -> usize {
        let offset = &mut self.offsets[part as usize];
        *offset = (*offset).min(lines.saturating_sub(room));
        *offset
    }
}
