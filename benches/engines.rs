//! Latency of the engines on the shipped digits model, batch 1, 32 and 256: `cargo bench -p runtime`.

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use runtime::{Engine, Precision};

/// A file of models/. Asked for at run time: a bench that a build cache kept knows the folder of another clone.
fn shipped(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../models").join(name)
}

fn engines(criterion: &mut Criterion) {
    let digit: Vec<f32> = match image::open(shipped("digit.png")) {
        Ok(image) => image.to_luma32f().into_raw(),
        Err(error) => return eprintln!("models/digit.png: {error}: skipped"),
    };
    for (name, precision) in [("tract-f32", Precision::F32), ("tract-f16", Precision::F16)] {
        let mut engine = match Engine::load_with(shipped("digits.onnx"), precision) {
            Ok(engine) => engine,
            Err(error) => {
                eprintln!("{name}: {error}: skipped");
                continue;
            }
        };
        let mut group = criterion.benchmark_group(name);
        for batch in [1, 32, 256] {
            let frames = digit.repeat(batch);
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
                bencher.iter(|| match batch {
                    1 => engine.assign(black_box(&frames)).map(drop),
                    _ => engine.assign_batch(black_box(&frames)).map(drop),
                });
            });
        }
    }
}

criterion_group!(benches, engines);
criterion_main!(benches);
