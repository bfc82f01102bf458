//! The clauses of the contract: what every pair of a catalog and a place for tables must keep.

use skein_protocol::data_plane::{Outcome, Registered, Replaced};
use skein_protocol::problem::Code;

use crate::cut::Cut;
use crate::lake::Lake;
use crate::place::Place;

/// Rows of the source.
const ROWS: u64 = 1_000;
/// How many register at once.
const RIVALS: u32 = 6;

pub(crate) fn a_table_is_written_read_and_found_by_others(place: &Place) {
    let lake = Lake::of(place);
    assert_eq!(lake.load(), None);
    let (table, files) = lake.staged(1);
    assert_eq!(lake.load(), None, "nobody sees a staged table");
    let reading = lake.read(&table, files);
    assert_eq!((reading.manifest_rows, reading.summary_rows, reading.files_compared), (ROWS, ROWS, 2));
    assert_eq!(reading.file_differences, Vec::<String>::new());
    assert_eq!(reading.partition_read.map(|check| check.holds), Some(true));
    assert_eq!(lake.register(&table.metadata_location, None), Registered::Now);
    let loaded = lake.load().expect("it is there");
    assert_eq!(
        (loaded.uuid, loaded.tombstone, &loaded.metadata_location),
        (table.uuid, false, &table.metadata_location)
    );

    place.assert_agrees(&[]);
}

pub(crate) fn a_published_table_is_a_source_and_a_tombstone_is_none(place: &Place) {
    let lake = Lake::of(place);
    let (table, _) = lake.staged(1);
    assert!(!lake.listed());
    assert_eq!(lake.register(&table.metadata_location, None), Registered::Now);
    assert!(lake.listed());

    // The table is read through the catalog, and becomes another one there.
    let copy = lake.again();
    assert_eq!(copy.plan.source_rows(), Some(ROWS));
    assert_eq!(copy.listed_files(), copy.plan.source.files.len());
    let (again, files) = copy.staged(2);
    let reading = copy.read(&again, files);
    assert_eq!((reading.manifest_rows, reading.file_differences), (ROWS, Vec::new()));

    assert_eq!(lake.replace(&table.metadata_location, Some(&lake.tombstone())), Replaced::Now);
    assert!(!lake.listed());
    assert_eq!(copy.list_again().expect_err("it is withdrawn").code(), Code::SourceChanged);
}

pub(crate) fn of_many_who_register_at_once_one_wins(place: &Place) {
    let lake = Lake::of(place);
    let (first, files) = lake.staged(1);
    let mut locations = vec![first.metadata_location];
    locations.extend((2..=RIVALS).map(|attempt| lake.stage(files.clone(), attempt).metadata_location));
    let answers = lake.register_all(&locations);
    let winners: Vec<&String> = locations
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| matches!(answer, Ok(Registered::Now)))
        .map(|(location, _)| location)
        .collect();
    // SeaweedFS tells several that they were first, and the last of them stays: why nobody believes an answer without
    // a look. Of the others exactly one wins.
    assert!(if place.owns_store { !winners.is_empty() } else { winners.len() == 1 }, "{answers:?}");
    let stands = lake.location().expect("one of them stands");
    assert!(winners.contains(&&stands), "{stands}: {answers:?}");
    // Whoever is not told that it won may not have lost for good, but nothing of it is visible.
    for location in &locations {
        assert_eq!(lake.register(location, None), Registered::NameTaken);
    }
    assert_eq!(lake.location(), Some(stands));
}

