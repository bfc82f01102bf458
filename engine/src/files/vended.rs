//! Credentials that a catalog gives out for the folder of one table each, for as long as they live.
//!
//! In: locations below a warehouse, a [`Vendor`]. Out: clients of the store, one a table. Holds: [`VendedStores`], which
//! keeps credentials in memory alone. Not here: how the catalog is asked (`iceberg::catalog::rest`).

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, ObjectStore};
use skein_protocol::connection::{StorageOptions, in_store};
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableName;
use skein_protocol::secret::Secret;

use super::objects::{client, invalid};

/// Most tables whose clients are kept: each has connections of its own. More than the batches that a node runs at once.
const MAX_KEPT: usize = 128;
/// Credentials are renewed when this share of their life is left (a fifth).
const RENEW_SHARE: u32 = 5;
/// The life of credentials whose giver does not tell: the shortest that AWS gives.
const DEFAULT_LIFE: Duration = Duration::from_secs(900);

/// Who gives out credentials. Calls block.
pub(crate) trait Vendor: Debug + Send + Sync {
    /// Credentials for the folder `location`, in which the files of `table` lie or will lie.
    ///
    /// # Errors
    /// When the catalog does not answer, or gives none.
    fn vend(&self, table: &TableName, location: &str) -> Result<Vended, Failure>;
}

/// What was given out.
#[derive(Debug, Clone)]
pub(crate) struct Vended {
    /// The access key's id.
    pub(crate) key_id: String,
    /// The secret access key.
    pub(crate) secret_key: Secret,
    /// The session's token.
    pub(crate) session_token: Option<Secret>,
    /// When they end; none if it was not told.
    pub(crate) expires_at: Option<SystemTime>,
    /// Where the store is, in the names of `object_store`'s options; what the connection says goes before it.
    pub(crate) options: StorageOptions,
}

/// The stores of one warehouse.
#[derive(Debug)]
pub(super) struct VendedStores {
    /// Root of the bucket.
    root: String,
    /// Key of the warehouse in it, without a slash at its end.
    prefix: String,
    options: StorageOptions,
    vendor: Arc<dyn Vendor>,
    /// By the folder's key, the newest last.
    open: Mutex<VecDeque<(String, Arc<dyn ObjectStore>)>>,
}

impl VendedStores {
    /// The stores of the warehouse at `location`; none if that is not in an object store.
    pub(super) fn new(location: &str, options: StorageOptions, vendor: Arc<dyn Vendor>) -> Option<Self> {
        let (root, prefix) = in_store(location)?;
        Some(Self { root, prefix: prefix.to_owned(), options, vendor, open: Mutex::default() })
    }

    /// Whether `key` in the bucket `root` lies in the warehouse.
    pub(super) fn has(&self, root: &str, key: &str) -> bool {
        root == self.root && self.below(key).is_some()
    }

    fn below<'a>(&self, key: &'a str) -> Option<&'a str> {
        if self.prefix.is_empty() {
            return Some(key);
        }
        key.strip_prefix(&self.prefix)?.strip_prefix('/')
    }

    /// The client for the table in whose folder `key` lies: `<warehouse>/<database>/<table>`.
    pub(super) fn store(&self, key: &str) -> io::Result<Arc<dyn ObjectStore>> {
        let mut parts = self.below(key).unwrap_or_default().splitn(3, '/').filter(|part| !part.is_empty());
        let (Some(database), Some(table)) = (parts.next(), parts.next()) else {
            let why = "the catalog gives credentials for the folders of tables alone";
            return Err(invalid(&format!("{}/{key}", self.root), why));
        };
        let name = TableName::new(database, table);
        let folder = match self.prefix.as_str() {
            "" => format!("{database}/{table}"),
            prefix => format!("{prefix}/{database}/{table}"),
        };
        if let Some(store) = self.known(&folder) {
            return Ok(store);
        }
        // Nothing is held meanwhile: two may ask for the same, which does no harm.
        let location = format!("{}/{folder}", self.root);
        let asked_at = SystemTime::now();
        let vended = self.vendor.vend(&name, &location).map_err(io::Error::other)?;
        let mut options = vended.options.clone();
        options.extend(self.options.clone());
        let lease = Lease::new(&vended, asked_at);
        let source = Arc::new(Source { vendor: Arc::clone(&self.vendor), name, location, lease: Mutex::new(lease) });
        let store = client(&self.root, &options, Some(source)).map_err(|error| invalid(&folder, &error.to_string()))?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_KEPT {
            open.pop_front();
        }
        open.push_back((folder, Arc::clone(&store)));
        Ok(store)
    }

    fn known(&self, folder: &str) -> Option<Arc<dyn ObjectStore>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().find(|(known, _)| known == folder).map(|(_, store)| Arc::clone(store))
    }
}

