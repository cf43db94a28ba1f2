//! Scenes, told by their looks: the same photo under another name or compression is one scene.

use std::path::PathBuf;

use anyhow::Result;
use rayon::prelude::*;

use super::Photo;
use super::layout::truths;

const SIDE: usize = 16;

/// What a photo looks like from afar: its aspect and 16 x 16 means.
#[derive(Clone, Debug)]
pub struct Scene {
    aspect: f32,
    thumbnail: [[u8; SIDE]; SIDE],
}

impl Scene {
    /// The scene of a photo.
    pub fn of(photo: &Photo) -> Self {
        // At least one pixel a cell, however small the photo.
        let span = |cell: usize, size: usize| {
            let from = cell * size / SIDE;
            from..((cell + 1) * size / SIDE).max(from + 1)
        };
        let thumbnail = std::array::from_fn(|row| {
            std::array::from_fn(|column| {
                let (columns, rows) = (span(column, photo.width), span(row, photo.height));
                let count = 3 * columns.len() * rows.len();
                let sum: usize = rows
                    .flat_map(|y| {
                        let at = y * photo.width;
                        &photo.samples[(at + columns.start) * 3..(at + columns.end) * 3]
                    })
                    .map(|&v| usize::from(v))
                    .sum();
                (sum / count) as u8
            })
        });
        Self {
            aspect: photo.width as f32 / photo.height as f32,
            thumbnail,
        }
    }

    /// Whether both show the same.
    pub fn is(&self, other: &Self) -> bool {
        // Recompression moves the mean difference by less than a level; other photos differ by ten and more.
        const SAME: i32 = 2 * SIDE as i32 * SIDE as i32;
        let cells = self.thumbnail.as_flattened().iter();
        let distance: i32 = cells
            .zip(other.thumbnail.as_flattened())
            .map(|(&a, &b)| (i32::from(a) - i32::from(b)).abs())
            .sum();
        (self.aspect / other.aspect - 1.0).abs() < 0.01 && distance < SAME
    }
}

/// The scenes of test sets.
#[derive(Debug)]
pub struct Scenes(Vec<Scene>);

impl Scenes {
    /// Those of the truths, or the clean photos, in folders of any layout.
    ///
    /// # Errors
    /// Names the folder or the file at fault.
    pub fn of_folders(folders: &[PathBuf]) -> Result<Self> {
        let mut found = Vec::new();
        for folder in folders {
            found.extend(truths(folder)?);
        }
        let scenes = found.into_par_iter().map(|pair| {
            let photo = Photo::load(&pair.clean, String::new())?;
            Ok(Scene::of(&photo.truth(&pair)))
        });
        Ok(Self(scenes.collect::<Result<_>>()?))
    }

    /// Whether a photo shows one of them.
    pub fn contain(&self, photo: &Photo) -> bool {
        self.contain_scene(&Scene::of(photo))
    }

    /// Whether a scene is one of them.
    pub fn contain_scene(&self, scene: &Scene) -> bool {
        self.0.iter().any(|known| known.is(scene))
    }
}
