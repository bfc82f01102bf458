//! Object stores, reached from threads that may block.
//!
//! In: locations such as `s3://bucket/key`, the options of connections. Out: bytes, lengths, new objects. Holds:
//! [`ObjectStores`], one client a bucket. Not here: what the objects hold.
//!
//! Every call blocks. None of them may be made on a thread that drives tasks.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use skein_protocol::connection::{Connection, StorageOptions, in_store};

use super::vended::{self, VendedStores, Vendor};
use crate::io_runtime::IoRuntime;

/// How long a request is tried again by the client itself; the control plane tries again later anyway.
const RETRY_FOR: Duration = Duration::from_secs(45);
/// Tries within that time.
const RETRIES: usize = 8;

/// The object stores of a node's connections.
#[derive(Debug, Default)]
pub struct ObjectStores {
    /// Options by the root of a bucket (`s3://bucket`).
    options: BTreeMap<String, StorageOptions>,
    open: Mutex<BTreeMap<String, Arc<dyn ObjectStore>>>,
    /// Warehouses whose catalogs give out credentials.
    vended: Vec<VendedStores>,
    runtime: Arc<IoRuntime>,
}

/// An object: the store that has it, and its key.
#[derive(Debug, Clone)]
pub(super) struct Object {
    store: Arc<dyn ObjectStore>,
    key: Key,
    /// As it was asked for.
    pub(super) location: String,
}

impl Object {
    /// The path from this folder to an object below it.
    pub(super) fn path_to(&self, below: &ObjectMeta) -> Option<String> {
        let path = below.location.as_ref().strip_prefix(self.key.as_ref())?;
        let path = if self.key.as_ref().is_empty() { path } else { path.strip_prefix('/')? };
        Some(path.to_owned())
    }
}

