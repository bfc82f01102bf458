//! What is asked, answered, listed and seen, in the words of the API.
//!
//! Holds: plain texts and numbers; what an answer means for what was asked. Not here: what must follow.

use std::time::Duration;

use serde_json::Value;

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A policy.
    Submit {
        /// The key under which it is asked for.
        key: String,
        /// The document, or anything that is the same for the same documents.
        document: String,
        /// The policy's name.
        policy: String,
        /// The targets that it selects.
        targets: Vec<String>,
        /// Whether its plans wait for an approval.
        approval: bool,
    },
    /// Plans are approved: migration, plan's hash, target.
    Approve(Vec<(String, String, String)>),
    /// Plans are rejected: their targets.
    Reject(Vec<String>),
    /// An action on the migration of a target.
    Act(Action, String),
    /// What is in quarantine is replayed: of these targets, or all.
    Replay(Option<Vec<String>>),
    /// What is in quarantine is given up: of these targets.
    Discard(Vec<String>),
    /// Something that no reader can see.
    Other(String),
}

/// What can be done with a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Stop.
    Pause,
    /// Go on.
    Resume,
    /// End it.
    Cancel,
    /// Another run.
    Retry,
    /// Take the target back.
    Rollback,
}

impl Action {
    /// The action that the API calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "pause" => Some(Self::Pause),
            "resume" => Some(Self::Resume),
            "cancel" => Some(Self::Cancel),
            "retry" => Some(Self::Retry),
            "rollback" => Some(Self::Rollback),
            _ => None,
        }
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Success, with this body.
    Done(String),
    /// It is refused; nothing was done.
    Refused(String),
    /// No answer, or none that says anything: it was done, or will be, or never.
    Unknown,
}

/// What a reader sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// The table's uuid.
    pub uuid: String,
    /// Its metadata file.
    pub location: String,
    /// Its rows, in any order.
    pub rows: Vec<String>,
}

impl Seen {
    /// With rows as a reader gets them, column by column; a null is no text.
    #[must_use]
    pub fn new(uuid: &str, location: &str, rows: &[Vec<Option<String>>]) -> Self {
        Self { uuid: uuid.to_owned(), location: location.to_owned(), rows: rows.iter().map(|row| line(row)).collect() }
    }
}

/// A row as one text; nulls and empty texts differ.
#[must_use]
pub fn line(row: &[Option<String>]) -> String {
    let columns: Vec<String> =
        row.iter().map(|value| value.as_ref().map_or_else(|| "null".to_owned(), |text| format!("{text:?}"))).collect();
    columns.join(", ")
}

/// A migration as the API lists it in the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// The target.
    pub target: String,
    /// The phase, in the API's words.
    pub phase: String,
    /// The code of its problem.
    pub problem: Option<String>,
}

impl Listed {
    /// The rows of a page of `/v1/migrations`.
    ///
    /// # Errors
    /// When the body is no such page.
    pub fn page(body: &str) -> Result<Vec<Self>, String> {
        let page: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let items = page["items"].as_array().ok_or("a page without items")?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let row = |item: &Value| {
            let target = text(&item["target"])?;
            Some(Self { target, phase: text(&item["phase"])?, problem: text(&item["problem"]) })
        };
        items.iter().map(row).collect::<Option<_>>().ok_or_else(|| "a row without target or phase".to_owned())
    }
}

/// What was asked, and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) at: Duration,
    pub(super) outcome: Outcome,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing yet, or nothing that says anything.
    Open,
    /// It was done by then.
    Done { at: Duration, body: String },
    /// It was not done, at least for some of what it names.
    Partly { at: Duration },
    /// It was not done.
    Refused,
}

impl Outcome {
    pub(super) fn of(request: &Request, at: Duration, answer: Answer) -> Self {
        let body = match answer {
            Answer::Unknown => return Self::Open,
            Answer::Refused(_) => return Self::Refused,
            Answer::Done(body) => body,
        };
        if matches!(request, Request::Submit { .. } | Request::Other(_)) {
            return Self::Done { at, body };
        }
        // Actions say for how many they were done, and for which not.
        let value: Value = serde_json::from_str(&body).unwrap_or_default();
        let refused = value["refused"].as_array().map_or(0, Vec::len);
        match (value["done"].as_u64(), refused) {
            (Some(0), _) => Self::Refused,
            (_, 0) => Self::Done { at, body },
            _ => Self::Partly { at },
        }
    }
}

impl Asked {
    /// Whether it was or may have been done, at least in part.
    pub(super) fn may_be_done(&self) -> bool {
        self.outcome != Outcome::Refused
    }

    /// Whether all of it was done for sure.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done { .. })
    }

    /// The last moment at which it can have been done; none: any time.
    pub(super) fn done_by(&self) -> Option<Duration> {
        match self.outcome {
            Outcome::Done { at, .. } | Outcome::Partly { at } => Some(at),
            Outcome::Open | Outcome::Refused => None,
        }
    }

    /// Whether it can have been done after `other` was.
    pub(super) fn may_follow(&self, other: &Self) -> bool {
        self.may_be_done() && self.done_by().is_none_or(|by| by >= other.at)
    }

    /// Whether it opens a run of the target: another table may become visible by it.
    pub(super) fn opens(&self, target: &str) -> bool {
        match &self.request {
            Request::Submit { targets, .. } => names(targets, target),
            Request::Act(Action::Retry, one) => one == target,
            Request::Replay(targets) => targets.as_ref().is_none_or(|targets| names(targets, target)),
            _ => false,
        }
    }

    /// Whether it takes the target back, or gives it up.
    pub(super) fn takes_back(&self, target: &str) -> bool {
        matches!(&self.request, Request::Act(Action::Cancel | Action::Rollback, one) if one == target)
    }

    /// Whether a table may disappear by it. What is discarded may just have been published in another run.
    pub(super) fn may_take_back(&self, target: &str) -> bool {
        self.takes_back(target) || matches!(&self.request, Request::Discard(targets) if names(targets, target))
    }

    /// Whether it is a submission of the target that was acknowledged, with all that it selects: a dataset that is not there at
    /// that moment is not selected.
    pub(super) fn promises(&self, target: &str) -> bool {
        let (Request::Submit { targets, .. }, Outcome::Done { body, .. }) = (&self.request, &self.outcome) else {
            return false;
        };
        let answer: Value = serde_json::from_str(body).unwrap_or_default();
        let taken = [&answer["created"], &answer["kept"]].into_iter().filter_map(Value::as_u64).sum::<u64>();
        names(targets, target) && taken >= targets.len() as u64
    }
}

/// Whether a target is one of them.
pub(super) fn names(targets: &[String], target: &str) -> bool {
    targets.iter().any(|one| one == target)
}
