//! Pairs of a catalog and a place for tables.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use skein_protocol::connection::{Connection, IcebergTarget, PostgresCatalog, StorageOptions};
use skein_protocol::secret::Secret;
use skein_tests::{Service, Store, World};

static STORE: LazyLock<Store> = LazyLock::new(Store::start);
static POSTGRES: LazyLock<Service> = LazyLock::new(|| Service::start("postgres"));
static METASTORE: LazyLock<Service> = LazyLock::new(|| Service::start("metastore"));
static NUMBERS: AtomicU32 = AtomicU32::new(0);

/// A pair, with a world whose warehouse has the source.
pub(crate) struct Place {
    pub(crate) world: World,
    pub(crate) target: IcebergTarget,
    /// A database that no other test has.
    pub(crate) database: String,
    /// What pyiceberg opens the catalog with.
    properties: BTreeMap<String, String>,
    /// Whether a table goes with its name: this catalog owns its store.
    pub(crate) owns_store: bool,
}

impl Place {
    pub(crate) fn sqlite_on_disk() -> Self {
        let place = Self::empty();
        let warehouse = place.world.lake().display().to_string();
        place.on_disk(warehouse).sqlite()
    }

    pub(crate) fn postgres_on_disk() -> Self {
        let place = Self::empty();
        let warehouse = place.world.lake().display().to_string();
        place.on_disk(warehouse).postgres()
    }

    /// A metastore makes the folders of its tables itself, which needs classes for S3 that the one of the tests does not have: on
    /// disk alone.
    pub(crate) fn hive_on_disk() -> Self {
        let place = Self::empty();
        let warehouse = place.world.lake().display().to_string();
        let mut place = place.on_disk(warehouse);
        let uri = METASTORE.text("uri");
        place.target.hive = serde_json::from_value(json!({ "uris": [uri] })).map(Some).expect("it is a configuration");
        place.say("type", "hive").say("uri", uri);
        place
    }

    pub(crate) fn sqlite_on_s3() -> Self {
        Self::empty().on_s3().sqlite()
    }

    pub(crate) fn postgres_on_s3() -> Self {
        Self::empty().on_s3().postgres()
    }

    pub(crate) fn rest_on_s3() -> Self {
        // A table bucket of this catalog has its databases at the top.
        let mut place = Self::empty().on_s3();
        let Connection::Iceberg(target) = serde_json::from_value(STORE.lake()).expect("it is a connection") else {
            unreachable!("it is a target")
        };
        place.target = target;
        place.properties = STORE.rest_properties();
        place.owns_store = true;
        place
    }

    /// The same, but the node has no key of the store: the catalog gives out one for each table.
    pub(crate) fn vended_rest_on_s3() -> Self {
        let mut place = Self::rest_on_s3();
        place.target.storage = [("aws_allow_http".to_owned(), Secret::new("true"))].into();
        let rest = place.target.rest.as_mut().expect("it is a REST catalog");
        rest.vended_credentials = true;
        place
    }

    fn empty() -> Self {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let database = format!("db{number}");
        let rows = "SELECT i AS id, CASE WHEN i % 7 = 0 THEN NULL ELSE 'song ' || i END AS title FROM range(500) t(i)";
        let paths = ["01", "02"].map(|day| format!("{database}.db/t/dt=2024-01-{day}/part-0"));
        let world = World::with(&paths.each_ref().map(|path| (path.as_str(), rows)));
        let target = IcebergTarget { catalog_file: None, ..IcebergTarget::sqlite("", "") };
        Self { world, target, database, properties: BTreeMap::new(), owns_store: false }
    }

    fn on_disk(mut self, warehouse: String) -> Self {
        self.say("warehouse", &format!("file://{warehouse}"));
        self.target.warehouse = warehouse;
        self
    }

    fn on_s3(mut self) -> Self {
        self.target.warehouse = STORE.plain(&self.database);
        self.target.storage = storage(None);
        self.properties.extend(STORE.file_properties());
        self
    }

