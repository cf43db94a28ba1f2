//! The part of Python's pickle that `torch.save` writes for a dictionary of tensors, read without
//! Python: a list of opcodes that build strings, numbers, tuples and dictionaries.
//!
//! A pickle may ask to import and call anything. Here a handful of names is understood, each as
//! data; every other one is an error, and nothing is ever called. Values live once, in an arena, and
//! refer to each other by index: copies cannot multiply and cycles cannot loop.

use anyhow::{Context, Result, bail, ensure};

/// A checkpoint of 1.1 billion parameters needs a fiftieth.
const MAX_BYTES: usize = 4 << 20;

/// Values made, and values on the stack. A tensor has some 20 in 150 bytes; an opcode of one byte makes one that is 40
/// times as large.
const MAX_VALUES: usize = 1 << 18;

/// Where a value is.
pub type Id = usize;

/// A Python value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'pickle> {
    /// None, booleans, floats, and what else is of no use here.
    Other,
    /// An integer.
    Int(i64),
    /// A string.
    Text(&'pickle str),
    /// A tuple or a list.
    Sequence(Vec<Id>),
    /// Keys and values of a dictionary.
    Dict(Vec<(Id, Id)>),
    /// Something imported: module and name.
    Global(&'pickle str, &'pickle str),
    /// A block of numbers outside the pickle.
    Storage(Storage<'pickle>),
    /// A view of a storage.
    Tensor(Box<TensorRef<'pickle>>),
}

/// A block of numbers outside the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage<'pickle> {
    /// `FloatStorage`, `HalfStorage`, ...
    pub kind: &'pickle str,
    /// Name of its file in the archive.
    pub key: &'pickle str,
}

/// A tensor as a view of a storage; counted in values, not bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorRef<'pickle> {
    /// Where its values are.
    pub storage: Storage<'pickle>,
    /// The first value.
    pub offset: usize,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Distance of neighbours along each extent.
    pub strides: Vec<usize>,
}

/// All values of a pickle.
#[derive(Debug)]
pub struct Pickle<'pickle> {
    values: Vec<Value<'pickle>>,
    root: Id,
}

impl<'pickle> Pickle<'pickle> {
    /// Reads a pickle to its end.
    ///
    /// # Errors
    /// What is not a pickle, is cut short, or asks for something that is not understood.
    pub fn from_bytes(bytes: &'pickle [u8]) -> Result<Self> {
        ensure!(
            bytes.len() <= MAX_BYTES,
            "a pickle of {} MiB: no list of tensors is so long",
            bytes.len() >> 20
        );
        let machine = Machine {
            input: bytes,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
        };
        machine.run()
    }

    /// The entries of the outermost dictionary that have text for a key.
    ///
    /// # Errors
    /// If it is no dictionary.
    pub fn root(&self) -> Result<Vec<(&'pickle str, Id)>> {
        self.dict(self.root)
            .context("the checkpoint is not a dictionary of tensors (state_dict)")
    }

    /// The entries of a dictionary that have text for a key; `None` for what is none.
    pub fn dict(&self, id: Id) -> Option<Vec<(&'pickle str, Id)>> {
        let Value::Dict(entries) = &self.values[id] else {
            return None;
        };
        let texts = entries
            .iter()
            .filter_map(|&(key, value)| match self.values[key] {
                Value::Text(text) => Some((text, value)),
                _ => None,
            });
        Some(texts.collect())
    }

    /// The tensor there; `None` for what is none.
    pub fn tensor(&self, id: Id) -> Option<&TensorRef<'pickle>> {
        match &self.values[id] {
            Value::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }
}

/// Python's pickle machine: a stack, marks in it, and a memo.
struct Machine<'pickle> {
    input: &'pickle [u8],
    values: Vec<Value<'pickle>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: Vec<Option<Id>>,
}

