//! A file that only its owner can read, and that is there whole or not at all: written beside its place, then renamed.

use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file being made: it gets its name when it is whole.
pub(crate) struct PrivateFile {
    part: PathBuf,
    file: PathBuf,
}

impl PrivateFile {
    /// Begins a file that is to be at this place in the end.
    ///
    /// # Errors
    /// Nothing can be written beside it.
    pub(crate) fn begin(file: &Path) -> anyhow::Result<(Self, BufWriter<File>)> {
        let mut part = file.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        // One that was left by somebody else may not be his alone.
        let _ = std::fs::remove_file(&part);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let writer = options.open(&part).with_context(|| format!("the file {}", part.display()))?;
        Ok((Self { part, file: file.to_owned() }, BufWriter::new(writer)))
    }

    /// Everything is written: the file gets its place, over one that was there.
    ///
    /// # Errors
    /// It cannot be written to the end, or cannot have its place.
    pub(crate) fn end(self, writer: BufWriter<File>) -> anyhow::Result<()> {
        let name = || format!("the file {}", self.file.display());
        let file = writer.into_inner().map_err(|error| error.into_error()).with_context(name)?;
        file.sync_all().with_context(name)?;
        std::fs::rename(&self.part, &self.file).with_context(name)
    }

    /// Writes all of a file.
    ///
    /// # Errors
    /// As for [`PrivateFile::begin`] and [`PrivateFile::end`].
    pub(crate) fn write(file: &Path, text: &str) -> anyhow::Result<()> {
        let (private, mut writer) = Self::begin(file)?;
        writer.write_all(text.as_bytes()).with_context(|| format!("the file {}", file.display()))?;
        private.end(writer)
    }
}

impl Drop for PrivateFile {
    /// What was not finished is no file.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.part);
    }
}