/// Credentials, and when to ask for the next.
#[derive(Debug, Clone)]
struct Lease {
    credential: Arc<AwsCredential>,
    renew_at: SystemTime,
}

impl Lease {
    fn new(vended: &Vended, asked_at: SystemTime) -> Self {
        let ends_at = vended.expires_at.unwrap_or(asked_at + DEFAULT_LIFE);
        let life = ends_at.duration_since(asked_at).unwrap_or_default();
        let credential = AwsCredential {
            key_id: vended.key_id.clone(),
            secret_key: vended.secret_key.expose().to_owned(),
            token: vended.session_token.as_ref().map(|token| token.expose().to_owned()),
        };
        Self { credential: Arc::new(credential), renew_at: asked_at + (life - life / RENEW_SHARE) }
    }
}

/// Where a client gets its credentials from, request by request.
#[derive(Debug)]
pub(super) struct Source {
    vendor: Arc<dyn Vendor>,
    name: TableName,
    location: String,
    lease: Mutex<Lease>,
}

impl Source {
    fn held(&self) -> Lease {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl CredentialProvider for Source {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let (held, now) = (self.held(), SystemTime::now());
        if now < held.renew_at {
            return Ok(held.credential);
        }
        let (vendor, name, location) = (Arc::clone(&self.vendor), self.name.clone(), self.location.clone());
        // The catalog's client blocks, and this is a thread that drives requests.
        let asked = tokio::task::spawn_blocking(move || vendor.vend(&name, &location));
        let vended =
            asked.await.map_err(|error| generic(Box::new(error)))?.map_err(|error| generic(Box::new(error)))?;
        let lease = Lease::new(&vended, now);
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = lease.clone();
        Ok(lease.credential)
    }
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> object_store::Error {
    object_store::Error::Generic { store: "catalog", source }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Gives out one key after the other; their life is told.
    #[derive(Debug)]
    struct Numbered {
        given: AtomicU32,
        life: Duration,
    }

    impl Vendor for Numbered {
        fn vend(&self, table: &TableName, location: &str) -> Result<Vended, Failure> {
            assert_eq!((table.to_string().as_str(), location), ("db.t", "s3://lake/w/db/t"));
            let number = self.given.fetch_add(1, Ordering::Relaxed);
            Ok(Vended {
                key_id: format!("key {number}"),
                secret_key: Secret::new("s"),
                session_token: None,
                expires_at: Some(SystemTime::now() + self.life),
                options: StorageOptions::new(),
            })
        }
    }

    async fn keys(life: Duration) -> Vec<String> {
        let vendor: Arc<dyn Vendor> = Arc::new(Numbered { given: AtomicU32::new(0), life });
        let (name, location) = (TableName::new("db", "t"), "s3://lake/w/db/t".to_owned());
        let first = vendor.vend(&name, &location).unwrap();
        let lease = Mutex::new(Lease::new(&first, SystemTime::now()));
        let source = Source { vendor, name, location, lease };
        let mut keys = Vec::new();
        for _ in 0..2 {
            keys.push(source.get_credential().await.unwrap().key_id.clone());
        }
        keys
    }

    #[tokio::test]
    async fn credentials_are_kept_while_they_live_and_renewed_before_they_end() {
        assert_eq!(keys(Duration::from_secs(3_600)).await, ["key 0", "key 0"]);
        assert_eq!(keys(Duration::ZERO).await, ["key 1", "key 2"]);
    }

    #[test]
    fn each_table_has_a_client_of_its_own_and_no_other_folder_has_any() {
        let vendor = Arc::new(Numbered { given: AtomicU32::new(0), life: Duration::from_secs(60) });
        let stores = VendedStores::new("s3a://lake/w/", StorageOptions::new(), Arc::clone(&vendor) as _).unwrap();
        assert!(stores.has("s3://lake", "w/db/t/data/1.parquet"));
        assert!(!stores.has("s3://lake", "warehouse/db/t") && !stores.has("s3://other", "w/db/t"));
        for key in ["w/db/t", "w/db/t/data/1.parquet", "w/db/t/metadata/x"] {
            stores.store(key).unwrap();
        }
        assert_eq!(vendor.given.load(Ordering::Relaxed), 1);
        assert!(stores.store("w/db").unwrap_err().to_string().contains("folders of tables"));
    }
}
