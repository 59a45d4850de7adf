//! The only place that asks the CPU what it can do.

use std::cell::Cell;
use std::sync::LazyLock;

/// Instruction tiers, ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Baseline of the target.
    Scalar,
    /// AVX2, BMI1, BMI2, FMA, LZCNT, POPCNT.
    Avx2,
    /// The above and AVX-512 F, BW, CD, DQ, VL, VBMI, VBMI2 (Ice Lake, Zen 4 and later).
    Avx512,
}

/// Caps the tier: `scalar`, `avx2` or `avx512`. Tests run the whole suite under each.
pub const MAX_ISA_VARIABLE: &str = "PLASMON_MAX_ISA";

static ISA: LazyLock<Isa> = LazyLock::new(|| {
    let cap = match std::env::var(MAX_ISA_VARIABLE).as_deref() {
        Ok("scalar") => Isa::Scalar,
        Ok("avx2") => Isa::Avx2,
        _ => Isa::Avx512,
    };
    detect().min(cap)
});

thread_local! {
    /// The tier of [`with_tier`] on this thread; never above what the CPU has.
    static FORCED: Cell<Option<Isa>> = const { Cell::new(None) };
}

/// The tier to use: the widest usable one, detected once per process, unless [`with_tier`] says otherwise on this thread.
#[inline]
pub fn isa() -> Isa {
    FORCED.get().unwrap_or_else(|| *ISA)
}

/// All usable tiers, for tests and benchmarks that run each.
pub fn tiers() -> impl Iterator<Item = Isa> {
    [Isa::Scalar, Isa::Avx2, Isa::Avx512].into_iter().filter(|&tier| tier <= *ISA)
}

/// Runs `work` with `tier` (or the widest below it that is usable) on this thread: how tests and benchmarks compare tiers in one process.
pub fn with_tier<R>(tier: Isa, work: impl FnOnce() -> R) -> R {
    struct Restore(Option<Isa>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    let _restore = Restore(FORCED.replace(Some(tier.min(*ISA))));
    work()
}

// Miri interprets no vector instructions: there the portable tier runs.
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn detect() -> Isa {
    macro_rules! has {
        ($($feature:tt),*) => { true $(&& is_x86_feature_detected!($feature))* };
    }
    if !has!("avx2", "bmi1", "bmi2", "fma", "lzcnt", "popcnt") {
        Isa::Scalar
    } else if has!("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512vbmi", "avx512vbmi2") {
        Isa::Avx512
    } else {
        Isa::Avx2
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn detect() -> Isa {
    Isa::Scalar
}

/// Compiles one safe `#[inline(always)]` generic body once per tier and dispatches at run time.
///
/// `tiered! { pub fn name(args…) -> R = body; }` defines `name(args)` which calls `body(args)` compiled with AVX-512, AVX2 or baseline
/// features. `body` must be `#[inline(always)]` so that it is compiled *into* each wrapper. Call it per batch, never per row.
#[macro_export]
macro_rules! tiered {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident $(<$($generic:ident: $bound:path),*>)? ($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $body:path;) => {
        $(#[$meta])*
        #[inline]
        $visibility fn $name $(<$($generic: $bound),*>)? ($($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,fma,lzcnt,popcnt")]
                fn avx512 $(<$($generic: $bound),*>)? ($($argument: $type),*) $(-> $result)? {
                    $body($($argument),*)
                }
                #[target_feature(enable = "avx2,bmi1,bmi2,fma,lzcnt,popcnt")]
                fn avx2 $(<$($generic: $bound),*>)? ($($argument: $type),*) $(-> $result)? {
                    $body($($argument),*)
                }
                match $crate::isa::isa() {
                    // SAFETY: `isa()` returned this tier, so the CPU has every feature that the function enables.
                    $crate::isa::Isa::Avx512 => return unsafe { avx512 $(::<$($generic),*>)? ($($argument),*) },
                    // SAFETY: as above.
                    $crate::isa::Isa::Avx2 => return unsafe { avx2 $(::<$($generic),*>)? ($($argument),*) },
                    $crate::isa::Isa::Scalar => {}
                }
            }
            $body($($argument),*)
        }
    };
}
