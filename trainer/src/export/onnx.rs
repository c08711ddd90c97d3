//! The ONNX file: front end, scaling, encoder and head in one graph, opset 17.
//!
//! Names and checksum are those of [`runtime::onnx::names`]. Burn's own exporter lowers neither Softmax
//! nor LogSoftmax and numbers its tensors, so the graph is written here.
//!
//! The graph is written in the order of the data: front end and scaling if there are any, convolutions with stride
//! 2, dense layers, the two heads m and log v, clamping, then the clusters. Normalisation is folded
//! in ([`Folded`]). Weights may be f16; biases, μ_c, log σ_c² and all arithmetic are f32. The
//! checksum is the last entry of the metadata: the file is encoded with zeros in its place, then
//! the digits are written over them, so its length and all else stay as they were.

use half::f16;
use prost::Message;
use runtime::onnx::{checksum, names};
use std::f32::consts::PI;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};

use super::decoder::{likelihood, network};
use super::front_end::{self, prepared};
use super::graph::{Dim, GraphBuilder, integer, integers};
use super::{Folded, FoldedDense, Precision, device_posterior, windowing};
use crate::data::SeenValues;
use crate::error::{Error, Result};
use crate::explain::trust;
use crate::files::sha256;
use crate::fitted::{Fitted, LEAST_VARIANCE};
use crate::frame::FrameKind;
use crate::model::{LOG_VAR_RANGE, Likelihood};

/// Version of the ONNX operators that the graph uses.
const OPSET: i64 = 17;
/// Version of the ONNX file format.
const IR_VERSION: i64 = 8;

/// The bytes of the ONNX file, checksum included.
///
/// # Errors
/// [`Error::Model`] if a weight is not finite in the precision asked for.
pub fn encode(fitted: &Fitted, precision: Precision) -> Result<Vec<u8>> {
    let mut more = match fitted.novelty.dispersion_weight {
        0.0 => Vec::new(),
        weight => [(names::DISPERSION_KEY, weight.to_string())].into_iter().chain(likelihood(fitted)?).collect(),
    };
    more.extend(fitted.front_end.iter().flat_map(front_end::metadata));
    more.extend(fitted.seen.iter().flat_map(range));
    more.extend(windowing::windowing(fitted)?.into_iter().flat_map(windowing::metadata));
    encode_graph(fitted, precision, graph(fitted, &Folded::new(fitted)?, precision)?, &more)
}

/// Entries of the metadata that say which values training saw.
fn range(seen: &SeenValues) -> [(&'static str, String); 3] {
    let keys = [names::LEAST_KEY, names::MOST_KEY, names::DEVIATION_KEY].into_iter();
    let mut entries = keys.zip([&seen.least, &seen.most, &seen.deviation]).map(|(key, values)| {
        let values: Vec<String> = values.iter().map(f32::to_string).collect();
        (key, values.join(","))
    });
    core::array::from_fn(|_| entries.next().unwrap_or_default())
}

/// The bytes of a file around `graph`, with `more` entries of metadata.
pub fn encode_graph(
    fitted: &Fitted,
    precision: Precision,
    graph: GraphProto,
    more: &[(&str, String)],
) -> Result<Vec<u8>> {
    check_finite(&graph)?;
    let model = ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        producer_name: "trainer".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        metadata_props: metadata(fitted, precision, more)?,
        ..Default::default()
    };
    let mut bytes = model.encode_to_vec();
    if !checksum::write(&mut bytes) {
        return Err(Error::model("model.onnx", "the encoded file has no place for its checksum"));
    }
    Ok(bytes)
}

/// Refuses a graph with a weight that is not finite as it is stored: 1e5 is finite in f32 and
/// infinite in f16.
fn check_finite(graph: &GraphProto) -> Result<()> {
    for tensor in &graph.initializer {
        let raw = &tensor.raw_data;
        let finite = match DataType::try_from(tensor.data_type) {
            Ok(DataType::Float16) => raw.as_chunks().0.iter().all(|b| f16::from_le_bytes(*b).is_finite()),
            Ok(DataType::Float) => raw.as_chunks().0.iter().all(|b| f32::from_le_bytes(*b).is_finite()),
            _ => true,
        };
        if !finite {
            let problem = "is beyond the range of the precision; train with a lower learning rate, or export f32";
            return Err(Error::model(tensor.name.as_str(), problem));
        }
    }
    Ok(())
}

