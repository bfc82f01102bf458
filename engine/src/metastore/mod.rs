//! A client of the Hive Metastore: the few Thrift calls that tell of databases, tables and partitions, and those that make a name of
//! an Iceberg table point at its metadata file (`write`).
//!
//! In: addresses and limits. Out: names, tables, partitions as the metastore has them. Holds: [`Session`], one connection for
//! the calls of one look. Not here: what the answers mean for files (`source::metastore`).
//!
//! Everything blocks. Every call has a deadline, and nothing is allocated for a size that an answer only claims.

mod call;
mod channel;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod objects;
#[cfg(test)]
mod stand_in;
#[cfg(test)]
mod tests;
mod wire;
mod write;

use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use skein_protocol::connection::{MetastoreAddress, MetastoreService};
use skein_protocol::ids::TableName;
use thrift::protocol::TType;

pub(crate) use error::MetastoreError;
pub(crate) use objects::{Column, Partition, Storage, Table};

pub(crate) use write::NewTable;

use call::Argument;

/// Partitions that are asked for at once: an answer of some megabytes at most, and few enough for the metastore's own limits.
const PAGE: usize = 500;
/// Field of `NoSuchObjectException` in the answer to `get_table`.
const NO_SUCH_TABLE: i16 = 2;

/// A connection to a metastore. After an error it is of no more use: what comes next on it is not known.
#[derive(Debug)]
pub(crate) struct Session {
    stream: TcpStream,
    address: MetastoreAddress,
    framed: bool,
    call_time: Duration,
    sequence: i32,
}

impl Session {
    /// Connects to the first address that answers.
    pub(crate) fn open(config: MetastoreService<'_>) -> Result<Self, MetastoreError> {
        let time = Duration::from_secs(config.connect_seconds);
        let mut said = Vec::new();
        for address in config.addresses() {
            match connect(&address, time) {
                Ok(stream) => {
                    let call_time = Duration::from_secs(config.call_seconds);
                    return Ok(Self { stream, address, framed: config.framed, call_time, sequence: 0 });
                }
                Err(error) => said.push(format!("{address}: {error}")),
            }
        }
        Err(MetastoreError::Unreachable { why: said.join("; ") })
    }

    /// Names of all databases.
    pub(crate) fn databases(&mut self) -> Result<Vec<String>, MetastoreError> {
        self.call("get_all_databases", &[], None, TType::List, wire::texts)
    }

    /// Names of all tables and views of a database.
    pub(crate) fn tables(&mut self, database: &str) -> Result<Vec<String>, MetastoreError> {
        self.call("get_all_tables", &[Argument::Text(1, database)], None, TType::List, wire::texts)
    }

    /// One table or view; none if there is none.
    pub(crate) fn table(&mut self, name: &TableName) -> Result<Option<Table>, MetastoreError> {
        let arguments = [Argument::Text(1, &name.database), Argument::Text(2, &name.table)];
        match self.call("get_table", &arguments, Some(NO_SUCH_TABLE), TType::Struct, objects::table) {
            Ok(table) => Ok(Some(table)),
            Err(MetastoreError::Declared) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Shows `each` partition of a table. Their objects come in pages, and none is kept here.
    pub(crate) fn partitions(
        &mut self,
        name: &TableName,
        mut each: impl FnMut(Partition),
    ) -> Result<(), MetastoreError> {
        let of = [Argument::Text(1, &name.database), Argument::Text(2, &name.table)];
        // Without a limit.
        let all = [of[0], of[1], Argument::Short(3, -1)];
        let names = self.call("get_partition_names", &all, None, TType::List, wire::texts)?;
        for page in names.chunks(PAGE) {
            let arguments = [of[0], of[1], Argument::Texts(3, page)];
            self.call("get_partitions_by_names", &arguments, None, TType::List, |input| {
                wire::list(input, TType::Struct, |input| {
                    each(objects::partition(input)?);
                    Ok(())
                })
            })?;
        }
        Ok(())
    }
}

fn connect(address: &MetastoreAddress, time: Duration) -> std::io::Result<TcpStream> {
    let until = Instant::now() + time;
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for socket in (address.host.as_str(), address.port).to_socket_addrs()? {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&socket, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
