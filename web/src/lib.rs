//! DINO-IR in the browser: what the page's worker calls. Built for `wasm32-unknown-unknown` by `web/build`,
//! once for WebGPU (feature `webgpu`) and three times for the CPU (plain, with `relaxed-simd`, with `threads`); elsewhere only what needs no
//! browser is here.

pub mod pixels;

#[cfg(target_arch = "wasm32")]
mod device;
#[cfg(target_arch = "wasm32")]
mod diagnosis;
#[cfg(target_arch = "wasm32")]
mod error;
#[cfg(target_arch = "wasm32")]
mod job;
#[cfg(target_arch = "wasm32")]
mod photo;
#[cfg(target_arch = "wasm32")]
mod removal;
#[cfg(target_arch = "wasm32")]
mod restorer;
#[cfg(all(target_arch = "wasm32", feature = "threads"))]
mod threads;
