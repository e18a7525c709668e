//! Damaged files: every flipped byte is found, and nothing panics.

use super::*;

fn damaged_file() -> Bench {
    let bench = Bench::new();
    let rows: Vec<TestRow> = (0..40u8)
        .map(|i| TestRow {
            key: vec![b'k', i / 2],
            commit_ts: 100 - i64::from(i),
            flags: if i % 5 == 0 { ROW_DELETE } else { WHOLE },
            cells: vec![
                (1, i64::from(i % 2), int(i64::from(i))),
                (2, 0, text(&"compressible ".repeat(usize::from(i)))),
                (3, 0, (i % 3 > 0).then(|| vec![i; 16])),
                (7, 0, text("not in the schema")),
            ],
        })
        .collect();
    let schema =
        schema(&[(1, PhysicalType::Int8), (2, PhysicalType::Bytes), (3, PhysicalType::Fixed16)]);
    let mut writer = bench.writer(&schema, small_blocks(Codec::Lz4));
    rows.iter().for_each(|row| add(&mut writer, row).unwrap());
    writer.add_range_tombstone(RangeTombstone {
        start: "a".into(),
        end: Some("b".into()),
        commit_ts: CommitTs(4),
    });
    writer.finish().unwrap();
    bench
}

/// Opens the file and looks at all of it.
fn read_everything(bench: &Bench) -> Result<Vec<TestRow>> {
    bench.cache.clear();
    let table = bench.open()?;
    table.verify()?;
    for i in 0..20 {
        let mut versions =
            table.versions(&[b'k', i], None, CommitTs::MAX, ReadOptions::default())?;
        while versions.next()?.is_some() {}
    }
    read_all(&table)
}

#[test]
fn any_flipped_byte_is_corruption_with_file_and_offset() {
    let bench = damaged_file();
    let good = read_everything(&bench).unwrap();
    let len = bench.bytes().len() as u64;
    assert_eq!(good.len(), 40);
    for offset in 0..len {
        let bit = (offset % 8) as u8;
        bench.disk.flip_bit(&Bench::path(), offset, bit).unwrap();
        match read_everything(&bench) {
            Err(SstableError::Corruption { file, offset: found, .. }) => {
                assert_eq!(file, "/t/1-1.sst");
                // The structure that is named starts at or before the damage.
                assert!(found <= offset, "byte {offset} was reported at {found}");
            }
            Err(SstableError::Unsupported { .. }) => panic!("byte {offset}: checksum comes first"),
            Err(other) => panic!("byte {offset}: {other}"),
            Ok(_) => panic!("byte {offset} is covered by no checksum"),
        }
        bench.disk.flip_bit(&Bench::path(), offset, bit).unwrap();
    }
    assert_eq!(read_everything(&bench).unwrap(), good);
}

#[test]
fn a_cut_or_longer_file_is_corruption() {
    let bench = damaged_file();
    let bytes = bench.bytes();
    let file = bench.disk.open_write(&Bench::path()).unwrap();
    for len in [0, 1, 100, bytes.len() / 2, bytes.len() - 1] {
        file.set_len(len as u64).unwrap();
        let error = bench.open().unwrap_err();
        assert!(matches!(error, SstableError::Corruption { .. }), "{len} bytes: {error}");
        file.write_at(&bytes, 0).unwrap();
    }
    file.write_at(&[0], bytes.len() as u64).unwrap();
    assert!(matches!(bench.open().unwrap_err(), SstableError::Corruption { .. }));
    // A whole footer at the end of something else.
    let footer = &bytes[bytes.len() - 132..];
    file.write_at(footer, bytes.len() as u64).unwrap();
    file.set_len((bytes.len() + footer.len()) as u64).unwrap();
    assert!(matches!(bench.open().unwrap_err(), SstableError::Corruption { .. }));
}

#[test]
fn a_newer_format_is_refused_as_such() {
    use super::super::format::Footer;
    let bench = damaged_file();
    let bytes = bench.bytes();
    let at = bytes.len() - Footer::BYTES;
    let footer = Footer::decode(Bytes::copy_from_slice(&bytes[at..])).unwrap();
    let file = bench.disk.open_write(&Bench::path()).unwrap();
    for newer in [
        Footer { version: FORMAT_VERSION + 1, ..footer },
        Footer { incompatible: 1 << 5, ..footer },
    ] {
        let mut bytes = Vec::new();
        newer.encode(&mut bytes);
        file.write_at(&bytes, at as u64).unwrap();
        assert!(matches!(bench.open().unwrap_err(), SstableError::Unsupported { .. }));
    }
    let mut compatible = Vec::new();
    Footer { compatible: 1 << 5, ..footer }.encode(&mut compatible);
    file.write_at(&compatible, at as u64).unwrap();
    assert_eq!(read_everything(&bench).unwrap().len(), 40);
}

#[test]
fn a_failing_disk_is_an_io_error() {
    use terrane_env::Operation;
    use terrane_env::files::crash::{Fault, FaultKind};
    let bench = damaged_file();
    let table = bench.open().unwrap();
    bench.disk.halt();
    assert!(matches!(read_all(&table), Err(SstableError::Io(_))));

    let row = TestRow { key: b"x".to_vec(), commit_ts: 1, flags: WHOLE, cells: vec![] };
    for (operation, kind) in
        [(Operation::Write, FaultKind::DiskFull), (Operation::Sync, FaultKind::Io)]
    {
        let bench = Bench::new();
        bench.disk.add_fault(Fault::on("1-1.sst", kind).operation(operation));
        let mut writer = bench.writer(&schema(&[]), WriterOptions::default());
        add(&mut writer, &row).unwrap();
        match writer.finish() {
            Err(SstableError::Io(error)) => {
                assert_eq!(error.operation, operation);
                assert_eq!(error.is_disk_full(), kind == FaultKind::DiskFull);
            }
            other => panic!("{other:?}"),
        }
    }
}
