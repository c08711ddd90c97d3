//! Identifiers of parameters, in the order of the model: Burn draws them at random, and two files
//! of the same weights would differ in them.

use burn::module::{Module, ModuleMapper, Param, ParamId, RunningState};
use burn::tensor::{Int, Tensor};

use super::ClusterVae;

/// Mapper that gives parameters the numbers 1, 2, 3 and so on; it holds the last one given.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> ParamId {
        self.0 += 1;
        self.0.into()
    }
}

impl ModuleMapper for Numbers {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        renamed(param, self.next())
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let (_, tensor, mapper) = param.consume();
        Param::from_mapped_value(self.next(), tensor, mapper)
    }
}

/// The parameter under another identifier, learned or not as before.
pub fn renamed<const D: usize>(param: Param<Tensor<D>>, id: ParamId) -> Param<Tensor<D>> {
    let (_, tensor, mapper) = param.consume();
    Param::from_mapped_value(id, tensor, mapper)
}

/// The model with its parameters numbered from 1.
pub fn numbered(model: ClusterVae) -> ClusterVae {
    let mut numbers = Numbers(0);
    let mut model = model.map(&mut numbers);
    let convs = model.encoder.convs.iter_mut().map(|block| &mut block.norm);
    let dense = model.encoder.dense.iter_mut().map(|block| &mut block.norm);
    for norm in convs.chain(dense) {
        // A mapper sees these, but what it calls them is dropped.
        for state in [&mut norm.running_mean, &mut norm.running_var] {
            *state = RunningState::with_id(numbers.next(), state.value_sync());
        }
    }
    model
}
