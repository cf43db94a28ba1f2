//! Restores a PNG: `cargo run --release --example restore -- old.png new.png`

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::ops::ControlFlow;

use dino_ir::{DeviceChoice, Options, PixelView, PixelViewMut, Restorer, WeightsFile};

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = &paths[..] else {
        return Err("give an input and an output".into());
    };
    let mut decoder = png::Decoder::new(BufReader::new(File::open(input)?));
    // Palettes become colours, and 16 bits are cut to 8.
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    let mut photo = vec![0; reader.output_buffer_size().ok_or("too large")?];
    let info = reader.next_frame(&mut photo)?;
    let (width, height) = (info.width as usize, info.height as usize);
    let channels = info.color_type.samples();

    let opened = Restorer::open(WeightsFile::Embedded, DeviceChoice::Auto)?;
    let mut restored = vec![0; photo.len()];
    opened.loaded.restore_pixels(
        PixelView::new(&photo[..], width, height, channels)?,
        PixelViewMut::new(&mut restored[..], width, height, channels)?,
        &Options::default(),
        &mut |progress| {
            eprint!("\r{} of {}", progress.done, progress.total);
            ControlFlow::Continue(())
        },
    )?;
    eprintln!(" on {}", opened.device);

    let mut encoder = png::Encoder::new(
        BufWriter::new(File::create(output)?),
        info.width,
        info.height,
    );
    encoder.set_color(info.color_type);
    Ok(encoder.write_header()?.write_image_data(&restored)?)
}
