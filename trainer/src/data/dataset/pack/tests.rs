use std::io::{Cursor, Read};
use std::path::PathBuf;

use super::*;
use crate::data::dataset::{DataConfig, Dataset};
use crate::data::sample::Sampler;

fn picture(width: u32, height: u32, shade: u32) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| {
        let v = (x * 7 + y * 13 + shade * (x + 3) * (y + 5)) % 256;
        image::Rgb([v as u8, (v / 2) as u8, (255 - v) as u8])
    })
}

fn save(path: &Path, picture: &image::RgbImage) {
    fs::create_dir_all(path.parent().expect("has a folder")).expect("temporary folder");
    picture.save(path).expect("temporary file");
}

/// Clean photos, rain whose truths are clean photos too, haze whose truths have a border that it lacks, and a test set.
fn folders(root: &Path) -> DataConfig {
    for shade in 0..6 {
        let [clean, rain] = [shade, shade + 60].map(|shade| picture(64, 48, shade));
        let kind = ["png", "webp", "jpg"][shade as usize % 3];
        save(&root.join(format!("clean/part/{shade}.{kind}")), &clean);
        save(&root.join(format!("rain/target/{shade}_a.png")), &clean);
        save(&root.join(format!("rain/input/{shade}_a.png")), &rain);
    }
    for shade in 10..13 {
        save(
            &root.join(format!("haze/gt/{shade}.png")),
            &picture(60, 50, shade),
        );
        for strength in 1..3 {
            let hazy = picture(40, 30, shade + 40 * strength);
            save(
                &root.join(format!("haze/hazy/{shade}_{strength}.png")),
                &hazy,
            );
        }
    }
    save(&root.join("test/one.png"), &picture(64, 48, 3));
    DataConfig {
        clean: vec![root.join("clean"), root.join("haze")],
        rain_pairs: vec![root.join("rain")],
        haze_pairs: vec![root.join("haze")],
        exclude: vec![root.join("test")],
        validation: 2,
        ..DataConfig::default()
    }
}

fn packed(root: &Path) -> (DataConfig, PathBuf, Packed) {
    let config = folders(root);
    let file = root.join("train.pack");
    let packed = pack(&config, &file).expect("readable");
    (config, file, packed)
}

fn of_pack(file: &Path) -> DataConfig {
    DataConfig {
        pack: Some(file.to_owned()),
        validation: 2,
        ..DataConfig::default()
    }
}

fn complaint(file: &Path) -> String {
    let error = Dataset::load(&of_pack(file)).expect_err("unusable");
    let message = format!("{error:#}");
    assert!(
        message.starts_with(&file.display().to_string()),
        "{message}"
    );
    assert!(!message.contains('\n'), "{message}");
    message
}

/// An archive with such a list and such a photo.
fn foreign(file: &Path, list: &str, photo: &[u8]) {
    let files = [(LIST, list.as_bytes()), ("photos/a", photo)];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec()));
    fs::write(file, archive::write(&files).expect("an archive")).expect("written");
}

#[test]
fn a_pack_gives_the_samples_of_its_folders() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (config, file, packed) = packed(folder.path());
    // The photo that the test set has is in none of the lists.
    let found = (packed.clean, packed.pairs, packed.excluded);
    assert_eq!(found, (8, [5, 6, 0], 2));
    assert_eq!(
        packed.bytes as u64,
        fs::metadata(&file).expect("there").len()
    );
    fs::rename(folder.path().join("haze"), folder.path().join("away")).expect("renamed");
    let from_pack = Sampler::new(&of_pack(&file), 5).expect("a pack");
    fs::rename(folder.path().join("away"), folder.path().join("haze")).expect("renamed");
    let from_folders = Sampler::new(&config, 5).expect("folders");
    for step in 0..8 {
        let [a, b] = [&from_pack, &from_folders].map(|of| of.samples(step, 8, 24).expect("made"));
        assert_eq!(a, b);
    }
    let [a, b] = [&from_pack, &from_folders].map(|of| of.validation(10, 24).expect("made"));
    assert_eq!(a, b);
}

