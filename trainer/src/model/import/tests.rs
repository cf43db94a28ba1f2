use std::time::{Duration, Instant};

use dino_ir::model::DinoIrConfig;
use dino_ir::model::dinov2::Dinov2Config;
use dino_ir::weights::{Weights, named};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

/// A checkpoint as `torch.save` writes it, entry by entry, so that each can be made hostile.
struct Torch {
    /// Opcodes that leave the state on the stack.
    pickle: Vec<u8>,
    entries: Vec<(String, Vec<u8>)>,
}

impl Torch {
    /// An OrderedDict of f32 tensors.
    fn new(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Self {
        let mut torch = Self {
            pickle: b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec(),
            entries: Vec::new(),
        };
        for (index, (name, shape, values)) in tensors.iter().enumerate() {
            torch.text(name);
            torch.tensor("FloatStorage", &index.to_string(), values.len(), shape);
            let bytes = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            torch.entries.push((format!("data/{index}"), bytes));
        }
        torch.pickle.extend(b"u.");
        torch
    }

    fn text(&mut self, text: &str) {
        self.pickle.push(b'X');
        self.pickle.extend((text.len() as u32).to_le_bytes());
        self.pickle.extend(text.as_bytes());
    }

    fn int(&mut self, value: usize) {
        self.pickle.extend(b"\x8a\x08");
        self.pickle.extend((value as i64).to_le_bytes());
    }

    /// `_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`.
    fn tensor(&mut self, kind: &str, key: &str, count: usize, shape: &[usize]) {
        self.pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.pickle.extend(format!("ctorch\n{kind}\n").bytes());
        self.text(key);
        self.text("cpu");
        self.int(count);
        self.pickle.extend(b"tQK\x00(");
        shape.iter().for_each(|&extent| self.int(extent));
        self.pickle.extend(b"t(");
        let mut strides = vec![1usize; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis].wrapping_mul(shape[axis]);
        }
        strides.iter().for_each(|&stride| self.int(stride));
        self.pickle.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
    }

    fn zip(&self) -> Vec<u8> {
        let mut entries = vec![("archive/data.pkl".to_owned(), self.pickle.clone())];
        let inside = |(name, data): &(String, Vec<u8>)| (format!("archive/{name}"), data.clone());
        entries.extend(self.entries.iter().map(inside));
        zip(&entries)
    }
}

/// A zip archive of stored entries.
fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (name, data) in entries {
        let place = file.len() as u32;
        let sizes = [0u32, data.len() as u32, data.len() as u32].map(u32::to_le_bytes);
        file.extend(b"PK\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
        file.extend(sizes.as_flattened());
        file.extend((name.len() as u16).to_le_bytes());
        file.extend(0u16.to_le_bytes());
        file.extend(name.as_bytes());
        file.extend(data);
        directory.extend(b"PK\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
        directory.extend(sizes.as_flattened());
        directory.extend((name.len() as u16).to_le_bytes());
        directory.extend([0; 12]);
        directory.extend(place.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\x00\x00\x00\x00");
    file.extend([(entries.len() as u16).to_le_bytes(); 2].as_flattened());
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend(0u16.to_le_bytes());
    file
}

fn small() -> DinoIrConfig {
    let mut config = DinoIrConfig::nano();
    config.guidance = None;
    config.restormer.dim = 8;
    config.restormer.heads = [1, 2, 4, 4];
    config.restormer.blocks = [1, 2, 1, 1];
    config
}

/// A small network under the published names.
fn published() -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let model = small().init(&Device::flex());
    named::collect(&model)
        .into_iter()
        .map(|tensor| (RESTORMER.theirs(&tensor.name), tensor.shape, tensor.values))
        .collect()
}

fn options(from: Published) -> ImportOptions {
    ImportOptions {
        from,
        heads: None,
        dtype: Dtype::F32,
        force: false,
    }
}

/// The complaint about hostile bytes, which must come at once.
fn refusal(bytes: &[u8]) -> String {
    let start = Instant::now();
    let complaint = match convert(bytes, &options(Published::Restormer)) {
        Ok(imported) => panic!("imported: {}", imported.what),
        Err(error) => format!("{error:#}"),
    };
    // A promise of one second; twenty on a machine that is busy with other tests.
    assert!(start.elapsed() < Duration::from_secs(20), "{complaint}");
    complaint
}

#[test]
fn both_formats_give_the_same_network() {
    let tensors = published();
    let from_zip = convert(&Torch::new(&tensors).zip(), &options(Published::Restormer));
    let from_zip = from_zip.expect("imported").bytes;
    let stored: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, shape, values)| {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            (format!("module.{name}"), shape.clone(), bytes.collect())
        })
        .collect();
    let views = stored.iter().map(|(name, shape, bytes)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name.as_str(), view.expect("a view"))
    });
    let file = safetensors::serialize(views, None).expect("written");
    let from_safetensors = convert(&file, &options(Published::Restormer)).expect("imported");
    let cpu = Device::flex();
    let model = |bytes: &[u8]| {
        let weights = Weights::from_bytes(bytes).expect("ours");
        assert_eq!(weights.config().expect("a config"), small());
        named::collect(&weights.model(&cpu).expect("a model"))
    };
    let ours = model(&from_zip);
    assert_eq!(ours, model(&from_safetensors.bytes));
    for tensor in &ours {
        let theirs = RESTORMER.theirs(&tensor.name);
        let stored = tensors.iter().find(|(name, ..)| *name == theirs);
        assert_eq!(&tensor.values, &stored.expect("its tensor").2, "{theirs}");
    }
}

