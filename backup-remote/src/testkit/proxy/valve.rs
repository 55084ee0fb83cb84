//! Where harm is done to a row of bytes.

use super::rules::Hits;
use super::{Ending, Harm};

pub(super) struct Valve {
    harm: Option<(Harm, Hits)>,
    passed: u64,
}

impl Valve {
    pub(super) fn new(harm: Option<(Harm, Hits)>) -> Self {
        Self { harm, passed: 0 }
    }

    /// To be asked before each piece and before the end: waits where bytes are held back, and says where the connection ends.
    pub(super) async fn border(&mut self) -> Result<(), Ending> {
        match &self.harm {
            Some((Harm::Cut { after, ending }, hits)) if self.passed >= *after => {
                hits.count();
                Err(*ending)
            }
            Some((Harm::Hold { after, gate }, hits)) if self.passed >= *after => {
                hits.count();
                gate.pass().await;
                self.harm = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// How many of so many bytes may pass in one piece.
    pub(super) fn room(&self, bytes: usize) -> usize {
        let until = |border: u64| usize::try_from(border - self.passed).unwrap_or(usize::MAX);
        match &self.harm {
            Some((Harm::Cut { after, .. } | Harm::Hold { after, .. }, _)) => bytes.min(until(*after)),
            Some((Harm::Slow { piece, .. }, _)) => bytes.min((*piece).max(1)),
            _ => bytes,
        }
    }

    /// Does to a piece what is done to bytes themselves.
    pub(super) fn alter(&mut self, piece: &mut [u8]) {
        let at = match &self.harm {
            Some((Harm::FlipAt(at), _)) if *at >= self.passed => usize::try_from(*at - self.passed).ok(),
            Some((Harm::Flip(pattern), _)) => piece.windows(pattern.len()).position(|window| window == pattern),
            _ => None,
        };
        if let Some(byte) = at.and_then(|at| piece.get_mut(at)) {
            *byte ^= 1;
            if let Some((_, hits)) = self.harm.take() {
                hits.count();
            }
        }
    }

    /// So many bytes passed.
    pub(super) async fn passed(&mut self, bytes: usize) {
        self.passed += bytes as u64;
        if let Some((Harm::Slow { pause, .. }, hits)) = &self.harm {
            hits.count();
            tokio::time::sleep(*pause).await;
        }
    }
}
