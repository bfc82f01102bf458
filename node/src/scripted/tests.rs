//! The world sees what a node must never do.

use std::collections::BTreeMap;
use std::sync::Arc;

use skein_protocol::data_plane::{
    BatchRequest, CollectRequest, DataPlane, InspectRequest, ReadRequest, RegisterRequest, Registered, ReplaceRequest,
    StageRequest, StagedFile, StagedTable, TombstoneRequest,
};
use skein_protocol::ids::{
    Attempt, BatchId, BatchNo, ConnectionName, Epoch, Generation, MigrationId, Run, StageNo, TableName, TableUuid,
};
use skein_protocol::plan::{Plan, Planned};
use skein_protocol::{planner, policy};
use tokio::runtime::Builder;

use super::{Change, LAKE, LEGACY, Recipe, ScriptedPlane, What, World};

const MEMORY: u64 = 1 << 20;

/// A data plane that does by hand what a node does.
struct Hand {
    world: World,
    plane: ScriptedPlane,
    plan: Arc<Plan>,
}

fn name() -> TableName {
    TableName::new("db", "t")
}

fn lake() -> ConnectionName {
    ConnectionName::from(LAKE)
}

impl Hand {
    async fn new(recipe: &Recipe) -> Self {
        let world = World::new(1);
        world.add_table(&name(), &[vec![1, 2, 2, 3, 5], vec![10, 11]]);
        world.expect(&name(), &name(), recipe.clone());
        let plane = ScriptedPlane::at(world.clone(), 2);
        let plan = plan(&plane, recipe).await;
        Self { world, plane, plan }
    }

    async fn batches(&self, attempt: u32) -> Vec<StagedFile> {
        let mut prior = Arc::new(Vec::new());
        for (stage, planned) in (0..).zip(&self.plan.stages) {
            let mut files = Vec::new();
            for batch in 0..u32::try_from(planned.batches.len()).unwrap() {
                let request = BatchRequest {
                    plan: self.plan.clone(),
                    run: Run(1),
                    epoch: Epoch(1),
                    batch: BatchId { stage: StageNo(stage), batch: BatchNo(batch) },
                    attempt: Attempt(attempt),
                    prior: prior.clone(),
                    memory_bytes: MEMORY,
                };
                files.extend(self.plane.run_batch(request).await.unwrap().files);
            }
            prior = Arc::new(files);
        }
        prior.to_vec()
    }

    async fn stage(&self, run: u32, files: &[StagedFile]) -> StagedTable {
        let request = StageRequest {
            plan: self.plan.clone(),
            run: Run(run),
            epoch: Epoch(1),
            attempt: Attempt(1),
            files: Arc::new(files.to_vec()),
            uuid: TableUuid::derive(self.plan.migration, Run(run), &self.plan.hash()),
            at_millis: 1,
            summary: BTreeMap::new(),
        };
        self.plane.stage(request).await.unwrap()
    }

    async fn read(&self, table: &StagedTable, files: &[StagedFile]) {
        let files = Arc::new(files.to_vec());
        let request = ReadRequest { plan: self.plan.clone(), table: table.clone(), files, memory_bytes: MEMORY };
        assert_eq!(self.plane.read_staged(request).await.unwrap().file_differences, Vec::<String>::new());
    }

    async fn register(&self, location: &str) -> Registered {
        let request = RegisterRequest {
            connection: lake(),
            name: name(),
            metadata_location: location.to_owned(),
            replacing: None,
        };
        self.plane.register(request).await.unwrap()
    }

    async fn replace(&self, expected: &str, replacement: Option<String>) {
        let expected = expected.to_owned();
        self.plane.replace(ReplaceRequest { connection: lake(), name: name(), expected, replacement }).await.unwrap();
    }

    /// All steps up to a publication, as they should be.
    async fn validated(&self) -> (StagedTable, Vec<StagedFile>) {
        let files = self.batches(1).await;
        let table = self.stage(1, &files).await;
        self.read(&table, &files).await;
        self.plane.list_source(self.plan.clone()).await.unwrap();
        (table, files)
    }

