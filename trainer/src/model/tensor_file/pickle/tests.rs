use super::*;

fn refusal(bytes: &[u8]) -> String {
    format!("{:#}", Pickle::from_bytes(bytes).expect_err("refused"))
}

#[test]
fn a_dictionary_is_read() {
    // pickle.dumps({"a": (1, -2, 300), "b": None}, 2)
    let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01J\xfe\xff\xff\xffM,\x01\x87q\x02X\x01\x00\x00\x00bq\x03Nu.";
    let pickle = Pickle::from_bytes(bytes).expect("a pickle");
    let root = pickle.root().expect("a dictionary");
    assert_eq!(
        root.iter().map(|(key, _)| *key).collect::<Vec<_>>(),
        ["a", "b"]
    );
    let Value::Sequence(items) = &pickle.values[root[0].1] else {
        panic!("a tuple");
    };
    let numbers: Vec<_> = items.iter().map(|&id| &pickle.values[id]).collect();
    assert_eq!(numbers, [&Value::Int(1), &Value::Int(-2), &Value::Int(300)]);
}

#[test]
fn code_is_refused_by_name() {
    // os.system("touch x"), by the opcodes of protocols 0 to 4.
    assert!(refusal(b"cposix\nsystem\nX\x01\x00\x00\x00x\x85R.").contains("posix.system"));
    assert!(refusal(b"\x8c\x05posix\x8c\x06system\x93\x8c\x01x\x85R.").contains("posix.system"));
    assert!(refusal(b"(S'x'\niposix\nsystem\n.").contains("opcode"));
    assert!(refusal(b"cbuiltins\neval\n)\x81.").contains("opcode"));
}

#[test]
fn broken_pickles_are_errors() {
    for bytes in [
        &b""[..],
        b".",
        b"t.",
        b"(t",
        b"\x87.",
        b"X\xff\xff\xff\xff",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"h\x00.",
        b"Nr\xff\xff\xff\xff.",
        b"(Nu.",
        b"Na.",
        b"}Ns.",
        b"]Q.",
        b"R.",
        b"cx",
        b"\xff",
    ] {
        refusal(bytes);
    }
}

#[test]
fn cycles_end() {
    // a = []; a.append(a); {"a": a}
    let bytes = b"}X\x01\x00\x00\x00a]q\x00h\x00as.";
    let pickle = Pickle::from_bytes(bytes).expect("read");
    let root = pickle.root().expect("a dictionary");
    assert!(pickle.dict(root[0].1).is_none() && pickle.tensor(root[0].1).is_none());
}
