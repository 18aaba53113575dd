//! The id of the blob a file would become, with the conversions git makes on the way in and none that run a program.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::filter::plumbing::Pipeline;
use gix::filter::plumbing::eol::AutoCrlf;
use gix::filter::plumbing::pipeline::convert::ToGitOutcome;
use gix::filter::plumbing::pipeline::{CrlfRoundTripCheck, Options};
use gix::hash::{Hasher, Kind};

use super::object::blob_id;
use super::open::Settings;
use super::patterns::Patterns;
use crate::content::read;

/// Files up to this length are converted in memory; longer ones are hashed as they are.
const LONGEST_CONVERTED: u64 = 64 << 20;
/// Longer files are not read at all: a sparse file of a terabyte takes no room and hours to read.
const LONGEST_READ: u64 = 4 << 30;
/// Git's limit for what could be a pointer of the large-file extension.
const LONGEST_POINTER: u64 = 1024;
const CHUNK: usize = 128 << 10;

/// A file's blob.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) id: ObjectId,
    /// A conversion that git would make was left out.
    pub(super) filtered: bool,
}

/// Makes blob ids.
pub(super) struct Blobs<'a> {
    kind: Kind,
    drivers: &'a [Vec<u8>],
    converts_by_default: bool,
    /// Equal where the configuration asks for the same conversions.
    conversion: u64,
    pipeline: Pipeline,
    repository: Option<&'a gix::Repository>,
    stop: &'a AtomicBool,
    chunk: Vec<u8>,
}

impl<'a> Blobs<'a> {
    /// Blobs for `repository`, or for a folder that has none.
    pub(super) fn new(
        settings: &'a Settings,
        repository: Option<&'a gix::Repository>,
        stop: &'a AtomicBool,
    ) -> Self {
        let mut options =
            repository.and_then(|found| gix::filter::Pipeline::options(found).ok()).unwrap_or_default();
        options = Options {
            drivers: Vec::new(),
            crlf_roundtrip_check: CrlfRoundTripCheck::Skip,
            encodings_with_roundtrip_check: Vec::new(),
            ..options
        };
        let mut conversion = DefaultHasher::new();
        (format!("{:?}", options.eol_config), &settings.drivers).hash(&mut conversion);
        Self {
            kind: settings.kind,
            drivers: &settings.drivers,
            converts_by_default: !matches!(options.eol_config.auto_crlf, AutoCrlf::Disabled),
            conversion: conversion.finish(),
            pipeline: Pipeline::new(gix::command::Context::default(), settings.kind, options),
            repository,
            stop,
            chunk: vec![0; CHUNK],
        }
    }

    /// Equal for two readings of a file that make the same blob of the same bytes.
    pub(super) fn rules(&self, patterns: &Patterns, indexed: Option<ObjectId>) -> u64 {
        if !patterns.have_attributes() && !self.converts_by_default {
            return 0;
        }
        let mut rules = DefaultHasher::new();
        (self.conversion, patterns.rules(), indexed.as_ref().map(|id| id.as_bytes())).hash(&mut rules);
        rules.finish() | 1
    }

    /// The blob of the link at `path`: its target.
    pub(super) fn of_link(&self, path: &Path) -> Result<ObjectId> {
        let target = std::fs::read_link(path)?;
        blob_id(self.kind, target.as_os_str().as_bytes()).map_err(Error::other)
    }

    /// The blob of the file at `path`, called `name` in the repository, which has it as `indexed` if at all.
    pub(super) fn of_file(
        &mut self,
        path: &Path,
        name: &[u8],
        patterns: &mut Patterns,
        indexed: Option<ObjectId>,
    ) -> Result<Blob> {
        let mut file = read::open_itself(path)?;
        let length = file.metadata()?.len();
        if length > LONGEST_READ {
            return Err(Error::new(ErrorKind::FileTooLarge, "longer than is read"));
        }
        let plain = |id| Blob { id, filtered: false };
        if !patterns.have_attributes() && !self.converts_by_default {
            return self.as_it_is(&mut file, length).map(|(id, _)| plain(id));
        }
        if let Some(filter) = patterns.filter(name).filter(|filter| self.drivers.contains(filter)) {
            return match filter.as_slice() {
                b"lfs" => self.pointer(&mut file, length).map(plain),
                _ => self.as_it_is(&mut file, length).map(|(id, _)| Blob { id, filtered: true }),
            };
        }
        if length > LONGEST_CONVERTED {
            let (id, convertible) = self.as_it_is(&mut file, length)?;
            return Ok(Blob { id, filtered: convertible });
        }
        let mut content = Vec::new();
        file.take(LONGEST_CONVERTED).read_to_end(&mut content)?;
        self.converted(&content, name, patterns, indexed)
    }

