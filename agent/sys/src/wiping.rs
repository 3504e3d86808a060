//! An allocator that leaves nothing behind: what is freed is wiped first, once a role has asked for it.
//!
//! Content passes through buffers of many libraries, none of which knows that it holds a secret.
//! Wiping each type by hand forgets one sooner or later; wiping where memory is given back forgets
//! none of the heap. What is not allocated through Rust (C libraries, the stack) is not wiped here:
//! for the stack there is [`wipe_stack`].

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process wipes.
static WIPES: AtomicBool = AtomicBool::new(false);

/// Bytes of stack below the caller that [`wipe_stack`] overwrites: deeper than any frame that a job
/// reaches, or nearly so.
const STACK: usize = 256 * 1024;

/// The system's allocator, which wipes what is freed after [`wipe_what_is_freed`].
#[derive(Debug)]
pub struct Wiping;

/// From now on this process wipes what it frees. It costs what writing to memory costs that is in the
/// processor's cache already.
pub fn wipe_what_is_freed() {
    WIPES.store(true, Ordering::Relaxed);
}

/// Overwrites the stack below the caller: to be called where no work is under way.
#[inline(never)]
pub fn wipe_stack() {
    let mut below = [0_u8; STACK];
    std::hint::black_box(&mut below);
}

// SAFETY: every call goes to the system's allocator with the layout that it came with, so that
// allocator's own promises hold; what is done besides touches only a block that the caller gives up,
// within its length.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if WIPES.load(Ordering::Relaxed) {
            // SAFETY: the caller owns `layout.size()` bytes at `block` until the next line.
            unsafe { libc::explicit_bzero(block.cast(), layout.size()) };
        }
        // SAFETY: the caller's promises about `block` and `layout` are passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !WIPES.load(Ordering::Relaxed) {
            // SAFETY: the caller's promises are passed on.
            return unsafe { System.realloc(block, layout, size) };
        }
        // The system's own way may move the block and leave a copy, or give back its end.
        // SAFETY: the caller promises that `size`, rounded up to the alignment, is a layout's.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller promises that `size` is not 0.
        let new = unsafe { System.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both blocks are the caller's and as long as that, and the new one is no part of
            // the old one, which still lives.
            unsafe { std::ptr::copy_nonoverlapping(block, new, layout.size().min(size)) };
            // SAFETY: `block` was allocated here with `layout`, and is not used again.
            unsafe { self.dealloc(block, layout) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block through this allocator, filled; how much of it is there in one piece after `end` has had
    /// it, where the page is still mapped: read through the kernel, which refuses what is not. The system's
    /// allocator keeps words of its own in what was freed, and any byte may be among those.
    fn left(size: usize, end: impl FnOnce(*mut u8, Layout)) -> usize {
        let layout = Layout::from_size_align(size, 16).unwrap();
        // SAFETY: the layout is not empty; the block is written within its length.
        let block = unsafe { Wiping.alloc(layout) };
        assert!(!block.is_null());
        // SAFETY: as above.
        unsafe { block.write_bytes(0xa5, size) };
        let at = block as u64;
        end(block, layout);
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let mut seen = vec![0; size];
        let read = std::os::unix::fs::FileExt::read_at(&memory, &mut seen, at).unwrap_or(0);
        let pieces = seen[..read].split(|byte| *byte != 0xa5);
        pieces.map(<[u8]>::len).max().unwrap_or(0)
    }

    #[test]
    fn what_is_freed_or_moved_is_wiped() {
        wipe_what_is_freed();
        for size in [64, 5000] {
            // SAFETY: the block and its layout are the allocator's own, given back once.
            let freed = left(size, |block, layout| unsafe {
                Wiping.dealloc(block, layout);
            });
            assert!(freed < 8, "{freed} of {size} bytes freed");
            let moved = left(size, |block, layout| {
                // SAFETY: as above; it is given back below, with its new length.
                let moved = unsafe { Wiping.realloc(block, layout, layout.size() * 3) };
                assert!(!moved.is_null() && moved != block);
                // SAFETY: so many bytes were written before it was moved, and it lives.
                let kept = unsafe { std::slice::from_raw_parts(moved, layout.size()) };
                assert!(kept.iter().all(|byte| *byte == 0xa5));
                let longer = Layout::from_size_align(layout.size() * 3, 16).unwrap();
                // SAFETY: the block and its layout are the allocator's own, given back once.
                unsafe { Wiping.dealloc(moved, longer) };
            });
            assert!(moved < 8, "{moved} of {size} bytes moved");
        }
    }
}