/// The graph of a model, from frame to clusters and novelty.
fn graph(fitted: &Fitted, folded: &Folded, precision: Precision) -> Result<GraphProto> {
    let mut g = GraphBuilder::new("cluster_vae");
    let prepared = prepared(&mut g, fitted);
    let mut last = prepared.to_owned();
    for (i, conv) in folded.convs.iter().enumerate() {
        let [outputs, inputs, kernel] = conv.shape;
        let (weight, bias) = (format!("conv{i}.weight"), format!("conv{i}.bias"));
        g.weights(&weight, &[outputs, inputs, kernel, kernel], &conv.weight, precision);
        g.floats(&bias, &[outputs], &conv.bias);
        let (k, pad) = (kernel as i64, (kernel / 2) as i64);
        let attributes =
            vec![integers("kernel_shape", &[k, k]), integers("pads", &[pad; 4]), integers("strides", &[2, 2])];
        let out = format!("conv{i}");
        g.node("Conv", &out, &[&last, &weight, &bias], &out, attributes);
        last = format!("conv{i}.relu");
        g.node("Relu", &last, &[&out], &last, vec![]);
    }
    g.node("Flatten", "flatten", &[&last], "flat", vec![integer("axis", 1)]);
    last = "flat".into();
    for (i, layer) in folded.dense.iter().enumerate() {
        let out = format!("dense{i}");
        dense(&mut g, &out, layer, &last, &out, precision);
        last = format!("dense{i}.relu");
        g.node("Relu", &last, &[&out], &last, vec![]);
    }
    let latent = folded.mu.shape[1];
    dense(&mut g, "mu", &folded.mu, &last, names::MU, precision);
    dense(&mut g, "log_var", &folded.log_var, &last, "log_var.unclamped", precision);
    g.floats("log_var.min", &[], &[LOG_VAR_RANGE.0]);
    g.floats("log_var.max", &[], &[LOG_VAR_RANGE.1]);
    g.node("Clip", "clamp", &["log_var.unclamped", "log_var.min", "log_var.max"], names::LOG_VAR, vec![]);
    let clusters = folded.log_var_c.len();
    if let Some(head) = &folded.cluster_logits {
        dense(&mut g, "clusters", head, &last, names::CLUSTER_LOGITS, precision);
    }
    let counts_decoder = fitted.novelty.dispersion_weight > 0.0;
    let of_latent = if counts_decoder { "head.novelty" } else { names::NOVELTY };
    head(&mut g, folded, latent, clusters, fitted.calibration.temperature, of_latent);
    if counts_decoder {
        dispersion(&mut g, fitted, precision, prepared, of_latent)?;
    }

    let widths = [
        (names::MU, latent),
        (names::LOG_VAR, latent),
        (names::LOG_RESPONSIBILITIES, clusters),
        (names::RESPONSIBILITIES, clusters),
    ];
    for (name, width) in widths {
        g.output(name, &[Dim::Batch, Dim::Fixed(width)]);
    }
    g.output(names::NOVELTY, &[Dim::Batch]);
    if folded.cluster_logits.is_some() {
        g.output(names::CLUSTER_LOGITS, &[Dim::Batch, Dim::Fixed(clusters)]);
    }
    Ok(g.finish())
}

/// Adds a dense layer as Gemm.
pub fn dense(g: &mut GraphBuilder, name: &str, layer: &FoldedDense, input: &str, output: &str, precision: Precision) {
    let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
    g.weights(&weight, &layer.shape, &layer.weight, precision);
    g.floats(&bias, &[layer.shape[1]], &layer.bias);
    g.node("Gemm", name, &[input, &weight, &bias], output, vec![]);
}