    fn converted(
        &mut self,
        content: &[u8],
        name: &[u8],
        patterns: &Patterns,
        indexed: Option<ObjectId>,
    ) -> Result<Blob> {
        let repository = self.repository;
        let result = self.pipeline.convert_to_git(
            content,
            Path::new(std::ffi::OsStr::from_bytes(name)),
            &mut |path, outcome| patterns.attributes(path, outcome),
            &mut |buffer| {
                let Some((repository, id)) = repository.zip(indexed) else { return Ok(None) };
                let Ok(Some(mut object)) = repository.try_find_object(id) else { return Ok(None) };
                buffer.clear();
                buffer.append(&mut object.data);
                Ok(Some(()))
            },
        );
        let (bytes, filtered) = match &result {
            Ok(ToGitOutcome::Unchanged(bytes) | ToGitOutcome::Buffer(bytes)) => (*bytes, false),
            Ok(ToGitOutcome::Process(_)) | Err(_) => (content, true),
        };
        let id = blob_id(self.kind, bytes).map_err(Error::other)?;
        Ok(Blob { id, filtered })
    }

    /// Hashes the file in pieces; tells too whether it looks like text with carriage returns.
    fn as_it_is(&mut self, file: &mut File, length: u64) -> Result<(ObjectId, bool)> {
        let mut hasher = gix::hash::hasher(self.kind);
        hasher.update(&gix::objs::encode::loose_header(gix::objs::Kind::Blob, length));
        let (mut returns, mut binary) = (false, false);
        self.in_pieces(file, length, &mut hasher, |piece| {
            returns |= piece.contains(&b'\r');
            binary |= piece.contains(&0);
        })?;
        let id = hasher.try_finalize().map_err(Error::other)?;
        Ok((id, returns && !binary))
    }

    /// The pointer that the large-file extension keeps in the file's stead.
    fn pointer(&mut self, file: &mut File, length: u64) -> Result<ObjectId> {
        if length < LONGEST_POINTER {
            let mut content = Vec::new();
            file.take(LONGEST_POINTER).read_to_end(&mut content)?;
            if content.is_empty() || content.starts_with(b"version https://git-lfs.github.com/spec/") {
                return blob_id(self.kind, &content).map_err(Error::other);
            }
            let mut hasher = gix::hash::hasher(Kind::Sha256);
            hasher.update(&content);
            return self.pointer_to(hasher, content.len() as u64);
        }
        let mut hasher = gix::hash::hasher(Kind::Sha256);
        self.in_pieces(file, length, &mut hasher, |_| ())?;
        self.pointer_to(hasher, length)
    }

    fn pointer_to(&self, hasher: Hasher, length: u64) -> Result<ObjectId> {
        let id = hasher.try_finalize().map_err(Error::other)?;
        let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{id}\nsize {length}\n");
        blob_id(self.kind, text.as_bytes()).map_err(Error::other)
    }

    fn in_pieces(
        &mut self,
        file: &mut File,
        length: u64,
        hasher: &mut Hasher,
        mut look: impl FnMut(&[u8]),
    ) -> Result<()> {
        let mut left = length;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Interrupted, "stopped"));
            }
            let count = match file.read(&mut self.chunk) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if count as u64 > left || (count == 0 && left > 0) {
                return Err(Error::new(ErrorKind::UnexpectedEof, "changed while it was read"));
            }
            if count == 0 {
                return Ok(());
            }
            left -= count as u64;
            let piece = &self.chunk[..count];
            look(piece);
            hasher.update(piece);
        }
    }
}

/// A name for people; bytes that are not UTF-8 are replaced.
pub(super) fn shown(name: &[u8]) -> String {
    name.as_bstr().to_string()
}
