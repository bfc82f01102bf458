//! Drawing: the screen's state in, characters out.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};
use skein_protocol::api::{MigrationRow, NodeRole, NodeRow, PolicyRow};
use skein_protocol::ledger::{Phase, Standing};

use super::screen::{Part, Screen};
use super::snapshot::Counts;
use crate::commands::{node, status};
use crate::output;

/// Figures that are older than this are shown with their age: the answering node may be cut off.
const OLD_MILLIS: u64 = 3_000;
/// Lines about the fleet as a whole.
const HEAD_LINES: u16 = 3;
/// Lines above a table's rows: border and heads; and the border below.
const FRAME_LINES: u16 = 3;
/// Cells of a progress bar.
const BAR: usize = 24;
/// Cells of the bar that shows a node's slots; with more slots each cell stands for several.
const SLOT_BAR: u32 = 8;

pub(super) fn draw(frame: &mut Frame<'_>, screen: &mut Screen) {
    let snapshot = &screen.snapshot;
    let lines = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).saturating_add(FRAME_LINES);
    let room = frame.area().height.saturating_sub(HEAD_LINES + 1);
    // Policies and problems get what they need up to a share, nodes what is left; what nobody needs goes to the problems.
    let share = |count: usize, part: u16| lines(count).min((room / part).max(FRAME_LINES + 1));
    let (policies, problems) = (share(snapshot.policies.len(), 3), share(snapshot.problems.len(), 4));
    let living = snapshot.fleet.nodes.iter().filter(|row| !is_gone(row)).count();
    let nodes = lines(living).min(room.saturating_sub(policies + problems).max(FRAME_LINES + 1));
    let areas = Layout::vertical([
        Constraint::Length(HEAD_LINES),
        Constraint::Length(nodes),
        Constraint::Length(policies),
        Constraint::Min(FRAME_LINES),
        Constraint::Length(1),
    ]);
    let [head, nodes, policies, problems, foot] = areas.areas(frame.area());
    draw_head(frame, head, screen);
    draw_nodes(frame, nodes, screen);
    draw_policies(frame, policies, screen);
    draw_problems(frame, problems, screen);
    let keys = " q quits · Tab goes to the next table · arrows and page keys scroll it";
    frame.render_widget(Paragraph::new(keys.dim()), foot);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let snapshot = &screen.snapshot;
    let fleet = &snapshot.fleet;
    let leader = fleet.leader.map_or_else(|| "no leader".to_owned(), |leader| format!("leader {leader}"));
    let quorum = if fleet.quorum { "quorum".green() } else { "NO QUORUM".red().bold() };
    let first = Line::from(vec![
        " Skein ".bold(),
        Span::raw(format!("fleet {} · {leader} · term {} · ", fleet.fleet, fleet.term)),
        quorum,
        Span::raw(format!(" · entry {}", output::number(snapshot.status.applied_index))),
        Span::raw(format!(" · node {} · {}", fleet.answered_by, output::time(snapshot.at))).dim(),
    ]);
    let rate = format!(", {} rows a second", output::number(screen.rows_per_second));
    let old = snapshot.age_millis.filter(|age| *age >= OLD_MILLIS);
    let old = old.map(|age| format!(" · {} old", output::seconds(age / 1000)).yellow());
    let first = Line::from_iter(first.spans.into_iter().chain(old));
    let second = Line::from(format!(" {}{rate}", status::line(&snapshot.status)));
    let third = match &screen.trouble {
        Some(trouble) => Line::from(format!(" {trouble}").red().bold()),
        None => {
            let (done, all) = (snapshot.status.batches_done, snapshot.status.batches);
            let width = usize::from(area.width).saturating_sub(12).max(1);
            Line::from(format!(" {}", bar(done, all, width))).cyan()
        }
    };
    frame.render_widget(Paragraph::new(vec![first, second, third]), area);
}

/// What is shown of a node: head, width, text.
type NodeColumn = (&'static str, u16, fn(&NodeRow) -> Cell<'static>);

/// In the order of importance: the last ones are left out where the terminal is narrow.
const NODE_COLUMNS: [NodeColumn; 11] = [
    ("NODE", 13, |row| Cell::from(row.node.to_string())),
    ("STANDING", 9, standing),
    ("ROLE", 7, role),
    ("SLOTS", 16, |row| Cell::from(slots(row))),
    ("BACKLOG", 12, |row| Cell::from(row.backlog_seconds.map(output::seconds).unwrap_or_default())),
    ("OWNED", 7, |row| Cell::from(output::number(u64::from(row.owned)))),
    ("WAITING", 7, |row| Cell::from(output::number(u64::from(row.unstarted)))),
    ("HEARD", 16, |row| Cell::from(node::heard(row))),
    ("ADDRESS", 21, |row| Cell::from(row.address.clone())),
    ("ZONE", 12, |row| Cell::from(row.zone.clone())),
    ("VERSION", 10, |row| Cell::from(row.version.clone())),
];

fn draw_nodes(frame: &mut Frame<'_>, area: Rect, screen: &mut Screen) {
    let mut left = area.width.saturating_sub(2);
    let columns: Vec<NodeColumn> = NODE_COLUMNS
        .into_iter()
        .take_while(|(_, width, _)| {
            let fits = left >= *width;
            left = left.saturating_sub(width + 1);
            fits
        })
        .collect();
    let heads: Vec<&'static str> = columns.iter().map(|(head, ..)| *head).collect();
    let widths: Vec<Constraint> = columns.iter().map(|(_, width, _)| Constraint::Length(*width)).collect();
    let nodes = screen.snapshot.fleet.nodes.iter().filter(|row| !is_gone(row));
    let rows: Vec<Row<'_>> = nodes.map(|row| Row::new(columns.iter().map(|(.., cell)| cell(row)))).collect();
    draw_table(frame, area, screen, Part::Nodes, "nodes", &heads, &widths, rows);
}