    async fn tombstone(&self) -> String {
        let request = TombstoneRequest {
            plan: self.plan.clone(),
            run: Run(1),
            epoch: Epoch(1),
            attempt: Attempt(9),
            uuid: TableUuid::tombstone(self.plan.migration, Run(1)),
            at_millis: 1,
        };
        self.plane.stage_tombstone(request).await.unwrap()
    }

    #[track_caller]
    fn assert_says(&self, wanted: &str) {
        let said = self.world.violations();
        assert!(said.iter().any(|line| line.contains(wanted)), "not {wanted:?}: {said:#?}");
    }

    #[track_caller]
    fn assert_says_nothing(&self) {
        assert_eq!(self.world.violations(), Vec::<String>::new());
    }
}

async fn plan(plane: &ScriptedPlane, recipe: &Recipe) -> Arc<Plan> {
    let text = format!(
        "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: p, owner: me }}\nspec:\n  source: {{ connection: \
         {LEGACY}, include: [\"db.*\"] }}\n  target: {{ connection: {LAKE} }}\n{}",
        recipe.spec()
    );
    let policy = policy::parse(&text).unwrap_or_else(|errors| panic!("{text}\n{errors:#?}"));
    let request = InspectRequest {
        connection: ConnectionName::from(LEGACY),
        dataset: name(),
        target_connection: lake(),
        target: name(),
    };
    let inspection = plane.inspect(request).await.unwrap();
    let id = MigrationId::derive(&policy.metadata.name, Generation(1), &name());
    match planner::plan(&policy, id, Generation(1), &name(), &inspection) {
        Planned::Ready(plan) => Arc::new(*plan),
        Planned::Refused(refusal) => panic!("{refusal:#?}"),
    }
}

fn simulate(test: impl Future<Output = ()>) {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test);
}

fn all_rules() -> Recipe {
    Recipe {
        least_plays: Some(2),
        drop_duplicates: true,
        keep_one: true,
        add: vec![("note".to_owned(), None), ("origin".to_owned(), Some("legacy".to_owned()))],
        rename: vec![("name".to_owned(), "title".to_owned())],
    }
}

#[test]
fn what_a_plan_makes_of_a_source_is_what_the_recipe_makes_of_it() {
    let recipes = [
        Recipe::default(),
        Recipe { drop_duplicates: true, ..Recipe::default() },
        Recipe { keep_one: true, ..Recipe::default() },
        Recipe { least_plays: Some(3), ..Recipe::default() },
        all_rules(),
    ];
    for recipe in recipes {
        simulate(async {
            let hand = Hand::new(&recipe).await;
            let (table, _) = hand.validated().await;
            assert_eq!(hand.register(&table.metadata_location).await, Registered::Now);
            hand.assert_says_nothing();
            let (seen, must) = (hand.world.read(&name()).unwrap(), hand.world.transformed(&name(), &recipe).unwrap());
            assert_eq!((seen.columns, seen.rows), (must.columns, must.rows));
            assert!(hand.world.happenings().iter().any(|one| {
                one.machine == Some(2)
                    && matches!(&one.what, What::Named { to: Some(to), .. } if *to == table.metadata_location)
            }));
        });
    }
}

#[test]
fn a_table_with_other_rows_than_its_source_makes_is_a_violation() {
    simulate(async {
        let hand = Hand::new(&Recipe::default()).await;
        let mut files = hand.batches(1).await;
        files.pop();
        let table = hand.stage(1, &files).await;
        hand.read(&table, &files).await;
        hand.plane.list_source(hand.plan.clone()).await.unwrap();
        hand.register(&table.metadata_location).await;
        hand.assert_says("not the transformed ones");
    });
}

