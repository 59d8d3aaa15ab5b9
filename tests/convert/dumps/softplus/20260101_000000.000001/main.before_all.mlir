module attributes {tf.versions = {bad_consumers = [], min_consumer = 0 : i32, producer = 2474 : i32}} {
  func.func @main(%arg0: tensor<1x8xf32>) -> tensor<1x8xf32> attributes {tf.entry_function = {control_outputs = "", inputs = "x0", outputs = "Identity_1"}} {
    %0 = tf_executor.graph {
      %outputs, %control = tf_executor.island wraps "tf.Softplus"(%arg0) {device = ""} : (tensor<1x8xf32>) -> tensor<1x8xf32>
      %outputs_0, %control_1 = tf_executor.island wraps "tf.Identity"(%outputs) {device = ""} : (tensor<1x8xf32>) -> tensor<1x8xf32>
      %outputs_2, %control_3 = tf_executor.island wraps "tf.Identity"(%outputs_0) {device = ""} : (tensor<1x8xf32>) -> tensor<1x8xf32>
      tf_executor.fetch %outputs_2 : tensor<1x8xf32>
    }
    return %0 : tensor<1x8xf32>
  }
}