#[test]
fn photos_are_packed_as_they_are_and_once() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (_, file, _) = packed(folder.path());
    let bytes = fs::read(&file).expect("written");
    let mut names = Vec::new();
    let mut packed = Vec::new();
    for entry in tar::Archive::new(bytes.as_slice())
        .entries()
        .expect("a tar archive")
    {
        let mut entry = entry.expect("whole");
        let name = entry.path().expect("a path").display().to_string();
        if name.ends_with("-1.webp") {
            entry.read_to_end(&mut packed).expect("whole");
        }
        names.push(name);
    }
    // Sums and list; 5 clean photos; 5 rainy ones and their truths; 6 hazy ones and their 3 truths.
    assert_eq!(names.len(), 2 + 5 + 10 + 9, "{names:?}");
    let original = fs::read(folder.path().join("clean/part/1.webp")).expect("there");
    assert_eq!(packed, original, "under its own name");
    let again = pack(&folders(folder.path()), &file).expect_err("it is there");
    assert!(again.to_string().contains("another name"), "{again}");
}

#[test]
fn what_is_no_whole_pack_is_refused_in_a_line() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (_, file, _) = packed(folder.path());
    let bytes = fs::read(&file).expect("written");
    let broken = folder.path().join("broken.pack");
    assert!(complaint(&broken).contains("cannot read"));
    // Behind the last photo are at most 511 bytes, and two empty blocks.
    for cut in [0, 3, bytes.len() / 2, bytes.len() - 1600] {
        fs::write(&broken, &bytes[..cut]).expect("written");
        assert!(complaint(&broken).contains("trainer data pack"), "{cut}");
    }
    // One bit of a photo.
    let mut flipped = bytes.clone();
    let webp = b"VP8L";
    let place = flipped.windows(4).position(|bytes| bytes == webp);
    flipped[place.expect("a WebP") + 40] ^= 1;
    fs::write(&broken, flipped).expect("written");
    assert!(complaint(&broken).contains("1.webp is damaged"));
    let mut flipped = bytes.clone();
    let place = flipped.windows(7).position(|bytes| bytes == b"\"clean\"");
    flipped[place.expect("the list") + 1] ^= 1;
    fs::write(&broken, flipped).expect("written");
    assert!(complaint(&broken).contains("pack.json is damaged"));
    fs::write(
        &broken,
        b"another kind of file, longer than a block. ".repeat(40),
    )
    .expect("written");
    assert!(complaint(&broken).contains("another kind of file"));

    let mut photo = Cursor::new(Vec::new());
    picture(8, 8, 1)
        .write_to(&mut photo, image::ImageFormat::Png)
        .expect("a PNG");
    let list = |format: u32, area: &str| {
        format!(
            r#"{{"format":{format},"clean":[{{"name":"a","file":"photos/a"{area}}}],"rain":[],"haze":[],"pairs":[]}}"#
        )
    };
    foreign(&broken, &list(1, r#","area":[0,0,8,4]"#), photo.get_ref());
    Dataset::load(&of_pack(&broken)).expect("usable");
    for (list, complains) in [
        (list(2, ""), "version 2"),
        (list(1, r#","area":[4,0,5,8]"#), "outside"),
        (
            list(1, r#","area":[0,1,8,18446744073709551615]"#),
            "outside",
        ),
        (list(1, r#","area":[0,0,0,8]"#), "outside"),
        (list(1, "").replace("photos/a", "photos/b"), "photos/b"),
        ("[]".to_owned(), "pack.json"),
        (r#"{"format":1}"#.to_owned(), "pack.json"),
    ] {
        foreign(&broken, &list, photo.get_ref());
        let message = complaint(&broken);
        assert!(message.contains(complains), "{complains}: {message}");
    }
    foreign(&broken, &list(1, ""), b"no photo");
    assert!(complaint(&broken).contains("photos/a"));
}
