extern crate alloc;
use burn::prelude::*;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::Bytes;
use burn::tensor::activation::log_softmax;
use burn_store::BurnpackStore;
use burn_store::ModuleSnapshot;


#[derive(Module, Debug)]
pub struct Model {
    constant5: burn::module::Param<Tensor<2>>,
    constant6: burn::module::Param<Tensor<1>>,
    constant7: burn::module::Param<Tensor<2>>,
    constant8: burn::module::Param<Tensor<1>>,
    constant9: burn::module::Param<Tensor<2>>,
    constant10: burn::module::Param<Tensor<1>>,
    constant13: burn::module::Param<Tensor<2>>,
    constant17: burn::module::Param<Tensor<1>>,
    constant18: burn::module::Param<Tensor<1>>,
    conv2d1: Conv2d,
    conv2d2: Conv2d,
    neg1: burn::module::Param<Tensor<1>>,
    mul3: burn::module::Param<Tensor<1>>,
    #[module(skip)]
    device: Device,
}


impl Model {
    /// Load model weights from in-memory bytes.
    ///
    /// The bytes must be the contents of a `.bpk` file.
    pub fn from_bytes(bytes: Bytes, device: &Device) -> Self {
        let mut model = Self::new(device);
        let mut store = BurnpackStore::from_bytes(Some(bytes));
        model
            .load_from(&mut store)
            .unwrap_or_else(|e| panic!("Failed to load burnpack bytes: {e}"));
        model
    }
}

impl Model {
    #[allow(unused_variables)]
    pub fn new(device: &Device) -> Self {
        let constant5: burn::module::Param<Tensor<2>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                2,
            >::zeros([1568, 128], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [1568, 128].into(),
        );
        let constant6: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::zeros([128], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [128].into(),
        );
        let constant7: burn::module::Param<Tensor<2>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                2,
            >::zeros([128, 10], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [128, 10].into(),
        );
        let constant8: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::zeros([10], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [10].into(),
        );
        let constant9: burn::module::Param<Tensor<2>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                2,
            >::zeros([128, 10], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [128, 10].into(),
        );
        let constant10: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::zeros([10], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [10].into(),
        );
        let constant13: burn::module::Param<Tensor<2>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                2,
            >::zeros([10, 10], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [10, 10].into(),
        );
        let constant17: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::from_data(
                burn::tensor::TensorData::from([-0.5f64]),
                (device, burn::tensor::DType::F32),
            ),
            device.clone(),
            false,
            [1].into(),
        );
        let constant18: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::from_data(
                burn::tensor::TensorData::from([2.3025851249694824f64]),
                (device, burn::tensor::DType::F32),
            ),
            device.clone(),
            false,
            [1].into(),
        );
        let conv2d1 = Conv2dConfig::new([1, 16], [5, 5])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
            .with_dilation([1, 1])
            .with_groups(1)
            .with_bias(true)
            .init(device);
        let conv2d2 = Conv2dConfig::new([16, 32], [5, 5])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
            .with_dilation([1, 1])
            .with_groups(1)
            .with_bias(true)
            .init(device);
        let neg1: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::zeros([10], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [10].into(),
        );
        let mul3: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::zeros([10], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [10].into(),
        );
        Self {
            constant5,
            constant6,
            constant7,
            constant8,
            constant9,
            constant10,
            constant13,
            constant17,
            constant18,
            conv2d1,
            conv2d2,
            neg1,
            mul3,
            device: device.clone(),
        }
    }

    #[allow(clippy::let_and_return, clippy::approx_constant)]
    pub fn forward(
        &self,
        frame: Tensor<4>,
    ) -> (Tensor<2>, Tensor<2>, Tensor<2>, Tensor<2>, Tensor<1>) {
        let constant5_out1 = self.constant5.val();
        let constant6_out1 = self.constant6.val();
        let constant7_out1 = self.constant7.val();
        let constant8_out1 = self.constant8.val();
        let constant9_out1 = self.constant9.val();
        let constant10_out1 = self.constant10.val();
        let constant13_out1 = self.constant13.val();
        let constant17_out1 = self.constant17.val();
        let constant18_out1 = self.constant18.val();
        let conv2d1_out1 = self.conv2d1.forward(frame);
        let relu1_out1 = burn::tensor::activation::relu(conv2d1_out1);
        let conv2d2_out1 = self.conv2d2.forward(relu1_out1);
        let relu2_out1 = burn::tensor::activation::relu(conv2d2_out1);
        let flatten1_out1 = {
            let leading_dim = relu2_out1.shape()[..1].iter().product::<usize>() as i32;
            relu2_out1.reshape::<2, _>([leading_dim, -1])
        };
        let gemm1_out1 = flatten1_out1.matmul(constant5_out1)
            + constant6_out1.unsqueeze();
        let relu3_out1 = burn::tensor::activation::relu(gemm1_out1);
        let gemm2_out1 = relu3_out1.clone().matmul(constant7_out1)
            + constant8_out1.unsqueeze();
        let gemm3_out1 = relu3_out1.matmul(constant9_out1) + constant10_out1.unsqueeze();
        let clip1_out1 = gemm3_out1.clamp(-8f64, 4f64);
        let unsqueeze1_out1: Tensor<3> = gemm2_out1.clone().unsqueeze_dims::<3>(&[1]);
        let sub1_out1 = unsqueeze1_out1.sub((constant13_out1).unsqueeze_dims(&[0isize]));
        let mul1_out1 = sub1_out1.clone().mul(sub1_out1);
        let reducesum1_out1 = { mul1_out1.sum_dim(2usize).squeeze_dims::<2usize>(&[2]) };
        let exp1_out1 = clip1_out1.clone().exp();
        let reducesum2_out1 = { exp1_out1.sum_dim(1usize) };
        let add1_out1 = reducesum1_out1.add(reducesum2_out1);
        let neg1_out1 = self.neg1.val();
        let exp2_out1 = neg1_out1.exp();
        let mul2_out1 = add1_out1.mul((exp2_out1).unsqueeze_dims(&[0isize]));
        let mul3_out1 = self.mul3.val();
        let add3_out1 = mul2_out1.add((mul3_out1).unsqueeze_dims(&[0isize]));
        let mul4_out1 = add3_out1.mul((constant17_out1).unsqueeze_dims(&[0isize]));
        let reducemax1_out1 = { mul4_out1.clone().max_dim(1usize) };
        let sub2_out1 = mul4_out1.clone().sub(reducemax1_out1.clone());
        let exp3_out1 = sub2_out1.exp();
        let reducesum3_out1 = { exp3_out1.sum_dim(1usize) };
        let log1_out1 = reducesum3_out1.log();
        let add4_out1 = log1_out1.add(reducemax1_out1);
        let squeeze1_out1 = add4_out1.squeeze_dims::<1>(&[1]);
        let sub3_out1 = constant18_out1.sub(squeeze1_out1);
        let logsoftmax1_out1 = log_softmax(mul4_out1, 1);
        let exp4_out1 = logsoftmax1_out1.clone().exp();
        (gemm2_out1, clip1_out1, logsoftmax1_out1, exp4_out1, sub3_out1)
    }
}