/// Adds the head: exponents, responsibilities and novelty, in f32 and in log space.
///
/// 1. Exponents e_c = -½ ((‖m - μ_c‖² + Σ_d v_d) exp(-log σ_c²) + D (log σ_c² + log 2π)), the
///    alignment of each cluster ([`crate::elbo::alignment`]). Distances are from differences, with
///    the mean as `[N,1,D]` against `[K,D]`.
///    To it is added log K p(c), if p(c) is learned.
/// 2. Evidence log Σ_c exp(e_c), by nodes that take the maximum out first, and novelty log K -
///    evidence.
/// 3. Responsibilities: log-softmax of e_c/T, or of the learned head's logits over T, and its
///    exponential.
fn head(g: &mut GraphBuilder, folded: &Folded, latent: usize, clusters: usize, temperature: f32, novelty: &str) {
    g.floats(names::MU_C, &[clusters, latent], &folded.mu_c);
    g.floats(names::LOG_VAR_C, &[clusters], &folded.log_var_c);
    if let Some(log_weights) = &folded.log_weights {
        g.floats(names::LOG_WEIGHTS, &[clusters], log_weights);
    }
    g.floats("head.log_2pi", &[], &[(2.0 * PI).ln()]);
    g.floats("head.d", &[], &[latent as f32]);
    g.floats("head.minus_half", &[], &[-0.5]);
    g.floats("head.log_k", &[], &[(clusters as f32).ln()]);
    g.floats("head.sharpness", &[], &[1.0 / temperature]);
    g.integers("head.axis1", &[1]);
    g.integers("head.axis2", &[2]);
    let mut node = |op: &str, inputs: &[&str], output: &str, attributes| {
        g.node(op, &format!("{}{output}", names::HEAD_NODES), inputs, output, attributes);
    };
    node("Unsqueeze", &[names::MU, "head.axis1"], "head.mu_z", vec![]);
    node("Sub", &["head.mu_z", names::MU_C], "head.difference", vec![]);
    node("Mul", &["head.difference", "head.difference"], "head.square", vec![]);
    node("ReduceSum", &["head.square", "head.axis2"], "head.distance", vec![integer("keepdims", 0)]);
    node("Exp", &[names::LOG_VAR], "head.variance", vec![]);
    node("ReduceSum", &["head.variance", "head.axis1"], "head.total_variance", vec![integer("keepdims", 1)]);
    node("Add", &["head.distance", "head.total_variance"], "head.spread", vec![]);
    node("Neg", &[names::LOG_VAR_C], "head.log_precision", vec![]);
    node("Exp", &["head.log_precision"], "head.precision", vec![]);
    node("Mul", &["head.spread", "head.precision"], "head.scaled", vec![]);
    node("Add", &[names::LOG_VAR_C, "head.log_2pi"], "head.log_scale", vec![]);
    node("Mul", &["head.log_scale", "head.d"], "head.normalizer", vec![]);
    node("Add", &["head.scaled", "head.normalizer"], "head.doubled", vec![]);
    let unweighted = if folded.log_weights.is_some() { "head.unweighted" } else { "head.exponents" };
    node("Mul", &["head.doubled", "head.minus_half"], unweighted, vec![]);
    if folded.log_weights.is_some() {
        node("Add", &[unweighted, names::LOG_WEIGHTS], "head.exponents", vec![]);
    }
    // ReduceLogSumExp would be one node, but not every runtime subtracts the maximum first.
    let keep = vec![integers("axes", &[1]), integer("keepdims", 1)];
    node("ReduceMax", &["head.exponents"], "head.max", keep);
    node("Sub", &["head.exponents", "head.max"], "head.shifted", vec![]);
    node("Exp", &["head.shifted"], "head.exp", vec![]);
    node("ReduceSum", &["head.exp", "head.axis1"], "head.sum", vec![integer("keepdims", 1)]);
    node("Log", &["head.sum"], "head.log_sum", vec![]);
    node("Add", &["head.log_sum", "head.max"], "head.evidence", vec![]);
    node("Squeeze", &["head.evidence", "head.axis1"], "head.evidence_of_frame", vec![]);
    node("Sub", &["head.log_k", "head.evidence_of_frame"], novelty, vec![]);
    let logits = if folded.cluster_logits.is_some() { names::CLUSTER_LOGITS } else { "head.exponents" };
    node("Mul", &[logits, "head.sharpness"], "head.tempered", vec![]);
    node("LogSoftmax", &["head.tempered"], names::LOG_RESPONSIBILITIES, vec![integer("axis", 1)]);
    node("Exp", &[names::LOG_RESPONSIBILITIES], names::RESPONSIBILITIES, vec![]);
}