    fn sqlite(mut self) -> Self {
        let file = self.world.catalog().display().to_string();
        self.say("type", "sql").say("uri", &format!("sqlite:///{file}")).say("init_catalog_tables", "false");
        self.target.catalog_file = Some(file);
        self
    }

    fn postgres(mut self) -> Self {
        let url = POSTGRES.text("url");
        // One database serves all tests; each has a catalog of its own in it.
        self.target.catalog_name = format!("skein_{}", self.database);
        let name = self.target.catalog_name.clone();
        self.say("name", &name);
        self.target.postgres = Some(PostgresCatalog { url: Secret::new(url), ca_file: None });
        let python = url.replace("postgresql://", "postgresql+psycopg2://");
        self.say("type", "sql").say("uri", &python).say("init_catalog_tables", "false");
        self
    }

    /// The same place, but one of its services is reached through another address.
    pub(crate) fn catalog_through(&mut self, address: &str) {
        if let Some(rest) = &mut self.target.rest {
            rest.uri = format!("http://{address}");
        }
        if let Some(postgres) = &mut self.target.postgres {
            let (host, port) = address.split_once(':').expect("host and port");
            postgres.url = Secret::new(format!("postgresql://postgres@{host}:{port}/postgres?sslmode=disable"));
        }
        if let Some(hive) = &mut self.target.hive {
            hive.uris = vec![format!("thrift://{address}")];
        }
    }

    /// Where the catalog listens: a TCP address or the path of a socket.
    pub(crate) fn catalog_listens(&self) -> String {
        match (&self.target.rest, &self.target.hive) {
            (Some(rest), _) => rest.uri.trim_start_matches("http://").to_owned(),
            (_, Some(hive)) => hive.uris[0].trim_start_matches("thrift://").to_owned(),
            (None, None) => format!("{}/.s.PGSQL.5432", POSTGRES.text("url").rsplit_once("host=").expect("a socket").1),
        }
    }

    /// The store is reached through another address.
    pub(crate) fn store_through(&mut self, address: &str) {
        self.target.storage = storage(Some(address));
    }

    /// Where the store listens.
    pub(crate) fn store_listens() -> String {
        STORE.listens().to_owned()
    }

    /// The table has its source's rows, as two pairs of independent readers find; `more` says what was to be changed.
    #[track_caller]
    pub(crate) fn assert_agrees(&self, more: &[&str]) {
        let (catalog, warehouse) =
            (self.catalog_file().display().to_string(), self.world.warehouse().display().to_string());
        let name = format!("{}.t", self.database);
        let mut arguments = vec!["--warehouse", &warehouse, "--catalog", &catalog, "--table", &name];
        arguments.extend(more);
        let (code, report) = self.world.readers.run("compare.py", &arguments, "");
        assert_eq!(code, 0, "{report}");
        let report: Value = serde_json::from_str(&report).expect("it prints JSON");
        assert_eq!(report["totals"]["agree"], 1, "{report:#}");
    }

    /// The target connection for a node's configuration.
    pub(crate) fn connection(&self) -> String {
        let connection = Connection::Iceberg(self.target.clone());
        serde_json::to_string(&connection).expect("it is a document")
    }

    /// The file that the independent readers open the catalog with.
    fn catalog_file(&self) -> PathBuf {
        let path = self.world.root().join("catalog.json");
        std::fs::write(&path, json!(self.properties).to_string()).expect("it can be written");
        path
    }

    /// What nobody may see.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.target.storage.get("aws_secret_access_key").map(|secret| secret.expose().to_owned()).into_iter().collect()
    }

    fn say(&mut self, name: &str, value: &str) -> &mut Self {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }
}

fn storage(address: Option<&str>) -> StorageOptions {
    STORE.options(address).into_iter().map(|(name, value)| (name, Secret::new(value))).collect()
}

/// The store that all pairs share.
pub(crate) fn store() -> &'static Store {
    &STORE
}
