//! Point reads see what the map sees.

use super::world::{World, rng, row_key, seen, value_columns};
use crate::memtable::Memtable;
use crate::scan::{GroupGc, Sources};
use rand::Rng;
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs, Seq};
use terrane_client::row::{ROW_COMPLETE, ROW_MARKER, Row};

#[test]
fn gets_and_versions_are_the_models() {
    for seed in 0..400 {
        let rng = &mut rng(seed);
        let world = World::new(rng);
        let model = world.model();
        let all = value_columns();
        for _ in 0..20 {
            let key = row_key(rng.random_range(0..world.mix.keys + 2));
            let at = world.timestamp(rng);
            let mut columns = all.clone();
            columns.retain(|_| rng.random_bool(0.7));
            let expected = model.row(&key, at);
            let version = expected.as_ref().map_or(CommitTs::ABSENT, |row| row.version);
            assert_eq!(
                world.sources.version(&key, at.into(), &world.gc()).unwrap(),
                version,
                "seed {seed}"
            );
            let row = world.sources.get(&key, at.into(), &world.gc(), &columns).unwrap();
            assert_eq!(seen(row, &columns), seen(expected.clone(), &columns), "seed {seed}");
            // Of a row that lives, as another group's marker says.
            if expected.is_some() {
                let (cells, times) =
                    world.sources.cells(&key, at.into(), &world.gc(), &columns).unwrap();
                let row = Some(Row { version, cells, times });
                assert_eq!(seen(row, &columns), seen(expected, &columns), "seed {seed}");
            }
        }
    }
}

/// Images change no answer, whatever version they stand before.
#[test]
fn images_change_no_answer() {
    for seed in 0..200 {
        let rng = &mut rng(seed);
        let mut world = World::new(rng);
        let model = world.model();
        let all = value_columns();
        // An image of a row's newest version, made of everything beneath it.
        let active = Arc::new(Memtable::new());
        let keys: Vec<_> = model.0.keys().cloned().collect();
        for key in &keys {
            let (Some(row), true) = (model.row(key, CommitTs::MAX), rng.random_bool(0.5)) else {
                continue;
            };
            let memtable = world.sources.memtables.first().unwrap_or(&active);
            let newest = memtable.get(key).next().map_or(Seq(0), |version| version.seq);
            let mut image = vec![ROW_MARKER | ROW_COMPLETE];
            image.extend_from_slice(row.cells.as_bytes());
            memtable.insert_image(key, newest, &image);
        }
        world.sources.memtables.insert(0, active);
        for _ in 0..20 {
            let key = row_key(rng.random_range(0..world.mix.keys));
            let at = world.timestamp(rng);
            let row = world.sources.get(&key, at.into(), &world.gc(), &all).unwrap();
            assert_eq!(seen(row, &all), seen(model.row(&key, at), &all), "seed {seed}");
        }
    }
}

#[test]
fn nothing_is_found_in_nothing() {
    let sources = Sources::default();
    assert_eq!(
        sources.get(b"k", CommitTs::MAX.into(), &GroupGc::PLAIN, &[ColumnId(1)]).unwrap(),
        None
    );
    assert_eq!(
        sources.version(b"k", CommitTs::MAX.into(), &GroupGc::PLAIN).unwrap(),
        CommitTs::ABSENT
    );
}
