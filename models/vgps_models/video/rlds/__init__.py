"""What Open X-Embodiment is stored in, read without TensorFlow: TFRecord files of tf.train.Example."""
