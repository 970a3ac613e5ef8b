//! A growing array with free places, addressed by 32-bit positions.

use crate::visits::visit;

/// Positions stay valid until removed; freed places are used again, the last
/// freed first. Storage grows in chunks, so growth never copies what is there
/// and never leaves more than one chunk unused.
#[derive(Debug, Clone)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<Place<T>>>,
    next_free: u32,
    len: usize,
}

#[derive(Debug, Clone)]
enum Place<T> {
    Full(T),
    /// The next free place, or [`NONE`].
    Free(u32),
}

/// No position.
pub(crate) const NONE: u32 = u32::MAX;

const CHUNK: usize = 1 << 14;

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            next_free: NONE,
            len: 0,
        }
    }
}

impl<T> Slab<T> {
    /// What a value costs, in bytes.
    #[cfg(test)]
    pub const PLACE_SIZE: usize = size_of::<Place<T>>();

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        if self.next_free != NONE {
            let at = self.next_free;
            let place = self.place_mut(at).expect("free places exist");
            let Place::Free(next) = std::mem::replace(place, Place::Full(value)) else {
                unreachable!("the free list holds only free places");
            };
            self.next_free = next;
            return at;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks
                .push(Vec::with_capacity(CHUNK.min(if self.chunks.is_empty() {
                    64
                } else {
                    CHUNK
                })));
        }
        let chunks = self.chunks.len();
        let chunk = self.chunks.last_mut().expect("one was just made");
        let at = (chunks - 1) * CHUNK + chunk.len();
        assert!(at < NONE as usize, "a slab holds fewer than 2^32 values");
        chunk.push(Place::Full(value));
        at as u32
    }

    pub fn remove(&mut self, at: u32) -> Option<T> {
        let next_free = self.next_free;
        let place = self.place_mut(at)?;
        if matches!(place, Place::Free(_)) {
            return None;
        }
        let Place::Full(value) = std::mem::replace(place, Place::Free(next_free)) else {
            unreachable!("checked above");
        };
        self.next_free = at;
        self.len -= 1;
        Some(value)
    }

    pub fn get(&self, at: u32) -> Option<&T> {
        visit();
        let at = at as usize;
        match self.chunks.get(at / CHUNK)?.get(at % CHUNK)? {
            Place::Full(value) => Some(value),
            Place::Free(_) => None,
        }
    }

    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        match self.place_mut(at)? {
            Place::Full(value) => Some(value),
            Place::Free(_) => None,
        }
    }

    fn place_mut(&mut self, at: u32) -> Option<&mut Place<T>> {
        visit();
        let at = at as usize;
        self.chunks.get_mut(at / CHUNK)?.get_mut(at % CHUNK)
    }
}

/// Values beside those of a [`Slab`], at the same positions: what is read at once with them, or seldom. Nothing tells
/// which are in use; the slab does.
#[derive(Debug, Clone)]
pub(crate) struct Column<T> {
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> Column<T> {
    pub fn get(&self, at: u32) -> Option<&T> {
        let at = at as usize;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        let at = at as usize;
        self.chunks.get_mut(at / CHUNK)?.get_mut(at % CHUNK)
    }

    /// Sets what stands at a position of the slab, be it old or the one just added.
    pub fn set(&mut self, at: u32, value: T) {
        if let Some(kept) = self.get_mut(at) {
            *kept = value;
            return;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            let room = if self.chunks.is_empty() { 64 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(room));
        }
        let chunks = self.chunks.len();
        let chunk = self.chunks.last_mut().expect("one was just made");
        debug_assert_eq!(at as usize, (chunks - 1) * CHUNK + chunk.len());
        chunk.push(value);
    }
}

/// Values beside those of a [`Slab`] of which only some have one. A chunk in which none ever had one takes nothing.
#[derive(Debug, Clone)]
pub(crate) struct SparseColumn<T> {
    chunks: Vec<Vec<T>>,
}

impl<T> Default for SparseColumn<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T: Copy + Default> SparseColumn<T> {
    /// What was last set at a position, or stands there because something was set behind it.
    pub fn get(&self, at: u32) -> Option<&T> {
        let at = at as usize;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    /// Sets what stands at a position of the slab.
    pub fn set(&mut self, at: u32, value: T) {
        let (chunk, place) = (at as usize / CHUNK, at as usize % CHUNK);
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, Vec::new);
        }
        let values = &mut self.chunks[chunk];
        if values.capacity() == 0 && chunk > 0 {
            values.reserve_exact(CHUNK);
        }
        if values.len() <= place {
            values.resize(place + 1, T::default());
        }
        values[place] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_places_are_used_again() {
        let mut slab = Slab::default();
        let positions: Vec<u32> = (0..40_000).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.get(positions[39_999]), Some(&39_999));
        assert_eq!(slab.remove(positions[17]), Some(17));
        assert_eq!(slab.remove(positions[17]), None);
        assert_eq!(slab.get(positions[17]), None);
        assert_eq!(slab.insert(-1), positions[17]);
        assert_eq!(slab.len(), 40_000);
    }

    #[test]
    fn chunks_without_a_value_take_nothing() {
        let mut column = SparseColumn::default();
        let places = [3 * CHUNK as u32 + 7, 5, 3 * CHUNK as u32 + 1];
        for at in places {
            column.set(at, at);
        }
        assert!(places.iter().all(|at| column.get(*at) == Some(at)));
        let lens: Vec<usize> = column.chunks.iter().map(Vec::capacity).collect();
        assert!(lens[0] < 64, "{lens:?}");
        assert_eq!(lens[1..], [0, 0, CHUNK]);
    }
}
