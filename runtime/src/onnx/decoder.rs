//! The decoder within a model whose novelty counts it: run by tract at the latent mean, for the most probable cluster.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{ModelProto, TypeProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::*;

use super::load::{graph_error, metadata, read_initializer, ready};
use super::{LoadError, Plan, Precision, names};
use crate::{Assignment, Dispersion, FrameError, FrameShape, Head};

/// A decoder, and what becomes of its outputs.
pub(super) struct NoveltyDecoder {
    /// For one frame, which tract runs faster.
    single: Plan,
    /// For any number of frames.
    batch: Plan,
    dispersion: Dispersion,
    /// Shift and factor of every value, if values are standardised.
    scaling: Option<[Vec<f32>; 2]>,
}

/// Distribution of a value and its noise s² after scaling, as the metadata of a decoder say.
pub(super) fn likelihood(model: &ModelProto) -> Result<(bool, f32), LoadError> {
    let bernoulli = match metadata(model, names::LIKELIHOOD_KEY) {
        Some("bernoulli") => true,
        Some("gaussian") => false,
        found => return Err(LoadError::Incompatible(format!("{} is {found:?}", names::LIKELIHOOD_KEY))),
    };
    let noise = metadata(model, names::NOISE_KEY).and_then(|v| v.parse().ok());
    let noise = noise.filter(|v: &f32| *v > 0.0 && v.is_finite());
    Ok((bernoulli, noise.ok_or_else(|| LoadError::Incompatible(format!("{} is no number above 0", names::NOISE_KEY)))?))
}

/// Shift and factor of every value, if values are standardised.
pub(super) fn scaling(model: &ModelProto, shape: FrameShape) -> Result<Option<[Vec<f32>; 2]>, LoadError> {
    match [names::SHIFT, names::FACTOR].map(|name| read_initializer(model, name)) {
        [Ok(shift), Ok(factor)] if shift.len() == shape.len() && factor.len() == shape.len() => {
            Ok(Some([shift, factor]))
        }
        [Err(_), Err(_)] => Ok(None),
        _ => Err(LoadError::Incompatible("its scaling is of another shape than the frames".into())),
    }
}

impl NoveltyDecoder {
    /// The decoder of a model; None if its novelty is that of the latent alone.
    pub fn load(
        model: &ModelProto,
        shape: FrameShape,
        head: &Head<'_>,
        precision: Precision,
    ) -> Result<Option<Self>, LoadError> {
        let Some(weight) = metadata(model, names::DISPERSION_KEY) else { return Ok(None) };
        let (bernoulli, noise) = likelihood(model)?;
        let weight = weight.parse().ok();
        let dispersion = weight.map(|weight| Dispersion { bernoulli, noise, weight }).filter(Dispersion::holds);
        let dispersion = dispersion
            .ok_or_else(|| LoadError::Incompatible(format!("{} is no number from 0", names::DISPERSION_KEY)))?;
        let [single, batch] = [Some(1), None].map(|count| plan(model, head.latent(), count, precision));
        let mut decoder = Self { single: single?, batch: batch?, dispersion, scaling: scaling(model, shape)? };
        // A trial run under the last cluster: layers of another model are found now.
        let trial = decoder.outputs(&vec![0.0; head.latent()], &[head.clusters() as i64 - 1]);
        if trial.map(|outputs| outputs.len()) != Ok(shape.len()) {
            return Err(LoadError::Incompatible("its decoder is of another shape than the frames".into()));
        }
        Ok(Some(decoder))
    }

    /// Makes the novelty of assignments by the latent that which also counts the dispersions of their frames.
    ///
    /// # Shapes
    /// - `frames`: `[N,P]`, as the encoder takes them; `mu`: `[N,D]`; `assignments`: `[N]`
    pub fn judge(
        &mut self,
        frames: &[f32],
        mu: &[f32],
        head: &Head<'_>,
        assignments: &mut [Assignment],
    ) -> Result<(), FrameError> {
        let clusters: Vec<i64> = assignments.iter().map(|a| a.cluster as i64).collect();
        let outputs = self.outputs(mu, &clusters)?;
        let p = frames.len() / assignments.len().max(1);
        if outputs.len() != frames.len() || p == 0 {
            return Err(FrameError::Engine);
        }
        let rows = frames.chunks_exact(p).zip(outputs.chunks_exact(p));
        for ((frame, outputs), assignment) in rows.zip(assignments) {
            let outputs = outputs.iter().copied();
            let found = match &self.scaling {
                None => self.dispersion.of(frame.iter().copied().zip(outputs)),
                Some([shift, factor]) => {
                    let scaled = frame.iter().zip(shift).zip(factor).map(|((x, s), f)| (x - s) * f);
                    self.dispersion.of(scaled.zip(outputs))
                }
            };
            self.dispersion.add(found, head, assignment)?;
        }
        Ok(())
    }

    /// Logits or means `[N,P]` for z `[N,D]`, each under one cluster.
    fn outputs(&mut self, z: &[f32], clusters: &[i64]) -> Result<Vec<f32>, FrameError> {
        let plan = if clusters.len() == 1 { &mut self.single } else { &mut self.batch };
        let mut run = || -> TractResult<Vec<f32>> {
            let kind = plan.model().input_fact(0)?.datum_type;
            let z = Tensor::from_shape(&[clusters.len(), z.len() / clusters.len().max(1)], z)?;
            let z = z.cast_to_dt(kind)?.into_owned();
            let outputs = plan.run(tvec!(z.into(), Tensor::from_shape(&[clusters.len()], clusters)?.into()))?;
            let output = outputs.first().ok_or_else(|| TractError::msg("no output"))?.cast_to::<f32>()?;
            Ok(output.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
        };
        run().map_err(|_| FrameError::Engine)
    }
}

/// The decoder's part of a graph, from z and cluster to its outputs.
fn plan(model: &ModelProto, latent: usize, count: Option<usize>, precision: Precision) -> Result<Plan, LoadError> {
    let mut model = model.clone();
    if let Some(graph) = model.graph.as_mut() {
        graph.node.retain(|node| node.name.starts_with(names::DECODER_NODES));
        graph.initializer.retain(|tensor| tensor.name.starts_with(names::DECODER_NODES));
        graph.input = vec![declared(names::MU, DataType::Float), declared(names::CLUSTER, DataType::Int64)];
        graph.output = vec![declared(names::DECODED, DataType::Float)];
    }
    ready(&model, precision, |model| {
        let batch = count.map_or_else(|| model.sym("N").into(), TDim::from);
        model.set_input_fact(0, f32::fact([batch.clone(), latent.into()]).into())?;
        model.set_input_fact(1, i64::fact([batch]).into())
    })
    .map_err(graph_error)
}

/// An input or output of a graph; its shape is told later.
fn declared(name: &str, kind: DataType) -> ValueInfoProto {
    let tensor = type_proto::Tensor { elem_type: kind as i32, shape: None };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(kind), ..Default::default() }
}
