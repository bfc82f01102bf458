//! Bad weather of every kind, and sources that others change: what takes effect is counted, and nothing bad comes of it.

use skein_node::scripted::{Change, Poison, Recipe, Storm, Weather};
use skein_protocol::ledger::Phase;

use crate::site::{DAWN, Ground, Site, policy, simulate, table};

use std::time::Duration;

/// Storms last this long from the beginning.
const STORM: Duration = Duration::from_secs(5);
/// An operator looks after migrations that stand still this often.
const ROUNDS: usize = 200;

fn recipe() -> Recipe {
    Recipe {
        least_plays: Some(2),
        drop_duplicates: true,
        add: vec![("note".to_owned(), Some("moved".to_owned()))],
        rename: vec![("name".to_owned(), "title".to_owned())],
        ..Recipe::default()
    }
}

/// A site with a partitioned table in several batches of several files, with nulls and duplicates.
async fn site(recipe: &Recipe) -> Site {
    let ground = Ground::new(31);
    let (name, files) = (table("a"), [vec![1, 2, 2, 5, 7, 10], vec![11, 12, 3, 3, 15, 20], vec![21, 22, 35, 36]]);
    ground.world.add_partitioned(&name, &files, 3);
    ground.world.rows_per_file(2);
    ground.world.expect(&name, &name, recipe.clone());
    ground.start(DAWN).await.unwrap()
}

/// Plays the operator who retries what stands still, until everything is published.
async fn until_published(site: &Site) {
    for _ in 0..ROUNDS {
        site.until("an end", |state| state.migrations().values().all(|one| !one.phase.is_active())).await;
        match site.phase("a") {
            Phase::Committed => return,
            Phase::Paused if site.look("a", |one| one.intent.is_some()) => site.act("resume", "a").await,
            _ => site.act("retry", "a").await,
        }
    }
    panic!("never published: {:#?}", site.world.trace());
}

fn assert_transformed(site: &Site, recipe: &Recipe) {
    let name = table("a");
    let (seen, must) = (site.world.read(&name).unwrap(), site.world.transformed(&name, recipe).unwrap());
    assert_eq!((seen.tombstone, seen.columns, seen.rows), (false, must.columns, must.rows));
    assert_eq!(site.world.violations(), Vec::<String>::new());
}

#[test]
fn every_kind_of_weather_takes_effect_and_passes_without_damage() {
    for weather in Weather::ALL {
        simulate(async {
            let recipe = recipe();
            let site = site(&recipe).await;
            let from = site.world.now();
            site.world.storm(Storm { weather, per_mille: 1000, from, until: from + STORM, table: None });
            site.apply(&policy(&recipe.spec())).await;
            until_published(&site).await;
            assert_transformed(&site, &recipe);
            site.act("rollback", "a").await;
            site.until_at_rest().await;
            site.world.deliver();
            assert!(site.world.read(&table("a")).is_none_or(|seen| seen.tombstone), "{weather:?}");
            assert_eq!(site.world.violations(), Vec::<String>::new(), "{weather:?}");
            let inflicted = site.world.inflicted();
            assert!(inflicted.get(weather.name()).is_some_and(|times| *times > 0), "{weather:?}: {inflicted:?}");
            assert_eq!(inflicted.len(), 1, "nothing else: {inflicted:?}");
        });
    }
}

#[test]
fn a_null_that_got_lost_is_found_by_null_counts_alone() {
    simulate(async {
        let recipe = Recipe::default();
        let site = site(&recipe).await;
        let storm = Storm {
            weather: Weather::BatchLosesNull,
            per_mille: 1000,
            from: Duration::ZERO,
            until: STORM,
            table: None,
        };
        site.world.storm(storm);
        site.apply(&policy("  validate: { eachBatch: [count], final: [count, nulls] }")).await;
        site.until_phase("a", Phase::Paused).await;
        let why = site.look("a", |one| one.problem.as_ref().unwrap().why.clone());
        assert!(why.contains("nulls"), "{why}");
        assert_eq!(site.world.read(&table("a")), None);
    });
}

#[test]
fn every_change_of_a_source_before_the_publication_is_seen() {
    for change in
        [Change::Append(vec![99]), Change::Replace, Change::ReplaceQuietly, Change::RemoveFile, Change::Vanish]
    {
        simulate(async {
            let recipe = Recipe::default();
            let site = site(&recipe).await;
            let mut hold = site.world.hold(skein_node::scripted::Call::ReadStaged, None);
            site.apply(&policy("")).await;
            hold.entered(1).await;
            assert!(site.world.change(&table("a"), &change));
            hold.release();
            site.world.heal();
            site.until("stopped", |state| state.migrations().values().all(|one| !one.phase.is_active())).await;
            assert_eq!(site.problem("a"), "SOURCE_CHANGED", "{change:?}");
            assert_eq!(site.world.read(&table("a")), None, "{change:?}");
            site.world.change(&table("a"), &Change::ComeBack);
            site.act("retry", "a").await;
            until_published(&site).await;
            assert_transformed(&site, &recipe);
            assert_eq!(site.world.inflicted().get(change.name()), Some(&1));
        });
    }
}

#[test]
fn a_batch_that_panics_each_time_ends_in_quarantine_and_one_that_kills_says_whom() {
    simulate(async {
        let site = site(&Recipe::default()).await;
        site.world.poison(&table("a"), Poison::Panics, u32::MAX);
        site.apply(&policy("  run: { attempts: 2 }")).await;
        site.until_phase("a", Phase::Quarantined).await;
        site.world.heal();
        site.world.poison(&table("a"), Poison::KillsNode, 1);
        assert_eq!(site.world.take_kills(), Vec::<usize>::new());
        site.act("retry", "a").await;
        let world = site.world.clone();
        site.until("killed", |_| world.inflicted().contains_key("poison-kills-node")).await;
        assert_eq!(site.world.take_kills(), [0]);
    });
}
