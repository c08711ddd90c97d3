//! From the bytes of an ONNX file to a plan, every step answering with an error instead of a panic.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::pb::{ModelProto, TensorProto, tensor_shape_proto, type_proto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::transform::get_transform;

use super::decoder::NoveltyDecoder;
use super::{Engine, LoadError, Plan, Precision, checksum, front_end, fused, names};
use crate::{Calibration, FrameShape, Head, ValueRange, Windowing};

/// Loads a model; see [`Engine::from_bytes`].
pub fn load(bytes: &[u8], precision: Precision) -> Result<Engine, LoadError> {
    // tract panics on some graphs that are well-formed protobuf but make no sense.
    catch_unwind(AssertUnwindSafe(|| load_checked(bytes, precision)))
        .unwrap_or_else(|_| Err(LoadError::Graph("it panicked while reading the graph".into())))
}

/// The protobuf of a file whose checksum and version hold.
pub(super) fn opened(bytes: &[u8]) -> Result<ModelProto, LoadError> {
    if !checksum::holds(bytes) {
        return Err(if checksum::key_in(bytes).is_some() { LoadError::Damaged } else { LoadError::Foreign });
    }
    let model = onnx().proto_model_for_read(&mut Cursor::new(bytes)).map_err(graph_error)?;
    match metadata(&model, names::VERSION_KEY) {
        Some(names::VERSION | names::VERSION_WEIGHTED) => {}
        found => return Err(other_version(found)),
    }
    Ok(model)
}

/// The error for a file of another version of the format, which says what to do.
fn other_version(found: Option<&str>) -> LoadError {
    let newest = names::VERSION_WEIGHTED.parse::<u32>();
    let mend = match (found.map(str::parse::<u32>), newest) {
        (Some(Ok(found)), Ok(newest)) if found > newest => "a newer program wrote it: update this one",
        (Some(Ok(_)), _) => "an older program wrote it: export the model anew",
        _ => "it is none that `trainer export` writes",
    };
    let (key, reads) = (names::VERSION_KEY, [names::VERSION, names::VERSION_WEIGHTED]);
    LoadError::Incompatible(format!("{key} is {found:?}, expected {:?} or {:?}; {mend}", reads[0], reads[1]))
}

fn load_checked(bytes: &[u8], precision: Precision) -> Result<Engine, LoadError> {
    let mut model = opened(bytes)?;
    let shape = frame_shape(&model)?;
    let head = read_head(&model)?;
    let seen = seen(&model, shape)?;
    let windowing = windowing(&model, shape)?;
    let front_end = front_end::read(&model, shape)?;
    let inputs = front_end::input_shape(front_end.as_ref(), shape);
    let novelty = NoveltyDecoder::load(&model, inputs, &head, precision)?;
    let has_logits = keep_encoder(&mut model);
    if front_end.is_some() {
        front_end::leave_out(&mut model, inputs);
    }
    let clusters = head.clusters();
    let single = plan(&model, inputs, Some(1), precision)?;
    let batch = plan(&model, inputs, None, precision)?;
    let mut engine =
        Engine { shape, front_end, head, has_logits, seen, windowing, single, batch, novelty, decoder: None };
    // A trial run: outputs of another size than the head expects are found now, not on the first frame.
    let zeros = vec![0.0; shape.len()];
    match engine.assign(&zeros) {
        Ok(assignment) if assignment.log_responsibilities.len() == clusters => Ok(engine),
        Ok(_) => Err(LoadError::Incompatible("the head has another number of clusters".into())),
        Err(error) => Err(LoadError::Incompatible(format!("a frame of zeros gives: {error}"))),
    }
}

pub(super) fn graph_error(error: TractError) -> LoadError {
    LoadError::Graph(format!("{error:#}"))
}

pub(super) fn metadata<'a>(model: &'a ModelProto, key: &str) -> Option<&'a str> {
    model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}

fn frame_shape(model: &ModelProto) -> Result<FrameShape, LoadError> {
    let input = model.graph.iter().flat_map(|g| &g.input).find(|i| i.name == names::INPUT);
    let dims: Option<Vec<Option<usize>>> = input.and_then(|input| {
        let type_proto::Value::TensorType(tensor) = input.r#type.as_ref()?.value.as_ref()?;
        let dims = &tensor.shape.as_ref()?.dim;
        Some(
            dims.iter()
                .map(|d| match d.value {
                    Some(tensor_shape_proto::dimension::Value::DimValue(v)) => usize::try_from(v).ok(),
                    _ => None,
                })
                .collect(),
        )
    });
    match dims.as_deref() {
        Some([_, Some(channels), Some(height), Some(width)]) => {
            let shape = FrameShape { channels: *channels, height: *height, width: *width };
            match shape.len() {
                1..=MAX_FRAME => Ok(shape),
                len => Err(LoadError::Incompatible(format!("frames of {len} values"))),
            }
        }
        _ => Err(LoadError::Incompatible(format!("no input \"{}\" of shape [N,C,H,W]", names::INPUT))),
    }
}

/// The values that training saw `[G]`, of every channel or column.
pub(super) struct Seen {
    /// The least and the largest.
    pub least: Vec<f32>,
    pub most: Vec<f32>,
    /// The standard deviation, not below 0.
    pub deviation: Vec<f32>,
}

