//! `libplasmon_jni.so`: the natives of the Java classes `dev.plasmon`, over the functions of [`plasmon_abi`], with an allocator.
//!
//! A native is three lines: arguments from Java, one function of the C ABI, its result or a `PlasmonException`. Each file here has the natives of the
//! Java class of that name; [`call`] is the frame around all of them and [`upcall`] the way back, from the engine into Java.
//!
//! Texts cross as arrays of UTF-8 bytes, both ways: JNI's own strings are "modified UTF-8", in which zeros and whatever is beyond the basic plane look
//! different. Batches cross as addresses of structs of the Arrow C Data Interface.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![expect(unreachable_pub, reason = "natives have no Rust caller")]

mod allocator;
mod arrow_structs;
mod builds;
mod call;
mod frames;
mod library;
mod memory;
mod plan;
mod session;
mod stream;
mod upcall;
