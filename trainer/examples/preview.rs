use dino_ir_trainer::{dataset::*, degrade::*, rgb::Rgb, sample::*};
use rand::{SeedableRng, rngs::StdRng};
fn main() {
    let root = std::path::Path::new("/work/shared/data/train");
    let t = std::time::Instant::now();
    let config = DataConfig {
        clean: [
            "bsds365",
            "cid22",
            "clic2025_half",
            "gb82",
            "sunhays80",
            "wallpapers",
        ]
        .iter()
        .map(|d| root.join("clean").join(d))
        .collect(),
        rain_pairs: vec![root.join("rain100l")],
        haze_pairs: vec![root.join("sots_indoor")],
        ..Default::default()
    };
    let s = Sampler::new(&config, 1).unwrap();
    let d = s.dataset();
    println!(
        "load {:?} {} MB clean {}+{} rain {}+{} haze {}+{}",
        t.elapsed(),
        d.bytes() >> 20,
        d.clean.train.len(),
        d.clean.held_out.len(),
        d.rain.train.len(),
        d.rain.held_out.len(),
        d.haze.train.len(),
        d.haze.held_out.len()
    );
    for p in [64usize, 128, 160] {
        let s = s.clone().with_patch(p);
        let t = std::time::Instant::now();
        let mut n = std::collections::BTreeMap::new();
        for i in 0..300 {
            let u = std::time::Instant::now();
            let a = s.sample(i);
            let e = n.entry(a.task.name()).or_insert((0, 0.0));
            e.0 += 1;
            e.1 += u.elapsed().as_secs_f64() * 1e3;
        }
        println!(
            "{p}: {:?} per 300; {:?}",
            t.elapsed(),
            n.iter()
                .map(|(k, v)| format!("{k} {:.2} ms", v.1 / v.0 as f64))
                .collect::<Vec<_>>()
        );
    }
    // sheets
    let sheet = |tiles: &[Rgb], cols: usize, path: &str| {
        let (w, h) = (tiles[0].width, tiles[0].height);
        let rows = tiles.len().div_ceil(cols);
        let im = Rgb::from_fn(w * cols, h * rows, |x, y| {
            let t = y / h * cols + x / w;
            if t < tiles.len() {
                tiles[t].pixel(x % w, y % h)
            } else {
                [0.; 3]
            }
        });
        im.save_png(std::path::Path::new(path)).unwrap();
    };
    let psnr = |a: &Rgb, b: &Rgb| {
        let m = a
            .pixels
            .iter()
            .zip(&b.pixels)
            .map(|(a, b)| ((a - b) as f64).powi(2))
            .sum::<f64>()
            / a.pixels.len() as f64;
        -10.0 * m.log10()
    };
    for kind in ["rain", "haze"] {
        let mut tiles = vec![];
        let mut all = vec![];
        let mut mean = vec![];
        let mut cov = vec![];
        for i in 0..120u64 {
            let ph = &d.clean.train[(i as usize * 37) % d.clean.train.len()];
            let (w, h) = (300, 220);
            let c = ph.patch(10, 10, w, h);
            let mut r = StdRng::seed_from_u64(i);
            let x = if kind == "rain" {
                rain::degrade(&c, &mut r)
            } else {
                haze::degrade(&c, haze::Frame::WHOLE, &mut r)
            };
            all.push(psnr(&x, &c));
            mean.push(
                x.pixels
                    .iter()
                    .zip(&c.pixels)
                    .map(|(a, b)| (a - b) as f64 * 255.)
                    .sum::<f64>()
                    / c.pixels.len() as f64,
            );
            cov.push(
                x.pixels
                    .iter()
                    .zip(&c.pixels)
                    .filter(|(a, b)| **a - **b > 8. / 255.)
                    .count() as f64
                    / c.pixels.len() as f64,
            );
            if i < 16 {
                tiles.push(x);
            }
        }
        sheet(&tiles, 4, &format!("/tmp/prev_{kind}.png"));
        let q = |v: &mut Vec<f64>| {
            v.sort_by(f64::total_cmp);
            [0, 12, 30, 60, 90, 108, 119].map(|i| (v[i] * 100.).round() / 100.)
        };
        println!(
            "{kind} psnr {:?} mean {:?} cov {:?}",
            q(&mut all),
            q(&mut mean),
            q(&mut cov)
        );
    }
    let v = s.validation(40, 128);
    let tiles: Vec<Rgb> = v
        .iter()
        .map(|s| Rgb::from_planar(128, 128, &s.degraded).unwrap())
        .collect();
    sheet(&tiles, 10, "/tmp/prev_val.png");
    for s in &v {
        print!("{}:{} ", s.task, s.name)
    }
    println!();
}