impl<'pickle> Machine<'pickle> {
    fn run(mut self) -> Result<Pickle<'pickle>> {
        loop {
            match self.byte()? {
                b'.' => {
                    let root = self.pop()?;
                    return Ok(Pickle {
                        values: self.values,
                        root,
                    });
                }
                opcode => self.step(opcode)?,
            }
            let most = self.values.len().max(self.stack.len());
            ensure!(
                most.max(self.marks.len()) <= MAX_VALUES,
                "a pickle of more than {MAX_VALUES} values: no list of tensors has so many"
            );
        }
    }

    /// One opcode, by its letter in Python's `pickletools`.
    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            0x80 => drop(self.take(1)?), // PROTO
            0x95 => drop(self.take(8)?), // FRAME
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'N' | 0x88 | 0x89 => self.push(Value::Other), // None, True, False
            b'G' => {
                self.take(8)?;
                self.push(Value::Other);
            }
            b'K' => self.int(1)?,
            b'M' => self.int(2)?,
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            0x8a => {
                let length = self.length(1)?; // LONG1
                let value = long(self.take(length)?);
                self.push(value);
            }
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            b'U' | b'C' => self.opaque(1)?,
            b'T' | b'B' => self.opaque(4)?,
            b')' | b']' => self.push(Value::Sequence(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b't' | b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Sequence(items));
            }
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84); // TUPLE1 to TUPLE3
                let from = self.stack.len().checked_sub(count);
                let items = self.stack.split_off(from.context(EMPTY)?);
                self.push(Value::Sequence(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(&items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set(&items)?;
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Dict(Vec::new()));
                self.set(&items)?;
            }
            b'q' => {
                let at = self.length(1)?;
                self.remember(at)?;
            }
            b'r' => {
                let at = self.length(4)?;
                self.remember(at)?;
            }
            0x94 => self.remember(self.memo.len())?,
            b'h' => {
                let at = self.length(1)?;
                self.recall(at)?;
            }
            b'j' => {
                let at = self.length(4)?;
                self.recall(at)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(module, name));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) =
                    (&self.values[module], &self.values[name])
                else {
                    bail!("an import without a name");
                };
                let global = Value::Global(module, name);
                self.push(global);
            }
            b'R' => self.reduce()?,
            b'b' => drop(self.pop()?), // BUILD: attributes, such as an OrderedDict's metadata
            b'Q' => self.persistent()?,
            _ => bail!("pickle opcode {opcode:#04x}, which torch.save does not write for tensors"),
        }
        Ok(())
    }

    /// A call. What is understood becomes data; nothing runs.
    fn reduce(&mut self) -> Result<()> {
        let arguments = self.pop()?;
        let callable = self.pop()?;
        let Value::Sequence(arguments) = &self.values[arguments] else {
            bail!("a call without arguments");
        };
        let Value::Global(module, name) = self.values[callable] else {
            bail!("a call of something that was not imported");
        };
        let value = match (module, name) {
            ("collections", "OrderedDict") if arguments.is_empty() => Value::Dict(Vec::new()),
            ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => {
                Value::Tensor(Box::new(self.view(arguments)?))
            }
            ("torch._utils", "_rebuild_parameter") => {
                match arguments.first().map(|&data| &self.values[data]) {
                    Some(Value::Tensor(tensor)) => Value::Tensor(tensor.clone()),
                    _ => bail!("a parameter without a tensor"),
                }
            }
            _ => bail!(
                "the checkpoint asks Python to call {module}.{name}: refused, and nothing was run. \
                 Save its state_dict alone, or as safetensors"
            ),
        };
        self.push(value);
        Ok(())
    }

    /// Arguments of `_rebuild_tensor_v2`: storage, offset, size, strides, and more of no use here.
    fn view(&self, arguments: &[Id]) -> Result<TensorRef<'pickle>> {
        let [storage, offset, shape, strides, ..] = *arguments else {
            bail!("a tensor without storage, offset, size and strides");
        };
        let Value::Storage(storage) = self.values[storage] else {
            bail!("a tensor without a storage");
        };
        let tensor = TensorRef {
            storage,
            offset: self.count(offset)?,
            shape: self.counts(shape)?,
            strides: self.counts(strides)?,
        };
        ensure!(
            tensor.shape.len() == tensor.strides.len() && tensor.shape.len() <= 8,
            "a tensor of {} extents and {} strides",
            tensor.shape.len(),
            tensor.strides.len()
        );
        Ok(tensor)
    }

    /// `("storage", torch.FloatStorage, key, location, count)`.
    fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let Value::Sequence(parts) = &self.values[id] else {
            bail!("a storage that is not described");
        };
        // Only these are looked at: the memo can give one long tuple again and again.
        let [tag, kind, key, ..] = *parts.as_slice() else {
            bail!("a storage that is not described");
        };
        let (Value::Text("storage"), Value::Global("torch", kind), Value::Text(key)) =
            (&self.values[tag], &self.values[kind], &self.values[key])
        else {
            bail!("a storage of an unknown kind");
        };
        ensure!(
            !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "a storage named {key:?}"
        );
        let storage = Storage { kind, key };
        self.push(Value::Storage(storage));
        Ok(())
    }

    fn count(&self, id: Id) -> Result<usize> {
        match self.values[id] {
            Value::Int(value) => usize::try_from(value).context("a negative size"),
            _ => bail!("a size that is no number"),
        }
    }

    fn counts(&self, id: Id) -> Result<Vec<usize>> {
        match &self.values[id] {
            Value::Sequence(items) => items.iter().map(|&item| self.count(item)).collect(),
            _ => bail!("a size that is no tuple"),
        }
    }

    fn push(&mut self, value: Value<'pickle>) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id> {
        ensure!(
            self.marks
                .last()
                .is_none_or(|&mark| mark < self.stack.len()),
            EMPTY
        );
        self.stack.pop().context(EMPTY)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().context("a pickle without its mark")?;
        ensure!(mark <= self.stack.len(), EMPTY);
        Ok(self.stack.split_off(mark))
    }

    fn top(&mut self) -> Result<&mut Value<'pickle>> {
        let &top = self.stack.last().context(EMPTY)?;
        Ok(&mut self.values[top])
    }

    fn append(&mut self, items: &[Id]) -> Result<()> {
        match self.top()? {
            Value::Sequence(list) => list.extend(items),
            _ => bail!("something is appended to what is no list"),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<()> {
        let (pairs, []) = items.as_chunks::<2>() else {
            bail!("a key without a value");
        };
        match self.top()? {
            Value::Dict(entries) => entries.extend(pairs.iter().map(|&[key, value]| (key, value))),
            _ => bail!("a key is set in what is no dictionary"),
        }
        Ok(())
    }

    fn remember(&mut self, at: usize) -> Result<()> {
        let &top = self.stack.last().context(EMPTY)?;
        // Python numbers what it remembers from 0 on.
        ensure!(at <= self.values.len(), "a memo with holes");
        if self.memo.len() <= at {
            self.memo.resize(at + 1, None);
        }
        self.memo[at] = Some(top);
        Ok(())
    }

    fn recall(&mut self, at: usize) -> Result<()> {
        let found = self.memo.get(at).copied().flatten();
        self.stack
            .push(found.context("a value that was never made")?);
        Ok(())
    }

    fn int(&mut self, width: usize) -> Result<()> {
        let value = self.length(width)?;
        self.push(Value::Int(i64::try_from(value)?));
        Ok(())
    }

    fn text(&mut self, width: usize) -> Result<()> {
        let length = self.length(width)?;
        let text = std::str::from_utf8(self.take(length)?).context("text that is not UTF-8")?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn opaque(&mut self, width: usize) -> Result<()> {
        let length = self.length(width)?;
        self.take(length)?;
        self.push(Value::Other);
        Ok(())
    }

    /// An unsigned little-endian number of `width` bytes, at most 8.
    fn length(&mut self, width: usize) -> Result<usize> {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(self.take(width)?);
        usize::try_from(u64::from_le_bytes(wide)).context(CUT)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    fn take(&mut self, count: usize) -> Result<&'pickle [u8]> {
        let (taken, rest) = self.input.split_at_checked(count).context(CUT)?;
        self.input = rest;
        Ok(taken)
    }

    fn line(&mut self) -> Result<&'pickle str> {
        let end = self.input.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.context(CUT)?)?;
        self.take(1)?;
        std::str::from_utf8(line).context("text that is not UTF-8")
    }
}

const EMPTY: &str = "a pickle that takes more than it has made";
const CUT: &str = "the pickle is cut short";

/// A signed number of any width; what exceeds 64 bits is of no use here.
fn long(bytes: &[u8]) -> Value<'static> {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let negative = bytes.last().is_some_and(|&byte| byte & 0x80 != 0);
    let mut wide = if negative { [0xff; 8] } else { [0; 8] };
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests;
