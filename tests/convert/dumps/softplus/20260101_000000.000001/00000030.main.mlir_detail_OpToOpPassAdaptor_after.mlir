module attributes {tf.versions = {bad_consumers = [], min_consumer = 0 : i32, producer = 2474 : i32}} {
  func.func @main(%arg0: tensor<1x8xf32>) -> tensor<1x8xf32> attributes {tf.entry_function = {control_outputs = "", inputs = "x0", outputs = "Identity_1"}} {
    %0 = "tfl.exp"(%arg0) : (tensor<1x8xf32>) -> tensor<1x8xf32>
    %cst = arith.constant dense<1.000000e+00> : tensor<f32>
    %1 = tfl.add(%0, %cst) <{fused_activation_function = "NONE"}> : (tensor<1x8xf32>, tensor<f32>) -> tensor<1x8xf32>
    %2 = "tfl.log"(%1) : (tensor<1x8xf32>) -> tensor<1x8xf32>
    return %2 : tensor<1x8xf32>
  }
}
