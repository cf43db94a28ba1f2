use dino_ir_trainer::{eval::*, metrics::*};
fn main(){ for (suite,d,limit) in [(Suite::Denoise,"cbsd68",Some(6)),(Suite::Blur,"cbsd68",Some(3)),(Suite::Pairs,"rain100l",Some(10)),(Suite::Pairs,"sots_outdoor",None)] { for protocol in [Protocol::Airnet,Protocol::Restormer,Protocol::Y]{
 let o=EvalOptions{suite,data:std::path::Path::new("/work/shared/data/test").join(d),protocol,sigmas:None,limit,save:(d=="rain100l").then(||"/tmp/strips".into()),weights:"none".into()};
 let t=std::time::Instant::now(); let r=evaluate(&o,&|x|Ok(x.clone()),&mut |_|std::ops::ControlFlow::Continue(())).unwrap().unwrap(); println!("{r}{:?} {:?}",r.failures,t.elapsed()); } } }
