//! Asks the processor to fetch memory that will be read soon, so that several reads wait at the same time.

/// Octets of a cache line.
const LINE: usize = 64;

/// Fetches the cache lines of the first `octets` of `memory` into the first-level cache, without waiting for them. Does
/// nothing on processors without such an instruction.
#[inline]
pub fn prefetch(memory: &[u8], octets: usize) {
    memory[..octets.min(memory.len())].chunks(LINE).for_each(prefetch_line);
}

/// Fetches the cache line in which `thing` begins.
#[inline]
pub fn prefetch_line<T: ?Sized>(thing: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction reads nothing that the program could see and cannot fault, and every x86_64 has it.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(std::ptr::from_ref(thing).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = thing;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_changed_and_nothing_beyond_the_end_is_named() {
        let memory: Box<[u8]> = (0..=255).collect();
        for (start, octets) in [(0, 0), (0, 1), (0, 256), (0, usize::MAX), (255, 64), (256, 64)] {
            prefetch(&memory[start..], octets);
        }
        prefetch_line(&memory);
        prefetch_line(&());
        prefetch_line("");
        assert!(memory.iter().copied().eq(0..=255));
    }
}
