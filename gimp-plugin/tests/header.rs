//! The checked-in C header is what cbindgen makes of the sources.

use std::fs;
use std::path::Path;

#[test]
fn the_header_is_up_to_date() {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("tests are run by cargo");
    let root = Path::new(&root);
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("its settings");
    let sources = [
        "c_abi.rs",
        "c_abi/failure.rs",
        "c_abi/faults.rs",
        "c_abi/image.rs",
        "c_abi/options.rs",
        "c_abi/removal.rs",
        "c_abi/restorers.rs",
    ];
    let builder = sources.iter().fold(
        cbindgen::Builder::new().with_config(config),
        |builder, source| builder.with_src(root.join("src").join(source)),
    );
    let mut made = Vec::new();
    builder
        .generate()
        .expect("the sources parse")
        .write(&mut made);
    let made = String::from_utf8(made).expect("text");

    let header = root.join("include/dino_ir.h");
    if std::env::var_os("DINO_IR_UPDATE_HEADER").is_some() {
        fs::write(&header, &made).expect("the header can be written");
    }
    let header = fs::read_to_string(header).unwrap_or_default();
    assert_eq!(
        header, made,
        "include/dino_ir.h is not what the sources say: run this test with DINO_IR_UPDATE_HEADER=1"
    );
}
