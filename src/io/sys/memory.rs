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
