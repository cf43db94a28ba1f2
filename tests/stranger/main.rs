//! A program of somebody who knows no more of the library than its documentation.
use dino_ir::{DeviceChoice, Error, Options, PixelView, PixelViewMut, Restorer, WeightsFile};
use std::ops::ControlFlow::Continue;

fn main() -> Result<(), Error> {
    let restorer = Restorer::open(WeightsFile::Embedded, DeviceChoice::Auto)?.loaded;
    let (width, height) = (64, 48);
    let noise = |at: usize| (at * 7919 % 83) as u16;

    let photo: Vec<u8> = (0..width * height * 4).map(|at| 90 + noise(at) as u8).collect(); // RGBA
    let mut restored = vec![0_u8; photo.len()];
    let from = PixelView::new(&photo[..], width, height, 4)?;
    let to = PixelViewMut::new(&mut restored[..], width, height, 4)?;
    restorer.restore_pixels(from, to, &Options::default(), &mut |_| Continue(()))?;
    assert!(restored != photo && (3..photo.len()).step_by(4).all(|a| restored[a] == photo[a]));

    let grey: Vec<u16> = (0..width * height).map(|at| 20_000 + 300 * noise(at)).collect();
    let mut smooth = vec![0_u16; grey.len()];
    let from = PixelView::new(&grey[..], width, height, 1)?;
    let to = PixelViewMut::new(&mut smooth[..], width, height, 1)?;
    restorer.restore_pixels(from, to, &Options::default(), &mut |_| Continue(()))?;
    let range = |samples: &[u16]| samples.iter().max().zip(samples.iter().min()).map(|(a, b)| a - b);
    assert!(range(&smooth) < range(&grey));
    println!("restored both");
    Ok(())
}
