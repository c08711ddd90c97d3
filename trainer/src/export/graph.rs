//! A small builder of ONNX graphs on the protobuf types that tract carries.
//!
//! A graph is a list of nodes, each with an operator, the names of its inputs and the name of its
//! output; values are passed by name alone. Weights are tensors with a name (initializers), stored
//! as raw little-endian bytes. ONNX wants every name made before it is used: nodes stay in the
//! order in which they are added, so a graph is to be written from its inputs to its outputs. All
//! names follow from those that are passed in, so the same model gives the same bytes.

use half::f16;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

use super::Precision;

/// A size in the declared shape of an input or output.
pub enum Dim {
    /// The number of frames.
    Batch,
    /// A size that is the same for every batch.
    Fixed(usize),
}

/// Collects nodes and initializers under stable names.
#[derive(Default)]
pub struct GraphBuilder {
    graph: GraphProto,
}

impl GraphBuilder {
    /// An empty graph called `name`.
    pub fn new(name: &str) -> Self {
        Self { graph: GraphProto { name: name.into(), ..Default::default() } }
    }

    /// Adds an f32 input.
    pub fn input(&mut self, name: &str, dims: &[Dim]) {
        self.graph.input.push(value_info(name, dims, DataType::Float));
    }

    /// Adds an i64 input.
    pub fn indices(&mut self, name: &str, dims: &[Dim]) {
        self.graph.input.push(value_info(name, dims, DataType::Int64));
    }

    /// Adds an f32 output.
    pub fn output(&mut self, name: &str, dims: &[Dim]) {
        self.graph.output.push(value_info(name, dims, DataType::Float));
    }

    /// Adds a node with one output, called `output`.
    pub fn node(&mut self, op: &str, name: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) {
        self.graph.node.push(NodeProto {
            op_type: op.into(),
            name: name.into(),
            input: inputs.iter().map(|i| (*i).into()).collect(),
            output: vec![output.into()],
            attribute,
            ..Default::default()
        });
    }

    /// Adds an f32 initializer.
    pub fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, dims, DataType::Float, raw);
    }

    /// Adds an i64 initializer of one dimension.
    pub fn integers(&mut self, name: &str, values: &[i64]) {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, &[values.len()], DataType::Int64, raw);
    }

    /// Adds weights in the precision asked for; the tensor to use is called `name`.
    ///
    /// f16 weights are stored as `name.f16` and widened by a Cast, so that every runtime computes
    /// in f32.
    pub fn weights(&mut self, name: &str, dims: &[usize], values: &[f32], precision: Precision) {
        match precision {
            Precision::F32 => self.floats(name, dims, values),
            Precision::F16 => {
                let stored = format!("{name}.f16");
                let raw = values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
                self.initializer(&stored, dims, DataType::Float16, raw);
                let to = integer("to", DataType::Float as i64);
                self.node("Cast", &format!("{name}.widen"), &[&stored], name, vec![to]);
            }
        }
    }

    /// Adds an initializer of raw little-endian bytes.
    fn initializer(&mut self, name: &str, dims: &[usize], kind: DataType, raw_data: Vec<u8>) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: kind as i32,
            raw_data,
            ..Default::default()
        });
    }

    /// The graph with all that was added, in that order.
    pub fn finish(self) -> GraphProto {
        self.graph
    }
}

/// An attribute of a node that is one integer.
pub fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..Default::default() }
}

/// An attribute of a node that is a list of integers.
pub fn integers(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..Default::default()
    }
}

/// Declaration of an input or output: name, type and shape.
fn value_info(name: &str, dims: &[Dim], kind: DataType) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|d| Dimension {
            value: Some(match d {
                Dim::Batch => dimension::Value::DimParam("N".into()),
                Dim::Fixed(size) => dimension::Value::DimValue(*size as i64),
            }),
            ..Default::default()
        })
        .collect();
    let tensor = type_proto::Tensor { elem_type: kind as i32, shape: Some(TensorShapeProto { dim }) };
    let value = Some(type_proto::Value::TensorType(tensor));
    let kind = TypeProto { value, ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(kind), ..Default::default() }
}
