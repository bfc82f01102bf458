//! Every pair of a catalog and a place for tables keeps the contract of the data plane, judged against real services.
//!
//! The services run once for all tests of this program; every test has tables of its own in them.

mod contract;
mod cut;
mod lake;
mod place;
mod process;
mod sources;

use place::Place;

/// One test for each clause of the contract and each pair.
macro_rules! pairs {
    ($($pair:ident),*) => {
        $(mod $pair {
            use super::{Place, contract};

            #[test]
            fn a_table_is_written_read_and_found_by_others() {
                contract::a_table_is_written_read_and_found_by_others(&Place::$pair());
            }

            #[test]
            fn a_published_table_is_a_source_and_a_tombstone_is_none() {
                contract::a_published_table_is_a_source_and_a_tombstone_is_none(&Place::$pair());
            }

            #[test]
            fn of_many_who_register_at_once_one_wins() {
                contract::of_many_who_register_at_once_one_wins(&Place::$pair());
            }

            #[test]
            fn a_withdrawn_table_stays_withdrawn_whatever_comes_late() {
                contract::a_withdrawn_table_stays_withdrawn_whatever_comes_late(&Place::$pair());
            }

            #[test]
            fn a_name_that_points_elsewhere_is_left_alone() {
                contract::a_name_that_points_elsewhere_is_left_alone(&Place::$pair());
            }

            #[test]
            fn only_files_that_nothing_refers_to_are_collected() {
                contract::only_files_that_nothing_refers_to_are_collected(&Place::$pair());
            }
        })*
    };
}

/// And what happens when answers are lost on the way, where there is a way.
macro_rules! remote_pairs {
    ($($pair:ident),*) => {
        mod lost_answers {
            use super::{Place, contract};

            $(#[test]
            fn $pair() {
                contract::a_step_whose_answer_is_lost_is_neither_done_nor_undone(Place::$pair());
            })*
        }
    };
}

pairs!(sqlite_on_disk, postgres_on_disk, hive_on_disk, rest_on_s3, vended_rest_on_s3, sqlite_on_s3, postgres_on_s3);
remote_pairs!(postgres_on_disk, hive_on_disk, rest_on_s3);

#[test]
fn a_table_whose_answers_to_uploads_are_lost_is_written_once() {
    contract::a_table_whose_answers_to_uploads_are_lost_is_written_once(Place::sqlite_on_s3());
}
