//! A file or an object that is written once and hashed as it is written.
//!
//! In: bytes. Out: a durable file or object with its length and hash. Holds: [`StagedWriter`]. Not here: names.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use object_store::MultipartUpload;
use skein_protocol::evidence::Sum128;
use xxhash_rust::xxh3::Xxh3;

use super::objects::{Object, ObjectStores};
use super::{Files, folder_of};

/// Bytes of a part. Stores take parts from five mebibytes on, and at most ten thousand of them.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// A new file that is being written. One that is dropped before it is finished is removed.
pub struct StagedWriter {
    files: Files,
    to: To,
    hasher: Box<Xxh3>,
    bytes: u64,
}

enum To {
    File { path: PathBuf, file: Option<File> },
    Object(Box<Upload>),
}

struct Upload {
    stores: Arc<ObjectStores>,
    object: Object,
    waiting: Vec<u8>,
    /// None until the first part is full: small objects are sent in one request.
    parts: Option<Box<dyn MultipartUpload>>,
    finished: bool,
}

impl StagedWriter {
    pub(super) fn file(files: Files, path: PathBuf, file: File) -> Self {
        Self { files, to: To::File { path, file: Some(file) }, hasher: Box::new(Xxh3::new()), bytes: 0 }
    }

    pub(super) fn object(files: Files, stores: Arc<ObjectStores>, object: Object) -> Self {
        let upload = Upload { stores, object, waiting: Vec::new(), parts: None, finished: false };
        Self { files, to: To::Object(Box::new(upload)), hasher: Box::new(Xxh3::new()), bytes: 0 }
    }

    /// Forces the file and its folder to the disk; its length and the XXH3-128 of its content.
    ///
    /// # Errors
    /// When the disk or the store refuses; nothing may rely on the file then.
    pub fn finish(self) -> io::Result<(u64, Sum128)> {
        let folder = match &self.to {
            To::File { path, .. } => Some((self.files.clone(), path.clone())),
            To::Object(_) => None,
        };
        let finished = self.finish_before_folder()?;
        if let Some((files, path)) = folder {
            files.sync_folder(folder_of(&path)?)?;
        }
        Ok(finished)
    }

    /// Like [`StagedWriter::finish`], but a file's name is durable only after [`Files::sync_folder_of`]: for many files
    /// in one folder.
    ///
    /// # Errors
    /// As [`StagedWriter::finish`].
    pub fn finish_before_folder(mut self) -> io::Result<(u64, Sum128)> {
        match &mut self.to {
            To::File { file, .. } => {
                let Some(opened) = file.as_ref() else { return Err(finished_before()) };
                self.files.sync(opened)?;
                *file = None;
            }
            To::Object(upload) => upload.finish()?,
        }
        Ok((self.bytes, Sum128(self.hasher.digest128())))
    }

    fn place(&self) -> String {
        match &self.to {
            To::File { path, .. } => path.display().to_string(),
            To::Object(upload) => upload.object.location.clone(),
        }
    }
}

impl Upload {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(buffer);
        if self.waiting.len() >= PART_BYTES {
            let part = std::mem::replace(&mut self.waiting, Vec::with_capacity(PART_BYTES));
            let upload = match &mut self.parts {
                Some(upload) => upload,
                None => self.parts.insert(self.stores.begin(&self.object)?),
            };
            self.stores.part(upload, part)?;
        }
        Ok(buffer.len())
    }

    fn finish(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.finished, true) {
            return Err(finished_before());
        }
        let rest = std::mem::take(&mut self.waiting);
        let Some(mut upload) = self.parts.take() else { return self.stores.create_or_equal(&self.object, rest) };
        let sent = if rest.is_empty() { Ok(()) } else { self.stores.part(&mut upload, rest) };
        let done = sent.and_then(|()| self.stores.complete(&mut upload));
        if done.is_err() {
            self.parts = Some(upload);
        }
        done
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(upload) = &mut self.parts
            && let Err(error) = self.stores.abort(upload)
        {
            tracing::debug!(location = self.object.location, %error, "unfinished_upload_stays");
        }
    }
}

fn finished_before() -> io::Error {
    io::Error::other("the file was finished before")
}

impl Write for StagedWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = match &mut self.to {
            To::File { file: Some(file), .. } => file.write(buffer)?,
            To::File { file: None, .. } => return Err(finished_before()),
            To::Object(upload) => upload.write(buffer)?,
        };
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for StagedWriter {
    fn drop(&mut self) {
        if let To::File { path, file } = &mut self.to
            && file.take().is_some()
            && let Err(error) = fs::remove_file(&*path)
        {
            tracing::debug!(path = %path.display(), %error, "unfinished_file_stays");
        }
    }
}

impl std::fmt::Debug for StagedWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StagedWriter").field("place", &self.place()).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
