//! The 8 flips and rotations of the self-ensemble.

/// One of the 8 symmetries of a square: bit 0 mirrors columns, bit 1 mirrors rows, bit 2 transposes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dihedral(usize);

impl Dihedral {
    /// How many there are.
    pub(crate) const COUNT: usize = 8;

    /// The symmetry of that number; 0 is the identity.
    pub(crate) fn new(number: usize) -> Self {
        Self(number % Self::COUNT)
    }

    /// Height and width after it.
    pub(crate) fn size(self, height: usize, width: usize) -> (usize, usize) {
        if self.0 & 4 != 0 {
            (width, height)
        } else {
            (height, width)
        }
    }

    /// For each pixel after it, in row order, the index of the pixel before it in one plane.
    pub(crate) fn indices(self, height: usize, width: usize) -> impl Iterator<Item = usize> {
        let (rows, columns) = self.size(height, width);
        (0..rows).flat_map(move |row| {
            (0..columns).map(move |column| {
                let (y, x) = if self.0 & 4 != 0 {
                    (column, row)
                } else {
                    (row, column)
                };
                let y = if self.0 & 2 != 0 { height - 1 - y } else { y };
                let x = if self.0 & 1 != 0 { width - 1 - x } else { x };
                y * width + x
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn eight_different_permutations() {
        let all: HashSet<Vec<usize>> = (0..Dihedral::COUNT)
            .map(|number| Dihedral::new(number).indices(3, 3).collect())
            .collect();
        assert_eq!(all.len(), 8);
        for mut indices in all {
            indices.sort_unstable();
            assert_eq!(indices, (0..9).collect::<Vec<_>>());
        }
    }

    #[test]
    fn transposes_oblongs() {
        assert_eq!(Dihedral::new(4).size(2, 3), (3, 2));
        assert_eq!(
            Dihedral::new(4).indices(2, 3).collect::<Vec<_>>(),
            [0, 3, 1, 4, 2, 5]
        );
        assert_eq!(
            Dihedral::new(3).indices(2, 3).collect::<Vec<_>>(),
            [5, 4, 3, 2, 1, 0]
        );
    }
}
