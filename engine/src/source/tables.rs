//! Which tables a warehouse folder holds, and where.
//!
//! In: the warehouse folder. Out: names, folders. Not here: described tables (`description`).
//!
//! Databases are folders `NAME.db/` or `NAME/`; tables are folders within. Folders right under the warehouse that
//! hold data themselves are tables of the database `default`. Names are lower case, as Hive has them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use skein_protocol::ids::TableName;

use super::places::Places;

const DEFAULT_DATABASE: &str = "default";
const DATABASE_ENDING: &str = ".db";

/// A folder right under another, by its name.
struct Folder {
    name: String,
    path: PathBuf,
}

/// All tables found under `warehouse`.
pub(super) fn found(places: &Places, warehouse: &Path) -> io::Result<BTreeSet<TableName>> {
    let mut tables = BTreeSet::new();
    for folder in folders(places, warehouse)? {
        let name = folder.name.to_lowercase();
        if let Some(database) = name.strip_suffix(DATABASE_ENDING) {
            add_all(places, database, &folder.path, &mut tables);
        } else if holds_data(places, &folder.path) {
            add(DEFAULT_DATABASE, &name, &mut tables);
        } else {
            add_all(places, &name, &folder.path, &mut tables);
        }
    }
    Ok(tables)
}

/// The folder of `table`, if there is one.
pub(super) fn folder_of(places: &Places, warehouse: &Path, table: &TableName) -> io::Result<Option<PathBuf>> {
    // The spelling that Hive itself uses, before looking through thousands of names.
    let usual = warehouse.join(format!("{}{DATABASE_ENDING}", table.database)).join(&table.table);
    if places.is_folder(&usual) {
        return Ok(Some(usual));
    }
    let top = folders(places, warehouse)?;
    let with_ending = format!("{}{DATABASE_ENDING}", table.database);
    for wanted in [with_ending.as_str(), table.database.as_str()] {
        for database in top.iter().filter(|folder| folder.name.to_lowercase() == wanted) {
            // An unreadable database has no table that can be found.
            let inside = folders(places, &database.path).unwrap_or_default();
            if let Some(found) = inside.into_iter().find(|folder| folder.name.to_lowercase() == table.table) {
                return Ok(Some(found.path));
            }
        }
    }
    let own = |folder: &Folder| {
        table.database == DEFAULT_DATABASE
            && folder.name.to_lowercase() == table.table
            && holds_data(places, &folder.path)
    };
    Ok(top.into_iter().find(own).map(|folder| folder.path))
}

fn add_all(places: &Places, database: &str, folder: &Path, tables: &mut BTreeSet<TableName>) {
    for table in folders(places, folder).unwrap_or_default() {
        add(database, &table.name.to_lowercase(), tables);
    }
}

fn add(database: &str, table: &str, tables: &mut BTreeSet<TableName>) {
    // A point separates the two parts of a name, and `=` belongs to partitions.
    if !database.is_empty() && !database.contains(['.', '=']) && !table.contains(['.', '=']) {
        tables.insert(TableName::new(database, table));
    }
}

/// Folders right under `folder` that are not hidden, sorted by name.
fn folders(places: &Places, folder: &Path) -> io::Result<Vec<Folder>> {
    let folders = places.entries(folder)?.into_iter().filter(|entry| entry.folder);
    let shown = folders.filter_map(|entry| {
        let name = entry.name.to_str().filter(|name| !name.starts_with(['.', '_']))?.to_owned();
        Some(Folder { name, path: entry.path })
    });
    Ok(shown.collect())
}

/// Whether the folder is a table: it has partitions or files of its own.
fn holds_data(places: &Places, folder: &Path) -> bool {
    let Ok(entries) = places.entries(folder) else { return false };
    entries.iter().any(|entry| {
        let shown = entry.name.to_str().filter(|name| !name.starts_with(['.', '_']));
        shown.is_some_and(|name| !entry.folder || name.contains('='))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn warehouse(folders: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in folders {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("loose.txt"), "x").unwrap();
        root
    }

    #[test]
    fn tables_lie_in_database_folders_with_and_without_ending() {
        let root = warehouse(&[
            "Music.db/Plays",
            "music.db/.hive-staging",
            "music.db/_tmp",
            "sales/orders/dt=1",
            "alone/dt=1",
            "a.b.db/x",
        ]);
        let names: Vec<String> =
            found(&Places::local(), root.path()).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["default.alone", "music.plays", "sales.orders"]);
        let folder = |name: &str| folder_of(&Places::local(), root.path(), &name.parse().unwrap()).unwrap();
        assert_eq!(folder("music.plays"), Some(root.path().join("Music.db/Plays")));
        assert_eq!(folder("sales.orders"), Some(root.path().join("sales/orders")));
        assert_eq!(folder("default.alone"), Some(root.path().join("alone")));
        assert_eq!(folder("music.none"), None);
        assert_eq!(folder("default.sales"), None);
    }
}
