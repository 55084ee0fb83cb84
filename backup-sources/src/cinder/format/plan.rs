//! In which pieces a chain is read: each byte once, from the newest backup that has it, by growing offsets.

use std::ops::Range;

use super::chain::Chain;
use super::metadata::Object;

/// Bytes that are put together at a time.
const PIECE: u64 = 8 << 20;

/// Objects up to this size are read as wholes, several at a time; larger ones are streams.
const SMALL: u64 = 16 << 20;

/// A piece of the volume, and where its bytes come from.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) range: Range<u64>,
    /// No object reaches beyond it, on either side: it can be read beside others.
    pub(super) alone: bool,
    pub(super) parts: Vec<Part>,
}

/// What an object gives to a piece.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) link: usize,
    pub(super) object: Object,
    /// In the volume, growing.
    pub(super) ranges: Vec<Range<u64>>,
}

/// Goes through a chain.
pub(super) struct Plan<'a> {
    chain: &'a Chain<'a>,
    at: u64,
    /// Up to here, nothing reaches beyond but what lies before.
    region: u64,
    whole: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(chain: &'a Chain<'a>) -> Self {
        Self { chain, at: 0, region: 0, whole: false }
    }

    /// The nearest place behind `at` that no object lies across.
    fn region_end(&self, at: u64) -> u64 {
        let mut end = at + 1;
        loop {
            let across = self.chain.links.iter().filter_map(|link| {
                let objects = link.objects();
                let next = objects.partition_point(|object| object.end() < end);
                objects.get(next).filter(|object| object.offset < end).map(Object::end)
            });
            match across.max().unwrap_or(end) {
                further if further > end => end = further,
                _ => return end.min(self.chain.size),
            }
        }
    }

    fn parts(&self, range: &Range<u64>) -> Vec<Part> {
        let block = self.chain.block;
        let blocks = (range.end - range.start).div_ceil(block);
        let mut taken = vec![false; usize::try_from(blocks).unwrap_or_default()];
        let mut parts = Vec::new();
        for (number, link) in self.chain.links.iter().enumerate().rev() {
            let objects = link.objects();
            let first = objects.partition_point(|object| object.end() <= range.start);
            let here = objects.get(first..).unwrap_or_default().iter().take_while(|object| object.offset < range.end);
            for object in here {
                let from = object.offset.max(range.start);
                let to = object.end().min(range.end);
                let mut ranges: Vec<Range<u64>> = Vec::new();
                for start in (from..to).step_by(usize::try_from(block).unwrap_or(usize::MAX)) {
                    let index = usize::try_from((start - range.start) / block).unwrap_or_default();
                    if taken.get_mut(index).is_none_or(|taken| std::mem::replace(taken, true)) {
                        continue;
                    }
                    let end = (start + block).min(to);
                    match ranges.last_mut() {
                        Some(last) if last.end == start => last.end = end,
                        _ => ranges.push(start..end),
                    }
                }
                if !ranges.is_empty() {
                    parts.push(Part { link: number, object: *object, ranges });
                }
            }
        }
        parts
    }
}

impl Iterator for Plan<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.at >= self.chain.size {
            return None;
        }
        if self.at >= self.region {
            self.region = self.region_end(self.at);
            while self.region < self.chain.size {
                // Small objects are read together.
                let next = self.region_end(self.region);
                if next - self.at > PIECE {
                    break;
                }
                self.region = next;
            }
            self.whole = self.region - self.at <= SMALL;
        }
        let block = self.chain.block;
        let step = (PIECE / block).max(1) * block;
        let end = if self.whole { self.region } else { self.region.min(self.at + step) };
        let range = std::mem::replace(&mut self.at, end)..end;
        let parts = self.parts(&range);
        Some(Piece { range, alone: self.whole, parts })
    }
}
