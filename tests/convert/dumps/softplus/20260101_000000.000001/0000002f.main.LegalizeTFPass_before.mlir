func.func @main(%arg0: tensor<1x8xf32>) -> tensor<1x8xf32> attributes {tf.entry_function = {control_outputs = "", inputs = "x0", outputs = "Identity_1"}} {
  %0 = "tf.Softplus"(%arg0) {device = ""} : (tensor<1x8xf32>) -> tensor<1x8xf32>
  return %0 : tensor<1x8xf32>
}