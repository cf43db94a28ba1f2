//! The `dino-ir` program: everything it does is in the library.

use std::process::ExitCode;

/// Large temporaries cost 2.5 times as much with the system's allocator, in page faults.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dino_ir_trainer::cli::dino_ir::main()
}
