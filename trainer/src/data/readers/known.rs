//! What files are by their first bytes and by their names.

use std::path::Path;

/// What is read.
pub const INPUTS: &str = "tables, Parquet, Arrow IPC, IDX, .npy, .npz, WAV and pictures";

/// The name of a format that is known by its first bytes, but not read.
pub fn known_but_not_read(bytes: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 21] = [
        (b"{", "JSON"),
        (b"[", "JSON"),
        (b"@relation", "ARFF"),
        (b"GIF8", "GIF"),
        (b"\x89HDF", "HDF5 (in Python: np.save(\"x.npy\", h5py.File(\"x.h5\")[\"x\"][:]))"),
        (b"PARE", "encrypted Parquet"),
        (b"FEA1", "Feather of version 1 (write it anew: version 2 is Arrow IPC)"),
        (b"Obj\x01", "Avro"),
        (b"SQLite format 3", "a database of SQLite"),
        (b"MATLAB 5.0 MAT-file", "a MATLAB file"),
        (b"\xd0\xcf\x11\xe0", "an old spreadsheet (save it as .csv)"),
        (b"%PDF", "PDF"),
        (b"\x80\x04", "a pickle"),
        (b"BZh9", "bzip2 (unpack it first)"),
        (b"\xfd7zXZ", "xz (unpack it first)"),
        (b"\x28\xb5\x2f\xfd", "Zstandard (unpack it first)"),
        (b"7z\xbc\xaf", "7-Zip (unpack it first)"),
        (b"<!doctype", "a page of HTML"),
        (b"<html", "a page of HTML"),
        (b"<?xml", "XML"),
        (b"version https://git-lfs", "a pointer of Git LFS (git lfs pull brings the file)"),
    ];
    let begins = |magic: &[u8]| bytes.get(..magic.len()).is_some_and(|start| start.eq_ignore_ascii_case(magic));
    known.iter().find(|(magic, _)| begins(magic)).map(|(_, name)| *name)
}

/// The ending of a name, in lower case.
pub fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase()
}
