//! The C ABI of DINO-IR, `libdino_ir`: see `include/dino_ir.h`.

mod c_abi;
mod system;
mod weights;

/// Large temporaries cost 2.5 times as much with the system's allocator, in page faults. Only this
/// library's own memory comes from it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
