//! The only place that asks the CPU what it can do.

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

/// The widest usable tier, detected once per process.
#[inline]
pub fn isa() -> Isa {
    *ISA
}

/// All usable tiers, for tests that run each.
pub fn tiers() -> impl Iterator<Item = Isa> {
    [Isa::Scalar, Isa::Avx2, Isa::Avx512].into_iter().filter(|&tier| tier <= isa())
}

#[cfg(target_arch = "x86_64")]
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

#[cfg(not(target_arch = "x86_64"))]
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
