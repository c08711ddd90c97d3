//! The front end of an ONNX file: its nodes are left to [`FrontEnd`](crate::FrontEnd), which is faster than the matrices of
//! the graph and knows no other precision than f32.

use std::borrow::Cow;
use std::str::FromStr;

use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{ModelProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_proto, type_proto};

use super::load::{metadata, read_initializer};
use super::{LoadError, names};
use crate::{FRONT_END_LENGTHS, FrameError, FrameShape, FrontEndSpec, LogMelSpec, SpectralSpec, Steps, Tone};

/// The front end that a file describes; None if it has none.
pub(super) fn read(model: &ModelProto, shape: FrameShape) -> Result<Option<FrontEndSpec>, LoadError> {
    let of_sound = match metadata(model, names::FRONT_END_KEY) {
        None => return Ok(None),
        Some(names::SPECTRAL) => false,
        Some(names::LOG_MEL) => true,
        Some(names::TONE) => return tone(model, shape).map(Some),
        Some(found) => return Err(LoadError::Incompatible(format!("{} is {found:?}", names::FRONT_END_KEY))),
    };
    let wrong = || LoadError::Incompatible("its front end does not fit its frames".into());
    let length: usize = metadata(model, names::LENGTH_KEY).and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    let edges = numbers(model, names::EDGES_KEY).ok_or_else(wrong)?;
    let [centre, factor, floor] = [names::CENTRE, names::CHANNEL_FACTOR, names::FLOOR];
    let [centre, factor, floor] =
        [read_initializer(model, centre)?, read_initializer(model, factor)?, read_initializer(model, floor)?];
    if [factor.len(), floor.len()] != [centre.len(); 2] {
        return Err(wrong());
    }
    let constants = centre
        .into_iter()
        .zip(factor)
        .zip(floor)
        .flat_map(|((centre, factor), floor)| [centre, factor, floor])
        .collect();
    let spec = if of_sound {
        let rate = metadata(model, names::FRONT_END_RATE_KEY).and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
        let steps = match numbers(model, names::STEPS_KEY).as_deref() {
            Some(&[hop, count, pooled]) => Steps { hop, count, pooled, rate },
            _ => return Err(wrong()),
        };
        // A longer one is refused, but would be made before.
        let window = SpectralSpec::hann(length.min(FRONT_END_LENGTHS[1] + 1));
        FrontEndSpec::LogMel(LogMelSpec { shape, steps, window, constants, edges })
    } else {
        let window = SpectralSpec::hann(shape.width);
        FrontEndSpec::Spectral(SpectralSpec { shape, length, window, constants, edges })
    };
    if spec.front_end().is_none() {
        return Err(wrong());
    }
    Ok(Some(spec))
}

/// The numbers of an entry, separated by commas.
fn numbers<T: FromStr>(model: &ModelProto, key: &str) -> Option<Vec<T>> {
    metadata(model, key)?.split(',').map(|number| number.parse().ok()).collect()
}

fn tone(model: &ModelProto, shape: FrameShape) -> Result<FrontEndSpec, LoadError> {
    let tone = match read_initializer(model, names::FLOOR)?[..] {
        [floor] => Tone::new(shape, floor).map(FrontEndSpec::Tone),
        _ => None,
    };
    tone.ok_or_else(|| LoadError::Incompatible("its front end does not fit its frames".into()))
}

/// Makes the features the input of a graph in place of the frame, and removes what makes them.
pub(super) fn leave_out(model: &mut ModelProto, features: FrameShape) {
    let Some(graph) = model.graph.as_mut() else { return };
    graph.node.retain(|node| !node.name.starts_with(names::FRONT_END_NODES));
    graph.initializer.retain(|tensor| !tensor.name.starts_with(names::FRONT_END_INITIALIZERS));
    let size = |size: usize| Dimension { value: Some(dimension::Value::DimValue(size as i64)), ..Default::default() };
    let batch = Dimension { value: Some(dimension::Value::DimParam("N".into())), ..Default::default() };
    let dim = vec![batch, size(features.channels), size(features.height), size(features.width)];
    let elem_type = tensor_proto::DataType::Float as i32;
    let tensor = type_proto::Tensor { elem_type, shape: Some(TensorShapeProto { dim }) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    graph.input = vec![ValueInfoProto { name: names::FEATURES.into(), r#type: Some(kind), ..Default::default() }];
}

/// The shape of what the encoder takes.
pub(super) fn input_shape(front_end: Option<&FrontEndSpec>, shape: FrameShape) -> FrameShape {
    front_end.and_then(|spec| spec.front_end()).map_or(shape, |front_end| front_end.shape())
}

/// What the encoder takes of whole frames: their features if there is a front end, else themselves.
pub(super) fn inputs<'f>(front_end: Option<&FrontEndSpec>, frames: &'f [f32]) -> Result<Cow<'f, [f32]>, FrameError> {
    let Some(spec) = front_end else { return Ok(Cow::Borrowed(frames)) };
    spec.features(frames).map(Cow::Owned).ok_or(FrameError::Engine)
}
