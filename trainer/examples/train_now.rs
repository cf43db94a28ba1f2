//! temp
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() -> anyhow::Result<()> {
    let a: Vec<String> = std::env::args().collect();
    let config = dino_ir_trainer::config::TrainConfig::load(a[1].as_ref(), &a[3..])?;
    let device = burn::tensor::Device::flex().autodiff();
    let (m, _) = dino_ir_trainer::trainee::DinoIrTrainee::new(&config, &device)?;
    let src = dino_ir_trainer::trainee::Photos::load(&config)?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let out: std::path::PathBuf = a[2].clone().into();
    let resume = out.join("last.safetensors").exists().then(|| out.clone());
    let o = dino_ir_trainer::train::RunOptions { out, resume, stop: &stop, quiet: true };
    let r = dino_ir_trainer::train::train(m, &src, &config, &o)?;
    println!("{:?} {:?}", r.step, r.best_psnr);
    Ok(())
}