/// Adds what novelty counts besides the latent: the decoder at m and the most probable cluster, the dispersion of what
/// it gives ([`runtime::Dispersion`]), and their sum.
fn dispersion(g: &mut GraphBuilder, fitted: &Fitted, precision: Precision, frame: &str, of_latent: &str) -> Result<()> {
    let cluster = vec![integer("axis", 1), integer("keepdims", 0)];
    g.node("ArgMax", "head/cluster", &[names::LOG_RESPONSIBILITIES], names::CLUSTER, cluster);
    network(g, fitted, names::DECODER_NODES, [names::MU, names::CLUSTER, names::DECODED], precision)?;
    g.floats("dispersion.least", &[], &[LEAST_VARIANCE as f32]);
    g.floats("dispersion.weight", &[], &[fitted.novelty.dispersion_weight]);
    g.integers("dispersion.axis1", &[1]);
    let mut node = |op: &str, inputs: &[&str], output: &str, attributes| {
        g.node(op, &format!("{}{output}", names::DISPERSION_NODES), inputs, output, attributes);
    };
    node("Flatten", &[frame], "dispersion.frame", vec![integer("axis", 1)]);
    let (mean, variance) = match fitted.likelihood {
        Likelihood::Bernoulli => {
            node("Sigmoid", &[names::DECODED], "dispersion.mean", vec![]);
            // p - p², which is p (1 - p).
            node("Mul", &["dispersion.mean", "dispersion.mean"], "dispersion.mean_square", vec![]);
            node("Sub", &["dispersion.mean", "dispersion.mean_square"], "dispersion.variance", vec![]);
            ("dispersion.mean", "dispersion.variance")
        }
        Likelihood::Gaussian => {
            // As many as there are values, all the same.
            node("Sub", &[names::DECODED, names::DECODED], "dispersion.zeros", vec![]);
            node("Add", &["dispersion.zeros", "dispersion.noise"], "dispersion.variance", vec![]);
            (names::DECODED, "dispersion.variance")
        }
    };
    node("Max", &[variance, "dispersion.least"], "dispersion.variances", vec![]);
    node(
        "ReduceSum",
        &["dispersion.variances", "dispersion.axis1"],
        "dispersion.expected",
        vec![integer("keepdims", 0)],
    );
    node("Sub", &["dispersion.frame", mean], "dispersion.error", vec![]);
    node("Mul", &["dispersion.error", "dispersion.error"], "dispersion.square", vec![]);
    node("ReduceSum", &["dispersion.square", "dispersion.axis1"], "dispersion.found", vec![integer("keepdims", 0)]);
    node("Div", &["dispersion.found", "dispersion.expected"], "dispersion", vec![]);
    node("Mul", &["dispersion", "dispersion.weight"], "dispersion.weighted", vec![]);
    node("Add", &[of_latent, "dispersion.weighted"], names::NOVELTY, vec![]);
    if fitted.likelihood == Likelihood::Gaussian {
        g.floats("dispersion.noise", &[], &[trust::noise(&fitted.model)?]);
    }
    Ok(())
}

/// Entries of the metadata: versions, calibration, provenance, `more`, and last the checksum.
fn metadata(fitted: &Fitted, precision: Precision, more: &[(&str, String)]) -> Result<Vec<StringStringEntryProto>> {
    let config = &fitted.config;
    let weights = if precision == Precision::F16 { "f16" } else { "f32" };
    let scaling = if fitted.scaling.is_some() { "standardised inside the graph" } else { "bytes / 255" };
    let version = if fitted.model.prior.log_weights.is_some() { names::VERSION_WEIGHTED } else { names::VERSION };
    // A reader that knows no decoder then finds no threshold, and refuses the model.
    let counts_decoder = more.iter().any(|(key, _)| *key == names::DISPERSION_KEY);
    let threshold = if counts_decoder { names::DECODER_THRESHOLD_KEY } else { names::THRESHOLD_KEY };
    let entries = [
        (names::VERSION_KEY, version.to_owned()),
        (threshold, fitted.calibration.novelty_threshold.to_string()),
        (names::TEMPERATURE_KEY, fitted.calibration.temperature.to_string()),
        ("cluster_vae.frame", fitted.shape.to_string()),
        ("cluster_vae.scaling", scaling.to_owned()),
        ("cluster_vae.clusters", config.clusters().to_string()),
        ("cluster_vae.latent", config.latent.to_string()),
        ("cluster_vae.cluster_posterior", device_posterior(config.cluster_posterior).to_owned()),
        ("cluster_vae.false_alarm_rate", config.novelty.false_alarm_rate.to_string()),
        ("cluster_vae.weights", weights.to_owned()),
        ("cluster_vae.seed", config.seed.to_string()),
        ("cluster_vae.config_sha256", sha256(config.to_toml()?.as_bytes())),
        ("cluster_vae.data_sha256", fitted.data_sha256.clone()),
    ];
    let kind = (config.kind() != fitted.shape.kind()).then(|| {
        let kind = match config.kind() {
            FrameKind::Image => "image",
            FrameKind::Window => "window",
            FrameKind::Features => "features",
        };
        (names::KIND_KEY, kind.to_owned())
    });
    let columns = fitted.columns.as_ref().map(serde_json::to_string).transpose();
    let columns = columns.map_err(|e| Error::model("model.onnx", e))?.map(|text| (names::COLUMNS_KEY, text));
    let manner = fitted.manner.as_ref().map(serde_json::to_string).transpose();
    let manner = manner.map_err(|e| Error::model("model.onnx", e))?.map(|text| (names::MANNER_KEY, text));
    // The last entry, so that its digits are found from the end of the file.
    let checksum = (names::CHECKSUM_KEY, "0".repeat(names::CHECKSUM_DIGITS));
    let entries =
        entries.into_iter().chain(kind).chain(columns).chain(manner).chain(more.iter().cloned()).chain([checksum]);
    Ok(entries.map(|(key, value)| StringStringEntryProto { key: key.into(), value }).collect())
}