/// What the metadata say of the values that training saw; None if they say nothing.
fn seen(model: &ModelProto, shape: FrameShape) -> Result<Option<Seen>, LoadError> {
    let keys = [names::LEAST_KEY, names::MOST_KEY, names::DEVIATION_KEY];
    let texts = keys.map(|key| metadata(model, key));
    if texts == [None; 3] {
        return Ok(None);
    }
    let numbers = |text: Option<&str>| text?.split(',').map(|number| number.parse().ok()).collect::<Option<Vec<f32>>>();
    let seen = match texts.map(numbers) {
        [Some(least), Some(most), Some(deviation)] => Some(Seen { least, most, deviation }),
        _ => None,
    };
    let seen = seen.filter(|Seen { least, most, deviation }| {
        ValueRange::new(least, most, shape.len()).is_some()
            && deviation.len() == least.len()
            && deviation.iter().all(|v| *v >= 0.0 && v.is_finite())
    });
    seen.map(Some).ok_or_else(|| LoadError::Incompatible("its range of values does not fit its frames".into()))
}

/// How frames of a shape are cut out of recordings; None if the metadata say nothing of it.
fn windowing(model: &ModelProto, shape: FrameShape) -> Result<Option<Windowing>, LoadError> {
    let [hop, rate] = [names::HOP_KEY, names::RATE_KEY].map(|key| metadata(model, key));
    let windowing = match (hop, rate) {
        (None, None) => return Ok(None),
        (Some(hop), None) => hop.parse().ok().and_then(|hop| Windowing::new(shape, hop, None)),
        (Some(hop), Some(rate)) => {
            hop.parse().ok().zip(rate.parse().ok()).and_then(|(hop, rate)| Windowing::new(shape, hop, Some(rate)))
        }
        (None, Some(_)) => None,
    };
    windowing.map(Some).ok_or_else(|| LoadError::Incompatible("hop and rate are none of windows of its frames".into()))
}

/// Largest frame that is believed, values.
const MAX_FRAME: usize = 1 << 24;

fn read_head(model: &ModelProto) -> Result<Head<'static>, LoadError> {
    let mu_c = read_initializer(model, names::MU_C)?;
    let log_var_c = read_initializer(model, names::LOG_VAR_C)?;
    let number = |key: &str| {
        let value = metadata(model, key).and_then(|v| v.parse().ok());
        value.ok_or_else(|| LoadError::Incompatible(format!("{key} is no number")))
    };
    let counts_decoder = metadata(model, names::DISPERSION_KEY).is_some();
    let threshold = if counts_decoder { names::DECODER_THRESHOLD_KEY } else { names::THRESHOLD_KEY };
    let calibration =
        Calibration { novelty_threshold: number(threshold)?, temperature: number(names::TEMPERATURE_KEY)? };
    let log_weights = match metadata(model, names::VERSION_KEY) {
        Some(names::VERSION_WEIGHTED) => read_initializer(model, names::LOG_WEIGHTS)?,
        _ => Vec::new(),
    };
    let head = Head::weighted(&mu_c, &log_var_c, &log_weights, calibration);
    head.map(Head::into_owned).map_err(|e| LoadError::Incompatible(e.to_string()))
}

pub(super) fn read_initializer(model: &ModelProto, name: &str) -> Result<Vec<f32>, LoadError> {
    let tensor: &TensorProto = model
        .graph
        .iter()
        .flat_map(|g| &g.initializer)
        .find(|t| t.name == name)
        .ok_or_else(|| LoadError::Incompatible(format!("no initializer \"{name}\"")))?;
    let values = tensor.raw_data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Ok(values.collect())
}

/// Removes the nodes and outputs of the head and of what follows it; true if the encoder gives cluster logits of its own.
fn keep_encoder(model: &mut ModelProto) -> bool {
    let Some(graph) = model.graph.as_mut() else { return false };
    let has_logits = graph.output.iter().any(|o| o.name == names::CLUSTER_LOGITS);
    let after = [names::HEAD_NODES, names::DECODER_NODES, names::DISPERSION_NODES];
    graph.node.retain(|node| !after.iter().any(|begin| node.name.starts_with(begin)));
    graph.initializer.retain(|tensor| !tensor.name.starts_with(names::DECODER_NODES));
    let wanted = [names::MU, names::LOG_VAR, names::CLUSTER_LOGITS];
    graph.output.retain(|output| wanted.contains(&output.name.as_str()));
    graph.output.sort_by_key(|output| wanted.iter().position(|name| *name == output.name));
    let of_head = [names::MU_C, names::LOG_VAR_C, names::LOG_WEIGHTS];
    graph.initializer.retain(|tensor| !of_head.contains(&tensor.name.as_str()));
    has_logits
}

fn plan(model: &ModelProto, shape: FrameShape, count: Option<usize>, precision: Precision) -> Result<Plan, LoadError> {
    ready(model, precision, |model| {
        let batch: TDim = match count {
            Some(count) => count.into(),
            None => model.sym("N").into(),
        };
        let dims = [batch, shape.channels.into(), shape.height.into(), shape.width.into()];
        model.set_input_fact(0, f32::fact(dims).into())
    })
    .map_err(graph_error)
}

/// A graph made ready to run in a precision, once `declare` has told the shapes of its inputs.
pub(super) fn ready(
    model: &ModelProto,
    precision: Precision,
    declare: impl FnOnce(&mut InferenceModel) -> TractResult<()>,
) -> TractResult<Plan> {
    let onnx = onnx().with_ignore_output_shapes(true);
    let mut model = onnx.model_for_proto_model(model)?;
    declare(&mut model)?;
    let mut model = model.into_typed()?;
    if precision == Precision::Fused {
        // First fold what is constant; tidied up further, the layers would no longer look like layers.
        fused::replace_layers(&mut model)?;
    }
    let mut model = model.into_decluttered()?;
    if precision == Precision::Fused {
        fused::absorb(&mut model)?;
    }
    if precision == Precision::F16 {
        let transform = get_transform("f32_to_f16")?;
        transform.ok_or_else(|| TractError::msg("this build of tract has no f16 transform"))?.transform(&mut model)?;
    }
    model.into_optimized()?.into_runnable()?.spawn()
}
