//! What a caller sees: the policies and migrations of the teams that its token holds for.
//!
//! What a caller does not see is answered as if it did not exist. Documents by their hashes (`/v1/blobs`) are not asked whose
//! they are: nobody finds a hash but in what it sees.

use skein_protocol::access::Rights;
use skein_protocol::ids::MigrationId;
use skein_protocol::ledger::policies::PolicyRecord;
use skein_protocol::ledger::{Migration, State};
use skein_protocol::problem::{Code, Problem};

use skein_protocol::api::RefusedAction;

/// Whether a policy is seen.
pub(super) fn sees_policy(rights: &Rights, record: &PolicyRecord) -> bool {
    rights.cover(&record.policy.owner)
}

/// Whether a migration is seen.
pub(super) fn sees(state: &State, rights: &Rights, migration: &Migration) -> bool {
    rights.teams.is_none() || state.policies().get(&migration.policy).is_some_and(|record| sees_policy(rights, record))
}

/// Those of `items` that pass `check`, and refusals of the others. What is not seen does not exist.
pub(super) fn sort_out<T>(
    state: &State,
    rights: &Rights,
    items: Vec<T>,
    id: impl Fn(&T) -> MigrationId,
    check: impl Fn(&PolicyRecord, &Migration) -> Result<(), Problem>,
) -> (Vec<T>, Vec<RefusedAction>) {
    let (mut allowed, mut refused) = (Vec::with_capacity(items.len()), Vec::new());
    for item in items {
        let migration = id(&item);
        let found = state.migration(migration).and_then(|found| Some((found, state.policies().get(&found.policy)?)));
        let outcome = match found {
            Some((found, record)) if sees_policy(rights, record) => check(record, found),
            _ => Err(unknown(migration)),
        };
        match outcome {
            Ok(()) => allowed.push(item),
            Err(problem) => refused.push(RefusedAction { migration, problem }),
        }
    }
    (allowed, refused)
}

fn unknown(migration: MigrationId) -> Problem {
    let what = format!("migration {migration}");
    Problem::new(Code::NotFound, what, "there is no such migration", "list the migrations")
}