impl ObjectStores {
    /// The stores of `connections`. Nothing is opened yet.
    #[must_use]
    pub(crate) fn new<'a>(runtime: Arc<IoRuntime>, connections: impl IntoIterator<Item = &'a Connection>) -> Self {
        let mut options = BTreeMap::new();
        for connection in connections {
            let (roots, storage) = connection.stores();
            options.extend(roots.into_iter().map(|root| (root, storage.clone())));
        }
        Self { options, open: Mutex::default(), vended: Vec::new(), runtime }
    }

    /// From now on, what lies in the warehouse `location` is reached with the credentials that `vendor` gives out.
    pub(crate) fn vend(&mut self, location: &str, options: &StorageOptions, vendor: Arc<dyn Vendor>) {
        self.vended.extend(VendedStores::new(location, options.clone(), vendor));
    }

    /// The object at `location`.
    ///
    /// # Errors
    /// When it is no location of an object, or no connection has its bucket.
    pub(super) fn object(&self, location: &str) -> io::Result<Object> {
        let (root, key) = in_store(location).ok_or_else(|| invalid(location, "it names no object"))?;
        let parsed = Key::parse(key).map_err(|error| invalid(location, &error.to_string()))?;
        let store = match self.vended.iter().find(|warehouse| warehouse.has(&root, key)) {
            Some(warehouse) => warehouse.store(key)?,
            None => self.store(&root, location)?,
        };
        Ok(Object { store, key: parsed, location: location.to_owned() })
    }

    fn store(&self, root: &str, location: &str) -> io::Result<Arc<dyn ObjectStore>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(root) {
            return Ok(Arc::clone(store));
        }
        let options =
            self.options.get(root).ok_or_else(|| invalid(location, "no connection of this node has its bucket"))?;
        let store = client(root, options, None).map_err(|error| invalid(root, &error.to_string()))?;
        open.insert(root.to_owned(), Arc::clone(&store));
        Ok(store)
    }

    /// Runs `work` to its end on the runtime for input and output.
    fn wait<T>(&self, work: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
        self.runtime.wait(work)?.map_err(of_store)
    }

    /// Length and entity tag of an object.
    pub(super) fn head(&self, object: &Object) -> io::Result<ObjectMeta> {
        self.wait(object.store.head(&object.key))
    }

    /// Bytes `start..end` of an object, which must still be the one with this tag.
    pub(super) fn range(&self, object: &Object, start: u64, end: u64, tag: Option<&String>) -> io::Result<Bytes> {
        let options =
            GetOptions { range: Some(GetRange::Bounded(start..end)), if_match: tag.cloned(), ..GetOptions::default() };
        self.wait(async { object.store.get_opts(&object.key, options).await?.bytes().await })
    }

    /// All bytes of an object.
    pub(super) fn read(&self, object: &Object) -> io::Result<Bytes> {
        self.wait(async { object.store.get(&object.key).await?.bytes().await })
    }

    /// Creates an object in one request.
    ///
    /// # Errors
    /// `AlreadyExists` when there is one.
    fn create(&self, object: &Object, bytes: Bytes) -> io::Result<()> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        self.wait(object.store.put_opts(&object.key, PutPayload::from(bytes), options)).map(|_| ())
    }

    /// Creates an object in one request. An equal one that is there already is as good: the answer to an earlier try of
    /// the same request may have been lost.
    ///
    /// # Errors
    /// `AlreadyExists` when there is another one.
    pub(super) fn create_or_equal(&self, object: &Object, bytes: Vec<u8>) -> io::Result<()> {
        let bytes = Bytes::from(bytes);
        match self.create(object, bytes.clone()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if self.head(object)?.size == bytes.len() as u64 && self.read(object)? == bytes {
                    return Ok(());
                }
                let message = format!("another object stands at {}", object.location);
                Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
            }
            other => other,
        }
    }

    /// Begins an object that is sent in parts; nobody sees it before it is whole.
    pub(super) fn begin(&self, object: &Object) -> io::Result<Box<dyn MultipartUpload>> {
        match self.wait(object.store.head(&object.key)) {
            Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} exists", object.location))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.wait(object.store.put_multipart(&object.key)),
            Err(error) => Err(error),
        }
    }

    /// Sends a part.
    pub(super) fn part(&self, upload: &mut Box<dyn MultipartUpload>, bytes: Vec<u8>) -> io::Result<()> {
        self.wait(upload.put_part(PutPayload::from(bytes)))
    }

    /// Makes the parts one object.
    pub(super) fn complete(&self, upload: &mut Box<dyn MultipartUpload>) -> io::Result<()> {
        self.wait(upload.complete()).map(|_| ())
    }

    /// Gives the parts up.
    pub(super) fn abort(&self, upload: &mut Box<dyn MultipartUpload>) -> io::Result<()> {
        self.wait(upload.abort())
    }

    /// Removes an object; whether it was there is not told.
    pub(super) fn remove(&self, object: &Object) -> io::Result<()> {
        match self.wait(object.store.delete(&object.key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Everything directly in a folder: objects and names of folders.
    pub(super) fn list(&self, folder: &Object) -> io::Result<(Vec<ObjectMeta>, Vec<String>)> {
        let found = self.wait(folder.store.list_with_delimiter(Some(&folder.key)))?;
        let folders = found.common_prefixes.iter().filter_map(|key| key.filename().map(str::to_owned)).collect();
        Ok((found.objects, folders))
    }

    /// Everything in a folder and in the folders below it, by the paths from there; at most `most` objects. The folder's own
    /// mark is not in it.
    pub(super) fn list_below(&self, folder: &Object, most: usize) -> io::Result<Vec<(String, ObjectMeta)>> {
        let below = |meta: ObjectMeta| async { Ok(folder.path_to(&meta).map(|path| (path, meta))) };
        self.wait(folder.store.list(Some(&folder.key)).try_filter_map(below).take(most).try_collect())
    }
}

/// A client of the store at `root`. Credentials come from `vended` where that is given, which is for S3 alone.
pub(super) fn client(
    root: &str,
    options: &StorageOptions,
    vended: Option<Arc<vended::Source>>,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    use object_store::aws::AmazonS3Builder;
    use object_store::azure::MicrosoftAzureBuilder;
    use object_store::gcp::GoogleCloudStorageBuilder;
    use object_store::{ObjectStoreScheme, RetryConfig};

    let url =
        root.parse().map_err(|error| object_store::Error::Generic { store: "location", source: Box::new(error) })?;
    let (scheme, _) = ObjectStoreScheme::parse(&url)
        .map_err(|error| object_store::Error::Generic { store: "location", source: Box::new(error) })?;
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_FOR, ..RetryConfig::default() };
    macro_rules! build {
        ($builder:expr) => {{
            let mut builder = $builder.with_url(root).with_retry(retry);
            for (name, value) in options {
                builder = builder.with_config(name.to_ascii_lowercase().parse()?, value.expose());
            }
            Arc::new(builder.build()?) as Arc<dyn ObjectStore>
        }};
    }
    Ok(match scheme {
        // The store compares what it got with a checksum that was made here.
        ObjectStoreScheme::AmazonS3 => {
            let mut builder = AmazonS3Builder::new().with_checksum_algorithm(object_store::aws::Checksum::SHA256);
            if let Some(source) = vended {
                builder = builder.with_credentials(source);
            }
            build!(builder)
        }
        ObjectStoreScheme::GoogleCloudStorage => build!(GoogleCloudStorageBuilder::new()),
        ObjectStoreScheme::MicrosoftAzure => build!(MicrosoftAzureBuilder::new()),
        _ => return Err(object_store::Error::NotSupported { source: format!("{root} is no known store").into() }),
    })
}

pub(super) fn invalid(location: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{location}: {why}"))
}

/// The nearest kind of error of the operating system.
fn of_store(error: object_store::Error) -> io::Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        object_store::Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        object_store::Error::InvalidPath { .. } => io::ErrorKind::InvalidInput,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::connection::HiveFiles;

    fn at(warehouse: &str, storage: StorageOptions) -> Connection {
        Connection::HiveFiles(HiveFiles { storage, ..HiveFiles::at(warehouse) })
    }

    #[test]
    fn a_bucket_that_no_connection_has_is_refused() {
        let stores = ObjectStores::new(Arc::default(), [&at("s3://lake/warehouse", StorageOptions::new())]);
        assert!(stores.object("s3a://lake/x").is_ok());
        let error = stores.object("s3://other/x").unwrap_err();
        assert!(error.to_string().contains("no connection"), "{error}");
        assert_eq!(stores.object("s3://lake/a/../b").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn an_option_that_the_store_does_not_know_is_named() {
        let options = [("aws_endpont".to_owned(), "x".into())]
            .map(|(name, value): (String, String)| (name, skein_protocol::secret::Secret::new(value)));
        let options = StorageOptions::from(options);
        let error = ObjectStores::new(Arc::default(), [&at("s3://lake", options)]).object("s3://lake/x").unwrap_err();
        assert!(error.to_string().contains("aws_endpont"), "{error}");
    }
}
