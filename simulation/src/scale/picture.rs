//! The picture of a run: slots over time, with what was stolen and lent, how much is published, and who was killed.
//!
//! In: an outcome. Out: SVG that stands alone or in a page; colours follow the reader's light or dark scheme. Not here: numbers that
//! need no picture (`table`).

use std::fmt::Write as _;

use super::outcome::{Moment, Outcome};
use super::table::{duration, grouped};

/// Size of the drawing.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 430.0;
/// Where the large chart is.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 904.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 300.0;
/// Where the small one is, of what went from node to node.
const MOVED_TOP: f64 = 338.0;
const MOVED_BOTTOM: f64 = 386.0;
/// Points of time that are drawn: more than this nobody sees.
const POINTS: usize = 420;
/// Bars of the small chart.
const BARS: usize = 120;
/// Marks on the axis of time, about.
const TICKS: u64 = 8;
/// Steps between marks, seconds.
const STEPS: [u64; 12] = [1, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200];

/// Colours of light pages, and those of dark ones: hues that differ in brightness as well, so that they are told apart without
/// their hue. Plain classes: not everything that draws SVG knows variables.
const STYLE: &str = "
  .skein-scale { font: 13px system-ui, sans-serif; }
  .skein-scale .ground { fill: #ffffff; } .skein-scale text { fill: #1c2430; } .skein-scale .faint { fill: #5b6675; font-size: 12px; }
  .skein-scale .title { font-size: 16px; font-weight: 600; }
  .skein-scale .grid { stroke: #d9dee5; } .skein-scale .bound { stroke: #1c2430; stroke-dasharray: 4 4; }
  .skein-scale .work { fill: #2f6fde; } .skein-scale .idle { fill: #e4e9f0; } .skein-scale .dead { fill: #9aa4b1; }
  .skein-scale .done { fill: #0d8a5f; } .skein-scale .lent { fill: #d9822b; } .skein-scale .stolen { fill: #7a4fc9; } .skein-scale .kill { fill: #c9304f; }
  .skein-scale .halo { fill: none; stroke: #ffffff; stroke-width: 5; stroke-opacity: 0.75; }
  .skein-scale .done-line { fill: none; stroke: #0d8a5f; stroke-width: 2; } .skein-scale .kill-line { stroke: #c9304f; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    .skein-scale .ground { fill: #12161c; } .skein-scale text { fill: #e8edf4; } .skein-scale .faint { fill: #9aa6b5; }
    .skein-scale .grid { stroke: #2d3642; } .skein-scale .bound { stroke: #e8edf4; }
    .skein-scale .work { fill: #5b94f5; } .skein-scale .idle { fill: #262e39; } .skein-scale .dead { fill: #5a6573; }
    .skein-scale .done { fill: #3ecf97; } .skein-scale .lent { fill: #f0a65a; } .skein-scale .stolen { fill: #b08cf0; } .skein-scale .kill { fill: #ff6b85; }
    .skein-scale .halo { stroke: #12161c; }
  .skein-scale .done-line { stroke: #3ecf97; } .skein-scale .kill-line { stroke: #ff6b85; }
  }
";

/// A drawing that stands alone or in a page, in light and dark.
#[must_use]
pub fn svg(outcome: &Outcome) -> String {
    let chart = Chart::of(outcome);
    let mut text = String::new();
    let _ = write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"skein-scale\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{}\">\n<style>{STYLE}</style>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\" class=\"ground\"/>\n",
        chart.said()
    );
    chart.head(&mut text);
    chart.axes(&mut text);
    chart.slots(&mut text);
    chart.killed(&mut text);
    chart.published(&mut text);
    chart.bound(&mut text);
    chart.moved(&mut text);
    text.push_str("</svg>\n");
    text
}

struct Chart<'a> {
    outcome: &'a Outcome,
    /// Seconds from the left to the right.
    seconds: f64,
    slots: f64,
    /// No more than are seen.
    points: Vec<Point>,
}

/// The fleet for a while from a second on.
struct Point {
    second: f64,
    working: f64,
    dead: f64,
    committed: f64,
}

#[allow(clippy::cast_precision_loss, reason = "places on a drawing")]
fn float(number: u64) -> f64 {
    number as f64
}

impl<'a> Chart<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let all = &outcome.moments;
        let every = all.len().div_ceil(POINTS).max(1);
        // Each point is the mean of the moments up to the next one: a single moment would flicker.
        let mean = |part: &[Moment], of: fn(&Moment) -> u64| {
            float(part.iter().map(of).sum::<u64>()) / float(part.len().max(1) as u64)
        };
        let point = |(number, part): (usize, &[Moment])| Point {
            second: float((number * every) as u64),
            working: mean(part, |moment| moment.working),
            dead: mean(part, |moment| moment.dead),
            committed: float(part.last().map_or(0, |moment| moment.committed)),
        };
        let points = all.chunks(every).enumerate().map(point).collect();
        let seconds = (float(outcome.makespan_millis) / 1000.0).max(1.0) * 1.02;
        Self { outcome, seconds, slots: float(outcome.setting.all_slots()), points }
    }

    /// What the picture shows, for those who do not see it.
    fn said(&self) -> String {
        let o = self.outcome;
        format!(
            "Slots over time, {}: {} for a lower bound of {}, {:.1} % of the living slots at work, {} rows lost",
            o.setting.name,
            duration(o.makespan_millis),
            duration(o.bound_millis),
            o.utilisation * 100.0,
            grouped(o.rows_lost)
        )
    }

    fn x(&self, second: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (second / self.seconds).min(1.0)
    }

    fn y(&self, share: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * share.clamp(0.0, 1.0)
    }

    fn head(&self, text: &mut String) {
        let o = self.outcome;
        let (makespan, bound) = (duration(o.makespan_millis), duration(o.bound_millis));
        let _ = writeln!(
            text,
            "<text class=\"title\" x=\"{LEFT}\" y=\"30\">{} nodes × {} {}, {} migrations</text>\n\
             <text class=\"faint\" x=\"{LEFT}\" y=\"50\">{makespan}, {:.3} of the lower bound {bound}; {:.1} % of the living slots at \
             work; {} rows lost; {} nodes killed</text>",
            grouped(u64::from(o.setting.nodes)),
            o.setting.slots,
            if o.setting.slots == 1 { "slot" } else { "slots" },
            grouped(u64::from(o.setting.datasets)),
            o.ratio(),
            o.utilisation * 100.0,
            grouped(o.rows_lost),
            grouped(o.killings.len() as u64),
        );
        let mut x = LEFT;
        for (what, colour) in
            [("at work", "work"), ("idle", "idle"), ("dead", "dead"), ("published", "done"), ("killed", "kill")]
        {
            let _ = writeln!(
                text,
                "<rect x=\"{x}\" y=\"62\" width=\"11\" height=\"11\" rx=\"2\" class=\"{colour}\"/>\
                 <text class=\"faint\" x=\"{}\" y=\"72\">{what}</text>",
                x + 16.0
            );
            x += 34.0 + 7.0 * float(what.len() as u64);
        }
    }

    fn axes(&self, text: &mut String) {
        for quarter in 0..=4_u64 {
            let share = float(quarter) / 4.0;
            let y = self.y(share);
            let slots = grouped(self.outcome.setting.all_slots() * quarter / 4);
            let _ = writeln!(
                text,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"faint\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{slots}</text>\
                 <text class=\"faint done\" x=\"{}\" y=\"{:.1}\">{} %</text>",
                LEFT - 8.0,
                y + 4.0,
                RIGHT + 8.0,
                y + 4.0,
                quarter * 25
            );
        }
        let makespan = self.outcome.makespan_millis / 1000;
        let step = STEPS.into_iter().find(|step| makespan / step <= TICKS).unwrap_or(14_400);
        for second in (0..=makespan).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let said = if step < 60 { format!("{second} s") } else { format!("{} min", second / 60) };
            let _ = writeln!(
                text,
                "<text class=\"faint\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{said}</text>",
                self.x(float(second)),
                BOTTOM + 18.0
            );
        }
    }

    /// What works lies at the bottom, what is dead on top, what is idle between them.
    fn slots(&self, text: &mut String) {
        let mut area = |colour: &str, low: &dyn Fn(&Point) -> f64, high: &dyn Fn(&Point) -> f64| {
            let mut path = String::new();
            for point in &self.points {
                let _ = write!(path, "{:.1},{:.1} ", self.x(point.second), self.y(high(point)));
            }
            for point in self.points.iter().rev() {
                let _ = write!(path, "{:.1},{:.1} ", self.x(point.second), self.y(low(point)));
            }
            let _ = writeln!(text, "<polygon class=\"{colour}\" points=\"{}\"/>", path.trim_end());
        };
        let working = |point: &Point| point.working / self.slots;
        let living = |point: &Point| 1.0 - point.dead / self.slots;
        area("idle", &working, &living);
        area("work", &|_| 0.0, &working);
        if !self.outcome.killings.is_empty() {
            area("dead", &living, &|_| 1.0);
        }
    }

    fn killed(&self, text: &mut String) {
        // Those of one rack are one line.
        let mut drawn: Vec<f64> = Vec::new();
        for killing in &self.outcome.killings {
            let x = self.x(float(killing.millis) / 1000.0);
            if drawn.last().is_none_or(|last| x - last >= 1.5) {
                drawn.push(x);
                let _ = writeln!(
                    text,
                    "<line class=\"kill-line\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\"/>",
                    TOP - 7.0,
                    TOP - 1.0
                );
            }
        }
    }

    fn published(&self, text: &mut String) {
        let all = float(u64::from(self.outcome.setting.datasets));
        let mut path = String::new();
        for point in &self.points {
            let _ = write!(path, "{:.1},{:.1} ", self.x(point.second), self.y(point.committed / all));
        }
        let end = float(self.outcome.makespan_millis) / 1000.0;
        let _ = write!(path, "{:.1},{:.1}", self.x(end), self.y(float(self.outcome.committed) / all));
        let _ = writeln!(
            text,
            "<polyline class=\"halo\" points=\"{path}\"/><polyline class=\"done-line\" points=\"{path}\"/>"
        );
    }

    fn bound(&self, text: &mut String) {
        let x = self.x(float(self.outcome.bound_millis) / 1000.0);
        let _ = writeln!(
            text,
            "<line class=\"bound\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\"/>\
             <text class=\"faint\" x=\"{:.1}\" y=\"{}\" text-anchor=\"end\">lower bound</text>",
            TOP - 10.0,
            BOTTOM + 4.0,
            x - 5.0,
            TOP - 4.0
        );
    }

    /// Migrations and batches that went to nodes without work, in the course of time.
    fn moved(&self, text: &mut String) {
        let moments = &self.outcome.moments;
        let every = moments.len().div_ceil(BARS).max(1);
        let at = |number: usize| moments.get(number.min(moments.len().saturating_sub(1)));
        let bars: Vec<(u64, u64)> = (0..moments.len())
            .step_by(every)
            .filter_map(|from| at(from).zip(at(from + every)))
            .map(|(from, to)| (to.steals - from.steals, to.loans - from.loans))
            .collect();
        let most = bars.iter().map(|(steals, loans)| steals + loans).max().unwrap_or(0).max(1);
        let width = (self.x(float(every as u64)) - LEFT).max(1.0);
        let _ = writeln!(
            text,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{MOVED_BOTTOM}\" y2=\"{MOVED_BOTTOM}\"/>\
             <text class=\"faint\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <text class=\"faint\" x=\"{}\" y=\"{}\" text-anchor=\"end\">0</text>",
            LEFT - 8.0,
            MOVED_TOP + 5.0,
            grouped(most),
            LEFT - 8.0,
            MOVED_BOTTOM + 4.0
        );
        let height = |count: u64| (MOVED_BOTTOM - MOVED_TOP) * float(count) / float(most);
        for (number, (steals, loans)) in bars.iter().enumerate() {
            let x = self.x(float((number * every) as u64));
            let mut low = MOVED_BOTTOM;
            for (count, colour) in [(*steals, "stolen"), (*loans, "lent")] {
                if count > 0 {
                    let tall = height(count).max(0.8);
                    low -= tall;
                    let _ = writeln!(
                        text,
                        "<rect x=\"{x:.1}\" y=\"{low:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" class=\"{colour}\"/>",
                        width * 0.8
                    );
                }
            }
        }
        let mut x = LEFT;
        let o = self.outcome;
        for (what, colour) in [
            (format!("{} migrations stolen", grouped(o.steals)), "stolen"),
            (format!("{} batches lent to nodes without work", grouped(o.loans)), "lent"),
        ] {
            let y = MOVED_BOTTOM + 24.0;
            let _ = writeln!(
                text,
                "<rect x=\"{x}\" y=\"{}\" width=\"11\" height=\"11\" rx=\"2\" class=\"{colour}\"/>\
                 <text class=\"faint\" x=\"{}\" y=\"{y}\">{what}</text>",
                y - 10.0,
                x + 16.0
            );
            x += 40.0 + 7.0 * float(what.len() as u64);
        }
    }
}