pub(crate) fn a_withdrawn_table_stays_withdrawn_whatever_comes_late(place: &Place) {
    let lake = Lake::of(place);
    let (table, files) = lake.staged(1);
    let published = table.metadata_location;
    assert_eq!(lake.register(&published, None), Registered::Now);
    let tombstone = lake.tombstone();
    assert_eq!(lake.replace(&published, Some(&tombstone)), Replaced::Now);
    let kept = lake.load().expect("the tombstone is there");
    assert_eq!((kept.tombstone, &kept.metadata_location), (true, &tombstone));
    // Either the name is taken, or the catalog removed the file with the name and says so.
    let late = lake.try_register(&published);
    let refused = late.as_ref().is_err_and(|failure| place.owns_store && failure.outcome == Outcome::NotDone);
    assert!(refused || late == Ok(Registered::NameTaken), "{late:?}");
    assert_eq!(lake.location().as_ref(), Some(&tombstone));

    // The next run is published in the tombstone's place.
    let next = if place.owns_store { lake.staged(2).0 } else { lake.stage(files, 2) };
    assert_eq!(lake.register(&next.metadata_location, Some(&tombstone)), Registered::Now);
    assert_eq!(lake.location().as_ref(), Some(&next.metadata_location));

    // Withdrawn once more, and the tombstone is taken away when its time is over.
    assert_eq!(lake.replace(&next.metadata_location, Some(&lake.tombstone())), Replaced::Now);
    assert_eq!(lake.replace(&lake.location().expect("the tombstone is there"), None), Replaced::Now);
    assert_eq!(lake.load(), None);
}

pub(crate) fn a_name_that_points_elsewhere_is_left_alone(place: &Place) {
    let lake = Lake::of(place);
    let (table, files) = lake.staged(1);
    let other = lake.stage(files, 2).metadata_location;
    let published = table.metadata_location;
    assert_eq!(lake.replace(&published, None), Replaced::Differs { found: None });
    assert_eq!(lake.register(&published, None), Registered::Now);
    let found = Some(published.clone());
    assert_eq!(lake.replace(&other, Some(&lake.tombstone())), Replaced::Differs { found: found.clone() });
    assert_eq!(lake.replace(&other, None), Replaced::Differs { found });
    assert_eq!(lake.register(&other, Some(&lake.tombstone())), Registered::NameTaken);
    assert_eq!(lake.location(), Some(published));
}

pub(crate) fn only_files_that_nothing_refers_to_are_collected(place: &Place) {
    let lake = Lake::of(place);
    let (kept, lost) = (lake.batch(1), lake.batch(2));
    let keep: Vec<String> = kept.iter().map(|file| file.location.clone()).collect();
    let collected = lake.collect(keep.clone());
    let bytes: u64 = lost.iter().map(|file| file.bytes).sum();
    assert_eq!((collected.files, collected.bytes), (lost.len() as u64, bytes));
    assert_eq!(lake.collect(keep).files, 0);
    let table = lake.stage(kept.clone(), 1);
    assert_eq!(lake.read(&table, kept).file_differences, Vec::<String>::new());
    assert!(lake.try_stage(lost, 2).is_err(), "its files are gone");
}

pub(crate) fn a_step_whose_answer_is_lost_is_neither_done_nor_undone(mut place: Place) {
    // What ends a registration in each of the protocols.
    let cut = Cut::of(&place.catalog_listens(), &["/register", "COMMIT", "create_table"]);
    place.catalog_through(&cut.address);
    let lake = Lake::of(&place);
    let (table, _) = lake.staged(1);
    cut.next();
    let failure = lake.try_register(&table.metadata_location).expect_err("no answer comes");
    assert_eq!(failure.outcome, Outcome::Unknown, "{failure}");
    assert!(cut.is_done());
    // Looking tells; and the same location can be registered again without harm.
    assert_eq!(lake.location(), Some(table.metadata_location.clone()));
    assert_eq!(lake.register(&table.metadata_location, None), Registered::NameTaken);
    assert_eq!(lake.location(), Some(table.metadata_location));
}

pub(crate) fn a_table_whose_answers_to_uploads_are_lost_is_written_once(mut place: Place) {
    let cut = Cut::of(&Place::store_listens(), &["PUT /"]);
    place.store_through(&cut.address);
    let lake = Lake::of(&place);
    cut.next();
    let files = lake.batch(1);
    assert!(cut.is_done());
    cut.next();
    let table = lake.stage(files.clone(), 1);
    assert!(cut.is_done());
    let reading = lake.read(&table, files);
    assert_eq!((reading.manifest_rows, reading.file_differences.len()), (ROWS, 0));
}
