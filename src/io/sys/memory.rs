//! The allocator's part of this process's memory.

/// Gives back to the system what the allocator keeps and nobody uses. It keeps much of what was freed after a load of many
/// or large zones, and would use it only at the next one. Other allocators than that of the GNU C library are left alone.
pub fn give_back_unused() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function may be called at any time and from any thread; it takes the allocator's locks and touches
    // nothing but memory that is free.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

#[cfg(test)]
#[cfg(target_env = "gnu")]
mod tests {
    use super::*;

    const PIECE: usize = 2 << 10;
    const PIECES: usize = 1 << 16;

    /// Octets of memory that this process has.
    fn resident() -> usize {
        let numbers = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = numbers.split(' ').nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size()
    }

    #[test]
    fn what_is_freed_among_what_is_kept_goes_back() {
        let mut pieces: Vec<Option<Box<[u8; PIECE]>>> = (0..PIECES).map(|number| Some(Box::new([number as u8; PIECE]))).collect();
        let is_kept = |number: usize| number.is_multiple_of(64);
        for (number, piece) in pieces.iter_mut().enumerate() {
            piece.take_if(|_| !is_kept(number));
        }
        let before = resident();
        give_back_unused();
        let given_back = before.saturating_sub(resident());
        assert!(given_back > PIECES * PIECE / 2, "{given_back} octets of {before}");
        let kept = pieces.iter().enumerate().filter(|(number, _)| is_kept(*number));
        assert!(
            kept.into_iter()
                .all(|(number, piece)| piece.as_ref().is_some_and(|piece| piece.iter().all(|octet| *octet == number as u8)))
        );
    }
}
