//! The implementation of [`Env`] over a real machine: one folder, the system's clocks and sockets.
//!
//! In: a data folder, a data plane. Out: an [`Env`]. Holds: the lock on the folder: two nodes on one folder
//! are refused. This is the one module of the node that may touch files, threads and clocks directly.
#![expect(clippy::disallowed_methods, reason = "this module is what the others use instead")]

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use quinn::Runtime;
use redb::StorageBackend;
use redb::backends::FileBackend;
use skein_protocol::data_plane::DataPlane;

use self::outbound::SystemOutbound;
use super::files::{check_length, check_name};
use super::{
    Blocking, ByteStream, Clock, Entropy, Env, FileMode, LedgerDisk, Network, NodeFiles, StreamListener, Work,
};
use crate::fabric::quic::QuicFabrics;

mod outbound;

/// The file whose lock says that a node runs on the folder.
const LOCK: &str = "lock";
/// The folder of the ledger's storage.
const LEDGER: &str = "ledger";
/// Datagrams that wait in the system, in each direction: a few milliseconds of a fast network.
const DATAGRAM_BUFFER_BYTES: usize = 2 << 20;
/// Ending of a file that is being written; left over only by a crash.
const UNFINISHED: &str = ".unfinished";

/// A data folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SystemEnvError {
    /// Another node runs on it.
    #[error("another node (process {holder}) runs on {}; stop it, or give this node a folder of its own", .folder.display())]
    Taken {
        /// The folder.
        folder: PathBuf,
        /// What the other node wrote about itself.
        holder: String,
    },
    /// It cannot be created or read.
    #[error("the data folder {} cannot be used: {source}", .folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A locked data folder. The lock is held until this and every [`Env`] made of it are dropped.
#[derive(Debug, Clone)]
pub struct SystemEnv {
    folder: Arc<Folder>,
    entropy: Arc<SystemEntropy>,
    clock: Arc<SystemClock>,
}

impl SystemEnv {
    /// Creates the folder if need be (readable by its user alone), and locks it.
    ///
    /// # Errors
    /// When another node runs on it, or it cannot be used.
    pub fn open(root: &Path) -> Result<Self, SystemEnvError> {
        let unusable = |source| SystemEnvError::Unusable { folder: root.to_owned(), source };
        for folder in [root.to_owned(), root.join(LEDGER)] {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
        }
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(root.join(LOCK))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let holder = match lock.read_to_string(&mut holder) {
                    Ok(_) if !holder.trim().is_empty() => holder.trim().to_owned(),
                    _ => "unknown".to_owned(),
                };
                return Err(SystemEnvError::Taken { folder: root.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(unusable)?;
        sync_folder(root).map_err(unusable)?;
        let generator = File::open("/dev/urandom").map_err(unusable)?;
        Ok(Self {
            folder: Arc::new(Folder { root: root.to_owned(), _lock: lock }),
            entropy: Arc::new(SystemEntropy { generator }),
            clock: Arc::new(SystemClock { origin: Instant::now() }),
        })
    }

    /// The calls between nodes of this machine.
    #[must_use]
    pub fn fabrics(&self) -> QuicFabrics {
        let (network, blocking) = (Arc::new(SystemNetwork), Arc::new(SystemBlocking));
        QuicFabrics::new(network, blocking, self.entropy.clone(), self.clock.clone())
    }

    /// The world of one node on this folder.
    #[must_use]
    pub fn env(&self, data_plane: Arc<dyn DataPlane>) -> Env {
        Env {
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            blocking: Arc::new(SystemBlocking),
            ledger_disk: self.folder.clone(),
            files: self.folder.clone(),
            network: Arc::new(SystemNetwork),
            fabrics: Arc::new(self.fabrics()),
            outbound: Arc::new(SystemOutbound::new()),
            data_plane,
        }
    }
}

#[derive(Debug)]
struct Folder {
    root: PathBuf,
    /// Unlocked by being closed.
    _lock: File,
}

impl Folder {
    fn open_storage(&self, name: &str, create: bool) -> io::Result<Box<dyn StorageBackend>> {
        check_name(name)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        if create {
            options.create(true).truncate(true);
        }
        let file = options.open(self.root.join(LEDGER).join(name))?;
        Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
    }
}

impl LedgerDisk for Folder {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageBackend>>> {
        match self.open_storage(name, false) {
            Ok(storage) => Ok(Some(storage)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        self.open_storage(name, true)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let folder = self.root.join(LEDGER);
        fs::rename(folder.join(from), folder.join(to))?;
        sync_folder(&folder)
    }
}

impl NodeFiles for Folder {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        check_name(name)?;
        let file = match File::open(self.root.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        check_length(name, length)?;
        let mut bytes = Vec::with_capacity(length);
        file.take(super::MAX_NODE_FILE_BYTES as u64).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn write(&self, name: &str, bytes: &[u8], mode: FileMode) -> io::Result<()> {
        check_name(name)?;
        check_length(name, bytes.len())?;
        let mode = match mode {
            FileMode::Secret => 0o600,
            FileMode::Shared => 0o644,
        };
        let folder = self.root.clone();
        let unfinished = folder.join(format!("{name}{UNFINISHED}"));
        // What a crash left behind may have another mode: it is made anew.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, folder.join(name))?;
        sync_folder(&folder)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        check_name(name)?;
        self.root.join(name).try_exists()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            // Folders, the lock and names that are not plain are not ours.
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
                && check_name(&name).is_ok()
                && name != LOCK
                && !name.ends_with(UNFINISHED)
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<bool> {
        check_name(name)?;
        let folder = self.root.clone();
        match fs::remove_file(folder.join(name)) {
            Ok(()) => sync_folder(&folder).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A created, renamed or removed name is durable only when its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[derive(Debug)]
struct SystemClock {
    origin: Instant,
}

impl Clock for SystemClock {
    fn wall_millis(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

#[derive(Debug)]
struct SystemEntropy {
    generator: File,
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        (&self.generator).read_exact(bytes).expect("the kernel's generator, once open, has bytes without end");
    }
}

#[derive(Debug)]
struct SystemBlocking;

impl Blocking for SystemBlocking {
    fn run(&self, work: Work) -> BoxFuture<'_, ()> {
        // A failed join means that the runtime stops; whoever waits for a result sees it missing.
        tokio::task::spawn_blocking(work).map(|_| ()).boxed()
    }
}

#[derive(Debug)]
struct SystemNetwork;

#[async_trait]
impl Network for SystemNetwork {
    async fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn StreamListener>> {
        Ok(Box::new(SystemListener(tokio::net::TcpListener::bind(at).await?)))
    }

    async fn datagrams(&self, at: SocketAddr) -> io::Result<Arc<dyn quinn::AsyncUdpSocket>> {
        let socket = std::net::UdpSocket::bind(at)?;
        socket.set_nonblocking(true)?;
        // As far as the machine lets us: with less, packets get lost while the node is busy, and calls wait for them.
        let state = quinn::udp::UdpSocketState::new((&socket).into())?;
        let _ = state.set_recv_buffer_size((&socket).into(), DATAGRAM_BUFFER_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), DATAGRAM_BUFFER_BYTES);
        quinn::TokioRuntime.wrap_udp_socket(socket)
    }
}

struct SystemListener(tokio::net::TcpListener);

#[async_trait]
impl StreamListener for SystemListener {
    async fn accept(&mut self) -> io::Result<(Box<dyn ByteStream>, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        // Answers are small and somebody waits for them.
        stream.set_nodelay(true)?;
        Ok((Box::new(stream), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[cfg(test)]
mod tests;
