//! The Iceberg REST catalog.
//!
//! In: names and metadata locations. Out: what a name points at; names that were moved. Holds: [`RestCatalog`].
//! Not here: requests and tokens (`client`).
//!
//! The protocol (Iceberg's `rest-catalog-open-api.yaml`) registers a metadata file under a free name in one step. It has
//! no step that points a taken name at another file, or frees it, on a condition: both look first, then remove the name,
//! then register. Between these requests the name is free for a moment; whoever takes it then is seen by the next look.
//! A table is removed without its files (`purgeRequested=false`).

use std::sync::{Arc, Mutex};

use serde::Deserialize;
use skein_protocol::connection::RestCatalog as Config;
use skein_protocol::data_plane::{
    Failure, LoadedTable, Outcome, RegisterRequest, Registered, ReplaceRequest, Replaced,
};
use skein_protocol::ids::TableName;

use self::client::{Answer, Client, Effect};
use self::namespace::make_namespace;
use super::{Catalog, Known, Listed};
use crate::files::Files;
use crate::iceberg::head;
use crate::io_runtime::IoRuntime;

mod client;
mod namespace;
#[cfg(test)]
mod tests;
mod vending;

pub(crate) use vending::Vending;

/// A REST catalog.
#[derive(Debug)]
pub(super) struct RestCatalog {
    files: Files,
    client: Client,
    /// Namespaces that are known to exist.
    namespaces: Mutex<Known>,
}

/// What is read of the answer to loading a table.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Loaded {
    metadata_location: Option<String>,
}

/// One page of a list of namespaces.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Namespaces {
    #[serde(default)]
    namespaces: Vec<Vec<String>>,
    next_page_token: Option<String>,
}

/// One page of a list of tables.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Tables {
    #[serde(default)]
    identifiers: Vec<Identifier>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Identifier {
    name: String,
}

impl RestCatalog {
    /// The catalog that `config` names. Nothing is asked yet.
    pub(super) fn new(files: Files, config: Config, runtime: Arc<IoRuntime>) -> Self {
        Self { files, client: Client::new(config, runtime), namespaces: Mutex::default() }
    }

    fn point(&self, name: &TableName, metadata_location: &str) -> Result<Registered, Failure> {
        let register = || {
            let body = serde_json::json!({"name": name.table, "metadata-location": metadata_location});
            self.client.post(&["namespaces", &name.database, "register"], &body, Effect::Changes)
        };
        let answer = match register()? {
            Answer::NotFound(_) => {
                make_namespace(&self.client, &name.database)?;
                register()?
            }
            answer => answer,
        };
        match answer {
            Answer::Ok(_) => Ok(Registered::Now),
            Answer::Conflict => Ok(Registered::NameTaken),
            Answer::NotFound(why) => Err(self.client.refused(&why)),
        }
    }

    /// Frees a name; false if it was free.
    fn remove(&self, name: &TableName) -> Result<bool, Failure> {
        match self.client.delete(&["namespaces", &name.database, "tables", &name.table])? {
            Answer::Ok(_) => Ok(true),
            Answer::NotFound(_) | Answer::Conflict => Ok(false),
        }
    }

    /// All pages of a list, of which `keep` keeps what it wants and tells the next page's token; false if there is no such list.
    fn pages<T: serde::de::DeserializeOwned>(
        &self,
        path: &[&str],
        mut keep: impl FnMut(T) -> Option<String>,
    ) -> Result<bool, Failure> {
        let mut token: Option<String> = None;
        loop {
            let next = match self.client.list(path, token.as_deref())? {
                Answer::Ok(body) => keep(self.client.parsed(&body)?).filter(|token| !token.is_empty()),
                Answer::NotFound(_) => return Ok(false),
                Answer::Conflict => return Err(self.client.refused("it answered a list with a conflict")),
            };
            if next.is_none() {
                return Ok(true);
            }
            if next == token {
                return Err(self.client.refused("its list begins anew after a page"));
            }
            token = next;
        }
    }

    fn found(&self, name: &TableName) -> Result<Option<String>, Failure> {
        Ok(self.load(name)?.map(|table| table.metadata_location))
    }
}

impl Catalog for RestCatalog {
    fn load(&self, name: &TableName) -> Result<Option<LoadedTable>, Failure> {
        match self.client.get(&["namespaces", &name.database, "tables", &name.table])? {
            Answer::Ok(body) => {
                let loaded: Loaded = self.client.parsed(&body)?;
                // The file tells whose table it is, as in every other catalog: what the answer says of it beyond the
                // location is the catalog's own account, and not every catalog gives it right.
                head::load(&self.files, loaded.metadata_location.unwrap_or_default()).map(Some)
            }
            Answer::NotFound(_) => Ok(None),
            Answer::Conflict => Err(self.client.refused("it answered a look at a table with a conflict")),
        }
    }

    fn tables(&self) -> Result<Vec<Listed>, Failure> {
        let mut names: Vec<String> = Vec::new();
        let told = self.pages(&["namespaces"], |page: Namespaces| {
            // Those of several levels are no names of datasets.
            names.extend(
                page.namespaces.into_iter().filter_map(|levels| <[String; 1]>::try_from(levels).ok()).flatten(),
            );
            page.next_page_token
        })?;
        if !told {
            return Err(self.client.refused("it has no list of namespaces"));
        }
        let mut tables = Vec::new();
        for namespace in names {
            // One that was removed in the meantime has none.
            self.pages(&["namespaces", &namespace, "tables"], |page: Tables| {
                let listed = |identifier: Identifier| Listed {
                    name: TableName::new(namespace.clone(), identifier.name),
                    metadata_location: None,
                };
                tables.extend(page.identifiers.into_iter().map(listed));
                page.next_page_token
            })?;
        }
        Ok(tables)
    }

    fn prepare(&self, name: &TableName) -> Result<(), Failure> {
        Known::once(&self.namespaces, &name.database, || make_namespace(&self.client, &name.database))
    }

    fn register(&self, request: &RegisterRequest) -> Result<Registered, Failure> {
        if let Some(tombstone) = &request.replacing
            && self.found(&request.name)?.as_ref() == Some(tombstone)
        {
            self.remove(&request.name)?;
        }
        self.point(&request.name, &request.metadata_location)
    }

    fn replace(&self, request: &ReplaceRequest) -> Result<Replaced, Failure> {
        let name = &request.name;
        let found = self.found(name)?;
        if found.as_ref() != Some(&request.expected) {
            return Ok(Replaced::Differs { found });
        }
        if !self.remove(name)? {
            return Ok(Replaced::Differs { found: None });
        }
        let Some(replacement) = &request.replacement else { return Ok(Replaced::Now) };
        // The name is free now: a failure from here on is one after a change.
        match self.point(name, replacement).map_err(|failure| Failure { outcome: Outcome::Unknown, ..failure })? {
            Registered::Now => Ok(Replaced::Now),
            Registered::NameTaken => Ok(Replaced::Differs { found: self.found(name)? }),
        }
    }
}
