//! The scale model: the reference story, and that what goes wrong in it is seen.

use skein_simulation::scale::{Outcome, Setting, run, svg, table};

/// Histories of the reference story.
const STORIES: u64 = 10;

/// A fleet that is through in a moment.
fn small(seed: u64) -> Setting {
    Setting { nodes: 7, datasets: 60, max_parallel: None, ..Setting::story(seed) }
}

fn ran(setting: &Setting) -> Outcome {
    run(setting).expect("the setting makes sense")
}

#[test]
fn fifty_nodes_move_fifteen_hundred_datasets_within_three_hours_and_lose_nothing_ten_times() {
    for seed in 1..=STORIES {
        let story = ran(&Setting::story(seed));
        assert!(story.failures.is_empty(), "seed {seed}: {:?}", story.failures);
        assert_eq!((story.committed, story.rows_lost), (1_500, 0), "seed {seed}");
        assert!(story.rows_dropped > 0, "seed {seed}");
        assert!(story.ratio() <= 1.05, "seed {seed}: {}", story.ratio());
        assert!(story.makespan_millis < 3 * 3_600_000, "seed {seed}: {}", story.makespan_millis);
        assert!(story.utilisation > 0.9, "seed {seed}: {}", story.utilisation);
        assert!(story.steals > 0 && story.loans > 0, "seed {seed}");
        let (minutes, ratio) = (story.makespan_millis / 60_000, story.ratio());
        println!("seed {seed}: {minutes} minutes, {ratio:.3} of the bound, {:.3} of the slots used", story.utilisation);
    }
}

#[test]
fn a_tenth_of_the_nodes_dies_and_nothing_is_lost() {
    let story = ran(&Setting::story(1).killing(10));
    assert!(story.failures.is_empty(), "{:?}", story.failures);
    assert_eq!((story.committed, story.killings.len(), story.expired), (1_500, 5, 5));
    assert!(story.ratio() <= 1.15, "{}", story.ratio());
    assert!(story.batches_lost > 0 && story.lost_work_millis > 0);
}

#[test]
fn a_row_that_is_lost_between_reading_and_reading_back_is_seen_and_its_table_is_not_published() {
    let torn = ran(&Setting { torn: Some(3), ..small(1) });
    assert_eq!(torn.committed, 59);
    assert!(torn.failures.iter().any(|failure| failure.contains("DIFFERENCE")), "{:?}", torn.failures);
    assert!(torn.rows_lost > 0, "its rows are not visible");
}

#[test]
fn the_same_setting_gives_the_same_history() {
    let setting = small(5).killing(30);
    let history = |outcome: Outcome| {
        let Outcome { makespan_millis, entries, steals, loans, killings, moments, .. } = outcome;
        (makespan_millis, entries, steals, loans, killings, moments)
    };
    let other = ran(&Setting { seed: 6, ..setting.clone() });
    let one = history(ran(&setting));
    assert_eq!(one, history(ran(&setting)));
    assert_ne!(one, history(other));
}

#[test]
fn one_large_dataset_uses_the_whole_fleet() {
    let one = Setting { datasets: 1, median_partitions: 600.0, partitions_spread: 0.0, ..small(1) };
    let outcome = ran(&one);
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert!(outcome.loans > 300, "{}", outcome.loans);
    // Its validation is one piece of work of one node, after all batches.
    assert!(outcome.ratio() <= 1.6, "{}", outcome.ratio());
}

#[test]
fn the_table_and_the_picture_say_what_was_found() {
    let outcomes = [ran(&small(1)), ran(&small(1).killing(30))];
    let table = table(&outcomes);
    assert!(table.contains("| rows lost | **0** | **0** |"), "{table}");
    assert!(table.lines().all(|line| line.matches('|').count() == 4), "{table}");
    let picture = svg(&outcomes[1]);
    assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n"));
    for part in
        ["prefers-color-scheme: dark", "class=\"kill-line\"", "class=\"bound\"", "batches lent", "2 nodes killed"]
    {
        assert!(picture.contains(part), "{part}");
    }
    assert!(!picture.contains("NaN") && !picture.contains("inf"));
}
