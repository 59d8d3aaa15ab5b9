func.func @main(%arg0: tensor<1x8xf32>) -> tensor<1x8xf32> attributes {tf.entry_function = {control_outputs = "", inputs = "x0", outputs = "Identity_1"}} {
  %0 = tf_executor.graph {
    %outputs, %control = tf_executor.island {
      %1 = "tf.Softplus"(%arg0) {device = ""} : (tensor<1x8xf32>) -> tensor<1x8xf32>
      %2 = "tf.Identity"(%1) {device = ""} : (tensor<1x8xf32>) -> tensor<1x8xf32>
      %3 = "tf.Identity"(%2) {device = ""} : (tensor<1x8xf32>) -> tensor<1x8xf32>
      tf_executor.yield %3 : tensor<1x8xf32>
    }
    tf_executor.fetch %outputs : tensor<1x8xf32>
  }
  return %0 : tensor<1x8xf32>
}