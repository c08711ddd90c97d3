//! Engines side by side, `cargo bench -p runtime`: latency at batch 1, 32 and 256, load time, memory, agreement.
//!
//! Every engine gives the whole answer, from a frame to responsibilities and novelty, on one thread but for the GPU.
//! Engines take turns within a round, so that a machine whose speed drifts does not favour one; a figure is the median
//! over the rounds. Peers that this machine lacks are named and left out.

mod load;
mod peers;
mod shapes;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use peers::{Answer, Peer};
use shapes::Shape;

const BATCHES: [usize; 3] = [1, 32, 256];
/// Time for the rounds of one shape and batch.
const BUDGET: Duration = Duration::from_secs(3);
const LEAST_ROUNDS: usize = 7;
/// A turn has as many calls as take about this long.
const TURN: Duration = Duration::from_millis(2);
/// The peer that the ratios are to.
const REFERENCE: &str = "ONNX Runtime f32";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, engine, folder] = &arguments[..]
        && flag == load::FLAG
    {
        return load::measure(engine, folder);
    }
    // One thread an engine. Burn and gemm take theirs from rayon; the others are told when they are made.
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    if let Err(error) = one.map_err(Into::into).and_then(|()| run()) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    // `cargo bench -p runtime -- C` measures one shape; Criterion filters by the same word.
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |shape: &Shape| only.as_ref().is_none_or(|only| only.split('/').next() == Some(shape.name));
    for shape in shapes::all()?.into_iter().filter(wanted) {
        println!("\n{} ({})", shape.name, shape.what);
        let (mut peers, missing) = peers::all(&shape);
        missing.iter().for_each(|why| println!("left out: {why}"));
        criterion_report(&shape, &mut peers);
        let mut medians: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for batch in BATCHES {
            for (peer, median) in alternate(&mut peers, &shape, batch).into_iter().enumerate() {
                medians.insert((peer, batch), median);
            }
        }
        table(&shape, &mut peers, &medians);
        println!("{}", load::table(&shape, folder.path())?);
    }
    Ok(())
}

/// Criterion's own statistics for the engines of this crate; `cargo bench -p runtime -- C/native` picks. Short, for the
/// table is what compares.
fn criterion_report(shape: &Shape, peers: &mut [Box<dyn Peer>]) {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .configure_from_args();
    let mut group = criterion.benchmark_group(shape.name);
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch as u64));
        for peer in peers.iter_mut().filter(|peer| peer.own()) {
            let mut inputs = shape.frames.chunks_exact(shape.length() * batch).cycle();
            group.bench_function(BenchmarkId::new(peer.name(), batch), |bencher| {
                bencher.iter(|| inputs.next().map(|frames| peer.run(frames, batch)));
            });
        }
    }
}

/// Median seconds a frame of every peer, the peers taking turns.
fn alternate(peers: &mut [Box<dyn Peer>], shape: &Shape, batch: usize) -> Vec<f64> {
    let length = shape.length();
    let mut inputs = shape.frames.chunks_exact(length * batch).cycle();
    let mut seconds = vec![Vec::new(); peers.len()];
    let calls: Vec<usize> = peers
        .iter_mut()
        .map(|peer| {
            let frames = inputs.next().unwrap_or(&shape.frames);
            // The first call of some peers compiles something.
            peer.run(frames, batch);
            let started = Instant::now();
            peer.run(frames, batch);
            (TURN.as_secs_f64() / started.elapsed().as_secs_f64()).clamp(1.0, 1000.0) as usize
        })
        .collect();
    let started = Instant::now();
    while seconds[0].len() < LEAST_ROUNDS || started.elapsed() < BUDGET {
        for (peer, (seconds, calls)) in peers.iter_mut().zip(seconds.iter_mut().zip(&calls)) {
            // The call before the turn brings the engine's memory back into the caches.
            peer.run(inputs.next().unwrap_or(&shape.frames), batch);
            let turn = Instant::now();
            for _ in 0..*calls {
                // Digits follow each other, as frames do: no engine sees one twice in a row.
                let frames = inputs.next().unwrap_or(&shape.frames);
                std::hint::black_box(peer.run(std::hint::black_box(frames), batch));
            }
            seconds.push(turn.elapsed().as_secs_f64() / (*calls * batch) as f64);
        }
    }
    seconds.into_iter().map(median).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Markdown: median a frame and its ratio to the reference, and agreement with the first peer, the trained model.
fn table(shape: &Shape, peers: &mut [Box<dyn Peer>], medians: &BTreeMap<(usize, usize), f64>) {
    let reference = peers.iter().position(|peer| peer.name() == REFERENCE);
    let expected = answers(&mut *peers[0], shape);
    println!(
        "\n| {} | batch 1 | 32 | 256 | same cluster | largest difference |\n|---|---|---|---|---|---|",
        shape.name
    );
    for (index, peer) in peers.iter_mut().enumerate() {
        let cells = BATCHES.map(|batch| {
            let micros = medians[&(index, batch)] * 1e6;
            let ratio = reference.map(|r| medians[&(index, batch)] / medians[&(r, batch)]);
            match ratio {
                Some(ratio) => format!("{micros:.2} µs ({ratio:.2})"),
                None => format!("{micros:.2} µs"),
            }
        });
        let found = answers(&mut **peer, shape);
        let same = found.iter().zip(&expected).filter(|(a, b)| a.cluster == b.cluster).count();
        let difference = found
            .iter()
            .zip(&expected)
            .flat_map(|(a, b)| a.responsibilities.iter().zip(&b.responsibilities).map(|(a, b)| (a - b).abs()))
            .fold(0.0, f32::max);
        println!(
            "| {} | {} | {:.2} % of {} | {difference:.1e} |",
            peer.name(),
            cells.join(" | "),
            100.0 * same as f64 / expected.len() as f64,
            expected.len()
        );
    }
}

fn answers(peer: &mut dyn Peer, shape: &Shape) -> Vec<Answer> {
    shape.frames.chunks(shape.length() * 250).flat_map(|part| peer.answers(part, part.len() / shape.length())).collect()
}
