//! A connection to the catalog's database.
//!
//! In: the connection's configuration. Out: a client whose tables exist. Not here: statements about tables.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use skein_protocol::connection::PostgresCatalog as Config;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a statement waits for others' locks: their transactions are short, a longer lock is a program that hangs.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '10s'";
/// The definitions that pyiceberg gives these tables.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000),
    previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
);
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000) NOT NULL,
    PRIMARY KEY (catalog_name, namespace, property_key)
);";
/// Serialises the making of the tables: two nodes that start together must not both create them. Any number that
/// other programs are unlikely to take.
const TABLES_LOCK: i64 = 0x736b_6569_6e00_0001;

/// Connects and sees to the tables.
///
/// # Errors
/// A sentence without the password.
pub(super) async fn open(config: &Config) -> Result<Client, String> {
    let mut parsed: tokio_postgres::Config =
        config.url.expose().parse().map_err(|error: tokio_postgres::Error| format!("its url: {}", sentence(&error)))?;
    parsed.connect_timeout(CONNECT_TIMEOUT).application_name("skein");
    let tls = MakeRustlsConnect::new(tls(config)?);
    let (mut client, connection) = parsed.connect(tls).await.map_err(|error| sentence(&error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = sentence(&error), "catalog_connection_ended");
        }
    });
    let made = async {
        client.batch_execute(LOCK_TIMEOUT).await?;
        let there = client.query_one("SELECT to_regclass('iceberg_tables') IS NOT NULL", &[]).await?;
        if !there.try_get::<_, bool>(0)? {
            let transaction = client.transaction().await?;
            transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&TABLES_LOCK]).await?;
            transaction.batch_execute(TABLES).await?;
            transaction.commit().await?;
        }
        Ok::<_, tokio_postgres::Error>(())
    };
    made.await.map_err(|error| sentence(&error))?;
    Ok(client)
}

fn tls(config: &Config) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    // A system without authorities of its own is no reason not to talk to a database without TLS.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &config.ca_file {
        let unusable = |why: String| format!("its caFile {path} cannot be used: {why}");
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))? {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// An error with what the database said of it.
pub(super) fn sentence(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(database), _) => format!("{}: {}", database.code().code(), database.message()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
