//! A node in the test's own process: the real engine, with faults round it.
//!
//! In: faults. Out: a node that meets them. Holds: [`Site`]. Not here: what goes wrong within a simulated world (`simulation`),
//! nodes that are processes (`end_to_end`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skein_engine::engine::{Engine, EngineSettings};
use skein_node::config::parse;
use skein_node::env::system::SystemEnv;
use skein_node::scripted::{Call, Effect, Fault, Faulty};
use skein_node::{Node, NodeHandle};
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableName;
use skein_protocol::problem::{Code, Problem};
use skein_tests::{Cli, Options, World, configuration, contents, free_address};
use tokio::runtime::{Builder, Runtime};

/// Faults strike where they are told to, there are no dice: any seed will do.
const SEED: u64 = 1;
/// What is late comes so much later: after whoever asked has asked again.
const LATE: Duration = Duration::from_millis(700);
/// What is slow takes so much longer.
const SLOW: Duration = Duration::from_millis(300);

/// A node over a world's folders, and the faults round its data plane.
pub(crate) struct Site<'a> {
    world: &'a World,
    source: BTreeMap<PathBuf, Vec<u8>>,
    pub(crate) plane: Faulty<Engine>,
    pub(crate) cli: Cli,
    node: Option<NodeHandle>,
    runtime: Runtime,
}

impl<'a> Site<'a> {
    /// Starts the usual node.
    pub(crate) fn start(world: &'a World) -> Self {
        Self::start_with(world, &Options::default())
    }

    /// Starts a node.
    pub(crate) fn start_with(world: &'a World, options: &Options) -> Self {
        let listen = free_address();
        let text = configuration(world.root(), &listen, options);
        let config = parse(&text, 1, &|_| Err("there are no references in it".to_owned()));
        let config = config.unwrap_or_else(|errors| panic!("{text}\n{errors:?}"));
        let engine = Engine::new(config.connections.clone(), EngineSettings::default());
        let data = world.root().join("node");
        let runtime = Builder::new_multi_thread().enable_all().build().expect("threads can be started");
        let (plane, node) = runtime.block_on(async {
            let plane = Faulty::new(engine, SEED);
            let system = SystemEnv::open(&data).expect("the folder is the test's own");
            let node = Node::start(config, system.env(Arc::new(plane.clone()))).await;
            (plane, node.expect("the node starts"))
        });
        let cli = Cli { server: format!("http://{listen}"), token_file: Some(data.join("token")) };
        Self { world, source: contents(&world.warehouse()), plane, cli, node: Some(node), runtime }
    }

    /// Lets a table's next call of this kind go wrong, once; counted under the table's name.
    pub(crate) fn fault(&self, table: &'static str, call: Call, effect: Effect) {
        let fault = Fault::once(call, effect).of(&name(table));
        self.plane.fault(Fault { name: table, ..fault });
    }

    /// Does something while the table's next call of this kind is held.
    pub(crate) fn before(&self, table: &str, call: Call, begin: impl FnOnce(), act: impl FnOnce()) {
        let mut hold = self.plane.hold(call, Some(&name(table)));
        begin();
        self.runtime.block_on(hold.entered(1));
        act();
        hold.release();
    }

    /// All of these tables met this many faults.
    #[track_caller]
    pub(crate) fn assert_inflicted(&self, tables: &[&'static str], times: u64) {
        let inflicted = self.plane.inflicted();
        assert_eq!(inflicted, tables.iter().map(|table| (*table, times)).collect());
    }

    /// These tables are visible and no others; each holds its source's rows, once, in one snapshot; and the sources are what
    /// they were.
    #[track_caller]
    pub(crate) fn assert_published_once(&self, tables: &[&str], rows: u64) {
        self.world.agrees(tables, &[]);
        let visible = self.world.tables();
        let visible = visible.as_object().expect("tables have names");
        assert_eq!(visible.len(), tables.len(), "{:?}", visible.keys());
        for table in tables {
            let found = &visible[*table];
            assert_eq!((&found["rows"], &found["snapshots"]), (&rows.into(), &1.into()), "{table}: {found:#}");
        }
        self.assert_sources_untouched();
    }

    /// Every byte of the sources is what it was.
    #[track_caller]
    pub(crate) fn assert_sources_untouched(&self) {
        assert!(contents(&self.world.warehouse()) == self.source, "the source was changed");
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            // A test that has failed has other worries.
            let _ = self.runtime.block_on(node.stop());
        }
    }
}

fn name(table: &str) -> TableName {
    let (database, table) = table.split_once('.').expect("database.table");
    TableName::new(database, table)
}

fn problem(code: Code) -> Problem {
    Problem::new(code, "a call", "the test says so", "nothing")
}

/// "Slow down", or an answer of the class 5xx: nothing was done.
pub(crate) fn busy(code: Code) -> Effect {
    Effect::Fail(Failure::transient(problem(code)))
}

/// Nothing was done, and no answer says so.
pub(crate) fn request_lost(code: Code) -> Effect {
    Effect::Fail(Failure::unknown(problem(code)))
}

/// It was done, and no answer says so.
pub(crate) fn answer_lost(code: Code) -> Effect {
    Effect::FailAfter(Failure::unknown(problem(code)))
}

/// It is done later, and no answer says so.
pub(crate) fn late(code: Code) -> Effect {
    Effect::LateBy(Failure::unknown(problem(code)), LATE)
}

/// It ended as a failure after it had written.
pub(crate) fn half_way(code: Code) -> Effect {
    Effect::HalfWay(Failure::transient(problem(code)))
}

/// It is done, slowly.
pub(crate) fn slow() -> Effect {
    Effect::Slow(SLOW)
}