#[test]
fn other_networks_are_told_by_their_tensors() {
    let mut tensors = published();
    let last = tensors.len() - 1;
    let name = std::mem::replace(&mut tensors[last].0, "surplus.weight".into());
    let complaint = refusal(&Torch::new(&tensors).zip());
    assert!(
        complaint.contains(&format!("missing 1: {name}")),
        "{complaint}"
    );
    assert!(
        complaint.contains("unknown 1: surplus.weight"),
        "{complaint}"
    );

    let mut tensors = published();
    let at = tensors
        .iter()
        .position(|(name, ..)| name == "output.weight");
    let output = &mut tensors[at.expect("the output")];
    output.1.swap(0, 1);
    assert!(refusal(&Torch::new(&tensors).zip()).contains("\"output.weight\" has shape"));

    let backbone = Dinov2Config {
        width: 64,
        depth: 1,
        ..Dinov2Config::nano()
    };
    let backbone = backbone.init(&Device::flex());
    let tensors: Vec<_> = named::collect(&backbone)
        .into_iter()
        .map(|tensor| (DINOV2.theirs(&tensor.name), tensor.shape, tensor.values))
        .collect();
    let bytes = Torch::new(&tensors).zip();
    assert!(
        refusal(&bytes).contains("patch_embed.proj.weight\" has shape")
            || refusal(&bytes).contains("missing")
    );
}

#[test]
fn every_cut_is_an_error() {
    let bytes = Torch::new(&published()).zip();
    for length in [
        0,
        3,
        4,
        30,
        100,
        bytes.len() / 2,
        bytes.len() - 30,
        bytes.len() - 1,
    ] {
        refusal(&bytes[..length]);
    }
}

#[test]
fn code_in_a_pickle_is_refused_and_not_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("it ran");
    let mut torch = Torch::new(&published());
    let mut code = b"\x80\x02cposix\nsystem\n".to_vec();
    let command = format!("touch '{}'", mark.display());
    code.push(b'X');
    code.extend((command.len() as u32).to_le_bytes());
    code.extend(command.as_bytes());
    code.extend(b"\x85R0");
    // In front of the tensors, as a worm would put it.
    code.extend(&torch.pickle[2..]);
    torch.pickle = code;
    let complaint = refusal(&torch.zip());
    assert!(complaint.contains("posix.system"), "{complaint}");
    assert!(!mark.exists());
}

#[test]
fn tensors_of_a_wrong_kind_or_size_are_refused() {
    let hostile = |change: &dyn Fn(&mut Torch)| {
        let mut torch = Torch {
            pickle: b"\x80\x02}(".to_vec(),
            entries: vec![("data/0".into(), vec![0; 64])],
        };
        torch.text("patch_embed.proj.weight");
        change(&mut torch);
        torch.pickle.extend(b"u.");
        refusal(&torch.zip())
    };
    let beyond = hostile(&|torch| torch.tensor("FloatStorage", "0", 16, &[1 << 40, 3, 3, 3]));
    assert!(beyond.contains("beyond its storage"), "{beyond}");
    let wraps = hostile(&|torch| torch.tensor("FloatStorage", "0", 16, &[1 << 40, 1 << 40, 3, 3]));
    assert!(
        wraps.contains("beyond its storage") || wraps.contains("negative"),
        "{wraps}"
    );
    let negative = hostile(&|torch| torch.tensor("FloatStorage", "0", 16, &[usize::MAX, 1]));
    assert!(negative.contains("negative size"), "{negative}");
    let absent = hostile(&|torch| torch.tensor("FloatStorage", "7", 16, &[4]));
    assert!(absent.contains("data/7"), "{absent}");
    let outside = hostile(&|torch| torch.tensor("FloatStorage", "../../etc/passwd", 16, &[4]));
    assert!(outside.contains("../../etc/passwd"), "{outside}");

    let mut torch = Torch::new(&published());
    let pickle = String::from_utf8_lossy(&torch.pickle).into_owned();
    assert!(pickle.contains("FloatStorage"));
    let at = torch
        .pickle
        .windows(12)
        .position(|window| window == b"FloatStorage")
        .expect("a storage");
    torch.pickle.splice(at..at + 5, *b"Long");
    let wrong = refusal(&torch.zip());
    assert!(
        wrong.contains("no floats") || wrong.contains("beyond"),
        "{wrong}"
    );
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let mut tensors = published();
    tensors[3].2[0] = f32::NAN;
    let complaint = refusal(&Torch::new(&tensors).zip());
    assert!(
        complaint.contains(&tensors[3].0) && complaint.contains("finite"),
        "{complaint}"
    );
}

