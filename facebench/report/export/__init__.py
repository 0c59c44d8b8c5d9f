"""Runs for other tools: TensorBoard, Weights & Biases, MLflow, and model cards of the Hugging Face Hub."""
