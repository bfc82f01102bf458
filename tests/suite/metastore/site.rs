//! A real metastore with tables that Spark wrote, shared by all tests of the suite, and nodes whose source it is.
//!
//! In: nothing. Out: a node of one test's own world. Holds: [`Metastore`]. `tests/python/metastore.py` starts and ends it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::Value;
use skein_tests::{Node, Options, World, spark};

static SHARED: LazyLock<Metastore> = LazyLock::new(Metastore::start);

/// The metastore and the Spark that writes into it. Both end when their standard input does, which is when this process ends.
pub(crate) struct Metastore {
    uri: String,
    folder: PathBuf,
    facts: Value,
    spark: Mutex<Spark>,
}

struct Spark {
    /// Held so that it is not forgotten who asked for it.
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Spark {
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output is text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("metastore.py has ended: {error}: {line:?}"))
    }
}

impl Metastore {
    /// The one that all tests share.
    pub(crate) fn shared() -> &'static Self {
        &SHARED
    }

    fn start() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/metastore.py");
        let mut process = Command::new(spark())
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let input = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut spark = Spark { _process: process, input, output };
        let ready = spark.line();
        let text = |key: &str| ready[key].as_str().expect("it is a text").to_owned();
        Self {
            uri: text("uri"),
            folder: text("folder").into(),
            facts: ready["facts"].clone(),
            spark: Mutex::new(spark),
        }
    }

    /// Lets Spark run a statement.
    #[track_caller]
    pub(crate) fn run(&self, statement: &str) {
        assert_eq!(self.try_run(statement), Value::Null, "{statement}");
    }

    /// Lets Spark try a statement: null, or why it fails.
    pub(crate) fn try_run(&self, statement: &str) -> Value {
        let mut spark = self.spark.lock().unwrap_or_else(PoisonError::into_inner);
        let statement = statement.replace("{folder}", &self.folder.display().to_string());
        writeln!(spark.input, "{statement}").expect("it reads");
        spark.line()
    }

    /// Its address.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// Starts a node of `world` whose source is this metastore. The first of its addresses is one where nobody listens.
    pub(crate) fn node(&self, world: &World) -> Node {
        world.start_with(&Options { legacy: Some(self.source()), ..Options::default() })
    }

    /// The source connection to it.
    pub(crate) fn source(&self) -> String {
        let nobody = TcpListener::bind("127.0.0.1:0").expect("a port is free").local_addr().expect("it is bound");
        let folder = self.folder.display();
        format!(
            "    kind: hive-metastore\n    uris: [\"thrift://{nobody}\", \"{}\"]\n    allowedRoots: [{folder}/warehouse, {folder}/elsewhere]\n",
            self.uri
        )
    }

    /// Compares tables of the lake with what Spark counted, by both readers.
    #[track_caller]
    pub(crate) fn agrees(&self, world: &World, tables: &[&str]) {
        let facts = world.root().join("facts.json");
        std::fs::write(&facts, self.facts.to_string()).expect("it can be written");
        let catalog = world.catalog();
        let (catalog, facts) = (catalog.to_str().expect("a text"), facts.to_str().expect("a text"));
        let mut arguments = vec!["--catalog", catalog, "--against", facts];
        let names: Vec<String> = tables.iter().map(|table| format!("hub.{table}")).collect();
        arguments.extend(names.iter().flat_map(|name| ["--table", name]));
        let (code, report) = world.readers.run("read_table.py", &arguments, "");
        assert_eq!(code, 0, "{report}");
    }
}