/// Removed for good: of no more interest here.
fn is_gone(row: &NodeRow) -> bool {
    row.standing == Standing::Removed
}

fn standing(row: &NodeRow) -> Cell<'static> {
    let style = match row.standing {
        Standing::Active if row.draining => Style::new().yellow(),
        Standing::Active => Style::new().green(),
        Standing::Expired => Style::new().red(),
        _ => Style::new().add_modifier(Modifier::DIM),
    };
    Cell::from(row.standing_word()).style(style)
}

fn role(row: &NodeRow) -> Cell<'static> {
    let style = if row.role == NodeRole::Leader { Style::new().bold() } else { Style::new() };
    Cell::from(row.role.as_str()).style(style)
}

/// `■■□□ 2/4`
fn slots(row: &NodeRow) -> String {
    let cells = row.slots.min(SLOT_BAR);
    let full = match row.slots_busy {
        Some(busy) if row.slots > 0 => (busy.min(row.slots) * cells).div_ceil(row.slots),
        _ => 0,
    };
    let drawn = "■".repeat(full as usize) + &"□".repeat((cells - full) as usize);
    format!("{drawn} {}", node::slots(row))
}

fn draw_policies(frame: &mut Frame<'_>, area: Rect, screen: &mut Screen) {
    let heads = ["POLICY", "COMMITTED", "", "RUNNING", "WAITING", "APPROVAL", "TROUBLED"];
    let widths = [
        Constraint::Min(16),
        Constraint::Length(u16::try_from(BAR).unwrap_or(u16::MAX) + 5),
        Constraint::Length(15),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(8),
    ];
    let rows: Vec<Row<'_>> = screen.snapshot.policies.iter().map(policy_row).collect();
    draw_table(frame, area, screen, Part::Policies, "policies", &heads, &widths, rows);
}

fn policy_row(policy: &PolicyRow) -> Row<'static> {
    let counts = Counts::of(policy);
    let number = |count: u32| Cell::from(output::number(u64::from(count)));
    let coloured = |count: u32, style: Style| number(count).style(if count > 0 { style } else { Style::new() });
    let wanted = counts.all.saturating_sub(counts.ended);
    Row::new(vec![
        Cell::from(policy.name.0.clone()),
        Cell::from(bar(u64::from(counts.committed), u64::from(wanted), BAR)).style(Style::new().green()),
        Cell::from(format!("{} of {}", output::number(u64::from(counts.committed)), output::number(u64::from(wanted)))),
        number(counts.running),
        number(counts.waiting),
        coloured(counts.approval, Style::new().yellow()),
        coloured(counts.troubled, Style::new().red()),
    ])
}

fn draw_problems(frame: &mut Frame<'_>, area: Rect, screen: &mut Screen) {
    let heads = ["SINCE", "DATASET", "PHASE", "FROM", "PROBLEM", "POLICY"];
    let widths = [
        Constraint::Length(20),
        Constraint::Min(24),
        Constraint::Length(12),
        Constraint::Length(12),
        Constraint::Length(22),
        Constraint::Min(16),
    ];
    let rows: Vec<Row<'_>> = screen.snapshot.problems.iter().map(problem_row).collect();
    draw_table(frame, area, screen, Part::Problems, "problems", &heads, &widths, rows);
}

fn problem_row(row: &MigrationRow) -> Row<'static> {
    let colour = if row.phase == Phase::Quarantined { Color::Red } else { Color::Yellow };
    Row::new(vec![
        Cell::from(output::time(row.changed_at)),
        Cell::from(row.dataset.to_string()),
        Cell::from(row.phase.as_str()).style(Style::new().fg(colour)),
        Cell::from(row.from.map(|phase| phase.as_str()).unwrap_or_default()),
        Cell::from(row.problem.map(|code| code.to_string()).unwrap_or_default()),
        Cell::from(row.policy.0.clone()),
    ])
}

#[expect(clippy::too_many_arguments, reason = "one place draws all tables, and each says what differs")]
fn draw_table(
    frame: &mut Frame<'_>,
    area: Rect,
    screen: &mut Screen,
    part: Part,
    name: &str,
    heads: &[&'static str],
    widths: &[Constraint],
    rows: Vec<Row<'_>>,
) {
    let (lines, room) = (rows.len(), usize::from(area.height.saturating_sub(FRAME_LINES)));
    let first = screen.first(part, lines, room);
    let last = (first + room).min(lines);
    let title = match lines {
        0 => format!(" {name}: none "),
        _ if last - first == lines => format!(" {name}: {lines} "),
        _ => format!(" {name}: {} to {last} of {lines} ", first + 1),
    };
    let border = if screen.focus == part { Style::new().cyan() } else { Style::new().add_modifier(Modifier::DIM) };
    let block = Block::new().borders(Borders::ALL).border_style(border).title(title);
    let heads = Row::new(heads.iter().map(|head| Cell::from(*head))).style(Style::new().bold());
    let shown = rows.into_iter().skip(first).take(room);
    frame.render_widget(Table::new(shown, widths.to_vec()).header(heads).block(block), area);
}

/// A bar of so many cells with its share behind it: `████░░░░  50%`.
pub(super) fn bar(done: u64, all: u64, cells: usize) -> String {
    let share = |of: u64| done.min(all).saturating_mul(of).checked_div(all).unwrap_or(0);
    let full = usize::try_from(share(cells as u64)).unwrap_or(cells);
    format!("{}{} {:>3}%", "█".repeat(full), "░".repeat(cells - full), share(100))
}
