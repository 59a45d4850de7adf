//! `libplasmon.so` and `libplasmon.a`: the functions of [`plasmon_abi`] with an allocator. Header, rules and test programs are beside it.

pub use plasmon_abi::*;

#[cfg(feature = "allocator")]
#[global_allocator]
static ALLOCATOR: plasmon_allocator::Counting<mimalloc::MiMalloc> = plasmon_allocator::Counting(mimalloc::MiMalloc);