#[test]
fn archives_that_lie_are_refused() {
    let pickle = ("archive/data.pkl".to_owned(), Torch::new(&[]).pickle);
    for path in [
        "/etc/data",
        "archive/../../data",
        "C:\\data",
        "archive\\data",
    ] {
        let bytes = zip(&[pickle.clone(), (path.to_owned(), vec![1])]);
        assert!(refusal(&bytes).contains("outside"), "{path}");
    }
    let twice = zip(&[pickle.clone(), pickle.clone()]);
    assert!(refusal(&twice).contains("twice"));
    let two = zip(&[pickle.clone(), ("b/data.pkl".to_owned(), vec![b'.'])]);
    assert!(refusal(&two).contains("more than one"));
    assert!(refusal(&zip(&[])).contains("not a readable") || !zip(&[]).is_empty());
    let mut deflated = zip(std::slice::from_ref(&pickle));
    let at = deflated
        .windows(4)
        .rposition(|window| window == b"PK\x01\x02")
        .expect("a directory");
    deflated[at + 10] = 8;
    assert!(refusal(&deflated).contains("compressed"));
    // A directory entry that says the archive is larger than it is.
    let mut large = zip(&[pickle]);
    large[at + 20..at + 28].copy_from_slice(&[0xf0; 8]);
    assert!(refusal(&large).contains("beyond the end"));
}

#[test]
fn large_and_deep_pickles_cost_no_more_than_their_size() {
    let torch = |pickle: Vec<u8>| {
        Torch {
            pickle,
            entries: Vec::new(),
        }
        .zip()
    };
    assert!(refusal(&torch(vec![b']'; 5 << 20])).contains("MiB"));
    // Values, references to one of them, and marks.
    let references = [b"\x80\x02Nq\x00".to_vec(), b"h\x00".repeat(2 << 20)].concat();
    for pickle in [vec![b'N'; 4 << 20], references, vec![b'('; 4 << 20]] {
        assert!(refusal(&torch(pickle[..4 << 20].to_vec())).contains("values"));
    }
    // One storage with two hundred thousand further parts, asked for again and again.
    let mut storages =
        b"\x80\x02Nq\x000(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
            .to_vec();
    storages.extend(b"h\x00".repeat(200_000));
    storages.extend(b"tq\x010");
    storages.extend(b"h\x01Q0".repeat(250_000));
    storages.push(b'.');
    assert!(refusal(&torch(storages)).contains("more than it has made"));
    // A million lists inside each other, and a billion laughs.
    let mut deep = vec![b']'; 1 << 20];
    deep.extend(vec![b'a'; (1 << 20) - 1]);
    deep.push(b'.');
    refusal(&torch(deep));
    let mut laughs = b"\x80\x02]q\x00".to_vec();
    for level in 0..100u8 {
        laughs.extend(b"](");
        laughs.extend([b'h', level].repeat(10));
        laughs.extend([b'e', b'q', level + 1]);
    }
    laughs.push(b'.');
    refusal(&torch(laughs));
}

/// Random damage of a good file: an error or a network, never a panic nor an endless loop.
#[test]
fn damaged_checkpoints_are_survived() {
    let good = Torch::new(&published()).zip();
    let directory = good.len() - 4096;
    let mut random = StdRng::seed_from_u64(7);
    let mut refused = 0;
    for round in 0..400 {
        let mut bytes = good.clone();
        for _ in 0..random.random_range(1..6) {
            // Mostly where structure is: the pickle in front, the directory behind.
            let at = match round % 3 {
                0 => random.random_range(0..6000),
                1 => random.random_range(directory..good.len()),
                _ => random.random_range(0..good.len()),
            };
            bytes[at] = match random.random_range(0..3) {
                0 => random.random(),
                1 => 0xff,
                _ => bytes[at] ^ (1 << random.random_range(0..8)),
            };
        }
        if random.random_range(0..8) == 0 {
            bytes.truncate(random.random_range(0..good.len()));
        }
        // Values of parameters may be anything; computing with them is not what is tested.
        if let Err(error) = TensorFile::from_bytes(&bytes) {
            refused += 1;
            assert!(!error.to_string().is_empty());
        }
    }
    assert!(refused > 200, "{refused} of 400");
}