#[test]
fn a_publication_without_its_validation_is_a_violation() {
    simulate(async {
        let hand = Hand::new(&Recipe::default()).await;
        let files = hand.batches(1).await;
        let table = hand.stage(1, &files).await;
        hand.register(&table.metadata_location).await;
        hand.assert_says("was never read back");
        hand.assert_says("its source was not listed");
    });
    simulate(async {
        let hand = Hand::new(&Recipe::default()).await;
        let files = hand.batches(1).await;
        let table = hand.stage(1, &files).await;
        hand.read(&table, &files).await;
        assert!(hand.world.change(&name(), &Change::ReplaceQuietly));
        hand.plane.list_source(hand.plan.clone()).await.unwrap();
        hand.register(&table.metadata_location).await;
        hand.assert_says("its source was not listed");
    });
    simulate(async {
        let hand = Hand::new(&Recipe::default()).await;
        hand.register("/lake/db/t/metadata/nowhere.json").await;
        hand.assert_says("does not exist");
    });
}

#[test]
fn a_table_that_comes_back_after_it_was_withdrawn_is_a_violation() {
    simulate(async {
        let hand = Hand::new(&Recipe::default()).await;
        let (table, _) = hand.validated().await;
        hand.register(&table.metadata_location).await;
        let tombstone = hand.tombstone().await;
        hand.replace(&table.metadata_location, Some(tombstone.clone())).await;
        assert!(hand.world.read(&name()).unwrap().tombstone);
        assert_eq!(hand.register(&table.metadata_location).await, Registered::NameTaken);
        assert_eq!(hand.world.marks().get("zombie publication refused by a tombstone"), Some(&1));
        hand.replace(&tombstone, None).await;
        hand.assert_says_nothing();
        hand.register(&table.metadata_location).await;
        hand.assert_says("visible again");
    });
}

#[test]
fn a_second_publication_of_one_run_and_one_that_just_goes_are_violations() {
    simulate(async {
        let hand = Hand::new(&Recipe::default()).await;
        let (table, _) = hand.validated().await;
        hand.register(&table.metadata_location).await;
        hand.replace(&table.metadata_location, None).await;
        hand.assert_says("went without a tombstone");
        let files = hand.batches(2).await;
        let request = StageRequest {
            plan: hand.plan.clone(),
            run: Run(1),
            epoch: Epoch(1),
            attempt: Attempt(2),
            files: Arc::new(files),
            uuid: table.uuid,
            at_millis: 1,
            summary: BTreeMap::new(),
        };
        let second = hand.plane.stage(request).await.unwrap();
        hand.register(&second.metadata_location).await;
        hand.assert_says("second publication of one run");
    });
}

#[test]
fn files_are_written_once_and_stay_while_a_name_leads_to_them() {
    simulate(async {
        let hand = Hand::new(&Recipe::default()).await;
        let (table, files) = hand.validated().await;
        hand.register(&table.metadata_location).await;
        let spare = hand.batches(2).await;
        let mut keep: Vec<String> = files.iter().map(|file| file.location.clone()).collect();
        let collect = |keep: Vec<String>| CollectRequest {
            connection: lake(),
            table_location: hand.plan.target.location.clone(),
            migration: hand.plan.migration,
            run: Run(1),
            up_to: Epoch(1),
            keep,
        };
        assert_eq!(hand.plane.collect(collect(keep.clone())).await.unwrap().files, spare.len() as u64);
        hand.assert_says_nothing();
        keep.pop();
        hand.plane.collect(collect(keep)).await.unwrap();
        hand.assert_says("a name still leads to it");
        hand.batches(1).await;
        hand.assert_says("written twice");
    });
}

#[test]
fn the_table_of_somebody_else_is_not_to_be_replaced() {
    simulate(async {
        let hand = Hand::new(&Recipe::default()).await;
        hand.world.point(&name(), TableUuid::tombstone(hand.plan.migration, Run(7)), "/lake/stranger.json");
        let tombstone = hand.tombstone().await;
        hand.replace("/lake/stranger.json", Some(tombstone)).await;
        hand.assert_says("the table of somebody else");
    });
}
